"""Building flows from the catalogue."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import disturb, make_flow
from zuko.flows import MAF

from vqflow.config.components import ConfigError
from vqflow.flows import build_flow

AFFINE = "zuko.transforms.MonotonicAffineTransform"


@pytest.mark.parametrize("features", [3, 16])
@pytest.mark.parametrize("context", [0, 3])
@torch.no_grad()
def test_every_flow_of_the_catalogue_inverts(flow_name: str, context: int, features: int) -> None:
    flow = make_flow(flow_name, features, context, seed=0).double()
    disturb(flow)
    u = torch.randn(50, features, dtype=torch.float64)
    code = torch.randn(50, context, dtype=torch.float64)
    z = flow.to_noise(u, code)
    assert not torch.allclose(z, u, rtol=0, atol=1e-2)
    torch.testing.assert_close(flow.to_latent(z, code), u, rtol=0, atol=1e-9)
    assert flow.log_prob(u, code).shape == (50,)


def test_initial_weights_depend_on_the_seed_alone(flow_name: str) -> None:
    states = []
    for seed, noise in [(0, 1), (0, 2), (1, 3)]:
        torch.manual_seed(noise)
        states.append(make_flow(flow_name, 16, 2, seed).state_dict())
        assert torch.equal(torch.rand(1), torch.manual_seed(noise) and torch.rand(1))
    weights = [key for key in states[0] if key.endswith("weight") and states[0][key].any()]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not any(torch.equal(states[0][key], states[2][key]) for key in weights)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class": "zuko.flows.RealNVP", "hiden": [8]}, "flows.x.hiden: zuko.flows.RealNVP has no"),
        ({"class": "torch.nn.Flatten"}, "flows.x.class: 'torch.nn.Flatten' is not a zuko"),
        ({"class": "math.pi"}, "flows.x.class: 'math.pi' is not a zuko"),
        ({"class": "zuko.flows.MAF", "activation": "Relu"}, "flows.x.activation: no 'Relu'"),
        (
            {"class": "zuko.flows.MAF", "univariate": {"class": "zuko.transforms.No"}},
            "flows.x.univariate.class: no 'No'",
        ),
        (
            {"class": "zuko.flows.MAF", "univariate": {"class": "math.pi"}},
            "flows.x.univariate.class: 'math.pi' is no class or function",
        ),
        ({"class": "vqflow.flows.MultiScaleRealNVP"}, "flows.x: .*takes images, but the data are"),
    ],
)
def test_wrong_entries_name_their_place(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_flow(entry, "flows.x", 3, 0, seed=0)


def test_activations_go_by_their_name() -> None:
    entry = {"class": "zuko.flows.MAF", "activation": "SiLU"}
    assert "SiLU" in repr(build_flow(entry, "flows.x", 3, 0, seed=0))


@torch.no_grad()
def test_other_dictionaries_are_the_flows_own_arguments() -> None:
    entry = {"class": "zuko.flows.NAF", "transforms": 1, "network": {"hidden_features": [7]}}
    flow = build_flow(entry, "flows.x", 3, 2, seed=0)
    assert any(7 in parameter.shape for parameter in flow.parameters())
    assert flow.log_prob(torch.zeros(4, 3), torch.zeros(4, 2)).isfinite().all()


@torch.no_grad()
def test_building_leaves_what_training_sets_alone() -> None:
    """Running statistics and the like are those of a fresh flow."""
    entry = {"class": "test_flows.Counting"}
    assert build_flow(entry, "flows.x", 3, 0, seed=0).flow.calls == 0


@pytest.mark.parametrize("family", ["RealNVP", "MAF"])
@pytest.mark.parametrize("slope", [0.1, 0.5])
@torch.no_grad()
def test_scales_of_affine_transformations_are_bounded_by_their_slope(
    family: str, slope: float
) -> None:
    """Whatever the network says, no coordinate is stretched by more than 1 / slope."""
    univariate = {"class": AFFINE, "slope": slope}
    entry = {"class": f"zuko.flows.{family}", "transforms": 1, "univariate": univariate}
    flow = build_flow(entry, "flows.x", 4, 0, seed=0).double()
    for parameter in flow.parameters():
        parameter.mul_(30)
    u = torch.randn(500, 4, dtype=torch.float64)
    jacobian = torch.func.vmap(torch.func.jacrev(flow.flow.transform.transforms[0]()))(u)
    scales = jacobian.diagonal(dim1=1, dim2=2).abs()
    assert scales.min() >= slope and scales.max() <= 1 / slope
    assert scales.max() > 0.9 / slope


class Counting(MAF):
    """A flow that knows how often it was called."""

    calls = 0

    def forward(self, c: Any = None) -> Any:
        distribution = super().forward(c)
        self.calls += 1
        return distribution


class Pictures(MAF):
    """A flow that can make use of an image's shape, and does without."""

    def __init__(self, features: int, context: int = 0, shape: Any = None) -> None:
        super().__init__(features, context, transforms=1)
        self.shape = shape


@pytest.mark.parametrize("shape", [None, (1, 2, 2)])
def test_the_shape_of_images_is_given_to_those_who_take_it(shape: Any) -> None:
    built = build_flow({"class": "test_flows.Pictures"}, "flows.x", 4, 0, seed=0, shape=shape)
    assert built.flow.shape == shape
    build_flow({"class": "zuko.flows.MAF"}, "flows.x", 4, 0, seed=0, shape=shape)


@pytest.mark.parametrize("context", [0, 3])
@torch.no_grad()
def test_the_gaussian_is_one_for_each_code_with_independent_coordinates(context: int) -> None:
    flow = build_flow({"class": "vqflow.flows.Gaussian"}, "flows.x", 4, context, seed=0).double()
    code = torch.randn(50, context, dtype=torch.float64)
    zero = torch.zeros(50, 4, dtype=torch.float64)
    mean = flow.to_latent(zero, code)
    normal = torch.distributions.Normal(mean, flow.to_latent(zero + 1, code) - mean)
    u = torch.randn(50, 4, dtype=torch.float64)
    torch.testing.assert_close(flow.log_prob(u, code), normal.log_prob(u).sum(1))
    assert (mean.std(0) > 0).all() == (context > 0)

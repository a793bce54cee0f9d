"""Models that the training loop fits: continuously indexed flows and flow matching."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import disturb, ring
from small import setting, train

from vqflow.config.components import ConfigError
from vqflow.flows import build_flow
from vqflow.models import ContinuouslyIndexedFlow, Density, FlowMatching
from vqflow.models import trained as module_of_training
from vqflow.models.build import build_atlas, count_parameters
from vqflow.models.density_store import build_density
from vqflow.training.loop import Checkpoint

TRAINING = {"epochs": 3, "batch_size": 64, "learning_rate": 1e-2, "schedule": "one_cycle"}


def cif(features: int = 2, flow: str = "RealNVP", layers: int = 2, **given: Any) -> Any:
    entry = {"class": f"zuko.flows.{flow}", "transforms": layers, "hidden_features": [16]}
    chosen = {"hidden_features": [8], "training": TRAINING, **given}
    return ContinuouslyIndexedFlow(features, entry, **chosen)


def cfm(features: int = 2, **given: Any) -> Any:
    chosen = {"hidden_features": [32, 32], "training": TRAINING, **given}
    return FlowMatching(features, **chosen)


def disturbed(density: Any) -> Any:
    """The density with weights at which nothing is the identity."""
    disturb(density.network)
    return density


MODELS = {"cif-realnvp": cif, "cif-maf": partial(cif, flow="MAF"), "cfm": cfm}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


# Continuously indexed flows


@torch.no_grad()
def marginal(density: Any, x: np.ndarray) -> np.ndarray:
    """log p(x) of one layer with one index, by quadrature over the index: without q."""
    network = density.network
    u = torch.linspace(-12, 12, 2001, dtype=torch.float64)[:, None]
    (layer,), (affine,), (prior,) = (
        part.double() for part in (network.layers, network.affine, network.prior)
    )
    found = []
    for point in torch.as_tensor(x):
        y, ladj = layer(None).call_and_ladj(point[None])
        z, of_index = affine(u).call_and_ladj(y.expand(len(u), -1))
        mean, raw = prior(z).chunk(2, dim=1)
        log_scale = raw / (1 + (raw / math.log(1e3)).abs())  # zuko's bound
        normal = torch.distributions.Normal
        joint = normal(0, 1).log_prob(z).sum(1) + normal(mean, log_scale.exp()).log_prob(u)[:, 0]
        found.append((joint + of_index + ladj.sum()).logsumexp(0) + (u[1, 0] - u[0, 0]).log())
    network.float()
    return torch.stack(found).numpy()


@pytest.mark.parametrize("flow", ["RealNVP", "MAF"])
def test_the_bound_rises_to_the_density_that_no_posterior_enters(flow: str) -> None:
    density = cif(flow=flow, layers=1, index_features=1)
    x = density.sample(200, seed=0)
    exact = marginal(density, x).mean()
    bounds = []
    for samples in (1, 10, 100, 3000):
        density.samples = samples
        bounds.append(density.log_prob(x).mean())
    assert bounds[0] < bounds[1] < bounds[2] < exact + 0.01
    assert bounds[1] - bounds[0] > 0.02
    assert bounds[3] == pytest.approx(exact, abs=0.01)


def test_importance_weights_integrate_to_one_and_samples_are_of_their_density() -> None:
    """In one dimension, and two layers: the mean over draws of the weights is p(x) itself."""
    generator = np.random.default_rng(0)
    points = generator.choice([-1.2, 1.2], (600, 1)) + 0.4 * generator.standard_normal((600, 1))
    density = cif(1, samples=500, index_features=1, training={**TRAINING, "epochs": 10})
    density.fit(points[:300], points[300:], seed=0)
    edges = np.linspace(-12, 12, 241)
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    mass = np.exp(density.log_prob(middle)) * (edges[1] - edges[0])
    assert mass.sum() == pytest.approx(1, abs=0.01)
    n = 20_000
    drawn = density.sample(n, seed=1)
    boxes = mass.reshape(-1, 4).sum(1)
    found = np.histogram(drawn[:, 0], edges[::4])[0] / n
    often = boxes > 0.002
    error = np.sqrt(boxes * (1 - boxes) / n + (0.01 * boxes) ** 2)
    assert often.sum() >= 8
    assert np.abs((found - boxes)[often] / error[often]).max() < 4.5


@pytest.mark.parametrize("flow", ["RealNVP", "MAF"])
def test_a_flow_that_ignores_its_indices_has_its_own_density(flow: str) -> None:
    """Whatever is drawn: each weight is then the density of the flow."""
    density = disturbed(cif(3, flow, samples=1))
    network = density.network
    with torch.no_grad():
        for ignored in [*(part.hyper for part in network.affine), *network.prior]:
            ignored[-1].weight.zero_(), ignored[-1].bias.zero_()
        for posterior in network.posterior:
            posterior[-1].weight.zero_(), posterior[-1].bias.zero_()
        x = torch.randn(50, 3)
        z, expected = x, torch.zeros(50)
        for layer in network.layers:
            z, ladj = layer(None).call_and_ladj(z)
            expected = expected + ladj
        expected = expected + torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    np.testing.assert_allclose(density.log_prob(x.numpy()), expected, atol=1e-4)
    assert density.log_prob(x.numpy()).std() > 0.1


def test_only_the_bound_is_called_one() -> None:
    bounds = {}
    for name in ("cif-realnvp", "cif-maf", "cfm", "mixture-of-gaussians"):
        bounds[name] = build_density(setting(name).of_model(), ring(3).spec).lower_bound
    assert [name for name, bound in bounds.items() if bound] == ["cif-realnvp", "cif-maf"]
    assert not Density.lower_bound


# Flow matching


def test_the_continuous_density_integrates_to_one() -> None:
    density = disturbed(cfm())
    edges = np.linspace(-7, 7, 71)
    middle = (edges[1:] + edges[:-1]) / 2
    grid = np.stack(np.meshgrid(middle, middle), -1).reshape(-1, 2)
    log_prob = density.log_prob(grid)
    assert np.exp(log_prob).sum() * (edges[1] - edges[0]) ** 2 == pytest.approx(1, abs=1e-3)
    far = np.abs(log_prob - (-np.square(grid).sum(1) / 2 - math.log(2 * math.pi)))
    assert far.max() > 0.5  # no standard normal


def test_its_log_density_is_that_of_the_change_of_variables() -> None:
    density = disturbed(cfm(atol=1e-9, rtol=1e-8))
    x = torch.randn(3, 2, dtype=torch.float64)
    to_noise = partial(density.network.to_noise, code=x[:1, :0])
    expected = []
    for point in x:
        jacobian = torch.autograd.functional.jacobian(lambda p: to_noise(p[None])[0], point)
        normal = torch.distributions.Normal(0, 1).log_prob(to_noise(point[None])).sum()
        expected.append(float(normal.detach() + torch.linalg.slogdet(jacobian)[1]))
    np.testing.assert_allclose(density.log_prob(x.numpy()), expected, atol=1e-5)


@torch.no_grad()
def test_integrating_there_and_back_changes_nothing() -> None:
    density = disturbed(cfm(3))
    drawn = torch.as_tensor(density.sample(50, seed=4))
    noise = density.network.to_noise(drawn, drawn[:, :0])
    expected = torch.randn(50, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert (noise - expected).abs().max() < 1e-3
    assert (drawn - expected).abs().max() > 0.3


def test_on_a_gaussian_the_log_likelihood_is_near_minus_the_entropy() -> None:
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    generator = np.random.default_rng(0)
    train, validation, test = generator.multivariate_normal([0, 0], covariance, (3, 1000))
    density = cfm(training={**TRAINING, "epochs": 40})
    before = density.log_prob(test).mean()
    density.fit(train, validation, seed=0)
    gaussian = -np.einsum("nd,de,ne->n", test, np.linalg.inv(covariance), test) / 2
    exact = gaussian.mean() - math.log(2 * math.pi) - math.log(np.linalg.det(covariance)) / 2
    assert before < exact - 0.3
    assert density.log_prob(test).mean() == pytest.approx(exact, abs=0.06)
    np.testing.assert_allclose(np.cov(density.sample(4000, 0).T), covariance, atol=0.12)


# What they share


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"epochs": 0}, "models.cfm.training.epochs: "),
        ({"threads": 2}, "models.cfm.training.threads: no such key here"),
        ({"objective": "covering"}, "models.cfm.training.objective: no such key here"),
    ],
)
def test_the_configuration_knows_the_keys_of_a_training(training: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        setting("cfm", models={"cfm": {"training": training}})
    assert str(caught.value).startswith(message)


def fitted(make: Callable[..., Any], seed: int = 0, **given: Any) -> Any:
    density = make(**given)
    points = ring(2).points
    density.fit(points["train"], points["validation"], seed)
    return density


@pytest.mark.parametrize(
    ("variant", "peer"),
    [("cif-realnvp", "vq-realnvp"), ("cif-maf", "vq-maf"), ("cfm", "vq-realnvp")],
)
def test_the_catalogue_s_are_as_large_as_a_vq_flow_with_its_atlas(variant: str, peer: str) -> None:
    spec = ring(3).spec
    chosen = setting(peer)
    atlas = build_atlas(chosen.atlas, spec)
    flow = build_flow(chosen.flow.arguments(), peer, 3, context=atlas.wanted_code_dim, seed=0)
    expected = count_parameters(flow) + count_parameters(atlas)
    network = build_density(setting(variant).of_model(), spec).density.network
    assert count_parameters(network) == pytest.approx(expected, rel=0.1)


@each_model
def test_training_betters_the_density_and_repeats(make: Callable[..., Any]) -> None:
    x = ring(2).points["test"]
    first, second, other = (fitted(make, seed) for seed in (0, 0, 1))
    torch.rand(1)  # the global random numbers are in another state
    assert first.log_prob(x).mean() > make().log_prob(x).mean() + 0.02
    np.testing.assert_array_equal(first.log_prob(x), second.log_prob(x))
    np.testing.assert_array_equal(first.sample(20, 3), second.sample(20, 3))
    assert not np.allclose(first.log_prob(x), other.log_prob(x))
    assert not np.allclose(first.sample(20, 3), first.sample(20, 4))


@each_model
def test_its_state_is_all_of_it(make: Callable[..., Any]) -> None:
    x = ring(2).points["test"]
    density, loaded = fitted(make, seed=5), make()
    state = density.state()
    loaded.load_state(state)
    np.testing.assert_array_equal(density.log_prob(x), loaded.log_prob(x))
    np.testing.assert_array_equal(density.sample(9, 0), loaded.sample(9, 0))
    arrays = [value for value in state.values() if isinstance(value, np.ndarray)]
    assert sum(map(np.size, arrays)) == sum(p.numel() for p in density.network.parameters())


@each_model
def test_a_fit_that_was_killed_goes_on(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frequent = partial(Checkpoint, interval=0.0)
    monkeypatch.setattr(module_of_training, "Checkpoint", frequent)
    whole = fitted(make)
    killed = make()
    killed.scratch = tmp_path
    losses, calls = killed.losses, iter(range(15))  # five batches and four validations an epoch

    def fail(*given: Any) -> Any:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return losses(*given)

    monkeypatch.setattr(killed, "losses", fail)
    points = ring(2).points
    with pytest.raises(KeyboardInterrupt):
        killed.fit(points["train"], points["validation"], 0)
    resumed, calls = make(), []
    resumed.scratch = tmp_path
    counted = resumed.losses
    monkeypatch.setattr(resumed, "losses", lambda *given: calls.append(1) or counted(*given))
    resumed.fit(points["train"], points["validation"], 0)
    assert len(calls) == 18
    x = points["test"]
    np.testing.assert_array_equal(whole.log_prob(x), resumed.log_prob(x))


@pytest.mark.parametrize("variant", ["cif-maf", "cfm"])
def test_a_training_that_diverges_is_a_result(tmp_path: Path, variant: str) -> None:
    paths = train(tmp_path, variant, models={variant: {"training": {"learning_rate": 1e30}}})
    assert json.loads(paths["status"].read_text())["status"] == "diverged"
    facts = json.loads(paths["provenance"].read_text())
    assert facts["diverged"] and facts["epochs"] == len(pd.read_csv(paths["history"])) >= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(cfm, 11), "11 dimensions; allowed: at most max_features, 10, because"),
        (partial(cfm, frequencies=0), "frequencies is 0; needed: a whole number from 1"),
        (
            partial(cfm, hidden_features=64),
            "hidden_features is 64; needed: a list of whole numbers from 1",
        ),
        (partial(cfm, activation="Silly"), "no 'Silly' in torch.nn"),
        (partial(cfm, rtol=0.0), "atol, rtol: got 1e-06, 0.0; allowed: above 0"),
        (
            partial(cif, hidden_features=[8, 0]),
            r"hidden_features is \[8, 0\]; needed: a list of whole",
        ),
        (partial(cif, samples=1.5), "samples is 1.5; needed: a whole number from 1"),
        (partial(cif, flow="RealNPV"), "flow.class: no 'RealNPV' in module 'zuko.flows'"),
        (partial(cif, flow="NCSF"), "flow is a NCSF; needed: layers one after the other, on a"),
        (partial(cif, draws=0), "draws is 0; needed: a whole number from 1"),
        (partial(ContinuouslyIndexedFlow, 2, "maf", TRAINING), "flow is 'maf'; needed: a class"),
    ],
)
def test_what_they_refuse(make: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
    assert cfm(11, max_features=11).network is not None

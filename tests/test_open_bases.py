"""Bases with a density and draws alone, and flows over a base of their own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_flow, ring
from printed import entries, example, lines
from small import setting, train
from test_bases import make_model
from zuko.distributions import DiagNormal
from zuko.flows import MAF, NCSF
from zuko.lazy import UnconditionalDistribution
from zuko.mixtures import GMM

from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.bases import Base, NoNoiseError
from vqflow.config.components import ConfigError, classes_in
from vqflow.config.values import dump
from vqflow.embeddings import Identity
from vqflow.flows import ConditionalFlow, build_flow
from vqflow.models.confinement import leak
from vqflow.models.store import load_model
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask
from vqflow.preprocessing import Bijection, Preprocessing, Standardise
from vqflow.seeding import seeded_by
from vqflow.stages.preflight import check

StudentT = example("StudentT")


class Circle(Bijection):
    """y = 2 arctan x, coordinate by coordinate: the line onto (-π, π)."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return 2 * x.atan(), (2 / (1 + x.square())).log().sum(1)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        return (y / 2).tan()


class MixtureMAF(MAF):
    """MAF over a mixture of normals that the chart's code moves."""

    def __init__(self, features: int, context: int, components: int, **network: Any) -> None:
        super().__init__(features, context, **network)
        self.base = GMM(features, context, components, covariance_type="diagonal")


class TrainedMAF(MAF):
    """MAF over a normal that starts as the standard one, and is trained."""

    def __init__(self, features: int, context: int, **network: Any) -> None:
        super().__init__(features, context, **network)
        self.base = UnconditionalDistribution(
            DiagNormal, torch.zeros(features), torch.ones(features)
        )


SMALL = {"transforms": 2, "hidden_features": [16, 16]}
ANGLES = {
    "datasets": {
        "helix": {
            "preprocess": [
                {"class": "vqflow.preprocessing.Standardise"},
                {"class": "test_open_bases.Circle"},
            ]
        }
    },
    "flows": {"mine": {"class": "zuko.flows.NCSF", **SMALL}},
}
MIXTURE = {
    "flows": {"mine": {"class": "test_open_bases.MixtureMAF", "components": 3, **SMALL}},
}
CASES = {"ncsf": ANGLES, "mixture": MIXTURE}
ATLASES = ["single", "kmeans32"]


def model_of(case: str, charts: int = 4) -> VQFlow:
    """An untrained model in 2-D whose flow has a base of its own."""
    data = ring(2)
    atlas = KMeansAtlas(data.spec, charts, min_charts=min(2, charts), epsilon=0.3)
    atlas.fit(data, seed=0)
    steps = [Standardise(2), Circle(2)] if case == "ncsf" else [Standardise(2)]
    preprocessing = Preprocessing(data.spec, steps)
    preprocessing.fit(data.points["train"], seed=0)
    flow = build_flow(CASES[case]["flows"]["mine"], "flows.mine", 2, atlas.code_dim, seed=1)
    return VQFlow(preprocessing, atlas, Identity(2), flow).double().eval()


def integral(model: VQFlow, width: float, steps: int) -> float:
    """Integrates the density over a square, in the space of the flow."""
    edges = torch.linspace(-width, width, steps + 1, dtype=torch.float64)
    middle = (edges[1:] + edges[:-1]) / 2
    y = torch.cartesian_prod(middle, middle)
    charts = torch.zeros(len(y), dtype=torch.long)
    return float(model.chart_log_prob(y, charts).exp().sum() * (edges[1] - edges[0]) ** 2)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_densities_integrate_to_one_and_samples_follow_them(case: str) -> None:
    model = model_of(case)
    assert not model.flow.standard
    width = math.pi if case == "ncsf" else 12.0
    assert integral(model, width, 400) == pytest.approx(1, abs=5e-3)
    x, _ = model.sample(4000, generator=torch.Generator().manual_seed(0))
    again, _ = model.sample(4000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(x, again)
    y, _ = model.preprocessing(x)
    edges = torch.linspace(-width, width, 201, dtype=torch.float64)
    middle = (edges[1:] + edges[:-1]) / 2
    grid = torch.cartesian_prod(middle, middle)
    _, ladj = model.preprocessing(model.preprocessing.inverse(grid))
    density = model.log_prob(model.preprocessing.inverse(grid)) - ladj
    mass = density.exp().view(200, 200) * (edges[1] - edges[0]) ** 2
    quadrants = mass.view(2, 100, 2, 100).sum((1, 3))
    counts = torch.zeros(2, 2, dtype=torch.float64)
    counts.index_put_(
        ((y[:, 0] > 0).long(), (y[:, 1] > 0).long()), torch.tensor(1.0).double(), accumulate=True
    )
    torch.testing.assert_close(counts / 4000, quadrants, rtol=0, atol=0.04)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_what_infers_noise_says_what_it_needs(case: str) -> None:
    model = model_of(case)
    x = torch.as_tensor(ring(2).points["test"])
    charts = model.atlas.nearest(x)
    name = "BoxUniform" if case == "ncsf" else "GMM"
    for call in (
        lambda: model.infer_noise(x),
        lambda: model.to_noise(model.preprocessing(x)[0], charts),
        lambda: model.to_data(x, charts),
    ):
        with pytest.raises(NoNoiseError, match=f"the flow's own base {name} has no map"):
            call()
    based = make_model(StudentT(2, 4, 5))
    with pytest.raises(NoNoiseError, match="the base StudentT has no to_noise"):
        based.infer_noise(x)
    with pytest.raises(NoNoiseError, match="the base StudentT has no from_noise"):
        based.to_data(x, charts)


@pytest.mark.parametrize("atlas", ATLASES)
@pytest.mark.parametrize("case", CASES)
def test_flows_over_another_base_train_leak_and_load(tmp_path: Path, case: str, atlas: str) -> None:
    variant = {"flow": "mine", "atlas": atlas, "training": "toy"}
    changes = {**CASES[case], "variants": {"mine": variant}}
    outputs = train(tmp_path, "mine", **changes)
    history = pd.read_csv(outputs["history"])["validation_loss"]
    assert history.iloc[-1] < history.iloc[0]
    assert '"ok"' in outputs["status"].read_text()
    own = classes_in(dump(setting("mine", **changes)))
    model = load_model(outputs["model"], outputs["confinement"], set(own))
    assert 0 <= leak(model) < 1
    with np.load(outputs["samples"]) as samples:
        drawn = torch.as_tensor(samples["final"])
    assert model.log_prob(drawn).isfinite().all()
    selection = {"settings": [dump(setting("mine", **changes))]}
    assert "variants.mine on helix" in check({**selection, "metrics": {}, "figures": {}})


@torch.no_grad()
def test_points_outside_of_a_flows_domain_are_refused_before_training() -> None:
    """NCSF maps what lies outside of the box like the points inside that it is wound onto."""
    model = model_of("ncsf")
    FlowTask(model, ring(2), Covering(), lambda epoch: None)
    data = ring(2)
    data.points["train"][:7] += 1000
    model.preprocessing = Preprocessing(data.spec)
    model = model.double()
    message = "NCSF is not one to one at 7 of 300 training points: .* datasets.ring.preprocess"
    with pytest.raises(ValueError, match=message):
        FlowTask(model, data, Covering(), lambda epoch: None)


def test_a_base_that_is_trained_is_not_taken_for_the_standard_normal() -> None:
    trained = ConditionalFlow(TrainedMAF(2, 0, **SMALL))
    assert not trained.standard
    trained.log_prob(torch.randn(5, 2), torch.zeros(5, 0)).sum().backward()
    assert all(parameter.grad is not None for parameter in trained.flow.base.parameters())
    assert make_flow("maf", 2, 0, seed=0).standard
    assert not ConditionalFlow(NCSF(2)).standard


class Wide(Base):
    """Gives a column more than the flow has."""

    def __init__(self, features: int, charts: int) -> None:
        super().__init__()
        self.features = features

    def log_prob(self, w: torch.Tensor, charts: torch.Tensor) -> torch.Tensor:
        return -w.square().sum(1)

    def sample(self, charts: torch.Tensor, generator: Any = None) -> torch.Tensor:
        return torch.zeros(len(charts), self.features + 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bases": {"b": {"class": "test_open_bases.Wide"}}}, r"bases.b: .* shapes \(\(3, 4\)"),
        ({"bases": {"b": {"class": "vqflow.bases.Base"}}}, "bases.b: .*abstract"),
        ({"bases": {"b": {"class": "vqflow.embeddings.Identity"}}}, "bases.b"),
        (
            {"bases": {"b": {"class": "vqflow.bases.ChartNormal"}}, **MIXTURE},
            "bases.b: takes the place of a standard normal, but flows.mine has the base GMM",
        ),
    ],
)
def test_wrong_bases_are_named_before_any_work(changes: Any, message: str) -> None:
    flow = "mine" if "flows" in changes else "maf"
    variant = {"flow": flow, "atlas": "kmeans32", "training": "toy", "base": "b"}
    chosen = dump(setting("m", **changes, variants={"m": variant}))
    with pytest.raises(ConfigError, match=f"^{message}"):
        check({"settings": [chosen], "metrics": {}, "figures": {}})


@torch.no_grad()
def test_draws_are_repeatable_by_a_generator_and_leave_the_global_state() -> None:
    normal = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    state = torch.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        with seeded_by(torch.Generator().manual_seed(seed)):
            drawn.append(normal.sample())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), state)
    with seeded_by(None):
        normal.sample()
    assert not torch.equal(torch.get_rng_state(), state)


def test_a_users_base_trains(tmp_path: Path) -> None:
    """The example of docs/extend.md, as printed: 15 lines and an entry."""
    assert lines("StudentT") <= 15
    changes = entries(bases=["student"], variants=["student-maf"])
    changes["bases"]["student"]["class"] = "test_open_bases.StudentT"
    outputs = train(tmp_path, "student-maf", **changes)
    history = pd.read_csv(outputs["history"])["validation_loss"]
    assert history.iloc[-1] < history.iloc[0]
    model = load_model(outputs["model"], allow=["test_open_bases.StudentT"])
    assert type(model.base).__name__ == "StudentT"
    chosen = dump(setting("student-maf", **changes))
    selection = {"settings": [chosen], "metrics": {}, "figures": {}}
    assert "variants.student-maf on helix" in check(selection)

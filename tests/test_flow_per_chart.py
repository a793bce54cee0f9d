"""K flows that share nothing: each is what it would be alone, at the cost of the pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import disturb, ring, standardised
from printed import entries
from small import setting, train

from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.config.components import ConfigError
from vqflow.config.values import dump
from vqflow.embeddings import Identity
from vqflow.flows import ConditionalFlow, build_flow
from vqflow.models.vqflow import VQFlow
from vqflow.stages.preflight import check

EXACT = {"rtol": 0, "atol": 1e-10}
INNER = {
    "maf": {"class": "zuko.flows.MAF", "activation": "SiLU"},
    "realnvp": {"class": "zuko.flows.RealNVP"},
    "nsf": {"class": "zuko.flows.NSF"},
}
SIZES = {"transforms": 2, "hidden_features": [8, 8]}


def by_chart(inner: str, charts: int = 4) -> ConditionalFlow:
    entry = {"class": "vqflow.flows.PerChart", "flow": {**INNER[inner], **SIZES}}
    flow = build_flow(entry, "flows.x", 3, 2, seed=0, charts=charts).double()
    disturb(flow)
    return flow


def members(flow: ConditionalFlow) -> list[ConditionalFlow]:
    return list(flow.flow.transform.members)


@pytest.mark.parametrize("inner", INNER)
@torch.no_grad()
def test_it_equals_separate_flows(inner: str) -> None:
    flow = by_chart(inner)
    u = torch.randn(200, 3, dtype=torch.float64)
    charts = torch.randint(4, (200, 1))
    charts[charts == 2] = 1  # one chart has no points
    log_prob, z = flow.log_prob(u, charts), flow.to_noise(u, charts)
    torch.testing.assert_close(flow.to_latent(z, charts), u, **EXACT)
    for chart, member in enumerate(members(flow)):
        rows = charts[:, 0] == chart
        none = torch.zeros(int(rows.sum()), 0).double()
        torch.testing.assert_close(log_prob[rows], member.log_prob(u[rows], none), **EXACT)
        torch.testing.assert_close(z[rows], member.to_noise(u[rows], none), **EXACT)
    weights = [member.state_dict() for member in members(flow)]
    assert not any(
        torch.equal(value, weights[1][name]) for name, value in weights[0].items() if "2.w" in name
    )


def test_gradients_reach_the_charts_that_have_points_alone() -> None:
    flow = by_chart("realnvp")
    charts = torch.tensor([[0], [3], [3], [0]])
    flow.log_prob(torch.randn(4, 3, dtype=torch.float64), charts).sum().backward()
    reached = [any(p.grad is not None for p in member.parameters()) for member in members(flow)]
    assert reached == [True, False, False, True]
    assert flow.log_prob(torch.zeros(0, 3).double(), charts[:0]).shape == (0,)


@torch.no_grad()
def test_the_cost_is_that_of_the_covering_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ring(3)
    atlas = KMeansAtlas(data.spec, charts=4, min_charts=2, epsilon=0.1)
    atlas.fit(data, seed=0)
    flow = by_chart("realnvp")
    model = VQFlow(standardised(data.spec), atlas, Identity(3), flow).double().eval()
    x = torch.as_tensor(data.points["test"])
    read = []
    inner = ConditionalFlow.call_and_ladj

    def counted(self: ConditionalFlow, u: torch.Tensor, code: torch.Tensor) -> Any:
        read.append(len(u))
        return inner(self, u, code)

    monkeypatch.setattr(ConditionalFlow, "call_and_ladj", counted)
    model.log_prob(x, "covering")
    assert sum(read) == int(atlas.pairs(x).mask.sum()) < 4 * len(x)


@torch.no_grad()
def test_the_model_is_the_mixture_of_its_charts() -> None:
    data = ring(3)
    atlas = KMeansAtlas(data.spec, charts=4)
    atlas.fit(data, seed=0)
    flow = by_chart("maf")
    model = VQFlow(standardised(data.spec), atlas, Identity(3), flow).double().eval()
    x = torch.as_tensor(data.points["test"])
    none = torch.zeros(len(x), 0).double()
    parts = [member.log_prob(x, none) for member in members(flow)]
    expected = (torch.stack(parts, 1) + atlas.log_prior).logsumexp(1)
    torch.testing.assert_close(model.log_prob(x), expected, **EXACT)
    z = torch.randn(50, 3, dtype=torch.float64)
    charts = torch.arange(50) % 4
    torch.testing.assert_close(model.to_noise(model.to_data(z, charts), charts), z, **EXACT)


@pytest.mark.parametrize("atlas", ["single", "kmeans32"])
def test_it_trains_from_its_entry(tmp_path: Path, atlas: str) -> None:
    changes = {
        "flows": entries(flows=["per-chart-maf"])["flows"],
        "variants": {"mine": {"flow": "per-chart-maf", "atlas": atlas, "training": "toy"}},
    }
    outputs = train(tmp_path, "mine", **changes)
    history = pd.read_csv(outputs["history"])["validation_loss"]
    assert history.iloc[-1] < history.iloc[0]
    chosen = dump(setting("mine", **changes))
    selection = {"settings": [chosen], "metrics": {}, "figures": {}}
    assert "variants.mine on helix" in check(selection)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ({"class": "zuko.flows.NCSF"}, "flow has the base BoxUniform; allowed: the standard"),
        ({"class": "zuko.flows.NoFlow"}, "flows.x.flow.class: no 'NoFlow' in module"),
        ({"class": "zuko.flows.MAF", "activation": "Relu"}, "flows.x.flow.activation: no 'Relu'"),
        ({"class": "zuko.nn.MLP"}, "flows.x: vqflow.flows.PerChart refuses its arguments"),
    ],
)
def test_wrong_entries_name_their_place(flow: dict[str, str], message: str) -> None:
    entry = {"class": "vqflow.flows.PerChart", "flow": flow}
    with pytest.raises(ConfigError, match=message):
        build_flow(entry, "flows.x", 3, 2, seed=0, charts=2)

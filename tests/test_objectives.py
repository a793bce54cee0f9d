"""Objectives of the catalogue and a user's, over the pairs of points and charts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import CATALOGUE, losses, make_model, ring
from printed import entries, example, lines
from small import setting, train

from vqflow.atlases.covering import Covering as Pairs
from vqflow.config.components import ConfigError, build_entry
from vqflow.config.values import dump
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask, Objective
from vqflow.stages.preflight import check

Tempered = example("Tempered")


class Nearest(Objective):
    """Reads the nearest chart alone."""

    def choose(
        self, pairs: Pairs, log_prior: torch.Tensor, noise: torch.Generator | None
    ) -> tuple[Pairs, torch.Tensor]:
        first = Pairs(pairs.charts[:, :1], pairs.mask[:, :1])
        return first, log_prior[first.charts]

    def combine(self, log_prob: torch.Tensor, log_weight: torch.Tensor) -> torch.Tensor:
        return (log_prob + log_weight)[:, 0]


class Mean(Objective):
    """Averages log p(x|k) over the charts that cover x; reads all of them."""

    def combine(self, log_prob: torch.Tensor, log_weight: torch.Tensor) -> torch.Tensor:
        return (log_weight.softmax(1) * log_prob).sum(1) + log_weight.logsumexp(1)


def loss(objective: Objective, weight: float = 0.0) -> tuple[torch.Tensor, FlowTask]:
    model = make_model("maf", ring())
    task = FlowTask(model, ring(), objective, lambda epoch: None, weight)
    rows, noise = torch.arange(300), torch.Generator().manual_seed(0)
    with torch.no_grad():
        parts = list(losses(task, rows, 100, noise))
    return torch.stack(parts).mean(), task


def table(model: VQFlow) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gives log p(y|k) of all charts, log p_k where they cover, and the ladj."""
    x = torch.as_tensor(ring().points["train"])
    y, ladj = model.preprocessing(x)
    charts = range(model.atlas.charts)
    log_prob = [model.chart_log_prob(y, torch.full((len(y),), chart)) for chart in charts]
    log_prior = model.atlas.log_prior.expand(len(y), -1)
    covered = log_prior.masked_fill(~model.atlas.covering(x), -torch.inf)
    return torch.stack(log_prob, 1), covered, ladj


@torch.no_grad()
def test_values_are_what_the_objectives_say() -> None:
    value, task = loss(Covering())
    log_prob, log_prior, ladj = table(task.model)
    joint = log_prob + log_prior
    expected = (joint.logsumexp(1) + ladj).mean()
    torch.testing.assert_close(-value, expected, rtol=0, atol=1e-10)
    value, _ = loss(Tempered(2.0))
    expected = (2 * (joint / 2).logsumexp(1) + ladj).mean()
    torch.testing.assert_close(-value, expected, rtol=0, atol=1e-10)
    value, _ = loss(Mean())
    bound = (log_prior.softmax(1) * log_prob).sum(1) + log_prior.logsumexp(1)
    torch.testing.assert_close(-value, (bound + ladj).mean(), rtol=0, atol=1e-10)
    value, _ = loss(Nearest())
    nearest = task.model.atlas.nearest(torch.as_tensor(ring().points["train"]))
    expected = (joint.gather(1, nearest[:, None])[:, 0] + ladj).mean()
    torch.testing.assert_close(-value, expected, rtol=0, atol=1e-10)


def test_validation_is_by_the_covering_likelihood_whatever_the_objective() -> None:
    values = [loss(each)[1].validate() for each in (Covering(), Tempered(3.0), Nearest(), Mean())]
    assert all(value == values[0] for value in values)


def test_only_the_chosen_pairs_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    _, task = loss(Nearest())
    read: list[int] = []
    inner = task.model.chart_log_prob
    monkeypatch.setattr(
        task.model, "chart_log_prob", lambda y, charts: read.append(len(y)) or inner(y, charts)
    )
    list(losses(task, torch.arange(300), 100, torch.Generator()))
    assert read == [100, 100, 100]


@pytest.mark.parametrize("name", sorted(CATALOGUE["objectives"]))
def test_objectives_of_the_catalogue_pass_the_preflight(name: str) -> None:
    chosen = setting("vq-maf", training={"toy": {"objective": name}})
    built = build_entry(chosen.objective, "objectives", Objective)
    assert type(built).__name__.lower() == name
    selection = {"settings": [dump(chosen)], "metrics": {}, "figures": {}}
    assert "variants.vq-maf on helix" in check(selection)


class Unsummed(Covering):
    def combine(self, log_prob: torch.Tensor, log_weight: torch.Tensor) -> torch.Tensor:
        return log_prob + log_weight


class Endless(Covering):
    def combine(self, log_prob: torch.Tensor, log_weight: torch.Tensor) -> torch.Tensor:
        return (log_prob + log_weight).sum(1)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class": "test_objectives.Tempered"}, "objectives.mine.temperature: is missing"),
        (
            {"class": "torch.nn.ReLU"},
            "objectives.mine.class: .* is not a vqflow.objectives.base",
        ),
        ({"class": "test_objectives.Unsummed"}, r"objectives.mine: .* gives shape \(3, 3\), not"),
        ({"class": "test_objectives.Endless"}, "objectives.mine: .* combine gives .*-inf"),
        ({"class": "test_objectives.Tempered", "temperature": "hot"}, "objectives.mine: .*Error"),
    ],
)
def test_wrong_objectives_are_named_before_any_work(entry: dict[str, object], message: str) -> None:
    changes = {"objectives": {"mine": entry}, "training": {"toy": {"objective": "mine"}}}
    chosen = dump(setting("vq-maf", **changes))
    with pytest.raises(ConfigError, match=message):
        check({"settings": [chosen], "metrics": {}, "figures": {}})


def test_a_users_objective_trains(tmp_path: Path) -> None:
    """The example of docs/extend.md, as printed: 15 lines and an entry."""
    assert lines("Tempered") <= 15
    changes = entries(objectives=["tempered"], training=["tempered"])
    changes["objectives"]["tempered"]["class"] = "test_objectives.Tempered"
    changes["training"]["tempered"]["epochs"] = 3
    changes["variants"] = {"mine": {"flow": "maf", "atlas": "vq32", "training": "tempered"}}
    outputs = train(tmp_path, "mine", **changes)
    history = pd.read_csv(outputs["history"])["validation_loss"]
    assert history.iloc[-1] < history.iloc[0]

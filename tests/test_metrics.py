"""Likelihood, ceiling and charts on fakes whose answers are known."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
import torch
from scored import (
    SPLITS,
    FakeModel,
    by_name,
    gaussian_data,
    image_data,
    standard_normal,
    trained,
    units,
)

from vqflow.datasets.base import Data, DataSpec
from vqflow.metrics.charts import Charts, perplexity
from vqflow.metrics.likelihood import Ceiling, LogLikelihood, bits_per_dim
from vqflow.tables.statistics import spread_over_points

# Likelihood


def test_log_likelihood_per_support_and_split() -> None:
    data = gaussian_data()
    scores = by_name(LogLikelihood().scores(trained(data), {}))
    assert set(scores) == {
        (f"log_likelihood_{name}", split)
        for name in ("all", "all_median", "covering", "confined")
        for split in ("test", "validation")
    }
    assert set(units(LogLikelihood(supports=["covering", "confined"])).values()) == {"nats"}
    for (metric, split), score in scores.items():
        if metric.endswith("_median"):
            continue
        offset = FakeModel.offsets[metric.removeprefix("log_likelihood_")]
        expected = data.log_density[split].mean() + offset
        assert score.value == pytest.approx(expected, rel=1e-12)
        assert (score.n, score.epoch) == (400, None)


def test_images_get_bits_per_dim_and_all_data_the_median() -> None:
    data = image_data()
    run = trained(data)
    metric = LogLikelihood(supports=["all", "covering"], splits=["test"])
    scores = by_name(metric.scores(run, {}))
    assert {name for name, _ in scores} == {
        "log_likelihood_all",
        "log_likelihood_all_median",
        "bits_per_dim",
        "log_likelihood_covering",
    }
    values = FakeModel(data).log_prob(run.model.seen[0]).numpy()
    assert scores["log_likelihood_all_median", "test"].value == pytest.approx(np.median(values))
    bits = scores["bits_per_dim", "test"]
    assert bits.value == pytest.approx(-values.mean() / (4 * math.log(2)) + math.log2(17))
    assert (units(metric)["bits_per_dim"], bits.n) == ("bits/dim", 50)


def test_bits_per_dim_of_known_densities() -> None:
    assert bits_per_dim(0.0, 784, 256) == 8  # uniform on [0, 1)^D: every pixel costs 8 bits
    assert bits_per_dim(784 * math.log(256), 784, 256) == pytest.approx(0, abs=1e-12)


def test_dequantisation_is_repeatable_and_differs_between_splits() -> None:
    data = image_data()
    same = Data(data.spec, {name: data.points["test"] for name in SPLITS})
    run = trained(same)
    metric = LogLikelihood(supports=["all"])
    first = list(metric.scores(run, {}))
    assert first == list(metric.scores(run, {}))
    test, validation = run.model.seen[:2]
    assert not torch.equal(test, validation)
    assert torch.equal((test * 17).floor().to(torch.uint8), torch.from_numpy(same.points["test"]))


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_a_density_that_is_not_finite_has_no_value_and_is_said(
    bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    data = gaussian_data()

    def broken(x: torch.Tensor) -> torch.Tensor:
        values = standard_normal(x)
        values[:3] = bad
        return values

    model = FakeModel(data, broken)
    with caplog.at_level(logging.WARNING):
        scores = list(LogLikelihood().scores(trained(data, model), {}))
        scores += Ceiling().scores(trained(data, model), {})
    values = {score.quantity: score.value for score in scores}
    assert math.isfinite(values.pop("ceiling"))
    assert all(math.isnan(value) for value in values.values())
    assert "'blob', all charts, split 'test': 3 of 400 log-densities are not finite" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"supports": ["al"]}, r"supports: got \['al'\], allowed: a list out of all, covering"),
        ({"supports": []}, "supports: got"),
        ({"supports": "all"}, "supports: got 'all'"),
        ({"splits": ["test", "test"]}, "splits: got"),
        ({"splits": ["dev"]}, "allowed: a list out of train, validation, test"),
    ],
)
def test_wrong_likelihood_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogLikelihood(**arguments)


# Ceiling


def test_ceiling_gap_is_a_divergence() -> None:
    data = gaussian_data(n=4000)
    wide = FakeModel(data, lambda x: standard_normal(x / 2) - 3 * math.log(2))
    scores = by_name(Ceiling().scores(trained(data, wide), {}))
    ceiling, gap = (scores[name, "test"].value for name in ("ceiling", "ceiling_gap"))
    error = spread_over_points(scores["ceiling_gap", "test"].values)["standard_error"]
    assert ceiling == pytest.approx(data.log_density["test"].mean(), rel=1e-12)
    divergence = 3 * (math.log(2) + 1 / 8 - 1 / 2)  # KL(N(0, 1) || N(0, 4)) in 3 dimensions
    assert gap == pytest.approx(divergence, abs=4 * error)
    spread = 3 / 8 * math.sqrt(2 * 3)  # log p - log q = const - 3/8 of a chi-square with 3 degrees
    assert error == pytest.approx(spread / math.sqrt(4000), rel=0.1)


def test_the_exact_model_has_no_gap() -> None:
    data = gaussian_data()
    gap = by_name(Ceiling().scores(trained(data), {}))["ceiling_gap", "test"]
    assert gap.value == pytest.approx(0, abs=1e-12)


def test_above_the_ceiling_is_an_error() -> None:
    data = gaussian_data()
    with pytest.raises(RuntimeError, match="'blob', metric 'ceiling_gap'.* 0.1000 nats above"):
        list(
            Ceiling().scores(trained(data, FakeModel(data, lambda x: standard_normal(x) + 0.1)), {})
        )


def test_chance_above_the_ceiling_is_allowed() -> None:
    data = gaussian_data()
    noise = torch.from_numpy(np.random.default_rng(1).normal(0.1, 1.0, 400))
    assert noise.mean() > 0
    model = FakeModel(data, lambda x: standard_normal(x) + noise)
    scores = by_name(Ceiling().scores(trained(data, model), {}))
    values = scores["ceiling_gap", "test"].values
    error = spread_over_points(values)["standard_error"]
    assert error == pytest.approx(noise.std().item() / 20, rel=1e-12)


def test_no_ceiling_without_an_exact_density() -> None:
    assert list(Ceiling().scores(trained(gaussian_data(exact=False)), {})) == []


# Charts


class HalfPlanes:
    """Four charts by the first coordinate: chart k is nearest on (k - 0.5, k + 0.5)."""

    charts = 4
    log_prior = torch.tensor([0.25, 0.75]).log()

    def distances(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, :1] - torch.arange(4)).abs()

    def covering(self, x: torch.Tensor) -> torch.Tensor:
        return self.distances(x) < 0.75

    def nearest(self, x: torch.Tensor) -> torch.Tensor:
        return self.distances(x).argmin(1)


def test_charts_by_hand() -> None:
    points = {
        "train": np.array([[0.0], [0.1], [1.0], [1.1]]),
        "validation": np.zeros((1, 1)),
        "test": np.array([[0.0], [0.5], [1.5]]),
    }
    data = Data(DataSpec("line", "vector", (1,)), points)
    model = FakeModel(data, atlas=HalfPlanes())
    scores = {score.quantity: score for score in Charts().scores(trained(data, model), {})}
    names = ["leak", "confinement_error", "charts_per_point", "perplexity", "charts"]
    names += ["points_per_chart"]
    assert list(scores) == names
    assert scores["confinement_error"].value == pytest.approx(0.2, rel=1e-6)
    assert scores["leak"].n == 4
    assert scores["leak"].value == pytest.approx(1 - 0.25 * 0.5 - 0.75 * 0.25, abs=1e-7)
    assert scores["charts_per_point"].value == pytest.approx(5 / 3, rel=1e-15)
    assert (scores["charts_per_point"].n, scores["charts_per_point"].split) == (3, "test")
    assert scores["perplexity"].value == pytest.approx(2, rel=1e-15)
    assert (scores["perplexity"].n, scores["perplexity"].split) == (4, "train")
    assert scores["points_per_chart"].value == 4 / scores["charts"].value
    assert scores["charts"].value == 4
    assert set(units(Charts()).values()) == {""}


def test_perplexity_bounds() -> None:
    assert perplexity(np.zeros(10, dtype=int)) == 1
    assert perplexity(np.arange(8)) == pytest.approx(8, rel=1e-14)
    assert 1 < perplexity(np.array([0, 0, 0, 1])) < 2

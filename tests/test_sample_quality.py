"""Metrics of vectors' samples: equal to plain references, and what each of them sees."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CATALOGUE, images, ring
from small import metric, score, train

from vqflow.datasets.base import Data
from vqflow.datasets.toy3d import Helix, InterlockedCircles
from vqflow.metrics.base import Metric
from vqflow.metrics.exact_density import SamplesLogDensity
from vqflow.metrics.two_sample import EnergyDistance, TwoSampleAccuracy, Wasserstein
from vqflow.stages.evaluate import build_metric

NAMES = ("samples_log_density", "wasserstein", "energy_distance", "two_sample_accuracy")
TWO_SAMPLE = (Wasserstein(600), EnergyDistance(600), TwoSampleAccuracy(600, folds=2))
CIRCLES = InterlockedCircles(n_train=2000, n_validation=10, n_test=600)


@pytest.fixture(scope="module")
def circles(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return CIRCLES.load("circles", tmp_path_factory.mktemp("unused"))


def values(
    metric: Metric, data: Data, exact: Any = None, **samples: np.ndarray
) -> dict[str, float]:
    run: Any = SimpleNamespace(data=data, samples=samples, exact_log_density=exact)
    found = {score.quantity: score for score in metric.scores(run, metric.reference(data))}
    assert all(score.split == "test" and score.epoch is None for score in found.values())
    assert set(found) <= set(metric.rows())
    return {name: score.value for name, score in found.items()}


def draw(n: int, seed: int = 1, data: Any = CIRCLES) -> np.ndarray:
    return np.asarray(data.sample(n, np.random.default_rng(seed)), dtype=np.float32)


# Exact log-density


def test_the_log_density_of_samples_is_the_data_set_s_own(circles: Data) -> None:
    x, off = draw(600), draw(600, seed=2)
    off[:60, 2] += 1
    found = values(
        SamplesLogDensity(samples=500), circles, CIRCLES.log_density, final=x, final_confined=off
    )
    exact = CIRCLES.log_density(x[:500].astype(np.float64))
    assert found["samples_log_density"] == pytest.approx(exact.mean(), rel=1e-12)
    assert found["samples_log_density_median"] == pytest.approx(np.median(exact), rel=1e-12)
    threshold = np.sort(circles.log_density["train"])[[1, 2]]  # 0.1 % of 2,000 points
    assert (exact < threshold[0]).mean() <= found["strays"] <= (exact < threshold[1]).mean()
    assert found["strays_confined"] == pytest.approx(0.12, abs=0.01)  # 60 of 500
    assert found["samples_log_density_confined"] < -100
    assert found["samples_log_density_median_confined"] > exact.mean() - 1


def test_the_floor_is_that_of_test_points(circles: Data) -> None:
    as_samples = {"final": circles.points["test"]}
    found = values(SamplesLogDensity(samples=600), circles, CIRCLES.log_density, **as_samples)
    for name in ("samples_log_density", "samples_log_density_median", "strays"):
        assert found[f"{name}_floor"] == pytest.approx(found[name], rel=1e-9)
    assert found["strays_floor"] < 0.01


def test_without_a_known_density_there_are_no_rows() -> None:
    data = ring(3)
    assert values(SamplesLogDensity(samples=5), data, lambda x: None, final=draw(5)) == {}


# Two samples


def test_wasserstein_is_the_best_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 3))
    costs = [np.square(x - y[list(order)]).sum(1).mean() for order in permutations(range(6))]
    assert Wasserstein().distance(x, y) == pytest.approx(math.sqrt(min(costs)), rel=1e-12)
    assert Wasserstein().distance(x, x[::-1]) == 0
    assert Wasserstein().distance(x, x + [3.0, 0, 4]) == pytest.approx(5, rel=1e-12)


def test_energy_distance_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(7, 2)) + 1

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        pairs = [(i, j) for i in range(7) for j in range(7) if a is not b or i != j]
        return float(np.mean([np.linalg.norm(a[i] - b[j]) for i, j in pairs]))

    expected = 2 * mean(x, y) - mean(x, x) - mean(y, y)
    assert EnergyDistance().distance(x, y) == pytest.approx(expected, rel=1e-12)


def test_energy_distance_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    found = [EnergyDistance().distance(*rng.normal(size=(2, 20, 2))) for _ in range(400)]
    assert min(found) < 0
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / 20)
    shifted = [
        EnergyDistance().distance(rng.normal(size=(20, 1)), rng.normal(size=(20, 1)) + 1)
        for _ in range(400)
    ]
    spread = 2 / math.sqrt(math.pi)  # E|X - X'| of two standard normals; X - Y is N(-1, 2)
    apart = 2 * (spread * math.exp(-1 / 4) + math.erf(1 / 2))
    assert np.mean(shifted) == pytest.approx(apart - 2 * spread, abs=4 * np.std(shifted) / 20)


def test_accuracy_of_sets_that_lie_apart_together_or_side_by_side() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 400, 3))
    metric = TwoSampleAccuracy(folds=2)
    assert metric.distance(x, y) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(800))
    assert metric.distance(x, y + 9) > 0.99
    best = 0.5 * (1 + math.erf(1 / math.sqrt(2)))  # of normals 2 apart, halfway between
    assert best - 0.06 < metric.distance(x, y + [2.0, 0, 0]) < best + 0.03


def test_accuracy_sees_a_shift_of_one_noise_width_whatever_the_units() -> None:
    x, y = (draw(1000, seed).astype(np.float64) for seed in (1, 2))
    moved = y + [0, 0, 0.01]
    metric = TwoSampleAccuracy(folds=3)
    near, far = metric.distance(x, y), metric.distance(x, moved)
    assert near < 0.54 < 0.56 < far
    assert metric.distance(8 * x, 8 * moved) == far
    assert TwoSampleAccuracy(folds=3, seed=1).distance(x, moved) != far


@pytest.mark.parametrize("metric", TWO_SAMPLE, ids=lambda metric: str(metric.name))
def test_each_ranks_true_samples_before_a_gaussian(metric: Metric, circles: Data) -> None:
    train = circles.points["train"]
    gaussian = np.random.default_rng(3).multivariate_normal(train.mean(0), np.cov(train.T), 600)
    found = values(metric, circles, final=draw(600), final_confined=gaussian)
    name = metric.name
    assert found[name] < found[f"{name}_confined"]
    assert found[f"{name}_floor"] < found[f"{name}_confined"]
    rows = metric.rows()
    assert rows[name].better == "lower" and rows[f"{name}_floor"].better is None


def test_the_smaller_split_limits_the_sets_and_rows_say_so() -> None:
    data = ring(3)
    run: Any = SimpleNamespace(data=data, samples={"final": draw(400)})
    metric = EnergyDistance(samples=400)
    reference = metric.reference(data)
    assert {score.n for score in metric.scores(run, reference)} == {300}
    test = {tuple(point) for point in data.points["test"].astype(np.float32)}
    assert {tuple(point) for point in reference["test"].astype(np.float32)} == test
    with pytest.raises(ValueError, match="'ring', metric '.*': folds: got 301, of 300 points"):
        TwoSampleAccuracy(samples=400, folds=301).reference(data)


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_scored_is_refused(name: str) -> None:
    built = build_metric(metric(name, samples=100))
    with pytest.raises(ValueError, match=f"'images', metric '{name}': got images, allowed: vec"):
        built.reference(images())
    data = CIRCLES.load("circles", Path())
    run: Any = SimpleNamespace(data=data, samples={"final": draw(99)})
    with pytest.raises(RuntimeError, match=f"'{name}': 99 samples in 'final', 100 are needed"):
        list(built.scores(run, built.reference(data)))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (SamplesLogDensity, {"samples": 0}, "samples: got 0, allowed: 1 or more"),
        (Wasserstein, {"samples": 1}, "samples: got 1, allowed: 2 or more"),
        (TwoSampleAccuracy, {"folds": 1}, "folds: got 1, allowed: 2 to 2500"),
        (TwoSampleAccuracy, {"samples": 4}, "folds: got 5, allowed: 2 to 4"),
    ],
)
def test_wrong_settings_are_refused(kind: Any, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_the_job_evaluates_the_data_set_s_density(tmp_path: Any) -> None:
    helix = CATALOGUE["datasets"]["helix"] | {"n_train": 300, "n_validation": 60, "n_test": 60}
    data = Helix(n_train=300, n_validation=60, n_test=60).load("helix", tmp_path)
    changes = {"datasets": {"helix": helix}}
    paths = train(tmp_path, "mixture-of-gaussians", data, **changes)
    metrics = [metric(name, samples=60) for name in NAMES]
    table = pd.read_csv(score(tmp_path, "mixture-of-gaussians", {0: paths}, *metrics, **changes))
    rows = table.set_index("metric")["value"]
    with np.load(paths["samples"]) as samples:
        exact = Helix().log_density(samples["final"])
    assert rows["samples_log_density"] == pytest.approx(exact.mean(), rel=1e-9)
    assert {f"{name}_floor" for name in (*NAMES, "strays")} <= set(rows.index)
    assert set(table["status"]) == {"ok"}

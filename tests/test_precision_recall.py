"""Precision, recall, density and coverage: pair by pair, and what each of them sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pixels import Pixels, image_data, trained
from sklearn.neighbors import NearestNeighbors

from vqflow.metrics.precision_recall import PrecisionRecall, squared_radii

NAMES = ("precision", "recall", "density", "coverage")


def measure(samples: np.ndarray, data: np.ndarray, neighbours: int = 3) -> dict[str, float]:
    metric = PrecisionRecall(Pixels(), samples=len(samples), neighbours=neighbours)
    return dict(metric.compare(samples, metric.summarise(data)))


def pair_by_pair(samples: np.ndarray, data: np.ndarray, neighbours: int) -> dict[str, float]:
    """Gives the definitions of both papers, one pair of points at a time."""

    def radius(points: np.ndarray, i: int) -> float:
        others = [float(np.linalg.norm(points[i] - y)) for j, y in enumerate(points) if j != i]
        return sorted(others)[neighbours - 1]

    def holds(points: np.ndarray, i: int, x: np.ndarray) -> bool:
        return float(np.linalg.norm(points[i] - x)) <= radius(points, i)

    in_data = np.array([[holds(data, i, x) for i in range(len(data))] for x in samples])
    in_samples = np.array([[holds(samples, i, y) for i in range(len(samples))] for y in data])
    return {
        "precision": in_data.any(axis=1).mean(),
        "recall": in_samples.any(axis=1).mean(),
        "density": in_data.sum(axis=1).mean() / neighbours,
        "coverage": in_data.any(axis=0).mean(),
    }


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0, 3))
def test_equal_to_the_definitions(seed: int, neighbours: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    samples, data = rng.normal(size=(12, 3)) + shift, rng.normal(size=(17, 3))
    found = measure(samples, data, neighbours)
    assert found == pytest.approx(pair_by_pair(samples, data, neighbours), abs=1e-12)
    assert tuple(found) == NAMES


def test_radii_are_those_of_scikit_learn_s_neighbours_with_points_that_stand_twice() -> None:
    x = np.random.default_rng(0).normal(size=(300, 5))
    x[:40] = x[40:80]
    distances, _ = NearestNeighbors(n_neighbors=4, algorithm="kd_tree").fit(x).kneighbors(x)
    assert np.sqrt(squared_radii(x, 3)) == pytest.approx(distances[:, 3], rel=1e-9)


def test_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    samples, data = rng.normal(size=(50, 4)) + 0.5, rng.normal(size=(70, 4))
    whole = measure(samples, data)
    monkeypatch.setattr("vqflow.metrics.precision_recall._CHUNK_ELEMENTS", 200)
    assert measure(samples, data) == whole


def test_each_sees_its_own_fault() -> None:
    rng = np.random.default_rng(2)
    data, samples = rng.normal(size=(2, 1000, 8))
    halves = measure(samples, data)
    assert min(halves.values()) > 0.75 and halves["density"] == pytest.approx(1, abs=0.1)
    collapsed = measure(0.05 * samples, data)
    assert collapsed["precision"] == 1 and max(collapsed["recall"], collapsed["coverage"]) < 0.05
    noise = measure(4 * samples, data)
    assert noise["precision"] < 0.05 and noise["density"] < 0.05 and noise["recall"] > 0.5
    modes = np.where(np.arange(1000) < 300, 20.0, 0.0)[:, None]
    one_missed = measure(samples, data + modes)
    assert one_missed["precision"] > 0.75
    assert one_missed["recall"] == pytest.approx(0.7 * halves["recall"], abs=0.03)
    assert one_missed["coverage"] == pytest.approx(0.7 * halves["coverage"], abs=0.06)


def test_one_outlier_of_the_data_raises_precision_and_not_density() -> None:
    """What density is for (Naeem et al. 2020, figure 1)."""
    rng = np.random.default_rng(3)
    data, samples = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 12
    far = np.concatenate([data, [[12.0, 12.0]]])
    assert measure(samples, data)["precision"] == 0
    found = measure(samples, far)
    assert found["precision"] == 1 and found["density"] < 0.5


def test_rows_are_of_the_final_model_alone_and_named_after_the_entry() -> None:
    data = image_data()
    metric = PrecisionRecall(Pixels(), samples=40)
    metric.name = "prdc_pixels"
    keys = ("final_confined", "epoch_5", "final")
    samples = {key: data.points["validation"] for key in keys}
    scores = list(metric.scores(trained(data, samples), metric.reference(data)))
    rows = metric.rows()
    assert [rows[score.quantity].name for score in scores] == [
        f"prdc_pixels_{name}{suffix}" for suffix in ("", "_confined") for name in NAMES
    ]
    assert {(score.n, score.split, score.epoch) for score in scores} == {(40, "test", None)}
    assert {row.better for row in rows.values()} == {"higher"}
    headlines = [row.headline for row in rows.values() if row.headline is not None]
    assert len(headlines) == 4 == len(set(headlines))
    assert rows["recall"].label == "recall, pixel features"


def test_wrong_numbers_of_neighbours_are_refused() -> None:
    for neighbours in (0, 20):
        with pytest.raises(ValueError, match=f"neighbours: got {neighbours}, allowed: 1 to 19"):
            PrecisionRecall(Pixels(), samples=20, neighbours=neighbours)
    metric = PrecisionRecall(Pixels(), samples=200, neighbours=60)
    with pytest.raises(ValueError, match="'fake', metric 'prdc': neighbours: got 60 of 60 points"):
        metric.reference(image_data())

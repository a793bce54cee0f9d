"""Distances on features: closed forms, equality with pytorch-fid, pairs one by one, rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pixels import Pixels, image_data, trained
from pytorch_fid.fid_score import calculate_frechet_distance

from vqflow.datasets.base import Array, Data, DataSpec
from vqflow.metrics.frechet import FrechetDistance, frechet_distance, statistics
from vqflow.metrics.kernel import KernelDistance, kernel_sum, own_pairs_mean


def gaussian(rng: np.random.Generator, features: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    mixing = rng.normal(size=(features, features))
    return statistics(rng.normal(size=(n, features)) @ mixing + rng.normal(size=features))


# The distance


@pytest.mark.parametrize("features", [2, 3, 20])
def test_equal_to_pytorch_fid(features: int) -> None:
    rng = np.random.default_rng(features)
    first, second = gaussian(rng, features, 100), gaussian(rng, features, 150)
    expected = calculate_frechet_distance(*first, *second)
    assert frechet_distance(*first, *second) == pytest.approx(expected, rel=1e-9)


def test_equal_to_pytorch_fid_for_singular_covariances() -> None:
    rng = np.random.default_rng(0)
    first, second = gaussian(rng, 40, 15), gaussian(rng, 40, 25)
    assert np.linalg.matrix_rank(first[1]) == 14
    expected = calculate_frechet_distance(*first, *second)
    assert frechet_distance(*first, *second) == pytest.approx(expected, rel=1e-6)


def test_closed_forms() -> None:
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 0.0, 1.0])
    zero = np.zeros(3)
    assert frechet_distance(zero, np.diag(a), zero, np.diag(b)) == pytest.approx(
        float(((np.sqrt(a) - np.sqrt(b)) ** 2).sum()), rel=1e-14
    )
    ones = np.ones(3)
    assert frechet_distance(zero, np.eye(3), 2 * ones, np.eye(3)) == pytest.approx(12, rel=1e-14)
    assert frechet_distance(zero, 0 * np.eye(3), ones, np.diag(b)) == pytest.approx(8, rel=1e-14)
    line, cross = np.outer([1.0, 0], [1.0, 0]), np.outer([0, 1.0], [0, 1.0])
    assert frechet_distance(zero[:2], line, zero[:2], cross) == pytest.approx(2, rel=1e-14)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 30), st.floats(1e-3, 1e3))
def test_properties(seed: int, features: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = gaussian(rng, features, n), gaussian(rng, features, n)
    value = frechet_distance(*first, *second)
    size = float(np.trace(first[1]) + np.trace(second[1]))
    assert value >= 0
    assert frechet_distance(*second, *first) == pytest.approx(value, rel=1e-9, abs=1e-10 * size)
    assert frechet_distance(*first, *first) == pytest.approx(0, abs=1e-10 * size)
    scaled = [(mean * scale, covariance * scale**2) for mean, covariance in (first, second)]
    assert frechet_distance(*scaled[0], *scaled[1]) == pytest.approx(
        value * scale**2, rel=1e-8, abs=1e-10 * size * scale**2
    )
    turn = np.linalg.qr(rng.normal(size=(features, features)))[0]
    turned = [(turn @ mean, turn @ covariance @ turn.T) for mean, covariance in (first, second)]
    assert frechet_distance(*turned[0], *turned[1]) == pytest.approx(
        value, rel=1e-7, abs=1e-6 * size
    )


def test_statistics_by_hand_and_in_double_precision() -> None:
    mean, covariance = statistics(np.array([[1.0, 0.0], [3.0, 2.0]], dtype=np.float32))
    assert mean.tolist() == [2.0, 1.0]
    assert covariance.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert mean.dtype == covariance.dtype == np.float64
    offset = np.float32(4096.0) + np.arange(3, dtype=np.float32)[:, None] / 1024
    assert statistics(offset)[1].item() == pytest.approx(2**-20, rel=1e-12)


def test_statistics_need_two_points() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4\), allowed: \(n, F\) with n at least 2"):
        statistics(np.zeros((1, 4)))


# The metric


def test_rows_of_snapshots_and_of_the_final_model() -> None:
    data = image_data()
    rng = np.random.default_rng(1)
    keys = ("final_confined", "epoch_10", "epoch_5", "final")
    samples = {key: rng.integers(0, 17, (30, 16), dtype=np.uint8) for key in keys}
    pixels = Pixels()
    metric = FrechetDistance(pixels, samples=20, split="train")
    metric.name = "fid_pixels"
    reference = metric.reference(data)
    scores = list(metric.scores(trained(data, samples), reference))
    assert pixels.built == 2
    rows = metric.rows()
    assert [(rows[score.quantity].name, score.epoch) for score in scores] == [
        ("fid_pixels", 5),
        ("fid_pixels", 10),
        ("fid_pixels", None),
        ("fid_pixels_confined", None),
    ]
    assert rows["fid"].label == "Fréchet pixel distance"
    assert {(score.n, score.split) for score in scores} == {(20, "train")}
    for score, key in zip(scores, ("epoch_5", "epoch_10", "final", "final_confined"), strict=True):
        expected = frechet_distance(
            *statistics(samples[key][:20] / 16),
            *statistics(np.true_divide(data.points["train"], 16)),
        )
        assert score.value == pytest.approx(expected, rel=1e-5)


def test_the_data_themselves_are_at_distance_zero() -> None:
    data = image_data()
    metric = FrechetDistance(Pixels(), samples=60)
    samples = {key: data.points["test"] for key in ("final", "final_confined")}
    for score in metric.scores(trained(data, samples), metric.reference(data)):
        assert score.value == pytest.approx(0, abs=1e-10)


def test_too_few_samples_are_refused() -> None:
    data = image_data()
    metric = FrechetDistance(Pixels(), samples=61)
    samples = {"final": data.points["test"], "final_confined": data.points["test"]}
    with pytest.raises(RuntimeError, match=r"'fake'.*'fid': 60 samples in 'final', 61 are"):
        list(metric.scores(trained(data, samples), metric.reference(data)))


def test_vectors_are_refused() -> None:
    points: dict[str, Array] = {name: np.zeros((3, 2)) for name in ("train", "validation", "test")}
    data = Data(DataSpec("helix", "vector", (2,)), points)
    with pytest.raises(ValueError, match=r"'helix'.*got vectors, allowed: images"):
        FrechetDistance(Pixels(), samples=2).reference(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 1}, "samples: got 1"),
        ({"samples": 5, "split": "tst"}, "split: got 'tst', allowed: train, validation, test"),
        ({"samples": 5, "features": "inception"}, "features: got 'inception', allowed: a vqflow"),
    ],
)
@pytest.mark.parametrize("distance", [FrechetDistance, KernelDistance])
def test_wrong_settings_are_refused(distance: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distance(**{"features": Pixels(), **arguments})


# The kernel distance


def naive_kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Gives the unbiased estimate of equation 4 of Binkowski et al., pair by pair."""

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (float(np.dot(a, b)) / len(a) + 1.0) ** 3

    def within(z: np.ndarray) -> float:
        pairs = [kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
        return float(np.mean(pairs))

    across = float(np.mean([kernel(a, b) for a in x for b in y]))
    return within(x) + within(y) - 2 * across


def test_kernel_distance_equals_the_sum_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_data()
    samples = {"final": np.random.default_rng(2).integers(0, 9, (30, 16), dtype=np.uint8)}
    metric = KernelDistance(Pixels(), samples=25)
    reference = metric.reference(data)
    expected = naive_kernel_distance(
        samples["final"][:25].astype(np.float32) / np.float32(16),
        np.true_divide(data.points["test"], 16),
    )
    [score] = metric.scores(trained(data, samples), reference)
    assert score.value == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr("vqflow.metrics.kernel._CHUNK_ELEMENTS", 100)
    [chunked] = metric.scores(trained(data, samples), metric.reference(data))
    assert chunked.value == pytest.approx(score.value, rel=1e-10)


def test_kernel_distance_is_unbiased() -> None:
    """Over many draws of two equal distributions its mean is 0, though each may lie below."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(400):
        x, y = (torch.as_tensor(rng.normal(size=(n, 3))) for n in (12, 15))
        across = kernel_sum(x, y) / (len(x) * len(y))
        values.append(own_pairs_mean(x) + own_pairs_mean(y) - 2 * across)
    error = float(np.std(values)) / len(values) ** 0.5
    assert min(values) < 0
    assert float(np.mean(values)) == pytest.approx(0, abs=4 * error)


def test_kernel_distance_sees_noise_as_the_frechet_distance_does() -> None:
    data = image_data()
    samples = {"final": data.points["train"], "final_confined": data.points["train"] // 3}
    metric = KernelDistance(Pixels(), samples=60)
    near, far = metric.scores(trained(data, samples), metric.reference(data))
    assert [near.quantity, far.quantity] == ["kid", "kid_confined"]
    assert abs(near.value) < 0.05 < far.value

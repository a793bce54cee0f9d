"""The KDE's value of samples: against scikit-learn, far away, and on bandwidths that are known."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from scored import SPLITS, gaussian_data, image_data, trained
from sklearn.neighbors import KernelDensity

from vqflow.datasets.base import Data, DataSpec
from vqflow.kernel_density import choose_bandwidth, log_density, mean_log_densities
from vqflow.metrics.kde import KDELogLikelihood


def test_kde_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    points, x = rng.normal(size=(300, 3)), rng.normal(size=(200, 3))
    found = log_density(x, points, 0.2)
    kernels = norm.logpdf(x[:, None], points[None], 0.2).sum(2)
    assert found == pytest.approx(logsumexp(kernels, axis=1) - math.log(300), rel=1e-12)
    peer = KernelDensity(bandwidth=0.2, rtol=0, atol=1e-300).fit(points)
    assert found == pytest.approx(peer.score_samples(x), rel=1e-6)


def test_kde_is_exact_and_finite_far_away() -> None:
    points = np.zeros((10, 2))
    x = np.array([[1e6, 0.0], [0.0, 0.0]])
    expected = multivariate_normal([0, 0], 0.01**2 * np.eye(2)).logpdf(x)
    assert expected[0] < -1e15
    assert log_density(x, points, 0.01) == pytest.approx(expected, rel=1e-12)


def test_kde_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points, x = rng.normal(size=(30, 3)), rng.normal(size=(20, 3))
    whole = log_density(x, points, 0.3), choose_bandwidth(points, np.geomspace(0.1, 2, 9), 3, 0)
    monkeypatch.setattr("vqflow.kernel_density._CHUNK_ELEMENTS", 70)
    assert log_density(x, points, 0.3) == pytest.approx(whole[0], rel=1e-14)
    assert choose_bandwidth(points, np.geomspace(0.1, 2, 9), 3, 0) == pytest.approx(
        whole[1], rel=1e-10
    )


def test_means_over_several_bandwidths_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    points, x = rng.normal(size=(300, 3)), rng.normal(size=(20, 3))
    widths = np.array([0.01, 0.2, 3.0])
    expected = [log_density(x, points, width).mean() for width in widths]
    assert mean_log_densities(x, points, widths) == pytest.approx(expected, rel=1e-12)


def test_bandwidth_is_at_the_maximum_of_the_cross_validated_likelihood() -> None:
    points = np.random.default_rng(3).normal(size=(120, 2))
    chosen = choose_bandwidth(points, np.geomspace(0.05, 3, 10), folds=4, seed=7)
    folds = np.array_split(np.random.default_rng(7).permutation(120), 4)

    def likelihood(bandwidth: float) -> float:
        return sum(
            float(
                KernelDensity(bandwidth=bandwidth)
                .fit(np.delete(points, fold, 0))
                .score(points[fold])
            )
            for fold in folds
        )

    fine = np.geomspace(0.05, 3, 400)
    best = fine[np.argmax([likelihood(width) for width in fine])]
    assert chosen == pytest.approx(best, rel=0.025)


def test_kde_scores_both_samplers_on_the_asked_number() -> None:
    data = gaussian_data()
    metric = KDELogLikelihood(samples=100, highest=1.0)
    reference = metric.reference(data)
    rng = np.random.default_rng(4)
    near, far = (rng.normal(0, scale, (150, 3)).astype(np.float32) for scale in (1, 30))
    found = metric.scores(trained(data, final=far, final_confined=near), reference)
    plain, confined, floor, width = found
    assert (plain.quantity, plain.n, plain.split) == ("kde_log_likelihood", 100, "train")
    assert confined.quantity == "kde_log_likelihood_confined"
    assert (width.quantity, width.n) == ("kde_log_likelihood_bandwidth", 400)
    assert width.value == float(reference["bandwidth"])
    expected = log_density(
        near[:100].astype(float), data.points["train"].astype(float), width.value
    ).mean()
    assert confined.value == pytest.approx(expected, rel=1e-12)
    true = trained(data, final=data.points["test"])
    assert floor.value == next(iter(metric.scores(true, reference))).value
    assert (floor.quantity, floor.n) == ("kde_log_likelihood_floor", 100)
    assert -math.inf < plain.value < -100 < confined.value


def test_kde_is_unaffected_by_units() -> None:
    points = gaussian_data().points
    widths = [
        float(
            KDELogLikelihood(samples=5, highest=1.0).reference(
                Data(
                    DataSpec("blob", "vector", (3,)),
                    {key: x.astype(float) * unit for key, x in points.items()},
                )
            )["bandwidth"]
        )
        for unit in (1.0, 1000.0)
    ]
    assert widths[1] == pytest.approx(1000 * widths[0], rel=1e-6)


def test_a_bandwidth_at_the_grid_s_end_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        reference = KDELogLikelihood(lowest=0.001, highest=0.01).reference(gaussian_data())
    assert float(reference["bandwidth"]) == pytest.approx(0.01, rel=0.1)
    assert "an end of the grid" in caplog.text


def test_kde_refuses_what_it_cannot_score() -> None:
    data = gaussian_data()
    metric = KDELogLikelihood(samples=100)
    reference = {"bandwidth": np.array(0.1), "points": data.points["train"], "floor": np.zeros(1)}
    few = np.zeros((99, 3), dtype=np.float32)
    with pytest.raises(RuntimeError, match="99 samples in 'final', 100 are needed"):
        list(metric.scores(trained(data, final=few, final_confined=few), reference))
    bad = np.zeros((100, 3), dtype=np.float32)
    bad[:2, 0] = np.inf
    score, _, _ = metric.scores(trained(data, final=bad), reference)
    assert math.isnan(score.value)
    with pytest.raises(ValueError, match="'tiles'.*got images, allowed: vectors"):
        metric.reference(image_data())
    flat = Data(DataSpec("flat", "vector", (1,)), {name: np.ones((9, 1)) for name in SPLITS})
    with pytest.raises(ValueError, match="all training points are equal"):
        metric.reference(flat)


@pytest.mark.parametrize(
    "arguments",
    [{"samples": 0}, {"lowest": 0.5, "highest": 0.1}, {"lowest": 0.0}, {"count": 2}, {"folds": 1}],
)
def test_wrong_kde_settings_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}.*: got"):
        KDELogLikelihood(**arguments)

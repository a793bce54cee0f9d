from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from vqflow.datasets.base import SPLITS
from vqflow.datasets.curves import Curve
from vqflow.datasets.toy3d import (
    CurveSet,
    Helix,
    InterlockedCircles,
    Knotted,
    Lissajous,
    Spherical,
    Toy3D,
    TwistedEight,
)

Floats = NDArray[np.float64]


def leaves(cls: type) -> Iterator[type[Toy3D]]:
    children: Sequence[type[Toy3D]] = cls.__subclasses__()
    for child in children:
        if not inspect.isabstract(child):
            yield child
        yield from leaves(child)


SETS = sorted(leaves(Toy3D), key=lambda cls: cls.__name__)
every_set = pytest.mark.parametrize("cls", SETS)

CURVES: dict[type[Toy3D], list[Callable[[Floats], tuple[Floats, Floats, Floats]]]] = {
    Helix: [lambda t: (t / np.pi - 4.5, np.cos(t), np.sin(t))],
    Knotted: [
        lambda t: (
            (np.sin(t) + 2 * np.sin(2 * t)) / 3,
            (np.cos(t) - 2 * np.cos(2 * t)) / 3,
            np.sin(3 * t) / 3,
        )
    ],
    TwistedEight: [
        lambda t: (np.sin(t), np.cos(t), 0 * t),
        lambda t: (2 + np.sin(t), 0 * t, np.cos(t)),
    ],
    InterlockedCircles: [
        lambda t: (np.sin(t), np.cos(t), 0 * t),
        lambda t: (1 + np.sin(t), 0 * t, np.cos(t)),
    ],
}


def panels(edges: Floats, order: int = 12) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[:-1, None] + edges[1:, None]) / 2
    return (middle + half * nodes).ravel(), (half * weights).ravel()


def quadrature(cls: type[Toy3D]) -> tuple[Floats, Floats]:
    """Nodes (M, 3) on the manifold and their probabilities (M,)."""
    if cls is Spherical:
        z, weights = np.polynomial.legendre.leggauss(700)
        angle = np.arange(1400) * 2 * np.pi / 1400
        ring = np.sqrt(1 - z**2)[:, None]
        nodes = np.stack(
            [ring * np.cos(angle), ring * np.sin(angle), np.broadcast_to(z[:, None], (700, 1400))],
            axis=-1,
        ).reshape(-1, 3)
        density = sum(np.exp(30 * (nodes[:, i] - 1)) for i in range(3)) / 3
        area = np.repeat(weights, 1400) * 2 * np.pi / 1400
        return nodes, density * area * 30 / (2 * np.pi * -np.expm1(-60.0))
    if cls is Lissajous:
        t, t_weights = np.linspace(-np.pi, np.pi, 5000, endpoint=False), 1 / 5000
        ends = np.geomspace(1e-6, 0.01, 20)
        s, s_weights = panels(np.union1d(np.linspace(-0.5, 0.5, 41), np.r_[ends - 0.5, 0.5 - ends]))
        nodes = np.stack(
            [
                np.repeat(np.sin(t), len(s)),
                np.repeat(np.sin(2 * t), len(s)),
                np.tile(s, len(t)),
            ],
            axis=-1,
        )
        return nodes, np.tile(s_weights, len(t)) * t_weights
    curves = CURVES[cls]
    start, stop = (0.0, 9 * np.pi) if cls is Helix else (-np.pi, np.pi)
    ends = np.geomspace(1e-7, 0.01, 40)
    edges = np.union1d(np.linspace(start, stop, 6000), np.r_[start + ends, stop - ends])
    t, weights = panels(edges)
    nodes = np.concatenate([np.stack(curve(t), axis=-1) for curve in curves])
    return nodes, np.tile(weights, len(curves)) / (len(curves) * (stop - start))


def probe(cls: type[Toy3D], noise: float) -> Floats:
    generator = np.random.default_rng(5)
    near = cls(noise=noise).sample(6, generator)
    off = near[:2] + 5 * noise
    far = np.array([[0.0, 0.0, 0.0], [3.0, -2.0, 1.0], [9.0, 1.0, 0.2]])
    return np.concatenate([near, off, far])


@every_set
def test_log_density_agrees_with_an_independent_reference(cls: type[Toy3D]) -> None:
    noise = 0.01
    nodes, probability = quadrature(cls)
    x = probe(cls, noise)
    expected = [
        logsumexp(-np.square(point - nodes).sum(axis=1) / (2 * noise**2), b=probability)
        - 1.5 * np.log(2 * np.pi * noise**2)
        for point in x
    ]
    np.testing.assert_allclose(cls(noise=noise).log_density(x), expected, rtol=1e-9, atol=1e-8)


@every_set
def test_density_integrates_to_one_and_has_the_moments_of_the_samples(cls: type[Toy3D]) -> None:
    noise = 0.3
    toy = cls(noise=noise)
    x = toy.sample(20_000, np.random.default_rng(0))
    step = 0.85 * noise
    bounds = zip(x.min(axis=0), x.max(axis=0), strict=True)
    axes = [np.arange(low - 1.5, high + 1.5, step) for low, high in bounds]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    mass = np.exp(toy.log_density(grid)) * step**3
    assert mass.sum() == pytest.approx(1, abs=1e-7)
    for moment in (lambda v: v, np.square, lambda v: v * np.roll(v, 1, axis=1)):
        error = moment(x).mean(axis=0) - mass @ moment(grid)
        assert (np.abs(error) < 4.5 * moment(x).std(axis=0) / np.sqrt(len(x))).all()


def negative_entropy(cls: type[Toy3D], noise: float) -> float:
    """First order in the noise: that of the manifold, plus that of the normal directions."""
    normal = np.log(2 * np.pi * np.e * noise**2) / 2
    if cls is Spherical:
        vmf = np.log(4 * np.pi * np.sinh(30)) - np.log(30) - (30 / np.tanh(30) - 1)
        return float(-(vmf + np.log(3) + normal))
    toy = cls()
    t = np.linspace(0, 9 * np.pi if cls is Helix else 2 * np.pi, 200_001)
    if isinstance(toy, Lissajous):
        speed = np.hypot(np.cos(t), 2 * np.cos(2 * t))
        return float(-(np.log(t[-1]) + np.log(speed).mean() + normal))
    path = np.stack(CURVES[cls][0](t), axis=-1)
    speed = np.linalg.norm(np.gradient(path, t, axis=0), axis=1)
    return float(-(np.log(t[-1] * len(CURVES[cls])) + np.log(speed).mean() + 2 * normal))


@every_set
def test_mean_log_density_of_samples_is_the_negative_entropy(cls: type[Toy3D]) -> None:
    value = cls(noise=0.01).log_density(cls(noise=0.01).sample(4000, np.random.default_rng(1)))
    slack = 0.03 if cls is Lissajous else 0.01
    assert abs(value.mean() - negative_entropy(cls, 0.01)) < slack + 4 * value.std() / 4000**0.5


@every_set
def test_noise_has_its_scale_and_no_direction(cls: type[Toy3D]) -> None:
    toy = cls(noise=0.05)
    manifold = toy.sample_manifold(20_000, np.random.default_rng(2))
    residual = toy.sample(20_000, np.random.default_rng(2)) - manifold
    np.testing.assert_allclose(np.cov(residual.T) / 0.05**2, np.eye(3), atol=0.05)
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=0.05 * 5 / 20_000**0.5)


@every_set
def test_splits_are_deterministic_disjoint_and_of_the_right_form(cls: type[Toy3D]) -> None:
    sizes = {"train": 300, "validation": 200, "test": 100}
    toy = cls(n_train=300, n_validation=200, n_test=100)
    data, again = toy.load("a", Path("absent")), toy.load("b", Path("absent"))
    other = cls(n_train=300, n_validation=200, n_test=100, seed=1).load("a", Path("absent"))
    assert data.spec.features == 3 and data.spec.name == "a" and data.spec.levels is None
    for split in SPLITS:
        points, density = data.points[split], data.log_density[split]
        assert points.shape == (sizes[split], 3) and density.shape == (sizes[split],)
        assert density.dtype == np.float64 and np.isfinite(density).all()
        np.testing.assert_array_equal(points, again.points[split])
        np.testing.assert_array_equal(density, again.log_density[split])
        np.testing.assert_array_equal(density, toy.log_density(points))
        assert not np.isin(points, other.points[split]).any()
    assert len(np.unique(np.concatenate([data.points[split] for split in SPLITS]), axis=0)) == 600


def curves_of(cls: type[Toy3D]) -> list[tuple[Curve, int]]:
    toy = cls()
    if isinstance(toy, CurveSet):
        return [(curve, 3) for curve in toy.curves]
    return [(toy.curve, 2)] if isinstance(toy, Lissajous) else []


@every_set
def test_halving_the_panels_changes_nothing(cls: type[Toy3D]) -> None:
    near = cls().sample(300, np.random.default_rng(3))
    for curve, dimension in curves_of(cls):
        x = near[:, :dimension]
        x = np.concatenate([x, x + 0.05, 1.3 * x])
        fine = curve.log_density(x, 0.01, panel=1.0)
        np.testing.assert_allclose(curve.log_density(x, 0.01), fine, rtol=1e-12, atol=1e-9)


@every_set
def test_bounds_of_speed_and_acceleration_hold_and_are_tight(cls: type[Toy3D]) -> None:
    for curve, _ in curves_of(cls):
        t = np.linspace(curve.start, curve.stop, 20_001)
        first = np.gradient(curve.position(t), t, axis=0)
        second = np.gradient(first, t, axis=0)[2:-2]
        for derivative, bound in ((first, curve.speed), (second, curve.acceleration)):
            assert 0.98 * bound < np.linalg.norm(derivative, axis=1).max() < (1 + 1e-6) * bound


@every_set
def test_log_density_is_finite_far_away(cls: type[Toy3D]) -> None:
    for scale in (1.0, 1e2, 1e6, 1e12, 1e20):
        x = scale * np.random.default_rng(4).standard_normal((20, 3))
        assert np.isfinite(cls().log_density(x)).all()
        on_axes = np.concatenate([np.eye(3), -np.eye(3), np.zeros((1, 3))]) * scale
        assert np.isfinite(cls().log_density(on_axes)).all()


def test_lissajous_equals_its_asymptote_far_above() -> None:
    x = np.array([[0.0, 0.0, 50.0]])
    toy = Lissajous(noise=0.01)
    above = toy.log_density(x) - toy.log_density(np.zeros((1, 3)))
    distance = 49.5
    expected = -(distance**2) / 2e-4 + np.log(0.01 / (distance * np.sqrt(2 * np.pi)))
    np.testing.assert_allclose(above, expected, atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_noise_is_refused(noise: float) -> None:
    with pytest.raises(ValueError, match="Helix: noise is .*, allowed"):
        Helix(noise=noise)


@pytest.mark.parametrize("split", SPLITS)
def test_bad_sizes_are_refused(split: str) -> None:
    with pytest.raises(ValueError, match=f"Knotted: n_{split} is 0, allowed"):
        Knotted(**{f"n_{split}": 0})


@every_set
def test_bad_points_are_refused(cls: type[Toy3D]) -> None:
    with pytest.raises(ValueError, match=r"expected finite points of shape \(N, 3\)"):
        cls().log_density(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="1 values not finite"):
        cls().log_density(np.array([[0.0, np.nan, 1.0]]))
    assert cls().log_density(np.empty((0, 3))).shape == (0,)


def test_import_does_not_load_torch() -> None:
    code = "import sys, vqflow.datasets.toy3d; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

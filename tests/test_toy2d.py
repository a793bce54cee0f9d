"""The sets in the plane: normalised densities, and samples of these very densities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CATALOGUE
from scipy.integrate import dblquad

from vqflow.config.components import build
from vqflow.datasets.base import SPLITS
from vqflow.datasets.curves import Floats
from vqflow.datasets.toy2d import EightGaussians, Ring, Toy2D, TwoMoons, TwoRings

SETS = {"two_moons": TwoMoons, "eight_gaussians": EightGaussians, "two_rings": TwoRings}
every_set = pytest.mark.parametrize("cls", SETS.values())
WIDTHS = (None, 0.08, 0.6)
BOXES, SIDE, NODES = 56, 0.25, 8


def boxes(toy: Toy2D) -> Floats:
    """Mass (BOXES, BOXES) of squares that fill the plane as far as a set reaches (Gauss)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    left = SIDE * (np.arange(BOXES) - BOXES / 2)
    line = (left[:, None] + SIDE * (nodes + 1) / 2).ravel()
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(toy.log_density(grid)).reshape(BOXES, NODES, BOXES, NODES)
    return np.einsum("injm,n,m->ij", density, weights, weights) * SIDE**2 / 4


def two_moons(x: float, y: float) -> float:
    moons = np.exp(-(((x - 2) / 0.3) ** 2) / 2) + np.exp(-(((x + 2) / 0.3) ** 2) / 2)
    return float(np.exp(-(((np.hypot(x, y) - 2) / 0.2) ** 2) / 2) * moons)


def eight_gaussians(x: float, y: float) -> float:
    width, total = 2 / 3 * np.sin(np.pi / 8), 0.0
    for turn in range(8):
        angle = 2 * np.pi * turn / 8
        squared = (x - 2 * np.sin(angle)) ** 2 + (y - 2 * np.cos(angle)) ** 2
        total += float(np.exp(-squared / (2 * width**2)))
    return total


def two_rings(x: float, y: float) -> float:
    r = np.hypot(x, y)
    return float(np.exp(-32 * (r - 1) ** 2) + np.exp(-32 * (r - 2) ** 2))


PUBLISHED: dict[type[Toy2D], Callable[[float, float], float]] = {
    TwoMoons: two_moons,
    EightGaussians: eight_gaussians,
    TwoRings: two_rings,
}


@every_set
def test_the_catalogue_has_the_published_target(cls: type[Toy2D]) -> None:
    name = next(name for name, known in SETS.items() if known is cls)
    toy = build(CATALOGUE["datasets"][name], name)
    assert isinstance(toy, cls)
    points = np.random.default_rng(0).uniform(-3, 3, (200, 2))
    published = np.log([PUBLISHED[cls](x, y) for x, y in points])
    constant = toy.log_density(points) - published
    np.testing.assert_allclose(constant, constant[0], rtol=0, atol=1e-10)


@every_set
@pytest.mark.parametrize("noise", WIDTHS)
def test_density_integrates_to_one(cls: type[Toy2D], noise: float | None) -> None:
    assert boxes(cls(noise=noise)).sum() == pytest.approx(1, abs=1e-8)


def test_the_moons_constant_agrees_with_another_quadrature() -> None:
    quadrant, _ = dblquad(lambda y, x: two_moons(x, y), 0.0, 4.5, 0.0, 4.0, epsabs=1e-11)
    assert TwoMoons().mass == pytest.approx(4 * quadrant, rel=1e-8)


@pytest.mark.parametrize("width", [0.1, 1.0, 5.0])
def test_the_mass_of_a_ring_is_its_integral(width: float) -> None:
    ring = Ring(radius=2.0, width=width)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    low, high = max(0.0, 2 - 12 * width), 2 + 12 * width
    r = (low + high) / 2 + (high - low) / 2 * nodes
    values = np.exp(ring.log_value(np.stack([r, 0 * r], axis=1))) * 2 * np.pi * r
    assert ring.mass == pytest.approx(float(values @ weights) * (high - low) / 2, rel=1e-12)


@every_set
@pytest.mark.parametrize("noise", WIDTHS)
def test_samples_follow_the_density(cls: type[Toy2D], noise: float | None) -> None:
    """Counts in boxes against the mass of each box: z-scores of the right size."""
    toy, n = cls(noise=noise), 50_000
    mass = boxes(toy)
    index = np.floor(toy.sample(n, np.random.default_rng(1)) / SIDE).astype(int) + BOXES // 2
    counts = np.zeros_like(mass)
    np.add.at(counts, (index[:, 0], index[:, 1]), 1)
    filled = mass * n > 20
    z = (counts - mass * n)[filled] / np.sqrt(mass * n * (1 - mass))[filled]
    assert mass[filled].sum() > 0.9
    assert np.abs(z).max() < 4.5
    assert np.square(z).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / len(z)))


@every_set
def test_splits_are_deterministic_disjoint_and_of_the_right_form(cls: type[Toy2D]) -> None:
    sizes = {"train": 300, "validation": 200, "test": 100}
    arguments: dict[str, Any] = {f"n_{split}": size for split, size in sizes.items()}
    toy = cls(**arguments)
    data, again = toy.load("a", Path("absent")), toy.load("b", Path("absent"))
    other = cls(**arguments, seed=1).load("a", Path("absent"))
    assert data.spec.features == 2 and data.spec.name == "a" and data.spec.levels is None
    for split in SPLITS:
        points, density = data.points[split], data.log_density[split]
        assert points.shape == (sizes[split], 2) and density.shape == (sizes[split],)
        assert density.dtype == np.float64 and np.isfinite(density).all()
        np.testing.assert_array_equal(points, again.points[split])
        np.testing.assert_array_equal(density, toy.log_density(points))
        assert not np.isin(points, other.points[split]).any()
    assert len(np.unique(np.concatenate([data.points[split] for split in SPLITS]), axis=0)) == 600


@every_set
def test_log_density_is_finite_far_away_and_at_the_origin(cls: type[Toy2D]) -> None:
    for scale in (0.0, 1.0, 1e3, 1e12, 1e20):
        x = scale * np.random.default_rng(4).standard_normal((20, 2))
        assert np.isfinite(cls().log_density(x)).all()


@every_set
def test_bad_arguments_and_points_are_refused(cls: type[Toy2D]) -> None:
    for noise in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"{cls.__name__}: noise is .*, allowed"):
            cls(noise=noise)
    with pytest.raises(ValueError, match=f"{cls.__name__}: n_test is 0, allowed"):
        cls(n_test=0)
    with pytest.raises(ValueError, match=r"expected finite points of shape \(N, 2\)"):
        cls().log_density(np.zeros((4, 3)))

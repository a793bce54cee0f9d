"""Toy sets in two dimensions, with their exact densities.

The three targets of Stimper, Schölkopf and Hernández-Lobato, "Resampling Base Distributions of
Normalizing Flows" (AISTATS 2022), on which piecewise flows (Bevins et al., arXiv:2305.02930) are
compared too. They are published as functions that need not integrate to 1; here they are
normalised, and points are drawn from these very densities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.integrate import quad
from scipy.special import logsumexp, ndtr

from vqflow.datasets.curves import Floats
from vqflow.datasets.toy import Toy

_FARTHEST = 12.0  # standard deviations from a ring where its density is 0 to rounding
_ANGLES = 16  # points of the quadrature over the angle for each width of a moon


class Toy2D(Toy):
    """A set in the plane."""

    shape = (2,)


@dataclass(frozen=True)
class Ring:
    """The function exp(-(r - R)² / 2σ²) of the distance r to the origin of the plane.

    Attributes:
        radius: R.
        width: σ.
    """

    radius: float
    width: float

    def log_value(self, x: Floats) -> Floats:
        """Gives the logarithm (N,) of the function, of points x (N, 2)."""
        r = np.hypot(x[:, 0], x[:, 1])
        return np.asarray(-np.square((r - self.radius) / self.width) / 2)

    @property
    def mass(self) -> float:
        """The integral over the plane: 2π σ² (exp(-R² / 2σ²) + √(2π) R/σ Φ(R/σ))."""
        ratio = self.radius / self.width
        moment = np.exp(-(ratio**2) / 2) + np.sqrt(2 * np.pi) * ratio * ndtr(ratio)
        return float(2 * np.pi * self.width**2 * moment)

    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 2) whose density is proportional to the function.

        With r = R + σ s, s has the density (R + σ s) φ(s) above -R / σ. Proposals are of
        (R + σ |s|) φ(s), a mixture of a normal and a Rayleigh distribution with a random sign.
        """
        normal = self.radius / (self.radius + self.width * np.sqrt(2 / np.pi))

        def propose(count: int) -> tuple[Floats, Floats]:
            signed = generator.rayleigh(size=count) * generator.choice([-1.0, 1.0], count)
            is_normal = generator.uniform(size=count) < normal
            s = np.where(is_normal, generator.standard_normal(count), signed)
            r = self.radius + self.width * s
            return r, np.maximum(r, 0) / (self.radius + self.width * np.abs(s))

        r = _kept(n, propose, generator)
        angle = generator.uniform(-np.pi, np.pi, n)
        return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)


def _kept(
    n: int,
    propose: Callable[[int], tuple[Floats, Floats]],
    generator: np.random.Generator,
) -> Floats:
    """Draws n points (n, ...) by rejection.

    Args:
        n: Number of points.
        propose: Gives so many proposals, and the probability of each to be kept.
        generator: Random numbers.
    """
    parts: list[Floats] = []
    while sum(map(len, parts)) < n:
        points, probability = propose(n)
        parts.append(points[generator.uniform(size=len(points)) < probability])
    return np.concatenate(parts)[:n]


class TwoMoons(Toy2D):
    """Two moons that face one another: the "dual moon" of Stimper et al.

    p(x) ∝ exp(-(r - 2)² / 2σ²) (exp(-(x₁ - 2)² / 2b²) + exp(-(x₁ + 2)² / 2b²)), with r the
    distance to the origin, σ = 0.2 (``noise``) and b = 0.3. It has no integral in closed form.
    """

    default_noise = 0.2
    centre = 2.0
    spread = 0.3

    @property
    def ring(self) -> Ring:
        """The ring that both moons are cut out of."""
        return Ring(radius=2.0, width=self.noise)

    @cached_property
    def mass(self) -> float:
        """The integral over the plane: twice that of one moon, in polar coordinates.

        That over the angle is a sum over equal steps, which converges faster than any power for
        a smooth periodic function; that over r is adaptive, to a relative error of 1e-10.
        """
        radius, farthest = self.ring.radius, _FARTHEST * self.noise
        steps = _ANGLES * int(np.ceil(4 + (radius + farthest) / self.spread))
        cosine = np.cos(np.arange(steps) * 2 * np.pi / steps)

        def shell(r: float) -> float:
            across = np.exp(-np.square((r * cosine - self.centre) / self.spread) / 2)
            along = np.exp(-(((r - radius) / self.noise) ** 2) / 2)
            return float(2 * np.pi * r * along * across.mean())

        bounds = max(0.0, radius - farthest), radius + farthest
        one, _ = quad(shell, *bounds, points=[radius], epsabs=0, epsrel=1e-10, limit=200)
        return 2 * float(one)

    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 2): of the ring, by rejection, and mirrored half of the time."""

        def propose(count: int) -> tuple[Floats, Floats]:
            x = self.ring.sample(count, generator)
            return x, np.exp(self._log_moons(x)[0])

        x = _kept(n, propose, generator)
        x[:, 0] *= generator.choice([-1.0, 1.0], n)
        return x

    def _log_moons(self, x: Floats) -> tuple[Floats, Floats]:
        """Gives the logarithms of the functions (N,) that cut the right and the left moon out."""
        right, left = (
            -np.square((x[:, 0] - side * self.centre) / self.spread) / 2 for side in (1, -1)
        )
        return right, left

    def _log_density(self, x: Floats) -> Floats:
        moons = np.logaddexp(*self._log_moons(x))
        return np.asarray(self.ring.log_value(x) + moons - np.log(self.mass))


class EightGaussians(Toy2D):
    """Eight equal Gaussians on a circle: the "circle of Gaussians" of Stimper et al.

    Their centres are 2 (sin 2πi/8, cos 2πi/8), their standard deviation σ = 2/3 sin(π/8) = 0.255
    (``noise``): neighbours are six of them apart.
    """

    default_noise = float(2 / 3 * np.sin(np.pi / 8))
    angles = np.arange(8) * np.pi / 4
    centres = 2 * np.stack([np.sin(angles), np.cos(angles)], axis=1)

    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 2)."""
        centres = self.centres[generator.integers(len(self.centres), size=n)]
        return np.asarray(centres + self.noise * generator.standard_normal((n, 2)))

    def _log_density(self, x: Floats) -> Floats:
        squared = np.square(x[:, None] - self.centres).sum(axis=-1)
        normaliser = np.log(2 * np.pi * self.noise**2 * len(self.centres))
        return np.asarray(logsumexp(-squared / (2 * self.noise**2), axis=1) - normaliser)


class TwoRings(Toy2D):
    """Two rings around the origin, one in the other: the "two rings" of Stimper et al.

    p(x) ∝ exp(-(r - 1)² / 2σ²) + exp(-(r - 2)² / 2σ²), with r the distance to the origin and
    σ = 1/8 (``noise``). The outer ring holds two thirds of the mass.
    """

    default_noise = 0.125
    radii = (1.0, 2.0)

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The two rings, inner and outer."""
        return tuple(Ring(radius, self.noise) for radius in self.radii)

    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 2)."""
        mass = np.array([ring.mass for ring in self.rings])
        chosen = generator.choice(len(mass), size=n, p=mass / mass.sum())
        candidates = np.stack([ring.sample(n, generator) for ring in self.rings])
        return np.asarray(candidates[chosen, np.arange(n)])

    def _log_density(self, x: Floats) -> Floats:
        values = logsumexp([ring.log_value(x) for ring in self.rings], axis=0)
        return np.asarray(values - np.log(sum(ring.mass for ring in self.rings)))

"""Toy sets around curves and surfaces in three dimensions, with their exact densities.

The six sets of the paper's table 1. Its generators are not published; these have unit
scale, intrinsic coordinates drawn at random, and isotropic Gaussian noise.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from scipy.special import erfcx, log_ndtr, logsumexp

from vqflow.datasets.curves import Curve, Floats, join
from vqflow.datasets.toy import Toy


class Toy3D(Toy):
    """A set around curves or a surface, with isotropic Gaussian noise of standard deviation σ."""

    shape = (3,)
    default_noise = 0.01

    @abstractmethod
    def sample_manifold(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 3) without noise."""

    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 3) with noise."""
        manifold = self.sample_manifold(n, generator)
        return np.asarray(manifold + self.noise * generator.standard_normal(manifold.shape))


class CurveSet(Toy3D):
    """A toy set around one or more curves, each as probable as the others."""

    @property
    @abstractmethod
    def curves(self) -> tuple[Curve, ...]:
        """The curves in three dimensions."""

    def sample_manifold(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 3) of the curves, without noise."""
        chosen = generator.integers(len(self.curves), size=n)
        candidates = np.stack([curve.sample(n, generator) for curve in self.curves])
        return np.asarray(candidates[chosen, np.arange(n)])

    def _log_density(self, x: Floats) -> Floats:
        densities = [curve.log_density(x, self.noise) for curve in self.curves]
        return np.asarray(logsumexp(densities, axis=0) - np.log(len(densities)))


class Helix(CurveSet):
    """A helix of 4.5 turns: (t/π - 4.5, cos t, sin t) with t in [0, 9π]."""

    curves = (
        Curve(
            join(lambda t: t / np.pi - 4.5, np.cos, np.sin),
            start=0.0,
            stop=9 * np.pi,
            speed=float(np.hypot(1, 1 / np.pi)),
            acceleration=1.0,
        ),
    )


CIRCLE = Curve(
    join(np.sin, np.cos, np.zeros_like),
    start=-np.pi,
    stop=np.pi,
    speed=1.0,
    acceleration=1.0,
)


def _upright_circle(centre: float) -> Curve:
    position = join(lambda t: centre + np.sin(t), np.zeros_like, np.cos)
    return Curve(position, start=-np.pi, stop=np.pi, speed=1.0, acceleration=1.0)


class TwistedEight(CurveSet):
    """Two unit circles at right angles that touch in one point."""

    curves = (CIRCLE, _upright_circle(centre=2.0))


class InterlockedCircles(CurveSet):
    """Two linked unit circles at right angles."""

    curves = (CIRCLE, _upright_circle(centre=1.0))


class Knotted(CurveSet):
    """A trefoil knot: (sin t + 2 sin 2t, cos t - 2 cos 2t, sin 3t) / 3."""

    curves = (
        Curve(
            join(
                lambda t: (np.sin(t) + 2 * np.sin(2 * t)) / 3,
                lambda t: (np.cos(t) - 2 * np.cos(2 * t)) / 3,
                lambda t: np.sin(3 * t) / 3,
            ),
            start=-np.pi,
            stop=np.pi,
            speed=float(np.sqrt(34) / 3),
            acceleration=float(np.sqrt(147) / 3),
        ),
    )


class Lissajous(Toy3D):
    """A surface that crosses itself: (sin t, sin 2t, s) with s uniform on [-1/2, 1/2]."""

    curve = Curve(
        join(np.sin, lambda t: np.sin(2 * t)),
        start=-np.pi,
        stop=np.pi,
        speed=float(np.sqrt(5)),
        acceleration=float(np.sqrt(17)),
    )

    def sample_manifold(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 3) of the surface, without noise."""
        return np.column_stack([self.curve.sample(n, generator), generator.uniform(-0.5, 0.5, n)])

    def _log_density(self, x: Floats) -> Floats:
        across = self.curve.log_density(x[:, :2], self.noise)
        return across + _log_smoothed_uniform(x[:, 2], self.noise)


class Spherical(Toy3D):
    """Three von Mises-Fisher distributions on the unit sphere, around the three axes."""

    concentration = 30.0

    def sample_manifold(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, 3) of the sphere, without noise (by inversion; Ulrich 1984)."""
        uniform = generator.uniform(size=n)
        decay = np.exp(-2 * self.concentration)
        along = 1 + np.log(uniform + (1 - uniform) * decay) / self.concentration
        across = np.sqrt(np.maximum(1 - along**2, 0))
        angle = generator.uniform(-np.pi, np.pi, n)
        local = np.stack([along, across * np.cos(angle), across * np.sin(angle)], axis=1)
        axis = generator.integers(3, size=n)
        return np.asarray(np.take_along_axis(local, (np.arange(3) - axis[:, None]) % 3, axis=1))

    def _log_density(self, x: Floats) -> Floats:
        """Gives the log-density in closed form.

        The integral of exp(a·u) over the unit sphere is 4π sinh|a| / |a|, with
        a = κ μ_j + x / σ².
        """
        variance = self.noise**2
        tilt = x[:, None] / variance + self.concentration * np.eye(3)
        sphere = _log_sinhc(np.linalg.norm(tilt, axis=-1)) - _log_sinhc(self.concentration)
        gaussian = -(np.square(x).sum(axis=1) + 1) / (2 * variance)
        normaliser = 1.5 * np.log(2 * np.pi * variance) + np.log(3)
        return np.asarray(logsumexp(sphere, axis=1) + gaussian - normaliser)


def _log_sinhc(r: Floats | float) -> Floats:
    """Gives log(sinh(r) / r) for r >= 0, without overflow."""
    positive = np.maximum(r, np.finfo(np.float64).tiny)
    return np.asarray(positive + np.log(-np.expm1(-2 * positive) / (2 * positive)))


def _log_smoothed_uniform(z: Floats, noise: float) -> Floats:
    """Gives the log-density of uniform on [-1/2, 1/2] plus Gaussian noise, in both tails too.

    With h = |z|, that is log(Φ(a) - Φ(b)), a = (1/2 - h) / σ and b = (-1/2 - h) / σ; below 0,
    Φ(a) = erfcx(-a / √2) exp(-a² / 2) / 2, so that log(Φ(b) / Φ(a)) holds h / σ² exactly.
    """
    height = np.abs(z)
    upper, lower = (0.5 - height) / noise, (-0.5 - height) / noise
    scaled = erfcx(-lower / np.sqrt(2)) / erfcx(-np.minimum(upper, 0) / np.sqrt(2))
    far = np.log(scaled) - height / noise**2
    log_ratio = np.where(upper < 0, far, log_ndtr(lower) - log_ndtr(upper))
    return np.asarray(log_ndtr(upper) + np.log(-np.expm1(log_ratio)))

"""Smooth curves with Gaussian noise around them, and their exact densities by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PANEL = 2.0
"""Longest panel of the quadrature, in noise standard deviations of arc length."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
COARSE_PANELS = 64
MAX_HALVINGS = 36
NEGLIGIBLE_NATS = 45.0
ROUNDING = 4 * float(np.finfo(np.float64).eps)
CHUNK = 128


def join(*coordinates: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Joins functions of t (*,) into one that gives points (*, D)."""
    return lambda t: np.stack([coordinate(t) for coordinate in coordinates], axis=-1)


@dataclass(frozen=True)
class Curve:
    """A smooth curve c(t) on which t is uniform.

    Attributes:
        position: Maps t (*,) to points (*, D).
        start: Where t begins.
        stop: Where t ends.
        speed: An upper bound of |c'(t)|.
        acceleration: An upper bound of |c''(t)|.
    """

    position: Callable[[Floats], Floats]
    start: float
    stop: float
    speed: float
    acceleration: float

    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, D) of the curve, without noise."""
        return self.position(generator.uniform(self.start, self.stop, n))

    def log_density(self, x: Floats, noise: float, panel: float = PANEL) -> Floats:
        """Gives the log-density of the curve convolved with isotropic Gaussian noise.

        Args:
            x: Points (N, D).
            noise: Standard deviation σ of the noise.
            panel: Longest panel of the quadrature, in units of σ of arc length.

        Returns:
            (N,) nats, exact to the rounding of the exponent |x - c|² / 2σ².
        """
        chunks = [x[begin : begin + CHUNK] for begin in range(0, len(x), CHUNK)]
        return np.concatenate(
            [np.empty(0), *(self._integrate(chunk, noise, panel) for chunk in chunks)]
        )

    def _integrate(self, x: Floats, noise: float, panel: float) -> Floats:
        edges = np.linspace(self.start, self.stop, COARSE_PANELS + 1)
        grid = self.position(edges)
        squared = np.square(x[:, None] - grid).sum(axis=-1)
        origin, base = grid[squared.argmin(axis=1)], squared.min(axis=1)

        def excess(point: NDArray[np.intp], t: Floats) -> Floats:
            """Gives |x - c(t)|² - |x - origin|² without cancellation."""
            at, start = self.position(t), origin[point]
            inner = np.einsum("...i,...i->...", at - start, at + start - 2 * x[point])
            return np.asarray(inner)

        point, left, right = self._panels(excess, base, edges, noise, panel)
        half = (right - left) / 2
        values = excess(point[:, None], (left + half)[:, None] + half[:, None] * NODES)
        lowest = np.full(len(x), np.inf)
        np.minimum.at(lowest, point, values.min(axis=1))
        weighted = np.exp((lowest[point, None] - values) / (2 * noise**2)) @ WEIGHTS * half
        mean = np.bincount(point, weighted, minlength=len(x)) / (self.stop - self.start)
        exponent = (base + lowest) / (2 * noise**2)
        normaliser = x.shape[1] / 2 * np.log(2 * np.pi * noise**2)
        return np.asarray(np.log(mean) - exponent - normaliser)

    def _panels(
        self,
        excess: Callable[[NDArray[np.intp], Floats], Floats],
        base: Floats,
        edges: Floats,
        noise: float,
        panel: float,
    ) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Finds, for each point, the panels of t that matter to it, short enough for NODES.

        Panels are halved until the exponent bends and rises little over each, and dropped
        once everything on them is negligible beside the highest value found. That the bend
        is small is proven by the bounds of the derivatives, down to panels of σ / 2; below,
        for points far away, it is judged by the ends and the middle, to rounding.

        Returns:
            Index of the point, left and right end of each panel, (P,) each.
        """
        point = np.repeat(np.arange(len(base)), COARSE_PANELS)
        left, right = np.tile(edges[:-1], len(base)), np.tile(edges[1:], len(base))
        lowest = np.zeros(len(base))
        finished = []
        for halvings in range(MAX_HALVINGS + 1):
            middle, width = (left + right) / 2, right - left
            at_left, at_middle, at_right = (excess(point, t) for t in (left, middle, right))
            low, high = np.minimum(at_left, at_right), np.maximum(at_left, at_right)
            np.minimum.at(lowest, point, np.minimum(low, at_middle))
            farthest = np.sqrt(np.maximum(base[point] + high, 0)) + self.speed * width / 2
            bend = (self.speed**2 + self.acceleration * farthest) * width**2
            drop = low - lowest[point]
            rounding = ROUNDING * farthest * self.speed * (self.stop - self.start)
            keep = drop - bend / 4 - rounding < 2 * noise**2 * NEGLIGIBLE_NATS
            sag = np.abs(at_left + at_right - 2 * at_middle) - rounding
            rise = high - low - rounding - np.maximum(drop, 0) * panel / 8
            proven = bend <= (panel * noise) ** 2
            short = self.speed * width <= panel * noise / 4
            long = (sag > (panel * noise) ** 2 / 2) | ~(proven | short)
            steep = rise > 6 * panel * noise**2
            split = keep & (long | steep) & (halvings < MAX_HALVINGS)
            done = keep & ~split
            finished.append((point[done], left[done], right[done]))
            point = np.tile(point[split], 2)
            left, right = (
                np.concatenate([left[split], middle[split]]),
                np.concatenate([middle[split], right[split]]),
            )
            if len(point) == 0:
                break
        points, lefts, rights = zip(*finished, strict=True)
        return np.concatenate(points), np.concatenate(lefts), np.concatenate(rights)

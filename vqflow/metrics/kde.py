"""Log-likelihood of generated samples under a Gaussian kernel density of the training data."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from vqflow.datasets.base import Data
from vqflow.metrics.base import (
    SAMPLERS,
    Metric,
    Quantity,
    Reference,
    Score,
    TrainedRun,
    by_sampler,
)

Floats = NDArray[np.float64]

_CHUNK_ELEMENTS = 4_000_000
_TOLERANCE = 0.01

logger = logging.getLogger(__name__)


class KDELogLikelihood(Metric):
    """Mean log-density of samples under a Gaussian KDE fitted on the training split.

    High where samples lie on the data's manifold (paper, table 2). The bandwidth
    maximises the cross-validated log-likelihood of the training points: the best of
    a log-spaced grid, then refined to 1 % between that one's neighbours.
    """

    kinds = ("vector",)
    name = "kde_log_likelihood"
    quantities = by_sampler(
        Quantity(name, "KDE log-likelihood of samples", "nats", "higher", headline=20)
    )

    def __init__(
        self,
        samples: int = 2500,
        lowest: float = 0.003,
        highest: float = 0.5,
        count: int = 12,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        """Checks the settings.

        Args:
            samples: Number of samples to score.
            lowest: Smallest bandwidth of the grid, in units of the data's scale (the
                root of the mean variance over the coordinates).
            highest: Largest bandwidth of the grid, in the same unit.
            count: Number of bandwidths in the grid.
            folds: Number of folds of the cross-validation.
            seed: Seed of the split into folds.

        Raises:
            ValueError: If a setting is out of range.
        """
        if samples < 1:
            raise ValueError(f"samples: got {samples}, allowed: 1 or more")
        if not 0 < lowest < highest:
            raise ValueError(f"lowest, highest: got {lowest}, {highest}, need 0 < lowest < highest")
        if count < 3:
            raise ValueError(f"count: got {count}, allowed: 3 or more")
        if folds < 2:
            raise ValueError(f"folds: got {folds}, allowed: 2 or more")
        self.samples = samples
        self.grid = np.geomspace(lowest, highest, count)
        self.folds = folds
        self.seed = seed

    def reference(self, data: Data) -> Reference:
        """Chooses the bandwidth.

        Raises:
            ValueError: If the data are images, have fewer points than folds, or do not vary.
        """
        place = f"data set '{data.spec.name}', metric '{self.name}'"
        if data.spec.kind == "image":
            raise ValueError(f"{place}: got images, allowed: vectors")
        points = data.points["train"].astype(np.float64)
        if len(points) < self.folds:
            raise ValueError(f"{place}: {len(points)} training points for {self.folds} folds")
        scale = float(np.sqrt(points.var(axis=0).mean()))
        if scale == 0:
            raise ValueError(f"{place}: all training points are equal")
        grid = self.grid * scale
        bandwidth = choose_bandwidth(points, grid, self.folds, self.seed)
        if bandwidth in (grid[0], grid[-1]):
            logger.warning(
                "%s: bandwidth %.4g is an end of the grid %.4g to %.4g; widen lowest or highest",
                place,
                bandwidth,
                grid[0],
                grid[-1],
            )
        return {"bandwidth": np.array(bandwidth), "points": points}

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Scores the final model's samples of every sampler.

        Raises:
            RuntimeError: If there are too few samples.
        """
        points = reference["points"].astype(np.float64)
        bandwidth = float(reference["bandwidth"])
        for quantity, key in zip(self.quantities, SAMPLERS, strict=True):
            if key not in run.samples:
                continue
            samples = run.samples[key][: self.samples].astype(np.float64)
            if len(samples) < self.samples:
                raise RuntimeError(
                    f"data set '{run.data.spec.name}', metric '{self.name}': {len(samples)} "
                    f"samples in '{key}', {self.samples} are needed"
                )
            n, values = len(samples), None
            if np.isfinite(samples).all():
                values = log_density(samples, points, bandwidth)
            value = math.nan if values is None else float(values.mean())
            yield Score(quantity.name, value, n, "train", values=values, of_points=False)


def log_density(x: Floats, points: Floats, bandwidth: float) -> Floats:
    """Gives the exact log-density of a Gaussian KDE, finite however far a point lies.

    Args:
        x: Where to evaluate it, (M, D).
        points: The kernels' centres, (N, D).
        bandwidth: Standard deviation of the kernels.

    Returns:
        Log-density (M,) in nats.
    """
    rows = max(1, _CHUNK_ELEMENTS // len(points))
    parts = [
        _kernel_mean(*_offsets(x[start : start + rows], points), bandwidth)
        for start in range(0, len(x), rows)
    ]
    return np.concatenate(parts) - _log_normaliser(points.shape[1], bandwidth)


def choose_bandwidth(points: Floats, grid: Floats, folds: int, seed: int) -> float:
    """Gives the bandwidth of the highest cross-validated log-likelihood.

    Args:
        points: Training points (N, D).
        grid: Bandwidths to try, ascending.
        folds: Number of folds; each point is scored by the kernels of the other folds.
        seed: Seed of the split into folds.

    Returns:
        A bandwidth within the grid's ends.
    """
    order = np.random.default_rng(seed).permutation(len(points))
    held_out = np.array_split(order, folds)

    def score(bandwidths: Floats) -> Floats:
        totals = np.zeros(len(bandwidths))
        for fold in held_out:
            others = np.delete(points, fold, axis=0)
            rows = max(1, _CHUNK_ELEMENTS // len(others))
            for start in range(0, len(fold), rows):
                offsets = _offsets(points[fold[start : start + rows]], others)
                totals += [_kernel_mean(*offsets, width).sum() for width in bandwidths]
        normalisers = [_log_normaliser(points.shape[1], width) for width in bandwidths]
        return np.asarray(totals - len(points) * np.array(normalisers))

    best = int(score(grid).argmax())
    if best in (0, len(grid) - 1):
        return float(grid[best])
    refined = minimize_scalar(
        lambda log_width: -score(np.exp([log_width]))[0],
        bounds=(float(np.log(grid[best - 1])), float(np.log(grid[best + 1]))),
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    return math.exp(refined.x)


def _offsets(x: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Gives squared distances (M, N) less their row's smallest, and the smallest (M,)."""
    squared = cdist(x, points, "sqeuclidean")
    nearest = squared.min(axis=1)
    squared -= nearest[:, None]
    return squared, nearest


def _kernel_mean(offsets: Floats, nearest: Floats, bandwidth: float) -> Floats:
    """Gives the log-mean (M,) of exp(-distance² / (2 bandwidth²)) over the kernels."""
    precision = -0.5 / bandwidth**2
    kernels = np.exp(offsets * precision)
    return np.asarray(nearest * precision + np.log(kernels.mean(axis=1)))


def _log_normaliser(features: int, bandwidth: float) -> float:
    return features * (0.5 * float(np.log(2 * np.pi)) + float(np.log(bandwidth)))

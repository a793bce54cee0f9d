"""Gaussian kernel densities: exact however far a point lies, and their bandwidth by validation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]

_CHUNK_ELEMENTS = 4_000_000
_TOLERANCE = 0.01
_ROUNDING = 1e-12


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


def mean_log_densities(x: Floats, points: Floats, bandwidths: Floats) -> Floats:
    """Gives the mean of :func:`log_density` over x for each of several bandwidths.

    Args:
        x: Where to evaluate the densities, (M, D).
        points: The kernels' centres, (N, D).
        bandwidths: Standard deviations of the kernels, (B,).

    Returns:
        Mean log-densities (B,) in nats.
    """
    normalisers = [_log_normaliser(points.shape[1], width) for width in bandwidths]
    return np.asarray(_totals(x, points, bandwidths) / len(x) - np.array(normalisers))


def scale_of(points: Floats) -> float:
    """Gives the unit of bandwidths: the root of the mean variance over the coordinates.

    Args:
        points: Points (N, D).

    Raises:
        ValueError: If all points are equal, up to rounding.
    """
    scale = float(np.sqrt(points.var(axis=0).mean()))
    if scale <= _ROUNDING * float(np.abs(points).max()):
        raise ValueError("all training points are equal, up to rounding")
    return scale


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
            totals += _totals(points[fold], np.delete(points, fold, axis=0), bandwidths)
        normalisers = [_log_normaliser(points.shape[1], width) for width in bandwidths]
        return np.asarray(totals - len(points) * np.array(normalisers))

    best = int(score(grid).argmax())
    if best in (0, len(grid) - 1):
        return float(grid[best])
    from scipy.optimize import minimize_scalar  # slow to import

    refined = minimize_scalar(
        lambda log_width: -score(np.exp([log_width]))[0],
        bounds=(float(np.log(grid[best - 1])), float(np.log(grid[best + 1]))),
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    return math.exp(refined.x)


def _totals(x: Floats, points: Floats, bandwidths: Floats) -> Floats:
    """Gives, per bandwidth (B,), the sum over x of the log-densities before normalisation."""
    totals = np.zeros(len(bandwidths))
    rows = max(1, _CHUNK_ELEMENTS // len(points))
    for start in range(0, len(x), rows):
        offsets = _offsets(x[start : start + rows], points)
        totals += [_kernel_mean(*offsets, width).sum() for width in bandwidths]
    return totals


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

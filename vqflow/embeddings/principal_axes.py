"""Means, axes and variances of the points that each chart covers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vqflow.atlases.covering import Covering

_FLOOR = 1e-6


@dataclass(frozen=True)
class PrincipalAxes:
    """The closed-form start of K charts, float64.

    Attributes:
        centre: Weighted means (K, D).
        frame: Leading axes (K, D, W), orthonormal columns.
        latent_variance: Mean variance (K,) along the first d axes.
        residual_variance: Mean variance (K,) along the others.
        floor: Least variance, (): 10⁻⁶ of the data's own.
    """

    centre: Tensor
    frame: Tensor
    latent_variance: Tensor
    residual_variance: Tensor
    floor: Tensor


def principal_axes(
    y: Tensor, covering: Covering, log_prior: Tensor, latent_features: int, width: int
) -> PrincipalAxes:
    """Finds each chart's mean and axes.

    The weight of a point y for chart k is p̃_y(k) = p_k / Σ_{j covers y} p_j (equal weights
    where p_k is 0). The residual's variance is corrected for the d axes and the mean that
    were fitted to the same points. A chart of fewer than 2 (d + 1) points takes its axes and
    variances from the mean over charts.

    Args:
        y: Points (N, D).
        covering: Their covering pairs.
        log_prior: log p_k (K,).
        latent_features: d.
        width: W, the number of axes to keep, at least d.
    """
    d = latent_features
    rows, charts = covering.pairs()
    weight = log_prior[charts].double().exp()
    total = weight.new_zeros(len(covering)).index_add(0, rows, weight)
    weight = weight / total[rows]
    order = charts.argsort(stable=True)
    sizes = torch.bincount(charts, minlength=len(log_prior)).tolist()
    parts = zip(rows[order].split(sizes), weight[order].split(sizes), strict=True)
    centres, found, mass = [], [], 0.0
    pooled = torch.zeros(y.shape[1], y.shape[1], dtype=torch.float64, device=y.device)
    for row, share in parts:  # one covariance at a time: K of them would not fit
        spread = _spread(y[row].double(), share)
        centres.append(spread.mean)
        pooled += spread.mass * spread.covariance
        mass += spread.mass
        few = spread.points < 2 * (d + 1)
        freedom = spread.points / (spread.points - 1 - d) if not few else 1.0
        found.append(None if few else _axes(spread.covariance, d, width, freedom))
    shared = _axes(pooled / mass, d, width, 1.0)
    frames, latent, residual = zip(*(axes or shared for axes in found), strict=True)
    floor = _FLOOR * y.double().var(0, correction=0).mean()
    return PrincipalAxes(
        torch.stack(centres),
        torch.stack(frames),
        torch.stack(latent).clamp(min=float(floor)),
        torch.stack(residual).clamp(min=float(floor)),
        floor,
    )


def _axes(
    covariance: Tensor, latent_features: int, width: int, freedom: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gives the leading axes (D, W), and the mean variance along the first d and the others."""
    variances, axes = torch.linalg.eigh(covariance)
    latent = variances[-latent_features:].mean()
    residual = freedom * variances[:-latent_features].mean()
    return axes.flip(1)[:, :width].contiguous(), latent, residual


@dataclass
class _Spread:
    """Mean (D,), covariance (D, D), total weight and effective number of weighted points."""

    mean: Tensor
    covariance: Tensor
    mass: float
    points: float


def _spread(y: Tensor, weight: Tensor) -> _Spread:
    mass = float(weight.sum())
    share = weight / mass if mass > 0 else torch.full_like(weight, 1 / max(1, len(weight)))
    mean = share @ y
    centred = y - mean
    points = 1 / float(share.square().sum()) if len(y) else 0.0
    return _Spread(mean, centred.T @ (share[:, None] * centred), mass, points)

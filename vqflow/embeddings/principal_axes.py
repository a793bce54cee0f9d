"""Means, axes and variances of the points that each chart covers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vqflow.atlas import Covering

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
    spreads = [_spread(y[row].double(), share) for row, share in parts]
    mass = sum(spread.mass for spread in spreads)
    pooled = torch.zeros_like(spreads[0].covariance)
    for spread in spreads:
        pooled += spread.mass / mass * spread.covariance
    pooled_axes = torch.linalg.eigh(pooled)
    frames, latent, residual = [], [], []
    for spread in spreads:
        few = spread.points < 2 * (d + 1)
        variances, axes = pooled_axes if few else torch.linalg.eigh(spread.covariance)
        freedom = 1.0 if few else spread.points / (spread.points - 1 - d)
        frames.append(axes.flip(1)[:, :width].contiguous())
        latent.append(variances[-d:].mean())
        residual.append(freedom * variances[:-d].mean())
    floor = _FLOOR * y.double().var(0, correction=0).mean()
    return PrincipalAxes(
        torch.stack([spread.mean for spread in spreads]),
        torch.stack(frames),
        torch.stack(latent).clamp(min=float(floor)),
        torch.stack(residual).clamp(min=float(floor)),
        floor,
    )


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

"""Frames of low rank plus diagonal covariance (factor analysis), for many dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.frames.base import Frame, moments
from vqflow.frames.diagonal import shrunk_variance
from vqflow.per_chart import per_chart

_PASSES = 20
_LEAST_OWN = 0.01


class LowRankFrame(Frame):
    """x = b_k + s_k * (u + Q_k diag(e^{l_k} - 1) Q_kᵀ u), Q_k with r orthonormal columns.

    The covariance is diag(s) (I + Q diag(e^{2 l} - 1) Qᵀ) diag(s): factor analysis, with its
    symmetric root, whose inverse and determinant are those of r numbers (Woodbury). A pair
    costs O(D r).

    Axes are found by principal factors. Their variances are those of the points less what
    chance alone gives to the widest of D directions among n points (Baik and Silverstein
    2006, section 1.3), so that charts of few points get short factors or none; variances of
    coordinates are shrunk as in :class:`~vqflow.frames.diagonal.DiagonalFrame`.

    Args:
        features: D.
        charts: K.
        rank: r, from 1 to D - 1.
        shrinkage: Points that the charts' mean variance counts for.
        train: Whether b, s and l are trained; Q stays. See
            :class:`~vqflow.frames.base.Frame`.

    Raises:
        ValueError: If the rank is out of range.
    """

    axes: Tensor
    log_spread: Tensor

    def __init__(
        self,
        features: int,
        charts: int,
        rank: int,
        shrinkage: float = 100.0,
        train: bool = False,
    ) -> None:
        super().__init__(features, charts, train)
        if not 1 <= rank < features:
            raise ValueError(f"rank is {rank}; allowed: 1 to {features - 1}, below the dimension")
        self.rank = rank
        self.shrinkage = shrinkage
        self.register_buffer("axes", torch.eye(features, rank).repeat(charts, 1, 1))
        self._declare("log_spread", torch.zeros(charts, rank))

    def inward(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (P, D) to u (P, D), with ladj (P,)."""
        log_scale = self.log_scale[charts]
        scaled = (x - self.centre[charts]) * (-log_scale).exp()
        ladj = -(log_scale.sum(1) + self.log_spread.sum(1)[charts])
        return self._stretch(scaled, charts, -self.log_spread), ladj

    def outward(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, D) to x (P, D)."""
        scaled = self._stretch(u, charts, self.log_spread)
        return self.centre[charts] + self.log_scale[charts].exp() * scaled

    def _stretch(self, u: Tensor, charts: Tensor, log_spread: Tensor) -> Tensor:
        """Multiplies u (P, D) along the axes by e^l."""
        along = per_chart(u, self.axes, charts) * torch.expm1(log_spread)[charts]
        return u + per_chart(along, self.axes.mT, charts)

    @torch.no_grad()
    def place(self, x: Tensor, charts: Tensor, weight: Tensor, bend: bool = True) -> None:
        """Sets means, scales and factors, chart by chart."""
        found = moments(x, charts, weight, self.charts)
        variance = shrunk_variance(x, charts, weight, found.mean, self.shrinkage)
        self.centre.copy_(found.mean)
        order = charts.argsort(stable=True)
        sizes = torch.bincount(charts, minlength=self.charts).tolist()
        parts = zip(x[order].split(sizes), weight[order].split(sizes), strict=True)
        for k, (points, share) in enumerate(parts):
            root = (share / share.sum().clamp_min(1e-300)).sqrt()[:, None]
            own, axes, spread = _principal_factors(
                root * (points.double() - found.mean[k]),
                variance[k],
                self.rank,
                float(found.points[k]),
            )
            self.log_scale[k] = 0.5 * own.log().to(self.log_scale)
            self.axes[k] = axes.to(self.axes)
            self.log_spread[k] = 0.5 * spread.log1p().to(self.log_spread)


def _principal_factors(
    centred: Tensor, variance: Tensor, rank: int, points: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Splits variances (D,) into own ones and those of r factors.

    Args:
        centred: Points less their mean, times the roots of their shares (n, D).
        variance: The coordinates' variances (D,).
        rank: r.
        points: Effective number of points.

    Returns:
        Own variances s² (D,), axes Q (D, r) in coordinates divided by s, and the factors'
        variances e^{2 l} - 1 (r,) there.
    """
    own = variance / 2
    for _ in range(_PASSES):
        scaled = centred / own.sqrt()
        square, axes = _leading(scaled, rank)
        spread = _less_chance(square, scaled.shape[1] / max(points, 1.0))
        explained = own * (axes.square() * spread).sum(1)
        own = (variance - explained).clamp_min(_LEAST_OWN * variance)
    return own, axes, spread


def _leading(rows: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Gives the r largest eigenvalues (r,) of AᵀA and orthonormal axes (D, r), for A (n, D)."""
    n, features = rows.shape
    if n >= features:
        values, axes = torch.linalg.eigh(rows.T @ rows)
        return values.flip(0)[:rank], axes.flip(1)[:, :rank]
    values, left = torch.linalg.eigh(rows @ rows.T)
    kept = min(rank, n)
    start = torch.eye(features, rank).to(rows)
    start[:, :kept] = rows.T @ left.flip(1)[:, :kept]
    axes = torch.linalg.qr(start).Q
    return torch.nn.functional.pad(values.flip(0)[:kept], (0, rank - kept)), axes


def _less_chance(square: Tensor, ratio: float) -> Tensor:
    """Gives λ (r,) from sample eigenvalues ℓ = (1 + λ)(1 + γ / λ), γ = D / n; 0 below the edge."""
    middle = square + 1 - ratio
    root = (middle.square() - 4 * square).clamp_min(0).sqrt()
    found = (middle + root) / 2 - 1
    return torch.where(square > (1 + ratio**0.5) ** 2, found, 0).clamp_min(0)

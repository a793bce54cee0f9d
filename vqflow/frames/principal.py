"""Frames along principal axes, flat or bent: full covariance, for few dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.frames.base import FLOOR, Frame, Moments, chunks, moments, sum_by_chart

_MOST = 64
_MOST_BENT = 8


class PrincipalFrame(Frame):
    """x = b_k + Q_k diag(s_k) v with the principal axes Q_k, the widest first.

    With ``bend`` a chart is curved: v_i = q_i(v_1, ..., v_{i-1}) + t_i u_i with a quadratic
    q_i, so that charts follow a curve or surface to second order; a triangular map, whose
    log-determinant is that of its scales. Without it, v = u.

    Axes have two signs each: the one is taken that makes E[v_1² v_i] positive, so that all
    charts bend the same way. Scales are shrunk geometrically towards those of the other
    charts, axis by axis from the widest, as if ``shrinkage`` points had them: around a thin
    curve all charts are thin, and none thinner than its few points happen to lie. Bends are
    shrunk to flat likewise. Where no chart has more points than D + 1, all are flat and have
    the scales of the points of all charts together.

    Args:
        features: D.
        charts: K.
        bend: Whether charts are curved.
        shrinkage: Points that what all charts share counts for.
        train: Whether b, s and the bends are trained; Q stays. See
            :class:`~vqflow.frames.base.Frame`.

    Raises:
        ValueError: If there are too many dimensions for a full covariance, or for bends.
    """

    axes: Tensor
    triangle: Tensor
    bends: Tensor
    log_width: Tensor

    def __init__(
        self,
        features: int,
        charts: int,
        bend: bool = False,
        shrinkage: float = 4.0,
        train: bool = False,
    ) -> None:
        super().__init__(features, charts, train)
        limit = _MOST_BENT if bend else _MOST
        if features > limit:
            raise ValueError(
                f"covariance 'full'{' with bends' if bend else ''} is for at most {limit} "
                f"dimensions, and there are {features}; use 'diagonal' or 'low_rank'"
            )
        self.bend = bend
        self.shrinkage = shrinkage
        self.register_buffer("axes", torch.eye(features).repeat(charts, 1, 1))
        if bend:
            used = torch.tensor([terms(i) for i in range(features)])
            triangle = torch.arange(terms(features - 1)) < used[:, None]
            self.register_buffer("triangle", triangle, persistent=False)
            self._declare("bends", torch.zeros(charts, *triangle.shape))
            self._declare("log_width", torch.zeros(charts, features))

    @property
    def fitted_numbers(self) -> int:
        """How many numbers are fitted to the data: those of coordinates before each, of bends."""
        unused = int((~self.triangle).sum()) * self.charts if self.bend else 0
        return super().fitted_numbers - unused

    def inward(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (P, D) to u (P, D), with ladj (P,)."""
        relative = x - self.centre[charts]
        v = (relative[:, :, None] * self.axes[charts]).sum(1) * (-self.log_scale[charts]).exp()
        ladj = -self.log_scale.sum(1)[charts]
        if not self.bend:
            return v, ladj
        bends = self.bends * self.triangle
        shift = (bends[charts] * monomials(v[:, :-1])[:, None]).sum(2)
        return (v - shift) * (-self.log_width[charts]).exp(), ladj - self.log_width.sum(1)[charts]

    def outward(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, D) to x (P, D)."""
        v = self._unbend(u, charts) if self.bend else u
        scaled = self.log_scale[charts].exp() * v
        return self.centre[charts] + (self.axes[charts] * scaled[:, None]).sum(2)

    def _unbend(self, u: Tensor, charts: Tensor) -> Tensor:
        scaled = u * self.log_width[charts].exp()
        v = u[:, :0]
        for i, bend in enumerate(self.bends[charts].unbind(1)):
            shift = (bend[:, : terms(i)] * monomials(v)).sum(1)
            v = torch.cat([v, (scaled[:, i] + shift)[:, None]], dim=1)
        return v

    @torch.no_grad()
    def place(self, x: Tensor, charts: Tensor, weight: Tensor, bend: bool = True) -> None:
        """Sets centres, axes, scales and bends."""
        x = x.double()
        found = moments(x, charts, weight, self.charts)
        centred = x - found.mean[charts]
        products = _products(centred, charts, weight, self.charts)
        variance, axes = torch.linalg.eigh(products / found.mass.clamp_min(1e-300)[:, None, None])
        pooled = torch.linalg.eigvalsh(products.sum(0) / found.mass.sum())
        floor = FLOOR * x.var(0, correction=0).mean()
        log_variance = variance.flip(1).clamp_min(floor).log()
        if self._telling(found).any():
            log_variance = self._shrink(log_variance, found)
        else:
            log_variance = pooled.flip(0).clamp_min(floor).log().expand_as(log_variance)
        scale = (0.5 * log_variance).exp()
        axes = axes.flip(2)
        v = (centred[:, :, None] * axes[charts]).sum(1) / scale[charts]
        skew = sum_by_chart(v[:, :1].square() * v, charts, weight, self.charts)
        signs = torch.where(skew < 0, -1.0, 1.0).to(axes)
        self.centre.copy_(found.mean)
        self.axes.copy_(axes * signs[:, None])
        self.log_scale.copy_(scale.log())
        if self.bend:
            self.bends.zero_()
            self.log_width.zero_()
        if self.bend and bend and self._telling(found).any():
            self._place_bends(v * signs[charts], charts, weight, found)

    def _place_bends(self, v: Tensor, charts: Tensor, weight: Tensor, found: Moments) -> None:
        """Regresses each coordinate of v (P, D) on the monomials of those before it."""
        values = monomials(v[:, :-1])
        for i in range(self.features):
            given = values[:, : terms(i)]
            gram = sum_by_chart(given[:, :, None] * given[:, None, :], charts, weight, self.charts)
            target = sum_by_chart(given * v[:, i, None], charts, weight, self.charts)
            ridge = max(self.shrinkage, FLOOR) * torch.eye(terms(i)).to(gram)
            bend = torch.linalg.solve(gram + ridge, target)
            left = v[:, i] - (bend[charts] * given).sum(1)
            squares = sum_by_chart(left.square(), charts, weight, self.charts)
            variance = (squares / found.mass.clamp_min(1e-300)).clamp_min(FLOOR)
            log_variance = self._shrink(variance.log()[:, None], found)
            self.bends[:, i, : terms(i)] = bend.to(self.bends)
            self.log_width[:, i] = 0.5 * log_variance[:, 0].to(self.log_width)

    def _telling(self, found: Moments) -> Tensor:
        """Says which charts (K,) have more points than D + 1, and so span a volume."""
        return found.points > self.features + 1

    def _shrink(self, log_variance: Tensor, found: Moments) -> Tensor:
        """Averages each chart's (K, n) with the mean over charts, by their points.

        Charts that span no volume have no say.
        """
        points = torch.where(self._telling(found), found.points, 0)[:, None]
        mass = torch.where(points > 0, found.mass[:, None], 0)
        shared = (mass * log_variance).sum(0) / mass.sum()
        shrinkage = max(self.shrinkage, FLOOR)
        return (points * log_variance + shrinkage * shared) / (points + shrinkage)


def _products(centred: Tensor, charts: Tensor, weight: Tensor, count: int) -> Tensor:
    """Gives Σ w c cᵀ of each chart (K, D, D), reading the pairs by chunks."""
    features = centred.shape[1]
    total = centred.new_zeros(count, features, features)
    for part, chart, share in chunks(centred, charts, weight, features**2):
        products = part[:, :, None] * part[:, None, :]
        total += sum_by_chart(products, chart, share, count)
    return total


def terms(coordinates: int) -> int:
    """Gives the number of monomials of degree 2 or less."""
    return (coordinates + 1) * (coordinates + 2) // 2


def monomials(v: Tensor) -> Tensor:
    """Gives all monomials (P, M) of degree 2 or less of v (P, n).

    Those of the first i coordinates come before all others.
    """
    parts = [v.new_ones(len(v), 1)]
    for i in range(v.shape[1]):
        parts += [v[:, i : i + 1], v[:, i : i + 1] * v[:, : i + 1]]
    return torch.cat(parts, dim=1)

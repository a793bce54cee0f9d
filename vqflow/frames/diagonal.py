"""Frames along the axes of the data's space: a mean and a scale for each coordinate."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.frames.base import FLOOR, Frame, chunks, moments, sum_by_chart


class DiagonalFrame(Frame):
    """x = b_k + s_k * u, coordinate by coordinate; for images.

    A variance is that of the chart's points, averaged with the mean variance of all charts
    as if ``shrinkage`` points had it, so that a pixel which is black in all of a chart's
    few images gets no thin scale.

    Args:
        features: D.
        charts: K.
        shrinkage: Points that the charts' mean variance counts for.
        train: See :class:`~vqflow.frames.base.Frame`.
    """

    def __init__(
        self, features: int, charts: int, shrinkage: float = 100.0, train: bool = False
    ) -> None:
        super().__init__(features, charts, train)
        self.shrinkage = shrinkage

    def inward(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (P, D) to u (P, D), with ladj (P,)."""
        log_scale = self.log_scale[charts]
        return (x - self.centre[charts]) * (-log_scale).exp(), -log_scale.sum(1)

    def outward(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, D) to x (P, D)."""
        return self.centre[charts] + self.log_scale[charts].exp() * u

    @torch.no_grad()
    def place(self, x: Tensor, charts: Tensor, weight: Tensor, bend: bool = True) -> None:
        """Sets means and scales."""
        found = moments(x, charts, weight, self.charts)
        variance = shrunk_variance(x, charts, weight, found.mean, self.shrinkage)
        self.centre.copy_(found.mean)
        self.log_scale.copy_(0.5 * variance.log())


def shrunk_variance(
    x: Tensor, charts: Tensor, weight: Tensor, mean: Tensor, shrinkage: float
) -> Tensor:
    """Gives each chart's variances (K, D), averaged with those that all charts share.

    Args:
        x: Points (P, D).
        charts: Their charts (P,).
        weight: Their weights (P,).
        mean: The charts' means (K, D).
        shrinkage: Points that the shared variances count for.
    """
    squares = torch.zeros_like(mean)
    for part, chart, share in chunks(x, charts, weight):
        squares += sum_by_chart((part - mean[chart]).square(), chart, share, len(mean))
    mass = weight.new_zeros(len(mean)).index_add(0, charts, weight)[:, None]
    shared = squares.sum(0) / mass.sum()
    floor = FLOOR * x.var(0, correction=0).mean()
    own = (squares + shrinkage * shared) / (mass + shrinkage).clamp_min(1e-300)
    return torch.where(mass + shrinkage > 0, own, shared).clamp_min(floor)

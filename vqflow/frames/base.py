"""What every frame is: a bijection of R^D for each chart, with its log-determinant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_CHUNK_ELEMENTS = 2**22

FLOOR = 1e-8
"""Least variance, as a share of the data's own."""


class Frame(nn.Module, ABC):
    """Coordinates u of its own for each chart, in which its points look standard normal.

    Args:
        features: D.
        charts: K.
        train: Whether centres and scales are trained with the flow, from the start that
            :meth:`place` gives; they stay there otherwise.
    """

    centre: Tensor
    log_scale: Tensor
    bend = False

    def __init__(self, features: int, charts: int, train: bool = False) -> None:
        super().__init__()
        self.features = features
        self.charts = charts
        self.train_with_flow = train
        self._declare("centre", torch.zeros(charts, features))
        self._declare("log_scale", torch.zeros(charts, features))

    def _declare(self, name: str, value: Tensor) -> None:
        """Adds numbers that are trained with the flow, or not."""
        if self.train_with_flow:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    @property
    def fitted_numbers(self) -> int:
        """How many numbers are fitted to the data, trained or not."""
        return sum(value.numel() for value in self.state_dict().values())

    @abstractmethod
    def inward(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Maps points x (P, D) on charts (P,) to u (P, D), with ladj (P,)."""

    @abstractmethod
    def outward(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, D) on charts (P,) to x (P, D); inverse of :meth:`inward`."""

    @abstractmethod
    def place(self, x: Tensor, charts: Tensor, weight: Tensor, bend: bool = True) -> None:
        """Sets the frames in closed form from weighted pairs of points and charts.

        Args:
            x: Points (P, D), of any precision; sums are in float64.
            charts: Their charts (P,).
            weight: Weights (P,) float64, 0 or more.
            bend: Whether frames that can be curved are, or stay flat.
        """


@dataclass(frozen=True)
class Moments:
    """What K charts weigh, float64.

    Attributes:
        mass: Sums of the weights (K,).
        points: Effective numbers of points (K,): (Σ w)² / Σ w².
        mean: Weighted means (K, D); the mean of all where a chart weighs nothing.
    """

    mass: Tensor
    points: Tensor
    mean: Tensor

    @property
    def share(self) -> Tensor:
        """The charts' shares of the whole weight (K,)."""
        return self.mass / self.mass.sum()


def moments(x: Tensor, charts: Tensor, weight: Tensor, count: int) -> Moments:
    """Sums up weighted points x (P, D) of K charts (P,)."""
    mass = weight.new_zeros(count).index_add(0, charts, weight)
    squares = weight.new_zeros(count).index_add(0, charts, weight.square())
    points = torch.where(mass > 0, mass.square() / squares.clamp_min(1e-300), 0)
    sums = weight.new_zeros(count, x.shape[1])
    for part, chart, share in chunks(x, charts, weight):
        sums += sum_by_chart(part, chart, share, count)
    mean = torch.where(
        mass[:, None] > 0, sums / mass.clamp_min(1e-300)[:, None], sums.sum(0) / mass.sum()
    )
    return Moments(mass, points, mean)


def chunks(
    x: Tensor, charts: Tensor, weight: Tensor, columns: int | None = None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Gives the pairs by parts of bounded memory, points in float64.

    Args:
        x: Points (P, D).
        charts: Their charts (P,).
        weight: Their weights (P,).
        columns: Numbers that are made of each pair; D if not given.
    """
    size = max(1, _CHUNK_ELEMENTS // max(1, columns or x.shape[1]))
    for part, chart, share in zip(*(v.split(size) for v in (x, charts, weight)), strict=True):
        yield part.double(), chart, share


def sum_by_chart(values: Tensor, charts: Tensor, weight: Tensor, count: int) -> Tensor:
    """Gives Σ w v over each chart's pairs: values (P, ...), charts and weight (P,) -> (K, ...)."""
    weighted = weight.view(-1, *[1] * (values.dim() - 1)) * values
    return weighted.new_zeros(count, *values.shape[1:]).index_add(0, charts, weighted)

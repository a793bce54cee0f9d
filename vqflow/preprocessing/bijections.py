"""Bijections that data go through before the flow, each with its log-determinant."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MIN_ALPHA = 1e-6


class Logit(nn.Module):
    """The map y = logit(α + (1 - 2α) x) of pixels x in [0, 1] (Dinh et al. 2017, section 4.1).

    Args:
        alpha: α, from 1e-6 up to, but not including, 0.5.

    Raises:
        ValueError: If α is out of its range.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        if not MIN_ALPHA <= alpha < 0.5:
            raise ValueError(f"logit: alpha is {alpha}, allowed: from {MIN_ALPHA} to below 0.5")
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (N, D) to y (N, D) and ladj (N,); steep but finite beyond [0, 1]."""
        tiny = torch.finfo(x.dtype).tiny
        slope = 1 - 2 * self.alpha
        log_p = (self.alpha + slope * x).clamp_min(tiny).log()
        log_q = (self.alpha + slope * (1 - x)).clamp_min(tiny).log()
        per_pixel = torch.log(torch.tensor(slope, dtype=x.dtype, device=x.device)) - log_p - log_q
        return log_p - log_q, per_pixel.sum(dim=-1)

    def inverse(self, y: Tensor) -> Tensor:
        """Maps y (N, D) to x (N, D), from -α / (1 - 2α) to 1 + α / (1 - 2α)."""
        return (torch.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)


class Standardise(nn.Module):
    """The map y = (x - shift) / scale, coordinate by coordinate; the identity until it is set.

    Args:
        features: D, the number of coordinates.

    Attributes:
        shift: (D,) buffer.
        scale: (D,) buffer, positive.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (N, D) to y (N, D) and ladj (N,)."""
        ladj = -self.scale.log().sum()
        return (x - self.shift) / self.scale, ladj.expand(x.shape[:-1])

    def inverse(self, y: Tensor) -> Tensor:
        """Maps y (N, D) to x (N, D)."""
        return y * self.scale + self.shift

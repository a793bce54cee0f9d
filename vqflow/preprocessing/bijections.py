"""Bijections of the catalogue: logit of pixels, and standardising with and without correlations."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.config.limits import NotNegative, Positive
from vqflow.preprocessing.base import Bijection

MIN_ALPHA = 1e-6

_CHUNK = 4096


class Logit(Bijection):
    """The map y = logit(α + (1 - 2α) x) of pixels x in [0, 1] (Dinh et al. 2017, section 4.1).

    Args:
        features: D, the number of pixels.
        alpha: α, from 1e-6 up to, but not including, 0.5.

    Raises:
        ValueError: If α is out of its range.
    """

    unit_interval = True

    def __init__(self, features: int, alpha: Positive) -> None:
        super().__init__(features)
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


class Standardise(Bijection):
    """The map y = (x - shift) / scale, coordinate by coordinate; the identity until it is fitted.

    Args:
        features: D, the number of coordinates.
        min_scale: Least scale of a coordinate. Pixels that are black in nearly all images have
            a tiny standard deviation, by which an image with a stroke there would be put some
            hundred units out.

    Attributes:
        shift: (D,) buffer.
        scale: (D,) buffer, positive.

    Raises:
        ValueError: If the least scale is negative.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, features: int, min_scale: NotNegative = 0.0) -> None:
        super().__init__(features)
        self.min_scale = _checked(min_scale)
        self.register_buffer("shift", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def fit(self, x: Tensor) -> None:
        """Sets shift and scale to mean and standard deviation; constant coordinates get scale 1."""
        centre = x[:_CHUNK].mean(dim=0)
        total, squares = torch.zeros_like(centre), torch.zeros_like(centre)
        constant = torch.ones_like(centre, dtype=torch.bool)
        for chunk in x.split(_CHUNK):
            constant &= (chunk == x[0]).all(dim=0)
            total += (chunk - centre).sum(dim=0)
            squares += (chunk - centre).square().sum(dim=0)
        offset = total / len(x)
        scale = (squares / len(x) - offset.square()).clamp_min(0).sqrt()
        scale = torch.where(constant | (scale == 0), 1.0, scale)
        self.shift.copy_(centre + offset)
        self.scale.copy_(scale.clamp_min(self.min_scale))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (N, D) to y (N, D) and ladj (N,)."""
        ladj = -self.scale.log().sum()
        return (x - self.shift) / self.scale, ladj.expand(x.shape[:-1])

    def inverse(self, y: Tensor) -> Tensor:
        """Maps y (N, D) to x (N, D)."""
        return y * self.scale + self.shift


class Whiten(Bijection):
    """The map x = shift + L y with L Lᵀ the covariance, L lower triangular.

    Standardises and takes correlations away; the identity until it is fitted.

    Args:
        features: D, the number of coordinates.
        min_scale: Least standard deviation along any axis, as of :class:`Standardise`.

    Attributes:
        shift: (D,) buffer.
        root: L (D, D) buffer, with a positive diagonal.

    Raises:
        ValueError: If the least scale is negative.
    """

    shift: Tensor
    root: Tensor

    def __init__(self, features: int, min_scale: NotNegative = 0.0) -> None:
        super().__init__(features)
        self.min_scale = _checked(min_scale)
        self.register_buffer("shift", torch.zeros(features))
        self.register_buffer("root", torch.eye(features))

    def fit(self, x: Tensor) -> None:
        """Sets mean and covariance; axes along which the points do not vary get scale 1.

        Such are those whose standard deviation is lost in float32 beside the largest.
        """
        shift = x.mean(dim=0)
        covariance = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype)
        for chunk in x.split(_CHUNK):
            covariance += (chunk - shift).T @ (chunk - shift)
        variances, axes = torch.linalg.eigh(covariance / len(x))
        scales = variances.clamp_min(0).sqrt()
        lost = scales <= torch.finfo(torch.float32).eps * x.shape[1] * scales.max()
        scales = torch.where(lost, 1.0, scales).clamp_min(self.min_scale)
        upper = torch.linalg.qr((axes * scales).T).R  # so that upperᵀ upper is the covariance
        self.shift.copy_(shift)
        self.root.copy_((upper * upper.diagonal().sign()[:, None]).T)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (N, D) to y (N, D) and ladj (N,)."""
        centred = x - self.shift
        root = self.root.to(centred.dtype)
        y = torch.linalg.solve_triangular(root.T, centred, upper=True, left=False)
        return y, (-root.diagonal().log().sum()).expand(x.shape[:-1])

    def inverse(self, y: Tensor) -> Tensor:
        """Maps y (N, D) to x (N, D)."""
        return y @ self.root.to(y.dtype).T + self.shift


def _checked(min_scale: float) -> float:
    if min_scale < 0:
        raise ValueError(f"min_scale is {min_scale}, allowed: 0 or more")
    return min_scale

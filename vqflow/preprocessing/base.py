"""The bijection between the space of the data and the space that charts and flows see.

Images: dequantised to [0, 1), optionally through a logit, then standardised. Vectors:
standardised. Log-densities stay those of the data space, because each step gives its ladj.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from vqflow.datasets.base import Array, DataSpec
from vqflow.preprocessing.bijections import Logit, Standardise

CHUNK = 4096


class Preprocessing(nn.Module):
    """Dequantisation of images, and the bijection from data space to model space.

    Args:
        spec: What the data are.
        logit: α of :class:`Logit` for images; ``None`` for none.
        standardise: Whether :meth:`fit` sets shift and scale from the training split.
        min_scale: Least scale of a coordinate. Pixels that are black in nearly all images have
            a tiny standard deviation, by which an image with a stroke there would be put some
            hundred units out.

    Raises:
        ValueError: If a logit is asked for on data that are no images, α is out of range, or
            the least scale is negative or hides every pixel's own.
    """

    def __init__(
        self,
        spec: DataSpec,
        logit: float | None = None,
        standardise: bool = True,
        min_scale: float = 0.0,
    ) -> None:
        super().__init__()
        if logit is not None and spec.levels is None:
            raise ValueError(
                f"preprocessing: logit is {logit} for data set '{spec.name}' of kind "
                f"'{spec.kind}', allowed: null, or a data set of images"
            )
        if min_scale < 0:
            raise ValueError(f"preprocessing: min_scale is {min_scale}, allowed: 0 or more")
        if spec.levels is not None and logit is None and standardise and min_scale > 0.5:
            raise ValueError(
                f"preprocessing: min_scale is {min_scale} for pixels in [0, 1), whose standard "
                "deviation is at most 0.5; allowed without a logit: 0 to 0.5"
            )
        self.levels = spec.levels
        self.min_scale = min_scale
        self.logit = None if logit is None else Logit(logit)
        self.standardise = Standardise(spec.features)
        self.fits = standardise

    def fit(self, points: Array, seed: int) -> None:
        """Sets shift and scale to the mean and standard deviation of the training split.

        Images are dequantised first. Constant coordinates get scale 1, and none less than
        ``min_scale``.

        Args:
            points: The training split, (N, D) float64, or uint8 for images.
            seed: Seed of the dequantisation noise.
        """
        if not self.fits:
            return
        shift, scale = self._moments(torch.as_tensor(points), torch.Generator().manual_seed(seed))
        self.standardise.shift.copy_(shift)
        self.standardise.scale.copy_(scale.clamp_min(self.min_scale))

    def _moments(self, points: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Gives the mean (D,) and standard deviation (D,) in float64, reading N by chunks."""
        first = self._to_logits(points[:CHUNK], generator)
        centre = first.mean(dim=0)
        total, squares = torch.zeros_like(centre), torch.zeros_like(centre)
        constant = torch.ones_like(centre, dtype=torch.bool)
        rest = range(CHUNK, len(points), CHUNK)
        others = (self._to_logits(points[begin : begin + CHUNK], generator) for begin in rest)
        for chunk in itertools.chain([first], others):
            constant &= (chunk == first[0]).all(dim=0)
            total += (chunk - centre).sum(dim=0)
            squares += (chunk - centre).square().sum(dim=0)
        offset = total / len(points)
        scale = (squares / len(points) - offset.square()).clamp_min(0).sqrt()
        return centre + offset, torch.where(constant | (scale == 0), 1.0, scale)

    def _to_logits(self, points: Tensor, generator: torch.Generator) -> Tensor:
        x = self._dequantise(points, torch.float64, torch.device("cpu"), generator)
        return x if self.logit is None else self.logit(x)[0]

    def dequantise(self, points: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps the points of a split to data space.

        Args:
            points: (N, D) float, or uint8 for images.
            generator: Source of the noise; PyTorch's global one if ``None``.

        Returns:
            (N, D) in the dtype and on the device of the buffers: for images (v + u) / levels
            with u uniform on [0, 1), kept by rounding's width from the ends so that
            :meth:`quantise` always gives v back; for vectors the points.

        Raises:
            ValueError: If the points of images are not uint8.
        """
        shift = self.standardise.shift
        return self._dequantise(points, shift.dtype, shift.device, generator)

    def _dequantise(
        self,
        points: Tensor,
        dtype: torch.dtype,
        device: torch.device,
        generator: torch.Generator | None,
    ) -> Tensor:
        if self.levels is None:
            return points.to(device, dtype)
        if points.dtype != torch.uint8:
            raise ValueError(f"dequantise: got {points.dtype}, expected pixels as torch.uint8")
        source = device if generator is None else generator.device
        noise = torch.rand(points.shape, generator=generator, dtype=dtype, device=source)
        margin = 2 * self.levels * torch.finfo(dtype).eps
        noise = noise.to(device).clamp(margin, 1 - margin)
        return (points.to(device, dtype) + noise) / self.levels

    def quantise(self, x: Tensor) -> Tensor:
        """Maps data space (N, D) to pixels (N, D) uint8, 0 to levels - 1; vectors unchanged."""
        if self.levels is None:
            return x
        return quantise(x, self.levels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps data space x (N, D) to model space y (N, D), with ladj (N,)."""
        logits, first = (x, x.new_zeros(x.shape[:-1])) if self.logit is None else self.logit(x)
        y, second = self.standardise(logits)
        return y, first + second

    def inverse(self, y: Tensor) -> Tensor:
        """Maps model space y (N, D) to data space x (N, D)."""
        x = self.standardise.inverse(y)
        return x if self.logit is None else self.logit.inverse(x)


def quantise(x: Tensor, levels: int) -> Tensor:
    """Maps x (N, D) in [0, 1) to the pixels (N, D) uint8 that it was dequantised from."""
    return (x * levels).floor().clamp(0, levels - 1).to(torch.uint8)

"""The way from the space of the data to the space that charts and flows see.

Images are dequantised to [0, 1); then come the bijections of the data set's entry.
Log-densities stay those of the data space, because each bijection gives its ladj.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from vqflow.datasets.base import Array, DataSpec
from vqflow.preprocessing.base import Bijection
from vqflow.preprocessing.bijections import Standardise

_CHUNK = 4096
_LARGEST_DEVIATION = 0.5  # of pixels in [0, 1)


class Preprocessing(nn.Module):
    """Dequantisation of images, and bijections from data space to model space.

    Args:
        spec: What the data are.
        steps: The bijections, first to last; none is the identity.

    Raises:
        ValueError: If a bijection needs pixels and does not get them, or a least scale hides
            every pixel's own.
    """

    _like: Tensor

    def __init__(self, spec: DataSpec, steps: Sequence[Bijection] = ()) -> None:
        super().__init__()
        for number, step in enumerate(steps):
            place, name = _place(spec, number), type(step).__name__
            if step.unit_interval and (spec.levels is None or number > 0):
                raise ValueError(
                    f"{place}: {name} maps pixels in [0, 1]: it goes first, and for images only; "
                    f"the data are of kind '{spec.kind}'"
                )
            least = step.min_scale if isinstance(step, Standardise) else 0.0
            if spec.levels is not None and number == 0 and least > _LARGEST_DEVIATION:
                raise ValueError(
                    f"{place}: min_scale is {least} for pixels in [0, 1), whose standard "
                    "deviation is at most 0.5; allowed without a logit before: 0 to 0.5"
                )
        self.spec = spec
        self.levels = spec.levels
        self.steps = cast("Sequence[Bijection]", nn.ModuleList(steps))
        self.register_buffer("_like", torch.zeros(()), persistent=False)

    @property
    def like(self) -> Tensor:
        """A number of the type and on the device of the points."""
        return self._like

    @property
    def is_identity(self) -> bool:
        """Whether the model sees the data as they are."""
        return len(self.steps) == 0

    @torch.no_grad()
    def fit(self, points: Array, seed: int) -> None:
        """Fits each bijection on the training split, as those before it leave it.

        Images are dequantised first.

        Args:
            points: The training split, (N, D) float64, or uint8 for images.
            seed: Seed of the dequantisation noise.

        Raises:
            ValueError: If a bijection gives something that is not finite.
        """
        if self.is_identity:
            return
        generator = torch.Generator().manual_seed(seed)
        cpu = torch.device("cpu")
        chunks = torch.as_tensor(points).split(_CHUNK)
        x = torch.cat([self._dequantise(part, torch.float64, cpu, generator) for part in chunks])
        for number, step in enumerate(self.steps):
            step.fit(x)
            x = torch.cat([step(part)[0] for part in x.split(_CHUNK)])
            bad = int((~x.isfinite()).any(1).sum())
            if bad:
                raise ValueError(
                    f"{_place(self.spec, number)}: {type(step).__name__} gives values that are not "
                    f"finite on {bad} of {len(x)} training points"
                )

    def dequantise(self, points: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Maps the points of a split to data space.

        Args:
            points: (N, D) float, or uint8 for images.
            generator: Source of the noise; PyTorch's global one if ``None``.

        Returns:
            (N, D) in the dtype and on the device of the module: for images (v + u) / levels
            with u uniform on [0, 1), kept by rounding's width from the ends so that
            :meth:`quantise` always gives v back; for vectors the points.

        Raises:
            ValueError: If the points of images are not uint8.
        """
        return self._dequantise(points, self._like.dtype, self._like.device, generator)

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
        total = x.new_zeros(x.shape[:-1])
        for step in self.steps:
            x, ladj = step(x)
            total = total + ladj
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        """Maps model space y (N, D) to data space x (N, D)."""
        for step in reversed(self.steps):
            y = step.inverse(y)
        return y


def quantise(x: Tensor, levels: int) -> Tensor:
    """Maps x (N, D) in [0, 1) to the pixels (N, D) uint8 that it was dequantised from."""
    return (x * levels).floor().clamp(0, levels - 1).to(torch.uint8)


def _place(spec: DataSpec, number: int) -> str:
    return f"datasets.{spec.name}.preprocess.{number}"

"""RealNVP as it is meant for images: convolutional couplings over several scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from zuko.distributions import DiagNormal
from zuko.lazy import Flow, LazyTransform, UnconditionalDistribution
from zuko.transforms import (
    CouplingTransform,
    DependentTransform,
    MonotonicAffineTransform,
    Transform,
)

from vqflow.config.limits import Count, NumberOrZero

_SQUEEZED = ((0, 0), (1, 1), (0, 1), (1, 0))
"""The pixels of a 2 x 2 block in the order of their channels: each half is a diagonal."""


class MultiScaleRealNVP(Flow):
    """The multi-scale architecture of Dinh et al. 2017 (section 3.6), conditional on the code.

    At each scale but the last: three couplings with checkerboard masks, a squeeze of 2 x 2
    pixels into channels, three couplings with channel masks (which part each block by rows,
    so that they repeat no checkerboard), after which half of the channels, a diagonal of each
    block, is factored out. At the last: four couplings with checkerboard masks. Points stay
    flat, (P, d): a squeeze names pixels anew and moves none, and what is factored out goes to
    the noise as it is. Simpler than the paper's: networks of one width at all scales, without
    batch or weight normalisation; couplings start as the identity, and their scales
    are bounded.

    Args:
        features: d, the number of channels times height times width.
        context: C, the width of the chart code.
        shape: The images' channels, height and width; supplied where they are the data.
        scales: Number of scales, 1 or more.
        channels: Width of the convolutional networks.
        blocks: Residual blocks in each.
        slope: A coupling scales a pixel by this at least, and by its inverse at most.

    Raises:
        ValueError: If ``shape`` does not make ``features``, cannot be halved so often or ends
            at a single pixel, or a number is out of its range.
    """

    def __init__(
        self,
        features: int,
        context: int = 0,
        *,
        shape: Sequence[int],
        scales: Count = 3,
        channels: Count = 32,
        blocks: NumberOrZero = 2,
        slope: float = 0.1,
    ) -> None:
        if len(shape) != 3 or math.prod(shape) != features:
            raise ValueError(
                f"shape is {list(shape)}; allowed: channels, height and width that make {features}"
            )
        if min(scales, channels) < 1 or blocks < 0:
            raise ValueError(
                f"scales, channels, blocks: got {scales}, {channels}, {blocks}; "
                "allowed: 1 or more, 1 or more, 0 or more"
            )
        if not 0 < slope < 1:
            raise ValueError(f"slope is {slope}; allowed: between 0 and 1")
        smallest = 2 ** (scales - 1)
        if any(length % smallest for length in shape[1:]) or math.prod(shape[1:]) == smallest**2:
            raise ValueError(
                f"scales is {scales}; height and width {list(shape[1:])} cannot be halved "
                f"{scales - 1} times to more than a pixel"
            )
        size = (context, channels, blocks, slope)
        pixels = torch.arange(features).view(*shape)
        layers: list[LazyTransform] = []
        for _ in range(scales - 1):
            layers += [
                ConvolutionalCoupling(features, pixels, _checkerboard(pixels, turn), *size)
                for turn in range(3)
            ]
            pixels = squeeze(pixels)
            layers += [
                ConvolutionalCoupling(features, pixels, _rows(pixels, turn), *size)
                for turn in range(3)
            ]
            pixels = pixels[: len(pixels) // 2]
        layers += [
            ConvolutionalCoupling(features, pixels, _checkerboard(pixels, turn), *size)
            for turn in range(4)
        ]
        base = UnconditionalDistribution(
            DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
        )
        super().__init__(layers, base)


class ConvolutionalCoupling(LazyTransform):
    """An affine coupling that changes some pixels of an image, as a network of the others says.

    Args:
        features: d.
        pixels: The image, as the positions of its values among the features (c, h, w).
        changed: Which of them are changed (c, h, w); the others are read.
        context: C, the width of the chart code.
        channels: Width of the network.
        blocks: Its residual blocks.
        slope: Least scale, and the inverse of the largest.
    """

    kept: Tensor
    changed: Tensor
    read: Tensor
    written: Tensor
    places: Tensor

    def __init__(
        self,
        features: int,
        pixels: Tensor,
        changed: Tensor,
        context: int,
        channels: int,
        blocks: int,
        slope: float,
    ) -> None:
        super().__init__()
        self.slope = slope
        self.shape = tuple(pixels.shape)
        cells, changes = pixels.flatten(), changed.flatten()
        mask = torch.ones(features, dtype=torch.bool)
        mask[cells[changes]] = False
        self.register_buffer("kept", mask.nonzero()[:, 0])
        self.register_buffer("changed", (~mask).nonzero()[:, 0])
        self.register_buffer("places", (mask.cumsum(0) - 1)[cells[~changes]])
        self.register_buffer("read", (~changes).nonzero()[:, 0])
        self.register_buffer("written", changes.nonzero()[cells[changes].argsort(), 0])
        self.enter = nn.Conv2d(self.shape[0], channels, 3, padding=1)
        self.code = nn.Linear(context, channels, bias=False) if context else None
        self.body = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.leave = nn.Conv2d(channels, 2 * self.shape[0], 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, c: Tensor | None = None) -> Transform:
        """Gives the coupling on charts with codes c (P, C)."""
        return _Coupling(lambda x: self._affine(x, c), self.kept, self.changed)

    def _affine(self, kept: Tensor, code: Tensor | None) -> Transform:
        flat = kept.new_zeros(len(kept), math.prod(self.shape))
        image = flat.index_copy(1, self.read, kept[:, self.places]).view(-1, *self.shape)
        # a fifth faster on a CPU
        hidden = self.enter(image).contiguous(memory_format=torch.channels_last)
        if self.code is not None:
            hidden = hidden + self.code(code)[:, :, None, None]
        out = self.leave(nn.functional.relu(self.body(hidden)))
        shift, scale = out.flatten(2).unflatten(1, (2, -1)).flatten(2)[:, :, self.written].unbind(1)
        return DependentTransform(MonotonicAffineTransform(shift, scale, slope=self.slope), 1)


class _Coupling(CouplingTransform):
    """A coupling whose sides are known, so that the device is asked nothing."""

    def __init__(self, meta: Callable[[Tensor], Transform], kept: Tensor, changed: Tensor) -> None:
        Transform.__init__(self)
        self.meta, self.idx_a, self.idx_b = meta, kept, changed


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        deeper: Tensor = self.layers(x)
        return x + deeper


def squeeze(pixels: Tensor) -> Tensor:
    """Turns each 2 x 2 block into channels: (c, h, w) to (4 c, h / 2, w / 2)."""
    return torch.cat([pixels[:, row::2, column::2] for row, column in _SQUEEZED])


def _checkerboard(pixels: Tensor, turn: int) -> Tensor:
    _, height, width = pixels.shape
    sums = torch.arange(height)[:, None] + torch.arange(width)
    return ((sums + turn) % 2 == 0).expand(pixels.shape)


def _rows(pixels: Tensor, turn: int) -> Tensor:
    """Marks the upper or the lower row of each block that was squeezed into channels."""
    place = torch.arange(len(pixels)) // (len(pixels) // 4)
    upper = torch.tensor([row == 0 for row, _ in _SQUEEZED])[place]
    return (upper == (turn % 2 == 0))[:, None, None].expand(pixels.shape)

"""Encoder and decoder of the auto-encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from vqflow.datasets.base import DataSpec


def encoder_network(spec: DataSpec, code_dim: int, hidden: Sequence[int]) -> nn.Module:
    """Builds E: feed-forward for vectors, two strided convolutions for images.

    Args:
        spec: What the data look like.
        code_dim: C, the width of the code.
        hidden: Widths of the hidden layers; for images the two numbers of channels.
    """
    if spec.kind == "vector":
        return _feed_forward([spec.features, *hidden, code_dim])
    first, second = hidden
    channels, *size = spec.shape
    return nn.Sequential(
        nn.Unflatten(1, spec.shape),
        nn.Conv2d(channels, first, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(second * _area(_halved(_halved(size))), code_dim),
    )


def decoder_network(spec: DataSpec, code_dim: int, hidden: Sequence[int]) -> nn.Module:
    """Builds D, the mirror of :func:`encoder_network`."""
    if spec.kind == "vector":
        return _feed_forward([code_dim, *reversed(hidden), spec.features])
    first, second = hidden
    channels, *size = spec.shape
    half, quarter = _halved(size), _halved(_halved(size))
    return nn.Sequential(
        nn.Linear(code_dim, second * _area(quarter)),
        nn.SiLU(),
        nn.Unflatten(1, (second, *quarter)),
        nn.Upsample(size=tuple(half)),
        nn.Conv2d(second, first, 3, padding=1),
        nn.SiLU(),
        nn.Upsample(size=tuple(size)),
        nn.Conv2d(first, channels, 3, padding=1),
        nn.Flatten(),
    )


def _feed_forward(widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(before, after), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def _halved(size: Sequence[int]) -> list[int]:
    return [(length + 1) // 2 for length in size]


def _area(size: Sequence[int]) -> int:
    return size[0] * size[1]

"""Steps of the incremental inverse in numpy, for the CPU: rows are short, and its calls cheap."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from zuko.transforms import MonotonicAffineTransform

Array = NDArray[Any]


def _relu(x: Array, out: Array) -> None:
    np.maximum(x, 0, out=out)


def _silu(x: Array, out: Array) -> None:
    np.divide(x, 1 + np.exp(-x), out=out)


UFUNCS: Mapping[type[nn.Module], Callable[..., object]] = {
    nn.ReLU: _relu,
    nn.SiLU: _silu,
    nn.Tanh: np.tanh,
}
"""Activations without parameters, as functions of an array and the one that they fill."""


def as_array(values: Tensor) -> Array | None:
    """Gives a tensor's memory as an array; ``None`` on a GPU, or for types numpy has not."""
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return None
    array: Array = values.detach().numpy()
    return array


def affine_slope(univariate: Callable[..., Any]) -> float | None:
    """Gives the slope of zuko's affine transformation; ``None`` for any other."""
    plain = isinstance(univariate, functools.partial) and not univariate.args
    kind = univariate.func if isinstance(univariate, functools.partial) and plain else univariate
    if kind is not MonotonicAffineTransform:
        return None
    given = univariate.keywords if isinstance(univariate, functools.partial) else {}
    if not set(given) <= {"slope"}:
        return None
    slope: float = given.get(
        "slope", signature(MonotonicAffineTransform).parameters["slope"].default
    )
    return slope


def invert_affine(parameters: Array, y: Array, slope: float, out: Array) -> None:
    """Inverts zuko's affine transformation.

    Args:
        parameters: (F · 2, N) shift and unconstrained scale of each of F features.
        y: (F, N).
        slope: Its least slope.
        out: (F, N), which x is written to.
    """
    shift, scale = parameters[::2], parameters[1::2]
    bound = np.abs(scale / math.log(slope))
    bound += 1
    np.exp(scale / bound, out=bound)
    np.subtract(y, shift, out=out)
    out /= bound

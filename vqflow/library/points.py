"""Arrays that come in and go out, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqflow.datasets.spread import spread_faults

Points = TypeVar("Points", NDArray[Any], Tensor)
"""Points as the user has them: the same kind comes out."""


@dataclass(frozen=True)
class Kind:
    """What kind of array values are given back as.

    Attributes:
        package: ``"numpy"`` or ``"torch"``.
        dtype: Such as ``"float32"``.
        device: Of torch's tensors; numpy's are on the CPU.
    """

    package: str = "numpy"
    dtype: str = "float32"
    device: str = "cpu"

    @classmethod
    def of(cls, points: NDArray[Any] | Tensor) -> Kind:
        """Gives the kind of an array."""
        if isinstance(points, Tensor):
            return cls("torch", str(points.dtype).removeprefix("torch."), str(points.device))
        return cls("numpy", str(points.dtype))

    def give(self, values: Tensor) -> Any:
        """Gives values as an array of this kind."""
        values = values.detach()
        if self.package == "numpy":
            return values.cpu().numpy().astype(self.dtype)
        return values.to(self.device, getattr(torch, self.dtype))


def read_points(points: NDArray[Any] | Tensor, name: str, features: int | None = None) -> Tensor:
    """Gives points (N, D) as a tensor of their own precision and device, checked.

    Args:
        points: A numpy array or a torch tensor.
        name: What the user calls it, for error messages.
        features: D, where it is known.

    Raises:
        TypeError: If it is no array of floating-point numbers.
        ValueError: If its shape is not (N, D) with N, D > 0, or a value is not finite.
    """
    if not isinstance(points, (np.ndarray, Tensor)):
        raise TypeError(
            f"{name} is a {type(points).__name__}; needed: a numpy array or torch tensor (N, D)"
        )
    floating = (
        points.is_floating_point() if isinstance(points, Tensor) else points.dtype.kind == "f"
    )
    if not floating:
        cast = ".double()" if isinstance(points, Tensor) else ".astype(float)"
        raise TypeError(
            f"{name} is of {points.dtype}; needed: floating-point numbers, such as {name}{cast}"
        )
    shape = tuple(points.shape)
    if len(shape) != 2 or 0 in shape or features not in (None, shape[1]):
        hint = f"; for one column: {name}[:, None]" if len(shape) == 1 else ""
        raise ValueError(f"{name} is of shape {shape}; needed: (N, {features or 'D'}){hint}")
    x = points.detach() if isinstance(points, Tensor) else _as_tensor(points)
    bad = int((~x.float().isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"{name} has {bad} of {len(x)} rows with NaN, or values beyond float32")
    return x


def _as_tensor(points: NDArray[Any]) -> Tensor:
    """Shares memory where torch can: not with extended precision, nor foreign byte orders."""
    if points.dtype not in (np.float16, np.float32, np.float64) or not points.dtype.isnative:
        points = points.astype(np.float64)
    return torch.as_tensor(np.ascontiguousarray(points))


def check_spread(x: NDArray[Any], name: str) -> None:
    """Refuses columns that have no density in float32.

    Args:
        x: The points that the model is fitted to (N, D).
        name: What the user calls them.

    Raises:
        ValueError: If a column is constant, or nearly so at the size of its values.
    """
    if faults := spread_faults(x, name):
        raise ValueError(faults[0])

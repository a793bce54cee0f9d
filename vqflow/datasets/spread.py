"""What keeps vectors from having a density in single precision, which models work in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqflow.datasets.base import Data

_LARGEST = float(np.finfo(np.float32).max)
_LEAST_SPREAD = 1e-4  # of float32's 7 digits, 3 are left to the spread


def check_points(data: Data) -> list[str]:
    """Says what is doubtful in the points of a data set; nothing of images, which get noise.

    Args:
        data: The data set.

    Returns:
        A line for columns that are constant, and one for those that are nearly so.

    Raises:
        ValueError: If values are beyond single precision, or all training points equal in it.
    """
    if data.spec.levels is not None:
        return []
    place = f"datasets.{data.spec.name}"
    largest = max(float(np.abs(points).max()) for points in data.points.values())
    if largest > _LARGEST:
        raise ValueError(
            f"{place}: values to {largest:.3g}, but models work in single precision; allowed: to "
            f"{_LARGEST:.3g}; write the points in another unit"
        )
    x = np.asarray(data.points["train"])
    single = x.astype(np.float32)
    if (single == single[0]).all():
        raise ValueError(
            f"{place}: all {len(x)} training points are equal (in single precision), and have no "
            "density; needed: points that vary"
        )
    return spread_faults(x, place)


def spread_faults(x: NDArray[Any], name: str) -> list[str]:
    """Says which columns have no density in single precision, in a line for each kind.

    Args:
        x: The points that a model is fitted to (N, D).
        name: What the user calls them.
    """
    mean, spread = x.mean(0), x.std(0)
    faults = []
    constant = (x == x[0]).all(0)
    if constant.any():
        faults.append(
            f"{name}[:, {_columns(constant)}] is constant over the {len(x)} points that are "
            "trained on, and has no density; needed: columns that vary"
        )
    lost = ~constant & (spread < _LEAST_SPREAD * np.abs(mean))
    if lost.any():
        column = int(np.flatnonzero(lost)[0])
        faults.append(
            f"{name}[:, {_columns(lost)}] has mean {mean[column]:.3g} and standard deviation "
            f"{spread[column]:.3g}, too little beside it for float32; subtract the mean first"
        )
    return faults


def _columns(which: NDArray[np.bool_]) -> str:
    places = np.flatnonzero(which).tolist()
    return str(places[0]) if len(places) == 1 else str(places)

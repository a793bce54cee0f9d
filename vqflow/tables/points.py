"""The values point by point that means of the test split were taken of, kept beside the scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqflow.files import load_arrays, save_arrays

if TYPE_CHECKING:
    from vqflow.metrics.base import Quantity, Score

Values = NDArray[np.float32]
PointValues = Mapping[tuple[str, int], Values]
"""By metric and seed, the values (N,) of the test points, which have one order in all models."""

SPLIT = "test"
"""The split whose points are kept."""


def point_values(
    scores: Iterable[tuple[Score, Quantity]], seed: int
) -> dict[tuple[str, int], Values]:
    """Gives what is kept of one run's scores: the final model's values of the test points."""
    return {
        (quantity.name, seed): score.values.astype(np.float32)
        for score, quantity in scores
        if score.values is not None
        and score.of_points
        and score.split == SPLIT
        and score.epoch is None
    }


def save_points(path: Path, values: PointValues) -> None:
    """Writes the values of one variant on one data set, as arrays ``<metric>/<seed>``."""
    arrays = {f"{metric}/{seed}": array for (metric, seed), array in values.items()}
    save_arrays(path, arrays, compressed=True)


def load_points(path: str | Path) -> dict[tuple[str, int], Values]:
    """Reads what :func:`save_points` wrote."""
    return {
        (name.rpartition("/")[0], int(name.rpartition("/")[2])): array
        for name, array in load_arrays(path).items()
    }

"""Precision, recall, density and coverage: neighbours among features of samples and of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vqflow.config.limits import Count
from vqflow.datasets.base import Array
from vqflow.metrics.base import Quantity, Reference
from vqflow.metrics.distance import FeatureMetric
from vqflow.metrics.features import Features

Floats = NDArray[np.float64]

_CHUNK_ELEMENTS = 2**23


def squared_distances(x: Floats, y: Floats) -> Iterator[tuple[slice, Floats]]:
    """Gives all squared distances, in blocks of rows of at most 64 MB.

    Args:
        x: Features (n, F).
        y: Features (m, F).

    Yields:
        Rows of x, and their squared distances (rows, m) to y.
    """
    rows = max(1, _CHUNK_ELEMENTS // len(y))
    lengths = np.square(y).sum(axis=1)
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        block = part @ (-2 * y.T)
        block += np.square(part).sum(axis=1)[:, None]
        block += lengths
        yield slice(start, start + len(part)), block.clip(min=0, out=block)


def squared_radii(x: Floats, neighbours: int) -> Floats:
    """Gives each point's squared distance (n,) to its k-th neighbour among the others.

    Args:
        x: Features (n, F).
        neighbours: k.

    Raises:
        ValueError: If there are not more than k points.
    """
    if len(x) <= neighbours:
        raise ValueError(
            f"neighbours: got {neighbours} of {len(x)} points, allowed: 1 to {len(x) - 1}"
        )
    radii = np.empty(len(x))
    for rows, block in squared_distances(x, x):
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = 0  # the point itself
        radii[rows] = np.partition(block, neighbours, axis=1)[:, neighbours]
    return radii


class PrecisionRecall(FeatureMetric):
    """Precision and recall, density and coverage, on the features of any network.

    Around each point lies a ball that reaches to its k-th neighbour of the same set. Precision
    is the share of samples within a ball of the data's, recall the share of data within a ball
    of the samples' (Kynkäänniemi et al. 2019). Density counts the data's balls that a sample
    lies in, divided by k, and may exceed 1; coverage is the share of the data's balls that hold
    a sample (Naeem et al. 2020). Those two are less sensitive to outliers. Of the final model
    alone. Values compare only at equal numbers of samples and data.
    """

    name = "prdc"

    def __init__(
        self,
        features: Features | torch.nn.Module,
        samples: Count,
        split: str = "test",
        neighbours: Count = 3,
    ) -> None:
        """Checks the settings.

        Args:
            features: As for :class:`~vqflow.metrics.distance.FeatureMetric`.
            samples: Number of samples.
            split: Split of the data to compare with.
            neighbours: k, 1 or more and below the number of samples.

        Raises:
            ValueError: If a setting is out of range.
        """
        super().__init__(features, samples, split)
        if not 1 <= neighbours < samples:
            raise ValueError(f"neighbours: got {neighbours}, allowed: 1 to {samples - 1}")
        self.neighbours = neighbours

    def measures(self, label: str) -> Sequence[Quantity]:
        """Gives the four shares."""
        return [
            Quantity(name, f"{name}, {label} features", "", "higher", 3, place)
            for place, name in enumerate(("precision", "recall", "density", "coverage"), 42)
        ]

    def summarise(self, features: Array) -> Reference:
        """Gives the features, and the squared radii of the balls around them."""
        radii = squared_radii(features.astype(np.float64), self.neighbours)
        return {"features": features, "squared_radii": radii}

    def compare(self, features: Array, summary: Reference) -> Mapping[str, float]:
        """Gives the four shares of the samples' features (n, F)."""
        x, y = features.astype(np.float64), summary["features"].astype(np.float64)
        x_radii = squared_radii(x, self.neighbours)
        y_radii = summary["squared_radii"].astype(np.float64)
        balls = np.empty(len(x), dtype=np.int64)  # of the data, that each sample lies in
        recalled, covered = np.zeros((2, len(y)), dtype=bool)
        for rows, block in squared_distances(x, y):
            within = block <= y_radii
            balls[rows] = within.sum(axis=1)
            covered |= within.any(axis=0)
            recalled |= (block <= x_radii[rows, None]).any(axis=0)
        return {
            "precision": float((balls > 0).mean()),
            "recall": float(recalled.mean()),
            "density": float(balls.mean()) / self.neighbours,
            "coverage": float(covered.mean()),
        }

"""The kernel distance (KID): a maximum mean discrepancy between features of samples and of data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqflow.datasets.base import Array
from vqflow.metrics.base import Reference
from vqflow.metrics.distance import FeatureDistance

Floats = NDArray[np.float64]

_CHUNK_ELEMENTS = 2**23


def kernel_sum(x: Floats, y: Floats) -> float:
    """Gives the sum of the cubic polynomial kernel (xᵀy / F + 1)³ over all pairs.

    Args:
        x: Features (n, F).
        y: Features (m, F).
    """
    rows = max(1, _CHUNK_ELEMENTS // len(y))
    scaled = y.T / y.shape[1]
    return float(
        sum(((x[start : start + rows] @ scaled + 1) ** 3).sum() for start in range(0, len(x), rows))
    )


def own_pairs_mean(x: Floats) -> float:
    """Gives the kernel's mean over all ordered pairs of two different ones of x (n, F)."""
    n, features = x.shape
    if n < 2:
        raise ValueError(f"features: got shape {x.shape}, allowed: (n, F) with n at least 2")
    alone = float(((np.square(x).sum(axis=1) / features + 1) ** 3).sum())
    return (kernel_sum(x, x) - alone) / (n * (n - 1))


class KernelDistance(FeatureDistance):
    """The kernel distance (KID; Binkowski et al. 2018), on the features of any network.

    The squared maximum mean discrepancy with the kernel (xᵀy / F + 1)³, by its unbiased
    estimate over all pairs of the samples and the split: no random subsets, whose mean has the
    same expectation and a larger variance. It may lie below 0.
    """

    name = "kid"
    kind = "kernel"
    place = 41
    decimals = 3

    def summarise(self, features: Array) -> Reference:
        """Gives the features and the mean of the kernel over their pairs."""
        mean = own_pairs_mean(features.astype(np.float64))
        return {"features": features, "pairs": np.array(mean)}

    def distance(self, features: Array, summary: Reference) -> float:
        """Gives the unbiased estimate of the squared discrepancy."""
        x, y = features.astype(np.float64), summary["features"].astype(np.float64)
        across = kernel_sum(x, y) / (len(x) * len(y))
        return own_pairs_mean(x) + float(summary["pairs"].astype(np.float64)) - 2 * across

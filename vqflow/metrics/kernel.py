"""The kernel distance (KID): a maximum mean discrepancy between features of samples and of data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vqflow.datasets.base import Array
from vqflow.metrics.base import Reference
from vqflow.metrics.distance import FeatureDistance

_CHUNK_ELEMENTS = 2**20


def kernel_sum(x: Tensor, y: Tensor) -> float:
    """Gives the sum of the cubic polynomial kernel (xᵀy / F + 1)³ over all pairs.

    Args:
        x: Features (n, F), float64.
        y: Features (m, F), on the same device.
    """
    scaled = y.T / y.shape[1]
    total = x.new_zeros(())
    for part in x.split(max(1, _CHUNK_ELEMENTS // len(y))):
        kernel = (part @ scaled).add_(1)
        total += (kernel.square() * kernel).sum()
    return float(total)


def own_pairs_mean(x: Tensor) -> float:
    """Gives the kernel's mean over all ordered pairs of two different ones of x (n, F)."""
    n, features = x.shape
    if n < 2:
        raise ValueError(f"features: got shape {tuple(x.shape)}, allowed: (n, F) with n at least 2")
    alone = float(((x.square().sum(1) / features + 1) ** 3).sum())
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
        mean = own_pairs_mean(self._double(features))
        return {"features": features, "pairs": np.array(mean)}

    def distance(self, features: Array, summary: Reference) -> float:
        """Gives the unbiased estimate of the squared discrepancy."""
        x, y = self._double(features), self._double(summary["features"])
        across = kernel_sum(x, y) / (len(x) * len(y))
        return own_pairs_mean(x) + float(summary["pairs"].astype(np.float64)) - 2 * across

    def _double(self, features: Array) -> Tensor:
        return torch.as_tensor(features, dtype=torch.float64, device=self.device)

"""Charts around the centres of k-means."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vqflow.atlases.base import Atlas, Prior, as_data_space, check_enough
from vqflow.config.limits import Count, NotNegative
from vqflow.datasets.base import Data, DataSpec
from vqflow.training.loop import Checkpoint


class KMeansAtlas(Atlas):
    """Charts by k-means on the (standardised) data: the paper's alternative, figure 6.

    Args:
        spec: What the data look like.
        charts: K, the number of centres.
        min_charts: m, see :class:`Atlas`.
        epsilon: ε, see :class:`Atlas`.
        prior: See :class:`Atlas`.
    """

    def __init__(
        self,
        spec: DataSpec,
        charts: Count,
        min_charts: Count = 1,
        epsilon: NotNegative = 0.0,
        prior: Prior = "coverage",
    ) -> None:
        super().__init__(spec, min_charts, epsilon, prior)
        if charts < min_charts:
            raise ValueError(f"charts is {charts}; it must be at least min_charts = {min_charts}")
        self.wanted_charts = charts

    def encode(self, x: Tensor) -> Tensor:
        """Gives the standardised data themselves, (N, D)."""
        return self.normalise(x)

    def fit(
        self, data: Data, seed: int, checkpoint: Checkpoint | None = None
    ) -> list[dict[str, Any]]:
        """Runs k-means on the training split."""
        from sklearn.cluster import KMeans  # slow to import, and few jobs need it

        x = as_data_space(data, "train")
        check_enough(len(x), self.wanted_charts)
        self.fit_scale(x)
        kmeans = KMeans(self.wanted_charts, n_init=1, random_state=seed)
        kmeans.fit(self.normalise(x).double().numpy())
        self.set_charts(torch.as_tensor(kmeans.cluster_centers_), x)
        return []

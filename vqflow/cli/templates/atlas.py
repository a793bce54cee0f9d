"""An atlas of your own. What is inherited, and what may be changed: vqflow/atlases/base.py."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from vqflow.atlases.base import Atlas, as_data_space
from vqflow.datasets.base import Data, DataSpec


class NewThing(Atlas):
    """Charts around the means of a mixture of Gaussians.

    Args:
        spec: What the data are.
        charts: Number of charts, K.
        overlap: min_charts, epsilon and prior; see :class:`vqflow.atlases.base.Atlas`.
    """

    def __init__(self, spec: DataSpec, charts: int, **overlap: Any) -> None:
        super().__init__(spec, **overlap)
        self.wanted_charts = charts

    def encode(self, x: Tensor) -> Tensor:
        """Gives the place in code space of points x (N, D): charts are what lies near there."""
        return self.normalise(x)

    def fit(self, data: Data, seed: int, checkpoint: Any = None) -> list[dict[str, Any]]:
        """Places the charts' centres by the training split alone."""
        x = as_data_space(data, "train")
        self.fit_scale(x)
        mixture = GaussianMixture(self.wanted_charts, random_state=seed)
        mixture.fit(self.normalise(x).numpy())
        self.set_charts(torch.as_tensor(mixture.means_), x)
        return []

"""The atlas of one chart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vqflow.atlases.base import Atlas, as_data_space
from vqflow.datasets.base import Data, DataSpec
from vqflow.training.loop import Checkpoint


class SingleChart(Atlas):
    """The one-chart atlas: its code has width 0, so the flow on it is the plain flow."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)

    def encode(self, x: Tensor) -> Tensor:
        """Gives codes of width 0, (N, 0)."""
        return x.new_zeros(len(x), 0)

    def fit(
        self, data: Data, seed: int, checkpoint: Checkpoint | None = None
    ) -> list[dict[str, Any]]:
        """Sets the one chart; nothing is trained."""
        self.set_charts(torch.zeros(1, 0), as_data_space(data, "train"))
        return []

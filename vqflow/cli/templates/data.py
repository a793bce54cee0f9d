"""A data set of your own. What each part may be: vqflow/datasets/base.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vqflow.datasets.base import SPLITS, Array, Data, Dataset, DataSpec


class NewThing(Dataset):
    """Points along a spiral, with noise around it.

    Args:
        n: Points of each split.
        noise: Standard deviation of the noise.
    """

    kind = "vector"
    shape = (2,)  # of a point

    def __init__(self, n: int = 2000, noise: float = 0.05) -> None:
        if n < 1 or noise <= 0:
            raise ValueError(f"n is {n} and noise {noise}; needed: 1 or more, and above 0")
        self.n, self.noise = n, noise

    def load(self, name: str, data_root: Path) -> Data:
        """Gives all splits: the same points at every call."""
        points = {split: self._draw(seed) for seed, split in enumerate(SPLITS)}
        return Data(DataSpec(name, "vector", (2,)), points)

    def _draw(self, seed: int) -> Array:
        generator = np.random.default_rng(seed)
        angle = 2 * np.pi * np.sqrt(generator.uniform(0.02, 2, self.n))
        curve = (angle / np.pi)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return curve + self.noise * generator.standard_normal((self.n, 2))

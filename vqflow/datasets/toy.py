"""What the toy sets share: points of a known density, drawn at random."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from vqflow.config.limits import Count, Seed, Width
from vqflow.datasets.base import SPLITS, Array, Data, Dataset, DataSpec
from vqflow.datasets.curves import Floats
from vqflow.seeding import derive_seed


class Toy(Dataset):
    """Points of a known density, drawn at random.

    Args:
        noise: Width σ of the set; that of :attr:`default_noise` where it is left out.
        n_train: Number of training points.
        n_validation: Number of validation points.
        n_test: Number of test points.
        seed: Seed of the points; not the seed of a trial.

    Raises:
        ValueError: If a number is out of its range.
    """

    kind = "vector"
    shape: tuple[int, ...]
    sizes: Mapping[str, int]
    default_noise: ClassVar[float]
    """σ of the set as it is known."""

    def __init__(
        self,
        *,
        noise: Width | None = None,
        n_train: Count = 5000,
        n_validation: Count = 2500,
        n_test: Count = 2500,
        seed: Seed = 0,
    ) -> None:
        place = type(self).__name__
        width = self.default_noise if noise is None else noise
        if not (np.isfinite(width) and width > 0):
            raise ValueError(f"{place}: noise is {noise}, allowed: a finite number above 0")
        sizes = dict(zip(SPLITS, (n_train, n_validation, n_test), strict=True))
        for split, size in sizes.items():
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"{place}: n_{split} is {size}, allowed: an integer of at least 1")
        self.noise = float(width)
        self.sizes = sizes
        self.seed = seed

    @abstractmethod
    def sample(self, n: int, generator: np.random.Generator) -> Floats:
        """Draws n points (n, D) of the density."""

    @abstractmethod
    def _log_density(self, x: Floats) -> Floats:
        """Gives the log-density of finite points."""

    def log_density(self, x: Array) -> Floats:
        """Gives the exact log-density (N,), in nats, of the points x (N, D).

        Raises:
            ValueError: If x has another shape or is not finite.
        """
        (features,) = self.shape
        points = np.asarray(x, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != features or not np.isfinite(points).all():
            raise ValueError(
                f"{type(self).__name__}.log_density: got shape {points.shape}, "
                f"{int((~np.isfinite(points)).sum())} values not finite; "
                f"expected finite points of shape (N, {features})"
            )
        return self._log_density(points)

    def load(self, name: str, data_root: Path) -> Data:
        """Draws the splits and evaluates their exact log-density; reads no file."""
        points: dict[str, Array] = {}
        log_density: dict[str, Array] = {}
        for split, size in self.sizes.items():
            seed = derive_seed(f"toy{self.shape[0]}d", self.seed, type(self).__name__, split)
            x = self.sample(size, np.random.default_rng(seed))
            points[split], log_density[split] = x, self.log_density(x)
        spec = DataSpec(name=name, kind="vector", shape=self.shape)
        return Data(spec=spec, points=points, log_density=log_density)

"""Data and models that metrics score, of known densities."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

from vqflow.datasets.base import Array, Data, DataSpec
from vqflow.metrics.base import Metric

SPLITS = ("train", "validation", "test")
Density = Callable[[torch.Tensor], torch.Tensor]


class FakePreprocessing:
    """Dequantises as the real one: (pixel + noise) / levels, vectors cast only."""

    def __init__(self, spec: DataSpec) -> None:
        self.levels = spec.levels

    def dequantise(
        self, points: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        if self.levels is None:
            return points.to(torch.float64)
        noise = torch.rand(points.shape, generator=generator, dtype=torch.float64)
        return (points + noise) / self.levels


def standard_normal(x: torch.Tensor) -> torch.Tensor:
    return -0.5 * x.square().sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


class FakeModel:
    """A given density, less 1 nat for ``covering`` and plus 0.5 for ``confined``."""

    offsets = {"all": 0.0, "covering": -1.0, "confined": 0.5}

    def __init__(self, data: Data, density: Density = standard_normal, atlas: Any = None) -> None:
        self.preprocessing = FakePreprocessing(data.spec)
        self.density = density
        self.atlas = atlas
        self.seen: list[torch.Tensor] = []

    def log_prob(self, x: torch.Tensor, support: str = "all") -> torch.Tensor:
        self.seen.append(x)
        return self.density(x) + self.offsets[support]

    log_confinement = torch.tensor([0.5, 0.25]).log()
    confinement_error = torch.tensor([0.05, 0.05])

    def check_confinement(self) -> None:
        pass


def gaussian_data(n: int = 400, features: int = 3, exact: bool = True) -> Data:
    rng = np.random.default_rng(0)
    points: dict[str, Array] = {name: rng.normal(size=(n, features)) for name in SPLITS}
    density = {name: norm.logpdf(x).sum(1) for name, x in points.items()} if exact else {}
    return Data(DataSpec("blob", "vector", (features,)), points, log_density=density)


def image_data() -> Data:
    rng = np.random.default_rng(0)
    points: dict[str, Array] = {
        name: rng.integers(0, 17, (50, 4), dtype=np.uint8) for name in SPLITS
    }
    return Data(DataSpec("tiles", "image", (1, 2, 2), 17), points)


def trained(data: Data, model: Any = None, **samples: np.ndarray) -> Any:
    one = model or FakeModel(data)
    return SimpleNamespace(data=data, model=one, flow=one, samples=samples, densities={})


def by_name(scores: Any) -> dict[tuple[str, str], Any]:
    return {(score.quantity, score.split): score for score in scores}


def units(metric: Metric) -> dict[str, str]:
    return {quantity.name: quantity.unit for quantity in metric.quantities}

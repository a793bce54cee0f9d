"""Small images and the features of their pixels, for tests of distances."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from vqflow.datasets.base import Data, DataSpec
from vqflow.metrics.base import Reference
from vqflow.metrics.features import Extractor, Features


def image_data(
    shape: tuple[int, ...] = (1, 4, 4), levels: int = 17, n: int = 60, labels: bool = True
) -> Data:
    rng = np.random.default_rng(5)
    splits = ("train", "validation", "test")
    features = int(np.prod(shape))
    return Data(
        DataSpec("fake", "image", shape, levels),
        {name: rng.integers(0, levels, (n, features), dtype=np.uint8) for name in splits},
        {name: rng.integers(0, 3, n) for name in splits} if labels else {},
    )


def trained(data: Data, samples: dict[str, np.ndarray]) -> Any:
    return SimpleNamespace(data=data, samples=samples, features={})


class Pixels(Features):
    """The pixels themselves; counts how often it is prepared, built and asked."""

    label = "pixel"

    def __init__(self) -> None:
        self.prepared = self.built = self.images = 0

    def prepare(self, data: Data) -> Reference:
        self.prepared += 1
        return {}

    def network(self, spec: DataSpec, prepared: Reference, device: str) -> Extractor:
        self.built += 1

        def features(images: torch.Tensor) -> torch.Tensor:
            self.images += len(images)
            return images.flatten(1)

        return features

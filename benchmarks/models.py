"""Small models whose charts and covering pairs are set by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vqflow.atlases.base import Atlas
from vqflow.atlases.single import SingleChart
from vqflow.datasets.base import Data, DataSpec
from vqflow.embeddings import Identity
from vqflow.flows import build_flow
from vqflow.models.vqflow import VQFlow
from vqflow.preprocessing import Preprocessing, Standardise

TOY = {"features": 3, "hidden": [64, 64], "code_dim": 2}
IMAGE = {"features": 784, "hidden": [512, 512], "code_dim": 16}


class Scattered(Atlas):
    """Charts around the first training points, in the first coordinates of the data."""

    def __init__(self, spec: DataSpec, charts: int, code_dim: int, min_charts: int) -> None:
        super().__init__(spec, min_charts=min_charts)
        self.wanted = charts, code_dim

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.normalise(x)[:, : self.wanted[1]]

    def fit(self, data: Data, seed: int, checkpoint: Any = None) -> list[dict[str, Any]]:
        x = torch.as_tensor(data.points["train"]).float()
        self.fit_scale(x)
        self.set_charts(self.encode(x)[: self.wanted[0]].clone(), x)
        return []


def data(features: int, n: int = 5000) -> Data:
    """Gives standard normal vectors."""
    generator = np.random.default_rng(0)
    splits = {name: generator.standard_normal((n, features)) for name in ("train", "test")}
    return Data(DataSpec("normal", "vector", (features,)), {**splits, "validation": splits["test"]})


def model(
    points: Data, hidden: list[int], code_dim: int, charts: int, min_charts: int, flow: str
) -> VQFlow:
    """Gives an untrained model of 5 layers; one chart is the plain flow."""
    spec = points.spec
    atlas: Atlas = SingleChart(spec)
    if charts > 1:
        atlas = Scattered(spec, charts, code_dim, min_charts)
    atlas.fit(points, seed=0)
    entry = {"class": f"zuko.flows.{flow}", "transforms": 5, "hidden_features": hidden}
    built = build_flow(entry, "flows.bench", spec.features, atlas.code_dim, seed=0)
    return VQFlow(
        Preprocessing(spec, [Standardise(spec.features)]), atlas, Identity(spec.features), built
    )

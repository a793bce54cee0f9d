"""Masked autoregressive transforms of every kind that is evaluated degree by degree."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

SPLINE = {"univariate": MonotonicRQSTransform, "shapes": [(4,), (4,), (3,)]}


def random_graph(features: int, context: int) -> Tensor:
    """A sparse graph in a shuffled order, in which features need not see the context."""
    generator = torch.Generator().manual_seed(1)
    graph = torch.rand(features, features, generator=generator) < 0.4
    order = torch.randperm(features, generator=generator)
    graph = graph.tril(-1)[order][:, order] | torch.eye(features, dtype=torch.bool)
    seen = torch.rand(features, context, generator=generator) < 0.5
    return torch.cat([graph, seen], dim=1)


def transform(
    features: int = 12, context: int = 3, seed: int = 0, **arguments: Any
) -> MaskedAutoregressiveTransform:
    torch.manual_seed(seed)
    return MaskedAutoregressiveTransform(features, context, **arguments).double()


CASES: list[dict[str, Any]] = [
    {},
    {"hidden_features": []},
    {"hidden_features": [5]},
    {"hidden_features": [40, 30, 20, 50]},
    {"hidden_features": [32, 32, 32], "residual": True},
    {"hidden_features": [16, 24, 24], "residual": True, "activation": nn.SiLU},
    {"order": torch.arange(12).flip(0)},
    {"order": torch.randperm(12, generator=torch.Generator().manual_seed(0))},
    {"passes": 2},
    {"passes": 5},
    {"adjacency": random_graph(12, 0)},
    {"adjacency": random_graph(12, 3), "residual": True, "hidden_features": [32, 32]},
    {"activation": nn.ELU},
    {"activation": nn.PReLU},
    {"activation": partial(nn.ReLU, inplace=True)},
    {"activation": nn.Tanh, **SPLINE},
    {**SPLINE, "passes": 3},
    {"univariate": partial(MonotonicAffineTransform, slope=0.3)},
]

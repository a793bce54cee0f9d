"""A flow of your own: layers over a standard normal, as zuko's flows are."""

from __future__ import annotations

import torch
from zuko.distributions import DiagNormal
from zuko.flows import MaskedAutoregressiveTransform
from zuko.lazy import Flow, UnconditionalDistribution


class NewThing(Flow):
    """A masked autoregressive flow whose layers read the coordinates forth and back in turns.

    Args:
        features: D, the dimension of the points.
        context: Width of the chart's code; 0 for the plain flow.
        pairs: Pairs of layers.
        hidden_features: Widths of the networks' hidden layers.
    """

    def __init__(
        self, features: int, context: int, pairs: int = 2, hidden_features: tuple[int, ...] = (64,)
    ) -> None:
        forth = torch.arange(features)
        layers = [
            MaskedAutoregressiveTransform(
                features, context, order=order, hidden_features=hidden_features
            )
            for order in (forth, forth.flip(0)) * pairs
        ]
        zeros, ones = torch.zeros(features), torch.ones(features)
        super().__init__(layers, UnconditionalDistribution(DiagNormal, zeros, ones, buffer=True))

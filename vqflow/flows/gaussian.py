"""The control beside which one sees what a flow adds: a Gaussian in its place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from zuko.distributions import DiagNormal
from zuko.flows.gaussianization import ElementWiseTransform
from zuko.lazy import Flow, UnconditionalDistribution

from vqflow.config.limits import Count
from vqflow.flows.conditional import ConditionalFlow


def unchanged(features: int) -> ConditionalFlow:
    """Gives the flow of d dimensions without any layer: data as they are, as standard normal."""
    zeros, ones = torch.zeros(features), torch.ones(features)
    base = UnconditionalDistribution(DiagNormal, zeros, ones, buffer=True)
    return ConditionalFlow(Flow([], base))


class Gaussian(Flow):
    """A Gaussian with independent coordinates, whose means and scales depend on the code alone.

    On planes along principal axes it makes the model a mixture of Gaussians, one a chart,
    with a learned width along every axis.

    Args:
        features: d, the dimension of the latent space.
        context: C, the width of the chart code.
        hidden_features: Widths of the network from the code to means and scales.
    """

    def __init__(
        self, features: int, context: int = 0, hidden_features: Sequence[Count] = (64, 64)
    ) -> None:
        transform = ElementWiseTransform(features, context, hidden_features=hidden_features)
        base = UnconditionalDistribution(
            DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
        )
        super().__init__([transform], base)

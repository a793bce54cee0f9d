"""The log-likelihood's lower bound that reads one chart a point (paper, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.atlases.covering import Covering as Pairs
from vqflow.objectives.base import Objective, prior_of


class Sampled(Objective):
    """log p(x|k) + log P(x), with k drawn anew at every step.

    With P(x) = Σ_{k covers x} p_k, chart k is drawn with probability p_k / P(x). By Jensen's
    inequality the mean over draws is at most :class:`~vqflow.objectives.Covering`.
    """

    def choose(
        self, pairs: Pairs, log_prior: Tensor, noise: torch.Generator | None
    ) -> tuple[Pairs, Tensor]:
        """Draws a chart for each point; its weight is P(x)."""
        weights = prior_of(pairs, log_prior)
        column = torch.multinomial(weights.exp(), 1, generator=noise)
        chosen = Pairs(pairs.charts.gather(1, column), torch.ones_like(column, dtype=torch.bool))
        return chosen, weights.logsumexp(1, keepdim=True)

    def combine(self, log_prob: Tensor, log_weight: Tensor) -> Tensor:
        """Gives the one value (B,) of each point."""
        return (log_prob + log_weight)[:, 0]

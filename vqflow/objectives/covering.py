"""The log-likelihood over the charts that cover a point (paper, equation 2)."""

from __future__ import annotations

from torch import Tensor

from vqflow.objectives.base import Objective


class Covering(Objective):
    """log Σ_{k covers x} p_k p(x|k)."""

    def combine(self, log_prob: Tensor, log_weight: Tensor) -> Tensor:
        """Gives the logarithm (B,) of the weighted sum over charts."""
        return (log_prob + log_weight).logsumexp(1)

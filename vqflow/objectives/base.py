"""What every objective is: which charts of a point are read, and what of them is maximised."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from vqflow.atlases.covering import Covering as Pairs


class Objective(ABC):
    """What training maximises, on the mean over points.

    An entry of ``objectives``. A subclass takes the arguments of its entry and gives
    :meth:`combine`, and :meth:`choose` if not all charts are to be read that cover a point. All
    else is the task's (:class:`vqflow.objectives.FlowTask`): encoding, the densities p(x|k) of
    the chosen pairs, the log-determinant of the preprocessing and the reconstruction error,
    which is averaged under the softmax of the log-weights. Validation is by the log-likelihood
    over the covering charts whatever the objective, so that runs of several can be compared.
    """

    def choose(
        self, pairs: Pairs, log_prior: Tensor, noise: torch.Generator | None
    ) -> tuple[Pairs, Tensor]:
        """Says which of the charts that cover each point are read; all by default.

        Called for some thousands of points at once.

        Args:
            pairs: The covering pairs of N points, as a table (N, M) of charts and its mask.
            log_prior: log p_k (K,).
            noise: Source of random numbers, on the device of the pairs.

        Returns:
            The pairs to read, as a table (N, L) of charts of which each row has at least one,
            and the logarithms of their weights (N, L), -inf off the mask; log p_k by default.
        """
        return pairs, prior_of(pairs, log_prior)

    @abstractmethod
    def combine(self, log_prob: Tensor, log_weight: Tensor) -> Tensor:
        """Gives what is maximised (B,), in nats, from the chosen charts of each of B points.

        Must be differentiable in the first argument.

        Args:
            log_prob: log p(x|k) (B, L); 0 off the mask.
            log_weight: What :meth:`choose` gave (B, L); -inf off the mask.
        """


def prior_of(pairs: Pairs, log_prior: Tensor) -> Tensor:
    """Gives log p_k of each pair of the table (N, M), and -inf off its mask."""
    return log_prior[pairs.charts].masked_fill(~pairs.mask, -torch.inf)

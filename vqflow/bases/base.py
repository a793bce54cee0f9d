"""What the flow's noise is distributed as, chart by chart, where it is not standard normal."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Base(nn.Module, ABC):
    """A distribution q_k(w) on R^d for each chart, in place of the flow's standard normal.

    The flow maps data to w. The noise z that is inferred from a point is what is left of w
    once the base is known, and standard normal if the model is right.
    """

    @abstractmethod
    def log_prob(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives log q_k(w) (P,), in nats, of w (P, d) on charts (P,)."""

    @abstractmethod
    def to_noise(self, w: Tensor, charts: Tensor) -> Tensor:
        """Maps w (P, d) to z (P, d)."""

    @abstractmethod
    def from_noise(self, z: Tensor, charts: Tensor) -> Tensor:
        """Maps z (P, d) to w (P, d); z ~ N(0, I) gives samples of q_k."""

    def fit(self, w: Tensor, rows: Tensor, charts: Tensor, log_prior: Tensor) -> Tensor | None:
        """Starts the base from the untrained flow's w (P, d); nothing to do by default.

        Args:
            w: Where the flow puts each covering pair.
            rows: The pairs' training points (P,).
            charts: Their charts (P,).
            log_prior: log p_k (K,).

        Returns:
            The logarithms of the charts' weights (K,), where the start has some of its own
            that are to take the prior's place.
        """
        return None

    @property
    def fitted_numbers(self) -> int:
        """How many numbers are fitted to the data, trained or not."""
        return 0

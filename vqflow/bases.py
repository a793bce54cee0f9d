"""What the flow's noise is distributed as, chart by chart, where it is not standard normal."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from vqflow.frames import Covariance, build_frame, fit_mixture
from vqflow.frames.mixture import standard_normal


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


class ChartNormal(Base):
    """q_k = N(b_k, L_k L_kᵀ): frames at the noise's end, where the flow sees the data as they are.

    Args:
        features: d, the dimension that the flow works in.
        charts: K.
        covariance: See :class:`~vqflow.embeddings.Frames`.
        rank: See there.
        shrinkage: See there.
        rounds: See there.
        train: Whether means and scales are trained with the flow, from the closed form that
            :meth:`fit` gives.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        features: int,
        charts: int,
        covariance: Covariance = "diagonal",
        rank: int | None = None,
        shrinkage: float | None = None,
        rounds: int = 10,
        train: bool = False,
    ) -> None:
        super().__init__()
        if rounds < 0:
            raise ValueError(f"rounds is {rounds}; allowed: 0 or more")
        self.rounds = rounds
        self.frame = build_frame(
            covariance, features, charts, rank=rank, shrinkage=shrinkage, train=train
        )

    def log_prob(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives log N(w; b_k, L_k L_kᵀ) (P,)."""
        z, ladj = self.frame.inward(w, charts)
        return standard_normal(z) + ladj

    def to_noise(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives L_k⁻¹ (w - b_k)."""
        z, _ = self.frame.inward(w, charts)
        return z

    def from_noise(self, z: Tensor, charts: Tensor) -> Tensor:
        """Gives b_k + L_k z."""
        return self.frame.outward(z, charts)

    @torch.no_grad()
    def fit(self, w: Tensor, rows: Tensor, charts: Tensor, log_prior: Tensor) -> Tensor:
        """Places the frames at what the charts cover; gives the mixture's weights."""
        return fit_mixture(self.frame, w, rows, charts, log_prior, self.rounds)

    @property
    def fitted_numbers(self) -> int:
        """All numbers of the frames."""
        return self.frame.fitted_numbers

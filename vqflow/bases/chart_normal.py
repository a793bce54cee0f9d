"""A normal distribution for each chart."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.bases.base import Base
from vqflow.config.limits import Count, NotNegative, NumberOrZero
from vqflow.frames import Covariance, build_frame, fit_mixture
from vqflow.frames.mixture import standard_normal


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
        rank: Count | None = None,
        shrinkage: NotNegative | None = None,
        rounds: NumberOrZero = 10,
        train: bool = False,
    ) -> None:
        super().__init__()
        if rounds < 0:
            raise ValueError(f"rounds is {rounds}; allowed: 0 or more")
        self.features = features
        self.rounds = rounds
        self.frame = build_frame(
            covariance, features, charts, rank=rank, shrinkage=shrinkage, train=train
        )

    def log_prob(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives log N(w; b_k, L_k L_kᵀ) (P,)."""
        z, ladj = self.frame.inward(w, charts)
        return standard_normal(z) + ladj

    def sample(self, charts: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws w (P, d) from the charts' normals."""
        like, shape = self.frame.centre, (len(charts), self.features)
        z = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.from_noise(z, charts)

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

"""What every embedding is, and the one of charts as wide as the data.

Every embedding extends to a bijection w = (u, v) -> x of the whole space, v being what
leads off the chart, so that its density is one of the ambient space R^D, exactly
normalised. Points are those that the preprocessing gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from vqflow.atlases.covering import Covering


class Embedding(nn.Module, ABC):
    """Charts' maps c_k from R^d into R^D, with a left inverse and a density off the image.

    Attributes:
        features: D, the dimension of the (preprocessed) data.
        latent_features: d.
        moves: Whether charts have coordinates of their own, or keep the data's.
    """

    features: int
    latent_features: int
    moves: bool = True

    @abstractmethod
    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps latent points u (P, d) of the charts (P,) onto their images, (P, D)."""

    @abstractmethod
    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Maps points x (P, D) to latent space (P, d), chart by chart; left inverse of embed."""

    @abstractmethod
    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives log λ (P,) at u (P, d): half the d-th part of log det JᵀJ.

        Of a conformal map that is the logarithm of its scale.
        """

    @abstractmethod
    def log_volume(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Splits points x (P, D) into u and the way off the chart.

        Returns:
            u (P, d), and log p(x|k) - log p(u|k) (P,), in nats: the density of the
            residual less the log-determinant of the bijection (u, v) -> x.
        """

    def fit(self, y: Tensor, covering: Covering, log_prior: Tensor) -> Tensor | None:
        """Places the charts by the training points y (N, D); nothing to do by default.

        Returns:
            The logarithms of the charts' weights (K,), where the placement has some of its own
            that are to take the prior's place.
        """
        return None

    def sample(self, u: Tensor, charts: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws x (P, D) given u (P, d): the image, and the residual around it."""
        return self.embed(u, charts)

    @property
    def fitted_numbers(self) -> int:
        """How many numbers are fitted to the data, trained or not."""
        return 0


class Identity(Embedding):
    """The embedding of charts as wide as the data: u = x.

    Args:
        features: D, the dimension of the (preprocessed) data.
        charts: K; not needed.
    """

    moves = False

    def __init__(self, features: int, charts: int = 1) -> None:
        super().__init__()
        self.features = features
        self.latent_features = features

    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives u."""
        return u

    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Gives x."""
        return x

    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives zeros."""
        return u.new_zeros(u.shape[:-1])

    def log_volume(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Gives x and zeros."""
        return x, x.new_zeros(x.shape[:-1])

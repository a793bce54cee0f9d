"""Maps from a chart's latent space into the space of the data (paper, section 3.3).

Where the latent dimension equals that of the data the map is the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Identity(nn.Module):
    """The embedding of charts as wide as the data: u = x.

    Args:
        features: D, the dimension of the (preprocessed) data.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.latent_features = features

    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps latent points u (P, d) of the charts (P,) to data space (P, D)."""
        return u

    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Maps points x (P, D) to latent space (P, d), chart by chart; left inverse of embed."""
        return x

    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives log λ (P,) of the conformal map at u (P, d)."""
        return torch.zeros(u.shape[:-1], dtype=u.dtype, device=u.device)

"""A trained mixture of normal distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vqflow.bases.base import Base
from vqflow.config.limits import Count
from vqflow.seeding import derive_seed

_LEAST_VARIANCE = 1e-6


class Mixture(Base):
    """q = Σ_j w_j N(m_j, diag(s_j²)), trained with the flow: a base of several peaks.

    The same for every chart; meant for the single one, where it takes the place of charts
    (Izmailov et al., "Semi-Supervised Learning with Normalizing Flows", ICML 2020, whose
    mixture is labelled; here the logarithms of weights, means and scales are trained by the
    likelihood alone).

    Args:
        features: d, the dimension that the flow works in.
        charts: K; not read.
        components: J, the number of normals.

    Raises:
        ValueError: If there are no components.
    """

    def __init__(self, features: int, charts: int, components: Count = 32) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"components is {components}; allowed: 1 or more")
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.zeros(components, features))
        self.log_scales = nn.Parameter(torch.zeros(components, features))

    def log_prob(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives log Σ_j w_j N(w; m_j, s_j²) (P,) of w (P, d)."""
        z = (w[:, None] - self.means) * (-self.log_scales).exp()
        constant = 0.5 * w.shape[1] * math.log(2 * math.pi)
        log_normal = -0.5 * z.square().sum(2) - self.log_scales.sum(1) - constant
        return (self.logits.log_softmax(0) + log_normal).logsumexp(1)

    def sample(self, charts: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws w (P, d): j by the weights, and w by its normal."""
        chosen = torch.multinomial(
            self.logits.softmax(0), len(charts), replacement=True, generator=generator
        )
        shape, like = (len(charts), self.means.shape[1]), self.means
        z = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.means[chosen] + self.log_scales[chosen].exp() * z

    @torch.no_grad()
    def fit(self, w: Tensor, rows: Tensor, charts: Tensor, log_prior: Tensor) -> None:
        """Starts at the clusters of k-means in the untrained flow's w (P, d).

        All normals start with equal weights and with the mean variances of the clusters: those
        of a cluster of its own are thin across the data, and trained more slowly (helix, 100
        epochs of RealNVP: 2.15 nats on the validation split in place of 2.52).

        Raises:
            ValueError: If there are fewer points than components.
        """
        from sklearn.cluster import KMeans  # slow to import, and few jobs need it

        components = len(self.logits)
        if len(w) < components:
            raise ValueError(
                f"components is {components}, on {len(w)} training points; allowed: at most as many"
            )
        seed = derive_seed("mixture", components)
        found = KMeans(components, n_init=1, random_state=seed).fit(w.double().cpu().numpy())
        centres = torch.as_tensor(found.cluster_centers_, device=w.device)
        labels = torch.as_tensor(found.labels_, dtype=torch.long, device=w.device)
        variances = (w.double() - centres[labels]).square().mean(0)
        self.logits.zero_()
        self.means.copy_(centres)
        self.log_scales.copy_(0.5 * variances.clamp_min(_LEAST_VARIANCE).log())

    @property
    def fitted_numbers(self) -> int:
        """All numbers of the mixture."""
        return sum(parameter.numel() for parameter in self.parameters())

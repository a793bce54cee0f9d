"""A standard normal whose draws are accepted by a learned probability."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vqflow.bases.base import Base
from vqflow.config.limits import Count

_MOMENTUM = 0.05
_LEAST = 1e-6
_CHUNK = 2**14


class Resampled(Base):
    """Draws from π = N(0, I), kept with a learned probability a(w): a base with holes.

    Stimper, Midgley, Simm, Schölkopf, Hernández-Lobato, "Resampling Base Distributions of
    Normalizing Flows", AISTATS 2022, after Bauer & Mnih, "Resampled Priors for Variational
    Autoencoders", AISTATS 2019. Draws are proposed until one is kept, and the T-th is kept
    whatever a says, so that with Z = E_π[a] and α = (1 - Z)^(T - 1), the probability of getting
    that far,

        q(w) = [(1 - α) a(w) / Z + α] π(w).

    Z is known by Monte Carlo alone. In training, each batch proposes as many draws as it has
    points, and Ẑ is the mean of a over them. The value of the density is read at the moving
    average Z̄ of the Ẑ, and its gradient is that of a at the points plus ∂ log q / ∂Z at Z̄,
    times ∇Ẑ. As Z̄ hardly depends on the batch's own draws, and ∇Ẑ is an unbiased estimate of
    ∇Z, so is the sum of that of ∇ log q, but for the error of Z̄. :meth:`normalise` takes many
    draws in place of Z̄ where densities are read, and keeps their standard error.

    The same for every chart. a starts at 1/2 everywhere, so that the base starts as N(0, I).

    Args:
        features: d, the dimension that the flow works in.
        charts: K; not read.
        hidden_features: Widths of the network of a, which ends in a sigmoid.
        truncation: T, the most draws for one sample.

    Raises:
        ValueError: If a width is below 1, or the truncation below 2.

    Attributes:
        mean_acceptance: Z, as it is known.
        standard_error: Of Z; 0 at the start, where Z is known.
    """

    mean_acceptance: Tensor
    standard_error: Tensor

    def __init__(
        self,
        features: int,
        charts: int,
        hidden_features: Sequence[Count] = (256, 256),
        truncation: Count = 100,
    ) -> None:
        super().__init__()
        if any(width < 1 for width in hidden_features):
            raise ValueError(f"hidden_features is {list(hidden_features)}; allowed: 1 or more each")
        if truncation < 2:
            raise ValueError(f"truncation is {truncation}; allowed: 2 or more")
        self.features = features
        self.truncation = truncation
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([features, *hidden_features]):
            layers += [nn.Linear(before, after), nn.ReLU()]
        last = nn.Linear([features, *hidden_features][-1], 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(*layers, last)
        self.register_buffer("mean_acceptance", torch.tensor(0.5))
        self.register_buffer("standard_error", torch.tensor(0.0))

    def log_prob(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives log q(w) (P,) of w (P, d); in training draws P proposals, and moves Z̄."""
        z = self._moving_average(w) if self.training else self.mean_acceptance
        z = z.clamp(_LEAST, 1 - _LEAST)
        log_alpha = (self.truncation - 1) * torch.log1p(-z)
        log_kept = (-torch.expm1(log_alpha)).log() - z.log() + self._log_acceptance(w)
        log_ratio = torch.logaddexp(log_kept, log_alpha.expand_as(log_kept))
        constant = 0.5 * self.features * math.log(2 * math.pi)
        return log_ratio - 0.5 * w.square().sum(1) - constant

    def _log_acceptance(self, w: Tensor) -> Tensor:
        log_acceptance: Tensor = nn.functional.logsigmoid(self.network(w)[:, 0])
        return log_acceptance

    def _moving_average(self, w: Tensor) -> Tensor:
        """Gives Z̄, with the gradient of the Ẑ of new draws, as many as w (P, d) has rows."""
        drawn = self._log_acceptance(torch.randn_like(w)).exp().mean()
        self.mean_acceptance.lerp_(drawn.detach(), _MOMENTUM)
        return self.mean_acceptance.clone() + (drawn - drawn.detach())

    @torch.no_grad()
    def sample(self, charts: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws w (P, d), each the first proposal that is kept, or the T-th."""
        w = self._propose(len(charts), generator)
        rejected = torch.arange(len(charts), device=w.device)
        for _ in range(self.truncation - 1):
            kept = self._log_acceptance(w[rejected]).exp()
            chance = torch.empty_like(kept).uniform_(generator=generator)
            rejected = rejected[chance >= kept]
            if len(rejected) == 0:
                break
            w[rejected] = self._propose(len(rejected), generator)
        return w

    def _propose(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draws w (n, d) from π."""
        shape, like = (n, self.features), self.mean_acceptance
        return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def normalise(self, draws: int, generator: torch.Generator) -> None:
        """Estimates Z and its standard error from so many draws of π."""
        total = squares = 0.0
        for start in range(0, draws, _CHUNK):
            w = self._propose(min(_CHUNK, draws - start), generator)
            acceptance = self._log_acceptance(w).exp().double()
            total += float(acceptance.sum())
            squares += float(acceptance.square().sum())
        mean = total / draws
        self.mean_acceptance.fill_(mean)
        self.standard_error.fill_(math.sqrt(max(0.0, squares / draws - mean**2) / draws))

    @property
    def normalisation_error(self) -> float:
        """The standard error of log Z; that of log q is no larger where α is small."""
        return float(self.standard_error / self.mean_acceptance)

    @property
    def fitted_numbers(self) -> int:
        """All weights of the network."""
        return sum(parameter.numel() for parameter in self.parameters())

"""A continuously indexed flow: the rival that mixes over infinitely many bijections."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqflow.config.components import ConfigError
from vqflow.config.limits import Count
from vqflow.flows import IndexedFlow, build_flow
from vqflow.models.density import Points
from vqflow.models.trained import TrainedDensity, check_counts, check_widths
from vqflow.seeding import derive_seed

_ROWS = 2**17


class ContinuouslyIndexedFlow(TrainedDensity):
    """A flow whose layers depend on random indices u (Cornish et al., ICML 2020).

    :class:`vqflow.flows.IndexedFlow` says what it is. Trained by the evidence's lower bound;
    ``log_prob`` is the importance-weighted bound log (1/S) Σ_s p(x, u_s) / q(u_s|x), u_s from
    q(u|x) (Burda et al. 2016): in the mean over draws at most log p(x), and nearer to it with
    more of them.

    Args:
        features: D.
        flow: The flow whose layers are indexed: a class of zuko's and its arguments, as an entry
            of ``flows``.
        training: Budget and optimiser.
        draws: Draws of the indices for each point of a training batch.
        index_features: d_u, the dimension of each layer's index.
        hidden_features: Widths of the networks that the indices need.
        samples: S, draws of the indices for each point that is scored.

    Raises:
        ValueError: If an argument is out of range, or the flow is none of layers on a standard
            normal.
    """

    lower_bound = True

    network: IndexedFlow

    def __init__(
        self,
        features: int,
        flow: Mapping[str, Any],
        training: Mapping[str, Any],
        draws: Count = 1,
        index_features: Count = 2,
        hidden_features: Sequence[Count] = (20, 20),
        samples: Count = 100,
    ) -> None:
        if not isinstance(flow, Mapping) or "class" not in flow:
            raise ValueError(f"flow is {flow!r}; needed: a class and its arguments")
        check_counts(index_features=index_features, samples=samples)
        check_widths(hidden_features)
        self.flow = dict(flow)
        self.index_features = index_features
        self.hidden_features = list(hidden_features)
        self.samples = samples
        super().__init__(features, training, draws)

    def build(self, seed: int) -> nn.Module:
        """Builds the flow and the networks of its indices."""
        weights = derive_seed("flow", seed)
        try:
            flow = build_flow(self.flow, "flow", self.features, context=0, seed=weights)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return IndexedFlow(flow, self.features, self.index_features, self.hidden_features)

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws what makes the indices of n points: standard normal."""
        return torch.randn(n, self.network.indices, generator=generator)

    def losses(self, y: Tensor, noise: Tensor) -> Tensor:
        """Gives minus the evidence's lower bound (N,), by one draw of the indices."""
        return -self.network.log_weight(y, noise)

    @torch.no_grad()
    def log_prob(self, y: Points) -> Points:
        """Gives the importance-weighted bound (N,); the same random numbers at each call."""
        generator = torch.Generator().manual_seed(derive_seed("importance", self._seed))
        parts = []
        for part in torch.as_tensor(y, dtype=self.dtype).split(max(1, _ROWS // self.samples)):
            x = part.repeat_interleave(self.samples, dim=0)
            weights = self.network.log_weight(x, self.noise(len(x), generator))
            parts.append(weights.view(-1, self.samples).double().logsumexp(1))
        return np.asarray(torch.cat(parts) - math.log(self.samples))

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Points:
        """Draws points (n, D): z, then index and layer after layer."""
        drawn = self.network.draw(n, torch.Generator().manual_seed(seed), self.dtype)
        return np.asarray(drawn.double())

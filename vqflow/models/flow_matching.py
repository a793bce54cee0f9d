"""A continuous flow trained by flow matching: the rival that most would use today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqflow.config.components import ConfigError
from vqflow.config.limits import Count, Positive
from vqflow.flows import ConditionalFlow, build_flow
from vqflow.models.density import Points
from vqflow.models.trained import TrainedDensity, check_counts, check_widths
from vqflow.seeding import derive_seed


class FlowMatching(TrainedDensity):
    """A continuous normalizing flow fitted by conditional flow matching (Lipman et al. 2023).

    The velocity v(y, t) is a network of the point and of cos(kπt) and sin(kπt), regressed on that
    of the linear path y_t = (1 - t) y + t z from a point y to noise z ~ N(0, I), t uniform in
    [0, 1]: their optimal-transport path (section 4.1) with time reversed and σ_min = 0. zuko's
    ``CNF`` holds the network and integrates dy/dt = v by the adaptive Dormand-Prince method.
    The density is exact but for that: log p takes the whole trace of the Jacobian of v,
    which costs D passes through the network at each evaluation.

    Args:
        features: D.
        training: Budget and optimiser.
        draws: Draws of t and z for each point of a training batch.
        hidden_features: Widths of the network.
        frequencies: Number of k's, from 1.
        activation: Name of a ``torch.nn`` class; smooth ones are integrated in fewer steps.
        atol: Absolute tolerance of a step, in preprocessed units; of log p it is 100 times that.
        rtol: Relative tolerance of a step.
        max_features: Most dimensions, because of the trace.

    Raises:
        ValueError: If an argument is out of range.
    """

    dtype = torch.float64

    network: ConditionalFlow

    def __init__(
        self,
        features: int,
        training: Mapping[str, Any],
        draws: Count = 1,
        hidden_features: Sequence[Count] = (100, 100, 100, 100),
        frequencies: Count = 4,
        activation: str = "SiLU",
        atol: Positive = 1e-6,
        rtol: Positive = 1e-5,
        max_features: Count = 10,
    ) -> None:
        if features > max_features:
            raise ValueError(
                f"{features} dimensions; allowed: at most max_features, {max_features}, because "
                "the trace of the Jacobian costs a pass for each"
            )
        check_counts(frequencies=frequencies)
        check_widths(hidden_features)
        if min(atol, rtol) <= 0:
            raise ValueError(f"atol, rtol: got {atol}, {rtol}; allowed: above 0")
        self.flow = {
            "class": "zuko.flows.CNF",
            "hidden_features": list(hidden_features),
            "freqs": frequencies,
            "activation": activation,
            "atol": atol,
            "rtol": rtol,
        }
        super().__init__(features, training, draws)

    def build(self, seed: int) -> nn.Module:
        """Builds the continuous flow."""
        weights = derive_seed("flow", seed)
        try:
            return build_flow(self.flow, "flow", self.features, context=0, seed=weights)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws t and z of n points: (n, 1 + D)."""
        t = torch.rand(n, 1, generator=generator)
        return torch.cat([t, torch.randn(n, self.features, generator=generator)], dim=1)

    def losses(self, y: Tensor, noise: Tensor) -> Tensor:
        """Gives the squared distances (N,) of v(y_t, t) from z - y."""
        t, z = noise.split([1, self.features], dim=1)
        velocity: Tensor = self.network.flow.transform.f(t[:, 0], torch.lerp(y, z, t))
        return (velocity - (z - y)).square().sum(1)

    @torch.no_grad()
    def log_prob(self, y: Points) -> Points:
        """Gives log p(y) (N,), by integrating from the points to the noise."""
        points = torch.as_tensor(y, dtype=self.dtype)
        if not self._is_finite():
            return np.full(len(y), np.nan)
        return np.asarray(self.network.log_prob(points, points[:, :0]))

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Points:
        """Draws points (n, D), by integrating from the noise to the points."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.features, generator=generator, dtype=self.dtype)
        if not self._is_finite():
            return np.full(z.shape, np.nan)
        return np.asarray(self.network.to_latent(z, z[:, :0]))

    def _is_finite(self) -> bool:
        """Says whether the weights are: else the integration would not end."""
        return all(bool(part.isfinite().all()) for part in self.network.parameters())

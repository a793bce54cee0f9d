"""A flow whose layers each depend on a random index: its importance weights, and its draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from zuko.flows.gaussianization import ElementWiseTransform
from zuko.lazy import Flow, LazyComposedTransform
from zuko.nn import MLP
from zuko.transforms import MonotonicAffineTransform

from vqflow.flows.conditional import ConditionalFlow
from vqflow.flows.forward import call_and_ladj

_LOG_2PI = math.log(2 * math.pi)


class IndexedFlow(nn.Module):
    """A flow made continuously indexed (Cornish et al. 2020, sections 3 and 4).

    Each layer f of the flow becomes x = f(exp(-s(u)) z - t(u)) with the index u (d_u) drawn from
    p(u|z), and read back by q(u|x); both are normal, with means and scales of networks, as s and
    t are. The density of x is an integral over all indices.

    Args:
        flow: Any flow of layers one after the other, without context, on a standard normal.
        features: D.
        index_features: d_u, of each layer.
        hidden_features: Widths of the networks of s and t, of p and of q.

    Attributes:
        indices: How many index numbers a point has: layers times d_u.

    Raises:
        ValueError: If the flow is another.
    """

    def __init__(
        self,
        flow: ConditionalFlow,
        features: int,
        index_features: int,
        hidden_features: Sequence[int],
    ) -> None:
        super().__init__()
        lazy = flow.flow
        plain = type(lazy).forward is Flow.forward and flow.standard
        if not plain or type(lazy.transform) is not LazyComposedTransform:
            raise ValueError(
                f"flow is a {type(lazy).__name__}; needed: layers one after the other, on a "
                "standard normal"
            )
        self.features = features
        layers = lazy.transform.transforms
        sizes = {"hidden_features": list(hidden_features)}
        self.layers = nn.ModuleList(layers)
        self.affine = nn.ModuleList(
            ElementWiseTransform(features, index_features, **sizes) for _ in layers
        )
        self.prior = nn.ModuleList(MLP(features, 2 * index_features, **sizes) for _ in layers)
        self.posterior = nn.ModuleList(MLP(features, 2 * index_features, **sizes) for _ in layers)
        self.indices = len(layers) * index_features

    def log_weight(self, x: Tensor, noise: Tensor) -> Tensor:
        """Gives log p(x, u) - log q(u|x) (N,), in nats, with u drawn from q by the noise.

        The mean over draws of its exponential is p(x), and its own mean the evidence's lower
        bound.

        Args:
            x: Points (N, D).
            noise: (N, ``indices``), standard normal.
        """
        log_ratio = x.new_zeros(len(x))
        residuals = []
        for i, eps in enumerate(noise.chunk(len(self.layers), dim=1)):
            posterior = _normal(self.posterior[i](x))
            u = posterior(eps)
            x, ladj_of_layer = call_and_ladj(self.layers[i], x, None)
            x, ladj_of_index = self.affine[i](u).call_and_ladj(x)
            prior = _normal(self.prior[i](x))
            residuals.append(prior.inv(u))
            spread = (posterior.log_scale - prior.log_scale).sum(1)
            log_ratio = log_ratio + ladj_of_layer + ladj_of_index + spread
        log_ratio = log_ratio + _log_normal(torch.cat(residuals, dim=1)) - _log_normal(noise)
        return log_ratio + _log_normal(x)

    def draw(self, n: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """Draws points x (n, D)."""
        x = torch.randn(n, self.features, generator=generator, dtype=dtype)
        for i in reversed(range(len(self.layers))):
            prior = _normal(self.prior[i](x))
            u = prior(torch.randn(prior.shift.shape, generator=generator, dtype=dtype))
            x = self.affine[i](u).inv(x)
            x = self.layers[i](None).inv(x)
        return x


def _normal(parameters: Tensor) -> MonotonicAffineTransform:
    """Gives what makes standard normal numbers (N, d_u) those of means and scales (N, 2 d_u).

    zuko's affine transformation bounds the scales by 0.001 and 1,000.
    """
    mean, scale = parameters.chunk(2, dim=1)
    return MonotonicAffineTransform(mean, scale)


def _log_normal(z: Tensor) -> Tensor:
    """Gives log N(z; 0, I) (N,)."""
    return -0.5 * (z.square().sum(1) + z.shape[1] * _LOG_2PI)

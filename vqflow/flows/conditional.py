"""The conditional flow that serves as the map of every chart."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from zuko.distributions import DiagNormal
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import Flow, LazyComposedTransform, LazyTransform, UnconditionalDistribution
from zuko.nn import MaskedLinear

from vqflow.flows.autoregressive import invert_autoregressive, sort_by_degree
from vqflow.flows.forward import TRAINING_DTYPE, call_and_ladj, read_sides, wide_networks
from vqflow.seeding import seeded_by


class ConditionalFlow(nn.Module):
    """A zuko flow that serves as the map of every chart (paper, section 3.2).

    Latent u and noise have the same dimension d; ``code`` is the chart's standardised code,
    one row per point, of width 0 for the plain flow, or its number (P, 1) for a flow by chart.

    Args:
        flow: Any conditional flow with zuko's interface, ``flow(context)`` giving
            a distribution with a ``transform`` from u to the noise and a ``base``. Flows that
            override ``forward``, or have another base than the standard normal, are called
            through it, which is slower.
        by_chart: Whether the flow's context is the chart's number.

    Attributes:
        standard: Whether the flow's base is the standard normal.
        wide_networks: The networks of its layers whose matrix products are what training costs.
    """

    def __init__(self, flow: Flow, by_chart: bool = False) -> None:
        super().__init__()
        self.flow = flow
        self.by_chart = by_chart
        self.standard = _is_standard_normal(flow.base)
        self._plain = type(flow).forward is Flow.forward
        for layer in list(flow.modules()):
            if isinstance(layer, MaskedAutoregressiveTransform):
                sort_by_degree(layer)
        read_sides(flow)
        self.wide_networks = wide_networks(flow)
        for layer in flow.modules():
            if isinstance(layer, MaskedLinear):  # a boolean mask is converted at every use
                layer.mask = layer.mask.to(layer.weight)

    def train_in(self, dtype: torch.dtype | None) -> None:
        """Sets what the wide networks multiply in while they are trained; ``None``: their own."""
        for network in self.wide_networks:
            setattr(network, TRAINING_DTYPE, dtype)

    def log_prob(self, u: Tensor, code: Tensor) -> Tensor:
        """Log-density (P,), in nats, of u (P, d) on charts with codes (P, C)."""
        if not (self._plain and self.standard):
            log_prob: Tensor = self.flow(_context(code)).log_prob(u)
            return log_prob
        z, ladj = call_and_ladj(self.flow.transform, u, _context(code))
        constant = 0.5 * u.shape[1] * math.log(2 * math.pi)
        return ladj - 0.5 * z.square().sum(1) - constant

    @property
    def base_name(self) -> str:
        """What the flow's own base is, in a word."""
        base = self.flow.base
        return getattr(getattr(base, "f", None), "__name__", type(base).__name__)

    def sample_noise(self, code: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws noise (P, d) from the flow's own base, for charts with codes (P, C)."""
        context = _context(code)
        base = self.flow(context).base
        with seeded_by(generator):
            noise: Tensor = base.sample((len(code),) if context is None else ())
        return noise

    def call_and_ladj(self, u: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (P, d) to noise (P, d), with ladj (P,)."""
        if self._plain:
            return call_and_ladj(self.flow.transform, u, _context(code))
        z, ladj = self.flow(_context(code)).transform.call_and_ladj(u)
        return z, ladj

    def to_noise(self, u: Tensor, code: Tensor) -> Tensor:
        """Maps u (P, d) to noise (P, d)."""
        z: Tensor = self.flow(_context(code)).transform(u)
        return z

    def to_latent(self, z: Tensor, code: Tensor) -> Tensor:
        """Maps noise (P, d) to u (P, d); inverse of :meth:`to_noise`.

        Autoregressive layers cost a few network passes where gradients are off
        (:func:`vqflow.flows.invert_autoregressive`), and one per feature where they are on.
        """
        if self._plain and not torch.is_grad_enabled():
            return _invert(self.flow.transform, z, _context(code))
        u: Tensor = self.flow(_context(code)).transform.inv(z)
        return u


def _invert(transform: LazyTransform, y: Tensor, context: Tensor | None) -> Tensor:
    if type(transform) is LazyComposedTransform:
        for part in reversed(transform.transforms):
            y = _invert(part, y, context)
        return y
    if isinstance(transform, MaskedAutoregressiveTransform):
        return invert_autoregressive(transform, y, context)
    x: Tensor = transform(context).inv(y)
    return x


def _context(code: Tensor) -> Tensor | None:
    return code if code.shape[-1] > 0 else None


def _is_standard_normal(base: nn.Module) -> bool:
    """Says whether a lazy distribution is N(0, I), whatever is trained and for every code."""
    if not isinstance(base, UnconditionalDistribution) or any(True for _ in base.parameters()):
        return False
    normal = base()
    return (
        isinstance(normal, DiagNormal)
        and bool((normal.mean == 0).all())
        and bool((normal.stddev == 1).all())
    )

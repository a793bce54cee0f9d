"""Building the conditional base flows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn
from zuko.distributions import DiagNormal
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import Flow, LazyComposedTransform, LazyTransform
from zuko.nn import MaskedLinear

from vqflow.config.components import ConfigError, build, import_class
from vqflow.flows.autoregressive import invert_autoregressive
from vqflow.flows.forward import call_and_ladj


class ConditionalFlow(nn.Module):
    """A zuko flow that serves as the map of every chart (paper, section 3.2).

    Latent u and noise z have the same dimension d; ``code`` is the chart's
    standardised code, one row per point, of width 0 for the plain flow.

    Args:
        flow: Any conditional flow with zuko's interface, ``flow(context)`` giving
            a distribution with a ``transform`` from u to z and a standard normal ``base``.
            Flows that override ``forward`` are called through it, which is slower.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow
        self._plain = type(flow).forward is Flow.forward
        for layer in flow.modules():
            if isinstance(layer, MaskedLinear):  # a boolean mask is converted at every use
                layer.mask = layer.mask.to(layer.weight)

    def log_prob(self, u: Tensor, code: Tensor) -> Tensor:
        """Log-density (P,), in nats, of u (P, d) on charts with codes (P, C)."""
        if not self._plain:
            log_prob: Tensor = self.flow(_context(code)).log_prob(u)
            return log_prob
        z, ladj = call_and_ladj(self.flow.transform, u, _context(code))
        constant = 0.5 * u.shape[1] * math.log(2 * math.pi)
        return ladj - 0.5 * z.square().sum(1) - constant

    def call_and_ladj(self, u: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (P, d) to noise (P, d), with ladj (P,)."""
        if self._plain:
            return call_and_ladj(self.flow.transform, u, _context(code))
        z, ladj = self.flow(_context(code)).transform.call_and_ladj(u)
        return z, ladj

    def to_noise(self, u: Tensor, code: Tensor) -> Tensor:
        """Maps u (P, d) to noise z (P, d)."""
        z: Tensor = self.flow(_context(code)).transform(u)
        return z

    def to_latent(self, z: Tensor, code: Tensor) -> Tensor:
        """Maps noise z (P, d) to u (P, d); inverse of :meth:`to_noise`.

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


def build_flow(
    component: Mapping[str, Any],
    place: str,
    features: int,
    context: int,
    seed: int,
    shape: Sequence[int] | None = None,
) -> ConditionalFlow:
    """Builds a flow of the catalogue with seeded initial weights.

    Args:
        component: The catalogue entry, ``{"class": import path, **arguments}``;
            lists of numbers and the names of ``torch.nn`` activations are allowed, and for
            what the flow calls itself a class with some arguments set, in the same form.
        place: Where the entry stands in the configuration.
        features: d, the dimension of the latent space.
        context: C, the width of the chart code.
        seed: Seed of the initial weights.
        shape: Channels, height and width where the latent space is that of images; for
            classes that take it by this name.

    Raises:
        ConfigError: If the class refuses its arguments, is not a conditional flow, needs
            images where there are none, or its base is not the standard normal.
    """
    component = dict(component)
    supplied: dict[str, Any] = {"features": features, "context": context}
    wanted = _shape_parameter(import_class(component["class"], place))
    if wanted is not None and shape is not None:
        supplied["shape"] = tuple(shape)
    elif wanted is not None and wanted.default is Parameter.empty:
        raise ConfigError(
            f"{place}: {component['class']} takes images, but the data are vectors, or an "
            "embedding leaves the flow fewer dimensions than there are pixels"
        )
    if isinstance(component.get("activation"), str):
        component["activation"] = _activation(component["activation"], place)
    for key, value in component.items():
        if isinstance(value, Mapping) and "class" in value:
            component[key] = _part(value, f"{place}.{key}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = build(component, place, **supplied)
    if not isinstance(flow, Flow):
        raise ConfigError(f"{place}.class: '{component['class']}' is not a zuko flow")
    _check_base(flow, place, context)
    return ConditionalFlow(flow)


def _shape_parameter(cls: Any) -> Parameter | None:
    try:
        return signature(cls).parameters.get("shape")
    except (TypeError, ValueError):  # no class, or one that says nothing of its arguments
        return None


def _check_base(flow: Flow, place: str, context: int) -> None:
    """Samples are drawn as g_k(z), z ~ N(0, I), so no other base will do."""
    base = flow.base(torch.zeros(context) if context else None)
    standard = (
        isinstance(base, DiagNormal)
        and bool((base.mean == 0).all())
        and bool((base.stddev == 1).all())
    )
    if not standard:
        raise ConfigError(f"{place}: the flow's base is {base}, not a standard normal")


def _activation(name: str, place: str) -> type[nn.Module]:
    activation = getattr(nn, name, None)
    if activation is None:
        raise ConfigError(f"{place}.activation: no '{name}' in torch.nn; try 'ReLU' or 'SiLU'")
    chosen: type[nn.Module] = activation
    return chosen


def _part(entry: Mapping[str, Any], place: str) -> partial[Any]:
    """Gives ``{"class": import path, **arguments}`` as something that the flow calls."""
    part = import_class(str(entry["class"]), place)
    if not callable(part):
        raise ConfigError(f"{place}.class: '{entry['class']}' is no class or function")
    return partial(part, **{key: value for key, value in entry.items() if key != "class"})

"""The inverse of masked autoregressive transforms, with the arithmetic of one network pass."""

from __future__ import annotations

import functools
import logging

import torch
from torch import Tensor
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.lazy import LazyTransform
from zuko.nn import MaskedLinear

from vqflow.flows.arrays import affine_slope, as_array, invert_affine
from vqflow.flows.forward import is_plain_transform, parameters_of
from vqflow.flows.incremental import IncrementalNetwork
from vqflow.flows.masked import UnsupportedNetworkError, check_network, dependence, sort_units
from vqflow.flows.staircase import WIDE

log = logging.getLogger(__name__)

_CHUNK = {"cpu": 2**12, "cuda": 2**16}


@torch.no_grad()
def invert_autoregressive(
    transform: LazyTransform, y: Tensor, context: Tensor | None = None
) -> Tensor:
    """Gives x with ``transform(context)(x) = y``, exactly, without gradients.

    zuko's own inverse runs the whole network once per feature. Here each hidden unit is
    computed once, as soon as the features that it sees are known, so that the arithmetic
    is that of one pass, whatever the number of features.

    It takes a :class:`zuko.flows.MaskedAutoregressiveTransform` of any order, adjacency or
    number of passes, with any univariate transformation that treats features alike, and a
    network of masked layers, residual blocks and activations that act on each unit by
    itself. Everything else is inverted by its own ``inv``, and a warning in the log says why.

    Args:
        transform: A lazy transformation of D features, context C.
        y: What to invert, (*, D), in the dtype and on the device of the parameters.
        context: (*, C), its batch dimensions broadcast with those of y; ``None`` for C = 0.

    Returns:
        x, (*, D).

    Raises:
        ValueError: If y has not D features, or the context not C.

    Example:
        >>> import torch
        >>> import zuko
        >>> flow = zuko.flows.MAF(784, transforms=1, hidden_features=[1024])
        >>> layer = flow.transform.transforms[0]
        >>> y = torch.randn(100, 784)
        >>> x = invert_autoregressive(layer, y)
        >>> bool(torch.allclose(layer()(x), y, atol=1e-3))
        True
    """
    try:
        plan = _Plan(transform)
    except UnsupportedNetworkError as reason:
        _warn_once(type(transform).__name__, str(reason))
        inverse: Tensor = transform(context).inv(y)
        return inverse
    return plan.invert(y, context)


def sort_by_degree(transform: LazyTransform) -> None:
    """Sorts the units of a wide autoregressive network by degree, in place.

    Values, gradients and state dictionaries stay what they are; see
    :class:`vqflow.flows.staircase.StaircaseLinear`. Networks that are narrow, or that
    :func:`invert_autoregressive` does not take either, stay as they are.
    """
    if not is_plain_transform(transform, MaskedAutoregressiveTransform):
        return
    network = transform.hyper
    widths = [len(layer.weight) for layer in network.modules() if isinstance(layer, MaskedLinear)]
    if max(widths, default=0) < WIDE:
        return
    try:
        check_network(network)
        degrees = _feature_degrees(transform)
        context = network.in_features - len(degrees)
        sort_units(network, torch.cat([degrees, degrees.new_zeros(context)]))
    except UnsupportedNetworkError as reason:
        log.warning("a network trains with zeros for weights: %s", reason)


@functools.cache
def _warn_once(name: str, reason: str) -> None:
    log.warning("slow inverse of a %s, one network pass per feature: %s", name, reason)


class _Plan:
    """The order in which one transform is inverted. Degree 0 knows the context alone."""

    def __init__(self, transform: LazyTransform) -> None:
        if not is_plain_transform(transform, MaskedAutoregressiveTransform):
            raise UnsupportedNetworkError("it is no plain MaskedAutoregressiveTransform")
        check_network(transform.hyper)
        self.transform = transform
        degrees = _feature_degrees(transform)
        self.features = len(degrees)
        self.context = transform.hyper.in_features - self.features
        self.order = degrees.argsort(stable=True)
        self.slope = affine_slope(transform.univariate)
        _check_univariate(transform, self.features)
        self.network = IncrementalNetwork(
            transform.hyper,
            input_degrees=torch.cat([degrees, degrees.new_zeros(self.context)]),
            output_degrees=degrees.repeat_interleave(transform.total),
            degrees=int(degrees.max()) + 1,
        )

    def invert(self, y: Tensor, context: Tensor | None) -> Tensor:
        if context is None:
            context = y.new_empty(0)
        if (y.shape[-1], context.shape[-1]) != (self.features, self.context):
            raise ValueError(
                f"y has {y.shape[-1]} features and the context {context.shape[-1]}; "
                f"the transform takes {self.features} and {self.context}"
            )
        batch = torch.broadcast_shapes(y.shape[:-1], context.shape[:-1])
        rows = y.expand(*batch, -1).reshape(-1, self.features)
        contexts = context.expand(*batch, -1).reshape(len(rows), self.context)
        size = _CHUNK.get(y.device.type, _CHUNK["cpu"])
        chunks = zip(rows.split(size), contexts.split(size), strict=True)
        return torch.cat([self._solve(*chunk) for chunk in chunks]).view(*batch, self.features)

    def _solve(self, y: Tensor, context: Tensor) -> Tensor:
        network, inputs = self.network, self.network.inputs
        network.allocate(len(y))
        inputs.values[: self.context] = context.T
        sorted_y = y.T[self.order]
        array = as_array(sorted_y)
        for first, last in network.blocks():
            network.open(first, last)
            for degree in range(first, last):
                if degree > 0:
                    rows = inputs.rows(degree, degree + 1)
                    needed = network.finish_outputs(first, degree)
                    known = slice(rows.start - self.context, rows.stop - self.context)
                    given, solved = network.outputs.array, inputs.array
                    if self.slope is None or array is None or given is None or solved is None:
                        parameters = network.outputs.values[needed]
                        inputs.values[rows] = self._univariate(parameters, sorted_y[known])
                    else:
                        invert_affine(given[needed], array[known], self.slope, out=solved[rows])
                network.advance(first, degree)
        x = torch.empty_like(sorted_y)
        x[self.order] = inputs.values[self.context :]
        return x.T.contiguous()

    def _univariate(self, parameters: Tensor, y: Tensor) -> Tensor:
        """Inverts features y (F', N), given the outputs (F' · total, N) for them."""
        phi = parameters.view(len(y), self.transform.total, -1).permute(2, 0, 1)
        x: Tensor = self.transform.univariate(*parameters_of(phi, self.transform.shapes)).inv(y.T)
        return x.T


def _feature_degrees(transform: MaskedAutoregressiveTransform) -> Tensor:
    """Gives the degree (D,) of each feature: 1 for those that depend on no other."""
    if transform.order is not None:
        ranks: Tensor = torch.unique(transform.order, return_inverse=True)[1]
        return ranks + 1
    inputs = transform.hyper.in_features
    seen = dependence(
        transform.hyper, torch.eye(inputs, device=next(transform.hyper.parameters()).device)
    )
    features = len(seen) // transform.total
    graph = seen.view(features, transform.total, inputs).amax(1)[:, :features]
    missing, degrees = graph.sum(1), torch.zeros_like(graph[0], dtype=torch.long)
    degree = 1
    while bool((ready := (missing == 0) & (degrees == 0)).any()):
        degrees[ready] = degree
        missing -= graph[:, ready].sum(1)
        degree += 1
    return degrees


def _check_univariate(transform: MaskedAutoregressiveTransform, features: int) -> None:
    """Refuses a univariate transformation that treats the features unlike one another."""
    weight = next(transform.hyper.parameters()).detach()
    parameters = torch.linspace(-1, 1, 2 * features * transform.total).to(weight)
    phi = parameters.view(2, features, transform.total)
    y = torch.linspace(-1, 1, 2 * features).to(weight).view(2, features)

    def inverse(columns: slice) -> Tensor:
        chosen = parameters_of(phi[:, columns], transform.shapes)
        x: Tensor = transform.univariate(*chosen).inv(y[:, columns])
        return x

    try:
        whole = inverse(slice(None))
        alike = all(
            torch.allclose(whole[:, columns], inverse(columns), atol=1e-4, equal_nan=True)
            for columns in (slice(0, 1), slice(features - 1, features))
        )
    except (RuntimeError, ValueError, IndexError):
        alike = False
    if not alike:
        raise UnsupportedNetworkError("its univariate transformation differs between features")

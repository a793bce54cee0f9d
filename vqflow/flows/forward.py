"""Data to noise through zuko's layers, without what their generality costs at every call.

The arithmetic is that of zuko's own transformations: the same networks and the same
univariate transformations, called directly. A coupling leaves its features in the two
tensors that the next one reads, in place of gathering and scattering them at each layer,
and asks the device nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import LazyComposedTransform, LazyTransform
from zuko.utils import unpack

from vqflow.flows.staircase import WIDE

Kind = TypeVar("Kind", bound=LazyTransform)
Features = tuple[int, ...]

TRAINING_DTYPE = "training_dtype"
"""Attribute of a layer's network: what it multiplies in while it is trained."""

_SIDES = "_vqflow_sides"  # an attribute of the layer: what a compiler takes for one of all


def call_and_ladj(
    transform: LazyTransform, x: Tensor, context: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gives ``transform(context).call_and_ladj(x)``.

    Args:
        transform: A lazy transformation of d features, context C.
        x: (P, d).
        context: (P, C), or ``None``.

    Returns:
        y (P, d) and its ladj (P,).
    """
    parts = transform.transforms if type(transform) is LazyComposedTransform else [transform]
    whole = tuple(range(x.shape[1]))
    pieces = {whole: x}
    total = x.new_zeros(())
    for part in parts:
        if is_plain_transform(part, GeneralCouplingTransform):
            kept, changed = _sides(part)
            pieces = _regroup(pieces, kept, changed)
            inputs = pieces[kept]
            pieces[changed], ladj = _univariate(part, inputs, context).call_and_ladj(
                pieces[changed]
            )
            ladj = ladj.sum(1)
        else:
            inputs = _regroup(pieces, whole)[whole]
            if is_plain_transform(part, MaskedAutoregressiveTransform):
                y, ladj = _univariate(part, inputs, context).call_and_ladj(inputs)
                ladj = ladj.sum(1)
            else:
                y, ladj = part(context).call_and_ladj(inputs)
                ladj = ladj.sum(1) if ladj.dim() > 1 else ladj  # that of each feature
            pieces = {whole: y}
        total = total + ladj
    return _regroup(pieces, whole)[whole], total.expand(len(x))


def is_plain_transform(part: nn.Module, family: type[Kind]) -> TypeGuard[Kind]:
    """Says whether a layer is of a family and overrides nothing of what is bypassed here."""
    kind = type(part)
    return issubclass(kind, family) and all(
        getattr(kind, name) is getattr(family, name) for name in ("forward", "meta")
    )


def _univariate(part: LazyTransform, inputs: Tensor, context: Tensor | None) -> Any:
    """Builds the transformations of the features, whose parameters the network gives."""
    if context is not None:
        inputs = torch.cat([inputs, context], dim=1)
    phi = _network(part.hyper, inputs).unflatten(1, (-1, part.total))
    return part.univariate(*parameters_of(phi, part.shapes))


def _network(network: nn.Module, inputs: Tensor) -> Tensor:
    dtype = getattr(network, TRAINING_DTYPE, None) if network.training else None
    if dtype is None:
        phi: Tensor = network(inputs)
        return phi
    with torch.autocast(inputs.device.type, dtype):
        phi = network(inputs)
    return phi.to(inputs.dtype)


def read_sides(flow: nn.Module) -> None:
    """Reads once what the couplings of a flow keep and change, which a compiler cannot do."""
    for layer in flow.modules():
        if is_plain_transform(layer, GeneralCouplingTransform):
            _sides(layer)


def wide_networks(flow: nn.Module) -> list[nn.Module]:
    """Gives the networks of a flow's layers that are at least :data:`WIDE` units wide."""
    families = (GeneralCouplingTransform, MaskedAutoregressiveTransform)
    found = []
    for layer in flow.modules():
        if any(is_plain_transform(layer, family) for family in families):
            network = layer.get_submodule("hyper")
            biases = [part.numel() for part in network.parameters() if part.dim() == 1]
            if max(biases, default=0) >= WIDE:
                found.append(network)
    return found


def parameters_of(phi: Tensor, shapes: Sequence[Sequence[int]]) -> Sequence[Tensor]:
    """Cuts phi (P, d, total) into the univariate transformations' parameters (P, d, *shape)."""
    if all(len(shape) == 0 for shape in shapes):
        return phi.unbind(2)
    parts: Sequence[Tensor] = unpack(phi, shapes)
    return parts


def _sides(part: GeneralCouplingTransform) -> tuple[Features, Features]:
    """Gives the features that a coupling keeps, and those that it changes; read once a mask."""
    known: tuple[Tensor, int | None, Features, Features] | None = part.__dict__.get(_SIDES)
    if known is not None and torch.compiler.is_compiling():
        return known[2], known[3]
    mask = part.mask
    version = None if mask.is_inference() else mask._version
    if known is None or known[0] is not mask or known[1] != version:
        flags = mask.tolist()
        kept = tuple(i for i, flag in enumerate(flags) if flag)
        changed = tuple(i for i, flag in enumerate(flags) if not flag)
        known = (mask, version, kept, changed)
        part.__dict__[_SIDES] = known
    return known[2], known[3]


def _regroup(pieces: dict[Features, Tensor], *wanted: Features) -> dict[Features, Tensor]:
    """Gives the wanted groups of features (P, number), cutting and joining where they differ."""
    if all(group in pieces for group in wanted):
        return pieces
    joined = torch.cat(list(pieces.values()), dim=1)
    column = {feature: i for i, feature in enumerate(sum(pieces, ()))}
    groups = {}
    for group in wanted:
        columns = [column[feature] for feature in group]
        groups[group] = joined[:, _cheapest(columns, joined.device)]
    return groups


def _cheapest(columns: list[int], device: torch.device) -> slice | list[int] | Tensor:
    """Gives a slice, which copies nothing and moves no index to the device, where it can."""
    step = columns[1] - columns[0] if len(columns) > 1 else 1
    if step > 0 and columns == list(range(columns[0], columns[-1] + 1, step)):
        return slice(columns[0], columns[-1] + 1, step)
    return columns if device.type == "cpu" else _index(tuple(columns), device)


@functools.lru_cache(maxsize=256)
def _index(columns: Features, device: torch.device) -> Tensor:
    """Gives the columns as an index that is on the device already at the next call."""
    return torch.tensor(columns, device=device)

"""What masked networks consist of, and at which degree each of their units is known."""

from __future__ import annotations

from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from zuko.nn import MaskedLinear, MaskedMLP, Residual

from vqflow.flows.staircase import StaircaseLinear

Kind = TypeVar("Kind", bound=nn.Module)

_PROBE_ROWS = 3


class UnsupportedNetworkError(ValueError):
    """The network cannot be evaluated degree by degree; the message says why."""


def check_network(network: nn.Module) -> None:
    """Refuses a network that is no :class:`zuko.nn.MaskedMLP`, or overrides what that does.

    Raises:
        UnsupportedNetworkError: Then.
    """
    if not is_plain(network, MaskedMLP):
        raise UnsupportedNetworkError(f"its network is a {type(network).__name__}, no MaskedMLP")


def is_plain(layer: Any, family: type[Kind]) -> TypeGuard[Kind]:
    """Says whether a layer does what its family does."""
    return isinstance(layer, family) and type(layer).forward is family.forward


def is_masked(layer: Any) -> TypeGuard[MaskedLinear | StaircaseLinear]:
    """Says whether a layer is a masked one of zuko's, sorted or not."""
    return is_plain(layer, MaskedLinear) or isinstance(layer, StaircaseLinear)


def unit_degrees(layer: MaskedLinear | StaircaseLinear, source: Tensor) -> Tensor:
    """Gives the latest degree (U,) of the inputs that each unit sees, inputs having (S,)."""
    if isinstance(layer, StaircaseLinear):
        return layer.degrees
    # floating-point numbers are exact here, and far faster than integers
    return (layer.mask * source.float()).amax(1).long()


def dependence(network: nn.Sequential, seen: Tensor) -> Tensor:
    """Says which inputs each output of a masked network sees.

    Args:
        network: Masked layers, activations and residual blocks.
        seen: (U, I) float, 1 where input i is seen by unit u of what the network reads.

    Returns:
        (O, I) float, 1 where output o sees input i, else 0.
    """
    for layer in network:
        if is_masked(layer):
            seen = (layer.mask.to(seen) @ seen).clamp(max=1)
        elif is_plain(layer, Residual):
            seen = (seen + dependence(layer, seen)).clamp(max=1)
    return seen


def check_per_unit(layer: nn.Module, width: int, like: Tensor) -> None:
    """Refuses a layer whose units do not each depend on their own input alone.

    Raises:
        UnsupportedNetworkError: Then.
    """
    rows = _PROBE_ROWS + (width == _PROBE_ROWS)
    probe = torch.linspace(-3, 3, rows * width).to(like).view(rows, width)
    try:
        whole, transposed = layer(probe.clone()), layer(probe.T.clone()).T
        first, last = layer(probe[:, :1].clone()), layer(probe[:, -1:].clone())
        per_unit = (
            torch.allclose(whole, transposed, atol=1e-6)
            and torch.allclose(whole[:, :1], first, atol=1e-6)
            and torch.allclose(whole[:, -1:], last, atol=1e-6)
        )
    except (RuntimeError, ValueError, IndexError):
        per_unit = False
    if not per_unit:
        raise UnsupportedNetworkError(f"{type(layer).__name__} does not act on each unit by itself")


def sort_units(network: nn.Sequential, degrees: Tensor) -> None:
    """Replaces the layers of a masked network by sorted ones, in place.

    Args:
        network: A :class:`zuko.nn.MaskedMLP`.
        degrees: (S,) the degree of each input.

    Raises:
        UnsupportedNetworkError: If its units cannot be sorted; it is then as before.
    """
    check_network(network)
    sorted_layers, _ = _sorted(network, degrees, outermost=True)
    for i, layer in sorted_layers.items():
        network[i] = layer


def _sorted(
    network: nn.Sequential, degrees: Tensor, outermost: bool
) -> tuple[dict[int, nn.Module], Tensor]:
    """Gives the sorted layers by their places, and the degrees of the outputs."""
    found: dict[int, nn.Module] = {}
    last = len(network) - 1
    for i, layer in enumerate(network):
        if is_plain(layer, MaskedLinear) and layer.bias is not None:
            targets = unit_degrees(layer, degrees)
            ends = outermost and i == 0, outermost and i == last
            found[i] = StaircaseLinear(layer, degrees, targets, *ends)
            degrees = targets
        elif is_plain(layer, Residual):
            inner, targets = _sorted(layer, degrees, outermost=False)
            if not torch.equal(targets, degrees):
                raise UnsupportedNetworkError("a residual block adds units of unequal degrees")
            found[i] = Residual(*(inner.get(j, part) for j, part in enumerate(layer)))
        else:
            check_per_unit(layer, len(degrees), next(network.parameters()).detach())
    if outermost and not {0, last} <= set(found):
        raise UnsupportedNetworkError("it does not begin and end in masked layers with biases")
    return found, degrees

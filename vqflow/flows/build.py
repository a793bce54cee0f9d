"""Flows from their entries of the catalogue."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from inspect import Parameter, signature
from typing import Any

import torch
from torch import nn
from zuko.lazy import Flow

from vqflow.config.arguments import mistaken_arguments, mistaken_value
from vqflow.config.components import ConfigError, build, import_class
from vqflow.config.limits import Count
from vqflow.config.wording import none_of, shown
from vqflow.flows.conditional import ConditionalFlow

_OF_NETWORKS = {"hidden_features": list[Count], "normalize": bool}
"""Arguments that zuko's flows pass on to their networks, without a type."""


def build_flow(
    component: Mapping[str, Any],
    place: str,
    features: int,
    context: int,
    seed: int,
    shape: Sequence[int] | None = None,
    charts: int = 1,
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
        charts: K; for classes that take it by this name, whose context is then the chart's
            number in place of its code, and which are given no width of it.

    Raises:
        ConfigError: If the class refuses its arguments, is not a conditional flow, or needs
            images where there are none.
    """
    cls = import_class(component["class"], place)
    by_chart = _parameter(cls, "charts") is not None
    told = {"charts": charts} if by_chart else {"context": context}
    supplied: dict[str, Any] = {"features": features, **told}
    if isinstance(cls, type) and not issubclass(cls, Flow):
        raise ConfigError(f"{place}.class: '{component['class']}' is not a zuko flow")
    wanted = _parameter(cls, "shape")
    if wanted is not None and shape is not None:
        supplied["shape"] = tuple(shape)
    elif wanted is not None and wanted.default is Parameter.empty:
        raise ConfigError(
            f"{place}: {component['class']} takes images, but the data are vectors, or an "
            "embedding leaves the flow fewer dimensions than there are pixels"
        )
    mistakes = list(_mistaken_sizes(component, place))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    entry = {"class": component["class"], **_arguments(component, place)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = build(entry, place, Flow, **supplied)
    return ConditionalFlow(flow, by_chart)


def _mistaken_sizes(entry: Mapping[str, Any], place: str) -> Iterator[str]:
    """Names the sizes of zuko's flows that make no layer; zuko checks none of them."""
    if not str(entry["class"]).startswith("zuko.flows."):
        return
    for name, value in entry.items():
        if name in _OF_NETWORKS:
            yield from mistaken_value(value, _OF_NETWORKS[name], f"{place}.{name}")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield from mistaken_value(value, Count, f"{place}.{name}")


def _parameter(cls: Any, name: str) -> Parameter | None:
    try:
        return signature(cls).parameters.get(name)
    except (TypeError, ValueError):  # no class, or one that says nothing of its arguments
        return None


def _arguments(entry: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Gives an entry's arguments, with what they name in place of names."""
    arguments = {key: value for key, value in entry.items() if key != "class"}
    if "activation" in arguments:
        arguments["activation"] = _activation(arguments["activation"], place)
    for key, value in arguments.items():
        if isinstance(value, Mapping) and "class" in value:
            arguments[key] = _part(value, f"{place}.{key}")
    return arguments


def _activation(name: Any, place: str) -> type[nn.Module]:
    chosen = getattr(nn, str(name), None)
    if not (inspect.isclass(chosen) and issubclass(chosen, nn.Module)):
        what = f"no '{name}' in torch.nn"
        raise ConfigError(f"{place}.activation: {none_of(what, _activations(), str(name))}")
    try:
        chosen()
    except TypeError as error:
        raise ConfigError(
            f"{place}.activation: is {shown(name)}, which needs arguments; allowed: "
            f"{', '.join(_activations())}"
        ) from error
    return chosen


def _activations() -> list[str]:
    """Gives torch's activations that need no arguments."""
    module = nn.modules.activation
    classes = [name for name in module.__all__ if name in dir(nn)]
    return [name for name in classes if not _needed(getattr(nn, name))]


def _needed(cls: Any) -> list[str]:
    return [p.name for p in signature(cls).parameters.values() if p.default is Parameter.empty]


def _part(entry: Mapping[str, Any], place: str) -> partial[Any]:
    """Gives ``{"class": import path, **arguments}`` as something that the flow calls."""
    part = import_class(str(entry["class"]), place)
    if not callable(part):
        raise ConfigError(f"{place}.class: '{entry['class']}' is no class or function")
    arguments = _arguments(entry, place)
    mistakes = [
        *_mistaken_sizes(entry, place),
        *mistaken_arguments(part, arguments, (), place, entry["class"], missing=False),
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return partial(part, **arguments)

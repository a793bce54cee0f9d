"""Building the catalogue's classes from their import path and keyword arguments."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from vqflow.config.entries import Component

Kind = TypeVar("Kind")


class ConfigError(ValueError):
    """A mistake in the configuration; the message begins with its place in the file."""


def classes_in(value: Any) -> Iterator[str]:
    """Gives the import paths of all classes that plain values of a configuration name."""
    if isinstance(value, Mapping):
        if "class" in value:
            yield str(value["class"])
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from classes_in(item)


def import_class(path: str, place: str) -> Any:
    """Imports ``package.module.Name``.

    Args:
        path: The import path.
        place: Where the path stands in the configuration, for the error message.

    Raises:
        ConfigError: If the module or the name in it does not exist.
    """
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{place}.class: cannot import '{path}': {error}") from error
    except AttributeError as error:
        raise ConfigError(f"{place}.class: no '{name}' in module '{module_name}'") from error


def build(component: Mapping[str, Any], place: str, **context: Any) -> Any:
    """Builds one entry of the catalogue: imports its ``class`` and calls it.

    Args:
        component: ``{"class": import path, **keyword arguments}``.
        place: Where the entry stands in the configuration, for error messages.
        context: Further keyword arguments that the workflow supplies (the data's
            shape, the width of the chart code, ...).

    Raises:
        ConfigError: If the class does not exist or does not accept the arguments.
    """
    arguments = {key: value for key, value in component.items() if key != "class"}
    cls = import_class(component["class"], place)
    try:
        return cls(**context, **arguments)
    except ConfigError:
        raise
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f"{place}: {component['class']} refuses its arguments: {error}"
        ) from error


def build_entry(entry: Component, section: str, kind: type[Kind], **context: Any) -> Kind:
    """Builds an entry of the catalogue and checks what it is.

    Args:
        entry: The entry.
        section: The section of the catalogue that it stands in.
        kind: What it must be.
        context: See :func:`build`.

    Raises:
        ConfigError: If the class refuses its arguments or is another kind of thing.
    """
    return build_kind(entry.arguments(), f"{section}.{entry.name}", kind, **context)


def build_kind(component: Mapping[str, Any], place: str, kind: type[Kind], **context: Any) -> Kind:
    """Builds as :func:`build` does, and checks what it is; a class, before it is called.

    Raises:
        ConfigError: If the class refuses its arguments or is another kind of thing.
    """
    path = component["class"]
    wrong = ConfigError(f"{place}.class: '{path}' is not a {kind.__module__}.{kind.__qualname__}")
    cls = import_class(path, place)
    if isinstance(cls, type) and not issubclass(cls, kind):
        raise wrong
    built = build(component, place, **context)
    if not isinstance(built, kind):
        raise wrong
    return built

"""Building the catalogue's classes from their import path and keyword arguments."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from vqflow.config.arguments import mistaken_arguments, no_such_argument, passed_on
from vqflow.config.entries import Component
from vqflow.config.wording import shown

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
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        hint = _nearest(module_name, _modules_beside(module_name))
        raise ConfigError(f"{place}.class: cannot import '{path}': {kind}{error}{hint}") from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        classes = [each for each in dir(module) if inspect.isclass(getattr(module, each, None))]
        hint = _nearest(name, classes)
        raise ConfigError(f"{place}.class: no '{name}' in module '{module_name}'{hint}") from error


def _nearest(name: str, there: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, there, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _modules_beside(name: str) -> list[str]:
    """Gives the modules of the package that a module which is not there would be in."""
    package = name.rpartition(".")[0]
    try:
        folders = importlib.import_module(package).__path__ if package else None
    except Exception:
        return []
    prefix = f"{package}." if package else ""
    return [f"{prefix}{module.name}" for module in pkgutil.iter_modules(folders)]


def build(
    component: Mapping[str, Any],
    place: str,
    kind: type[Kind] | None = None,
    keys: Collection[str] = (),
    /,
    **context: Any,
) -> Any:
    """Builds one entry of the catalogue: imports its ``class`` and calls it.

    Args:
        component: ``{"class": import path, **keyword arguments}``.
        place: Where the entry stands in the configuration, for error messages.
        kind: What it must be.
        keys: Keys of the entry that are no arguments.
        context: Further keyword arguments that the workflow supplies (the data's
            shape, the width of the chart code, ...).

    Raises:
        ConfigError: If the class does not exist, is another kind of thing, or does not accept the
            arguments: one line for each of them.
    """
    path = component["class"]
    arguments = {key: value for key, value in component.items() if key != "class"}
    cls = import_class(path, place)
    if not callable(cls) or (inspect.isclass(cls) and kind and not issubclass(cls, kind)):
        raise _another_kind(place, path, kind)
    mistakes = list(mistaken_arguments(cls, arguments, context, place, path, keys))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    try:
        built = cls(**context, **arguments)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(_refusal(error, path, arguments, place, context)) from error
    if kind and not isinstance(built, kind):
        raise _another_kind(place, path, kind)
    return built


def _another_kind(place: str, path: str, kind: type | None) -> ConfigError:
    expected = f"{kind.__module__}.{kind.__qualname__}" if kind else "class or function"
    return ConfigError(f"{place}.class: '{path}' is not a {expected}")


def _refusal(
    error: Exception,
    path: str,
    arguments: Mapping[str, Any],
    place: str,
    supplied: Collection[str],
) -> str:
    """Says in one line why a class could not be built."""
    for name, where, called in _names_in(arguments, place, path):
        known = passed_on(error, name)
        if known is not None:
            own = [each for each in known if each not in supplied]
            return no_such_argument(where, called, name, own)
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, AssertionError)):
        return f"{place}: {path} refuses its arguments: {text}"
    kind = type(error).__name__
    return f"{place}: {path} refuses its arguments: {kind}: {text}; given: {shown(arguments)}"


def _names_in(
    arguments: Mapping[str, Any], place: str, path: str
) -> Iterator[tuple[str, str, str]]:
    """Gives the arguments, and those of classes among them: name, place, and class."""
    for name, value in arguments.items():
        where = f"{place}.{name}"
        yield name, where, path
        if isinstance(value, partial):
            called = f"{value.func.__module__}.{value.func.__qualname__}"
            yield from _names_in(value.keywords, where, called)


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
    keys = [key for key in type(entry).model_fields if key not in ("class_", "name")]
    built: Kind = build(entry.arguments(), f"{section}.{entry.name}", kind, keys, **context)
    return built

"""Reading a configuration: every mistake in one line that begins with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vqflow.config.catalogue import Config
from vqflow.config.components import ConfigError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_config(raw: Mapping[str, Any]) -> Config:
    """Checks a configuration.

    Args:
        raw: The merged YAML files.

    Raises:
        ConfigError: On any mistake, one line each, every line beginning with its place.
    """
    strings = list(_numeric_strings(raw, ""))
    if strings:
        raise ConfigError("\n".join(strings))
    try:
        return Config.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(detail) for detail in error.errors())) from None


def refuse_repeated_keys(paths: Iterable[str | Path]) -> None:
    """Refuses YAML files in which a key stands twice in one place: YAML keeps the last in silence.

    Raises:
        ConfigError: One line per key, each with its file, line and place.
    """
    mistakes = []
    for path in paths:
        loader = _Loader(Path(path).read_text(encoding="utf-8"))
        try:
            tree = loader.get_single_node()
        except yaml.YAMLError:
            continue  # Snakemake says it better
        finally:
            loader.dispose()
        mistakes += [f"{path}:{line}: {text}" for line, text in _repeated(tree, "")]
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _repeated(node: yaml.Node | None, place: str) -> Iterator[tuple[int, str]]:
    """Gives the line and the message of each key that its dictionary has already."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, place)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        inner = f"{place}.{name}" if place else name
        line = key.start_mark.line + 1
        if name in first and name != "<<":
            yield line, f"{inner} is there already, in line {first[name]}; write it once"
        first.setdefault(name, line)
        yield from _repeated(value, inner)


def _describe(detail: Any) -> str:
    if detail["type"] == "value_error" and not detail["loc"]:
        return str(detail["ctx"]["error"])
    place = ".".join(str(part) for part in detail["loc"])
    given = "" if detail["type"] == "missing" else f" (given: {detail['input']!r})"
    message = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else detail["msg"]
    if detail["type"] == "extra_forbidden":
        given, message = "", "no such key here; config/README.md lists the keys"
    return f"{place}: {message}{given}"


def _numeric_strings(value: Any, place: str) -> Iterable[str]:
    """YAML reads 1e-4 as a string: names every string that is a number."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numeric_strings(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _numeric_strings(item, f"{place}.{index}")
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return
        shown = int(number) if value.strip().lstrip("+-").isdigit() else number
        yield f"{place}: '{value}' is a string, not a number; write {shown!r}"

"""Reading a configuration: every mistake in one line that begins with its place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from vqflow.config.catalogue import Config
from vqflow.config.components import ConfigError
from vqflow.config.variants import DensityVariant, FlowVariant, Variant
from vqflow.config.wording import none_of, reason, shown, unfit, within


def parse_config(raw: Mapping[str, Any]) -> Config:
    """Checks a configuration.

    Args:
        raw: The merged YAML files.

    Raises:
        ConfigError: On any mistake, one line each, every line beginning with its place.
    """
    mistakes = [*unfit(raw, ""), *_numeric_strings(raw, "")]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    try:
        return Config.model_validate(dict(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(_described(error.errors(), raw))) from None


def _described(details: Iterable[Any], raw: Mapping[str, Any]) -> Iterator[str]:
    """Gives one line for each mistaken place."""
    found: dict[tuple[int | str, ...], list[Any]] = {}
    for detail in details:
        given = [part for part in detail["loc"] if part != "[key]"]
        location = given if detail["type"] == "missing" else within(raw, given)
        found.setdefault(tuple(location), []).append(detail)
    for parts, alike in found.items():
        place = ".".join(map(str, parts))
        if not place:
            yield str(alike[0]["ctx"]["error"])
        elif alike[0]["type"] == "extra_forbidden":
            *outer, last = parts
            yield f"{place}: {none_of('no such key here', _keys_at(outer, raw), str(last))}"
        else:
            yield f"{place}: {reason(*alike)}"


def _keys_at(location: Sequence[int | str], raw: Any) -> list[str]:
    """Gives the keys that are allowed at a place of the configuration.

    Args:
        location: The place.
        raw: The configuration as it was given, since a variant's keys depend on its kind.
    """
    kind: Any = Config
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = get_args(kind)[-1]
        raw = raw[part]
        kind = _member(kind, raw)
    fields = kind.model_fields.items()
    return [field.alias or name for name, field in fields if name != "name"]


def _member(kind: Any, raw: Any) -> Any:
    """Gives what a type is beside null, and of the kinds of variants the one that is meant."""
    if kind == Variant:
        return DensityVariant if "model" in raw else FlowVariant
    if get_origin(kind) is Annotated:
        return _member(get_args(kind)[0], raw)
    if get_origin(kind) in (Union, UnionType):
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind


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
        if not math.isfinite(number):
            yield f"{place}: is '{value}'; allowed: a finite number, or other text"
            return
        read = int(value) if value.strip().lstrip("+-").isdigit() else number
        yield f"{place}: '{value}' is a string, not a number; write {shown(read)}"

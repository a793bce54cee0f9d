"""What a figure's axis holds: one argument's value in the entries of each variant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vqflow.config.setting import Setting
from vqflow.config.values import dump
from vqflow.source import argument_defaults


@dataclass(frozen=True)
class Line:
    """Variants that differ in one argument.

    Attributes:
        name: Its name in the legend.
        places: Variant -> number of its value among those of all lines, from 0.
    """

    name: str
    places: Mapping[str, int]


def check_lines(lines: Mapping[str, Sequence[str]], metrics: Sequence[str]) -> None:
    """Checks what a figure is told without knowing the variants.

    Raises:
        ValueError: If there are no lines or metrics, or a name stands twice in one of them.
    """
    if not isinstance(lines, Mapping) or not lines:
        raise ValueError(f"lines: got {lines!r}; allowed: a dictionary from a name to variants")
    for place, names in {f"lines.{name}": own for name, own in lines.items()}.items():
        _check_list(place, names)
    _check_list("metrics", metrics)


def lines_of(
    argument: str,
    lines: Mapping[str, Sequence[str]],
    settings: Mapping[str, Setting],
    dataset: str,
) -> tuple[list[Line], list[str]]:
    """Reads where each variant stands on the axis.

    Args:
        argument: Its place in a variant, such as ``"atlas.charts"``.
        lines: Name -> variants.
        settings: The settings on the data set, by variant.
        dataset: Its name, for messages.

    Returns:
        The lines, and the values by place: numbers ascending, then text in the order in which it
        comes.

    Raises:
        ValueError: If a variant is not there or has no such argument, or two of a line have the
            same value.
    """
    values: dict[str, dict[str, Any]] = {}
    for name, variants in lines.items():
        values[name] = {}
        for variant in variants:
            place = f"lines.{name}"
            one_of(variant, settings, f"{place}: no variant '{variant}' is shown on {dataset}")
            value = value_of(settings[variant], argument, place)
            if value in values[name].values():
                raise ValueError(f"{place}: two variants have {argument} = {value!r}")
            values[name][variant] = value
    distinct = dict.fromkeys(value for own in values.values() for value in own.values())
    ordered = sorted(distinct, key=lambda value: math.inf if isinstance(value, str) else value)
    places = {value: place for place, value in enumerate(ordered)}
    return [
        Line(name, {variant: places[value] for variant, value in own.items()})
        for name, own in values.items()
    ], [value if isinstance(value, str) else f"{value:g}" for value in ordered]


def value_of(setting: Setting, argument: str, place: str) -> Any:
    """Gives an argument's value: as the entry states it, or its class' default.

    Args:
        setting: The variant on a data set.
        argument: Such as ``"atlas.charts"``.
        place: Where it was asked for, for messages.

    Raises:
        ValueError: If there is none, or it is neither a number nor text.
    """
    value: Any = dump(setting)
    for depth, key in enumerate(keys := argument.split(".")):
        known = value if isinstance(value, Mapping) else {}
        if "class" in known:
            known = {**argument_defaults(known["class"]), **known}
        where = ".".join(keys[:depth])
        what = f"variant '{setting.variant}' has no {argument}"
        one_of(key, known, f"{place}: {what}; in {where}" if where else f"argument: {what}")
        value = known[key]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(
            f"{place}: {argument} of variant '{setting.variant}' is {value!r}; allowed: a number "
            "or text"
        )
    return value


def one_of(name: str, known: Collection[str], message: str) -> None:
    """Refuses a name that is not known, with the nearest that is, or with all.

    Raises:
        ValueError: If it is not known.
    """
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"allowed: {', '.join(known) or 'none'}"
        raise ValueError(f"{message}; {hint}")


def _check_list(place: str, names: Sequence[str]) -> None:
    if isinstance(names, str) or not names:
        raise ValueError(f"{place}: got {names!r}; allowed: a list of names")
    twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if twice:
        raise ValueError(f"{place}: '{twice[0]}' is listed twice")

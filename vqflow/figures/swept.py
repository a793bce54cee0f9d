"""What a figure's axis holds: one argument's value in the entries of each variant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vqflow.config.setting import Setting
from vqflow.config.values import dump
from vqflow.source import argument_defaults

SCALES = ("linear", "log")


@dataclass(frozen=True)
class Line:
    """Variants that differ in one argument.

    Attributes:
        name: Its name in the legend.
        places: Variant -> place on the axis, ascending.
        ticks: Place -> the argument's value, as text.
    """

    name: str
    places: Mapping[str, float]
    ticks: Mapping[float, str]


def check_lines(lines: Mapping[str, Sequence[str]], metrics: Sequence[str], scale: str) -> None:
    """Checks what a figure is told without knowing the variants.

    Raises:
        ValueError: If there are no lines or metrics, a name stands twice in one of them, or the
            scale is unknown.
    """
    if not isinstance(lines, Mapping) or not lines:
        raise ValueError(f"lines: got {lines!r}; allowed: a dictionary from a name to variants")
    for place, names in {f"lines.{name}": own for name, own in lines.items()}.items():
        _check_list(place, names)
    _check_list("metrics", metrics)
    if scale not in SCALES:
        raise ValueError(f"scale: got '{scale}'; allowed: {', '.join(SCALES)}")


def lines_of(
    argument: str,
    lines: Mapping[str, Sequence[str]],
    settings: Mapping[str, Setting],
    dataset: str,
    scale: str,
) -> list[Line]:
    """Reads where each variant stands on the axis.

    Args:
        argument: Its place in a variant, such as ``"atlas.charts"``.
        lines: Name -> variants.
        settings: The settings on the data set, by variant.
        dataset: Its name, for messages.
        scale: One of ``SCALES``.

    Returns:
        The lines; text has the places 0, 1, 2, ... in the order in which it comes.

    Raises:
        ValueError: If a variant is not there or has no such argument, two of a line have the
            same value, or values have no place on the axis.
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
    distinct = list(dict.fromkeys(value for own in values.values() for value in own.values()))
    texts = [value for value in distinct if isinstance(value, str)]
    if texts and len(texts) < len(distinct):
        raise ValueError(f"argument: {argument} is text and numbers: {distinct}")
    if scale == "log" and (texts or min(distinct) <= 0):
        raise ValueError(f"scale: log needs numbers above 0; {argument} has {distinct}")
    place_of = {text: float(turn) for turn, text in enumerate(texts)} or {
        number: float(number) for number in sorted(distinct)
    }
    return [
        Line(
            name,
            dict(sorted(((v, place_of[x]) for v, x in own.items()), key=lambda item: item[1])),
            {place_of[value]: f"{value}" for value in own.values()},
        )
        for name, own in values.items()
    ]


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

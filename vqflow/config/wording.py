"""The words of a mistake: what was given, and what is allowed."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
PATH_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"

_PATTERNS = {
    NAME_PATTERN: "letters, digits, '.', '_' and '-', with a letter or digit at both ends",
    PATH_PATTERN: "an import path such as vqflow.atlases.VQAtlas",
}
_LIST, _DICTIONARY = "a list", "a dictionary of keys"
_ALLOWED: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "dict_type": _DICTIONARY,
    "mapping_type": _DICTIONARY,
    "model_type": _DICTIONARY,
    "model_attributes_type": _DICTIONARY,
    "is_instance_of": lambda ctx: _LIST if ctx["class"] == "Sequence" else f"a {ctx['class']}",
    "none_required": "null",
    "callable_type": "a class with its arguments, {class: import path, ...}",
    "literal_error": lambda ctx: ctx["expected"],
    "greater_than": lambda ctx: f"above {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"{_number(ctx['ge'])} or more",
    "less_than": lambda ctx: f"below {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"at most {_number(ctx['le'])}",
    "too_short": lambda ctx: f"at least {ctx['min_length']} of them",
    "too_long": lambda ctx: f"at most {ctx['max_length']} of them",
    "string_too_long": lambda ctx: f"at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda ctx: _PATTERNS.get(ctx["pattern"], ctx["pattern"]),
}
"""By pydantic's kind of mistake, what it allows."""

_LONGEST = 80
_LARGEST = 2**63 - 1


def _number(limit: float) -> str:
    return str(int(limit) if float(limit).is_integer() else limit)


def shown(value: Any) -> str:
    """Gives a value as one writes it in YAML, cut where it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def reason(*details: Mapping[str, Any]) -> str:
    """Says in plain words what pydantic found at one place: what is given, and what is allowed.

    Args:
        details: The mistake; of a place that may be of several kinds, one for each.
    """
    detail = details[0]
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "value_error":
        return f"{detail['ctx']['error']} (given: {shown(detail['input'])})"
    allowed = dict.fromkeys(_allowed(each) for each in details)
    return f"is {shown(detail['input'])}; allowed: {', or '.join(allowed)}"


def _allowed(detail: Mapping[str, Any]) -> str:
    allowed = _ALLOWED.get(detail["type"], detail["msg"])
    return allowed if isinstance(allowed, str) else allowed(detail.get("ctx", {}))


def none_of(what: str, allowed: Iterable[str], name: str) -> str:
    """Says that nothing has a name: the nearest name, and all that are allowed."""
    names = list(dict.fromkeys(map(str, allowed)))
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{what}; {hint}allowed: {', '.join(names) or 'none'}"


def within(value: Any, location: Iterable[int | str]) -> list[int | str]:
    """Gives a location without what names no place in a value, but members of unions.

    Args:
        value: What was given.
        location: pydantic's location of a mistake in it.
    """
    kept = []
    for part in location:
        try:
            value = value[part]
        except (LookupError, TypeError):
            continue
        kept.append(part)
    return kept


def unfit(value: Any, place: str) -> Iterator[str]:
    """Names every value that would not reach a job as it is written.

    A job is told its values as JSON, which has no infinite numbers, dates and keys that are
    numbers.

    Args:
        value: A value as YAML gives it.
        place: Where it stands.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                where = f"{place}: " if place else ""
                yield f"{where}the key {shown(key)} is no text; write it in quotes"
            else:
                yield from unfit(item, f"{place}.{key}" if place else key)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from unfit(item, f"{place}.{index}")
    elif isinstance(value, int) and abs(value) > _LARGEST:
        yield f"{place}: is {shown(value)}; allowed: whole numbers up to {_LARGEST}, of 64 bits"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{place}: is {shown(value)}; allowed: a finite number"
    elif isinstance(value, str):
        if not _is_unicode(value):
            yield f"{place}: is {value!r}; allowed: text in Unicode"
    elif value is not None and not isinstance(value, (bool, int)):
        yield (
            f"{place}: YAML reads {str(value)!r} as {type(value).__name__}; allowed: numbers, "
            "text, true, false, null, lists and dictionaries; text stands in quotes"
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

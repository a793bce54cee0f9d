"""Whether a class takes the arguments of its entry, by what its constructor says of them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Iterator, Mapping
from inspect import Parameter
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vqflow.config.wording import none_of, reason, within

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def mistaken_arguments(
    cls: Any,
    given: Mapping[str, Any],
    supplied: Collection[str],
    place: str,
    called: str,
    keys: Collection[str] = (),
    missing: bool = True,
) -> Iterator[str]:
    """Names the arguments that a class or function does not take, and those that it misses.

    Args:
        cls: The class or function.
        given: The arguments of its entry.
        supplied: The names of those that the workflow supplies.
        place: Where the entry stands in the configuration.
        called: What the class is called there.
        keys: Other keys that the entry may have beside.
        missing: Whether none may be missing.
    """
    parameters = _parameters(cls)
    if parameters is None:
        return
    named = {name: each for name, each in parameters.items() if each.kind in _NAMED}
    is_open = any(each.kind == Parameter.VAR_KEYWORD for each in parameters.values())
    allowed = [name for name in named if name not in supplied]
    mistakes = []
    for name, value in given.items():
        if name in supplied:
            mistakes.append(f"{place}.{name}: is supplied by the workflow; leave it out")
        elif name in named and value is None and named[name].default is None:
            continue  # what it is where it is left out, whatever its type says
        elif name in named:
            mistakes += mistaken_value(value, _type_of(named[name], cls), f"{place}.{name}")
        elif not is_open:
            mistakes.append(no_such_argument(f"{place}.{name}", called, name, [*allowed, *keys]))
    yield from mistakes
    if missing and not mistakes:  # a misspelt argument is missing too
        for name in allowed:
            if named[name].default is Parameter.empty and name not in given:
                yield f"{place}.{name}: is missing; an argument that {called} needs"


def no_such_argument(place: str, called: str, name: str, allowed: Collection[str]) -> str:
    """Says that a class has no such argument."""
    others = [each for each in allowed if each != name]
    return f"{place}: {none_of(f'{called} has no such argument', others, name)}"


def mistaken_value(value: Any, annotation: Any, place: str) -> Iterator[str]:
    """Says whether a value is of a type, strictly; what JSON or pydantic cannot hold, passes.

    Args:
        value: The value.
        annotation: The type.
        place: Where the value stands.
    """
    try:
        text = json.dumps(value)
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=_STRICT)
    except Exception:  # pydantic has many ways to say that it does not know a type
        return
    try:
        adapter.validate_json(text)
    except ValidationError as error:
        found = [(within(value, each["loc"]), each) for each in error.errors()]
        where = found[0][0]
        alike = [each for location, each in found if location == where]
        yield f"{'.'.join([place, *map(str, where)])}: {reason(*alike)}"


def passed_on(error: Exception, name: str) -> list[str] | None:
    """Gives the arguments that the functions know through which an unknown one went.

    Args:
        error: What the last of them raised.
        name: The argument.

    Returns:
        None if the error is another.
    """
    if f"unexpected keyword argument '{name}'" not in str(error):
        return None
    known: dict[str, None] = {}
    refusing = None
    trace = error.__traceback__ and error.__traceback__.tb_next  # the first is the caller's own
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_flags & inspect.CO_VARKEYWORDS:
            known |= dict.fromkeys(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        refusing = trace.tb_frame.f_globals.get(str(error).partition(".")[0])
        trace = trace.tb_next
    for each, parameter in (_parameters(refusing) or {}).items():
        known |= {each: None} if parameter.kind in _NAMED else {}
    return [each for each in known if each not in ("self", "cls")]


def _parameters(cls: Any) -> Mapping[str, Parameter] | None:
    try:
        return inspect.signature(cls).parameters
    except (TypeError, ValueError):  # not callable, or compiled
        return None


def _type_of(parameter: Parameter, cls: Any) -> Any:
    """Gives the type of an argument, ``Any`` where it has none or it cannot be read."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        function = inspect.unwrap(cls.__init__ if inspect.isclass(cls) else cls)
        try:
            annotation = eval(annotation, getattr(function, "__globals__", {}))
        except Exception:
            return Any
    return Any if annotation is Parameter.empty else annotation

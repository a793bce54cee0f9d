"""Timing side by side: what is compared takes turns, so that a noisy machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch


@dataclass(frozen=True)
class Row:
    """One line of the results.

    Attributes:
        benchmark: The table that it belongs to.
        case: The sizes.
        name: What was timed.
        milliseconds: Every repeat, after one warm-up.
        ratio: Median of the ratios to the reference of the same turn; 1 for the reference.
        note: Anything else that was measured.
    """

    benchmark: str
    case: str
    name: str
    milliseconds: list[float]
    ratio: float
    note: str = ""


def compare(
    benchmark: str,
    case: str,
    functions: Mapping[str, Callable[[], Any]],
    repeats: int = 15,
    budget: float = 60.0,
    warm_up: bool = True,
) -> list[Row]:
    """Times functions in turn; the first is the reference of the ratios.

    Args:
        benchmark: The table's name.
        case: The sizes.
        functions: What to time, by name.
        repeats: Turns.
        budget: Seconds after which no further turn is begun; one is always made.
        warm_up: Whether each is called once before; not for what takes a minute.
    """
    for function in functions.values() if warm_up else ():
        _time(function)
    started, turns = time.perf_counter(), []
    while not turns or (len(turns) < repeats and time.perf_counter() - started < budget):
        turns.append({name: _time(function) for name, function in functions.items()})
    reference = next(iter(functions))
    return [
        Row(
            benchmark,
            case,
            name,
            [round(turn[name], 4) for turn in turns],
            median(turn[name] / turn[reference] for turn in turns),
        )
        for name in functions
    ]


def _time(function: Callable[[], Any]) -> float:
    _synchronise()
    started = time.perf_counter()
    function()
    _synchronise()
    return 1e3 * (time.perf_counter() - started)


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()

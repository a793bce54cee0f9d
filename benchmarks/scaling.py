"""How a training step grows with the batch, and what a second thread gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from benchmarks.models import IMAGE, TOY, data
from benchmarks.timing import Row, compare
from benchmarks.training import training_step

CASES: Sequence[tuple[str, Mapping[str, Any], list[int]]] = (
    ("RealNVP", TOY, [64, 64]),
    ("MAF", IMAGE, [1024]),
)


def run() -> Iterator[list[Row]]:
    """Gives the rows, flow by flow; the reference is a batch of 128 on one thread."""
    before = torch.get_num_threads()
    for flow, sizes, hidden in CASES:
        points = data(sizes["features"])
        steps = {}
        for batch in (128, 32, 512, 2048):
            step = training_step(flow, sizes, hidden, batch, 1, points, "cpu")
            for threads in (1, 2):
                steps[f"batch {batch}, threads {threads}"] = _with_threads(step, threads)
        case = f"{flow}, D = {sizes['features']}, hidden {'-'.join(map(str, hidden))}"
        rows = compare("scaling", case, steps, repeats=15, budget=60)
        torch.set_num_threads(before)
        yield rows


def _with_threads(step: Callable[[], object], threads: int) -> Callable[[], object]:
    def call() -> object:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return step()

    return call

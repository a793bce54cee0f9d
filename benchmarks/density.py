"""The cost of densities and objectives against the number of charts, at equal covering pairs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.models import IMAGE, TOY, data, model
from benchmarks.timing import Row, compare
from vqflow.objectives import Covering, FlowTask, Sampled

PAIRS = 4


def run() -> Iterator[list[Row]]:
    """Gives the rows, case by case."""
    for sizes, n in ((TOY, 10_000), (IMAGE, 2000)):
        points = data(sizes["features"])
        few, many = (
            model(points, sizes["hidden"], sizes["code_dim"], charts, PAIRS, "RealNVP")
            for charts in (32, 1024)
        )
        case = f"D = {sizes['features']}, {PAIRS} charts a point"
        x = torch.randn(n, sizes["features"])
        with torch.no_grad():
            yield compare(
                "charts",
                f"{case}, log_prob('covering') of {n} points",
                {
                    "K = 32": partial(few.log_prob, x, "covering"),
                    "K = 1024": partial(many.log_prob, x, "covering"),
                },
                repeats=9,
            )
        for name, objective in (("sampled", Sampled()), ("covering", Covering())):
            steps = {
                f"K = {charts}": _step(FlowTask(chosen, points, objective, lambda epoch: None))
                for charts, chosen in ((32, few), (1024, many))
            }
            yield compare("charts", f"{case}, step of 128 by '{name}'", steps, repeats=30)
    yield [_memory()]


def _step(task: FlowTask) -> Callable[[], None]:
    noise = torch.Generator().manual_seed(0)

    def step() -> None:
        loss = task.loss(*next(task.batches(torch.arange(128), 128, noise)))
        task.module.zero_grad(set_to_none=True)
        loss.backward()

    return step


def _memory() -> Row:
    """Peak memory of the density of 10,000 x 784 points at K = 1,024, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.density"]
    megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    case = f"D = 784, {PAIRS} charts a point, log_prob('covering') of 10000 points"
    return Row("charts", case, "K = 1024", [], float("nan"), f"peak {megabytes} MB above baseline")


def _resident(key: str) -> float:
    """Reads VmRSS or VmHWM, its peak, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    points = data(784)
    chosen = model(points, IMAGE["hidden"], IMAGE["code_dim"], 1024, PAIRS, "RealNVP")
    x = torch.randn(10_000, 784)
    with torch.no_grad():
        chosen.log_prob(x[:10], "covering")
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what is resident now
        before = _resident("VmRSS")
        chosen.log_prob(x, "covering")
    print(f"{_resident('VmHWM') - before:.0f}")

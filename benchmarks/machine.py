"""What the machine reaches at best, measured: the roofline that a step is held against."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from statistics import median

import torch


@functools.cache
def peak_flops(device: str, dtype: torch.dtype, batch: int) -> float:
    """Floating-point operations a second of a product (batch, 1024) by (1024, 1024)."""
    x = torch.randn(batch, 1024, device=device, dtype=dtype)
    weight = torch.randn(1024, 1024, device=device, dtype=dtype)
    return 2 * batch * 1024**2 / _seconds(lambda: x @ weight, device)


@functools.cache
def peak_bytes(device: str) -> float:
    """Bytes a second that adding into an array of 256 MB reads and writes."""
    x = torch.zeros(2**26, device=device)
    return 2 * 4 * len(x) / _seconds(lambda: x.add_(1.0), device, repeats=10)


def _seconds(function: Callable[[], object], device: str, repeats: int = 50) -> float:
    """The median time of one of ten calls in a row."""
    times = []
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        for _ in range(10):
            function()
        _wait(device)
        times.append((time.perf_counter() - started) / 10)
    return median(times)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()

"""Sampling: the inverse of one masked autoregressive transform, against one forward pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from benchmarks.peers import nflows_layer, normflows_layer, zuko_layer
from benchmarks.timing import Row, compare
from vqflow.flows import invert_autoregressive

SPLINE = {"univariate": MonotonicRQSTransform, "shapes": [(8,), (8,), (7,)]}


@torch.no_grad()
def run() -> Iterator[list[Row]]:
    """Gives the rows, case by case."""
    for hidden in ([1024], [1024, 1024]):
        yield _affine(features=784, hidden=hidden, n=1000)
    yield _ours(features=784, hidden=[1024], n=10_000)
    yield _spline(features=64, hidden=[64, 64], n=1000)


def _affine(features: int, hidden: list[int], n: int) -> list[Row]:
    lazy = zuko_layer(features, 0, hidden)
    nflows, normflows = nflows_layer(lazy, hidden), normflows_layer(lazy, hidden)
    x = torch.randn(n, features)
    y = lazy()(x)
    error = (invert_autoregressive(lazy, y) - x).abs().max()
    case = f"D = {features}, hidden {'-'.join(map(str, hidden))}, batch {n}, affine"
    rows = compare(
        "inverse",
        case,
        {
            "one forward pass (zuko)": lambda: lazy()(x),
            "inverse, vqflow": lambda: invert_autoregressive(lazy, y),
        },
    )
    rows[1] = Row(**{**vars(rows[1]), "note": f"round trip {error:.0e}, float32"})
    slow = {
        "one forward pass (zuko)": lambda: lazy()(x),
        "inverse, zuko": lambda: lazy().inv(y),
        "inverse, nflows": lambda: nflows.inverse(y),
        "inverse, normflows": lambda: normflows.inverse(y),
    }
    return rows + compare("inverse", case, slow, repeats=3, budget=120)[1:]


def _ours(features: int, hidden: list[int], n: int) -> list[Row]:
    lazy = zuko_layer(features, 0, hidden)
    y = torch.randn(n, features)
    return compare(
        "inverse",
        f"D = {features}, hidden {'-'.join(map(str, hidden))}, batch {n}, affine",
        {
            "one forward pass (zuko)": lambda: lazy()(y),
            "inverse, vqflow": lambda: invert_autoregressive(lazy, y),
        },
        repeats=7,
    )


def _spline(features: int, hidden: list[int], n: int) -> list[Row]:
    torch.manual_seed(0)
    lazy = MaskedAutoregressiveTransform(features, 0, hidden_features=hidden, **SPLINE)
    y = lazy()(torch.randn(n, features))
    return compare(
        "inverse",
        f"D = {features}, hidden {'-'.join(map(str, hidden))}, batch {n}, spline of 8 bins",
        {
            "one forward pass (zuko)": lambda: lazy()(y),
            "inverse, vqflow": lambda: invert_autoregressive(lazy, y),
            "inverse, zuko": lambda: lazy().inv(y),
        },
        repeats=5,
    )

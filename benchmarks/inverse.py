"""Sampling: the inverse of one masked autoregressive transform, against one forward pass."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from benchmarks.peers import nflows_layer, normflows_layer, zuko_layer
from benchmarks.timing import Row, compare
from vqflow.flows import invert_autoregressive
from vqflow.flows.autoregressive import sort_by_degree

SPLINE = {"univariate": MonotonicRQSTransform, "shapes": [(8,), (8,), (7,)]}


@torch.no_grad()
def run() -> Iterator[list[Row]]:
    """Gives the rows, case by case."""
    for hidden, n in (([1024], 1000), ([1024, 1024], 1000), ([1024], 10_000)):
        yield _ours(features=784, hidden=hidden, n=n)
    yield _spline(features=64, hidden=[64, 64], n=1000)
    yield _peers(features=784, hidden=[1024], n=1000)


def _ours(features: int, hidden: list[int], n: int) -> list[Row]:
    lazy = zuko_layer(features, 0, hidden)
    kept = copy.deepcopy(lazy)
    sort_by_degree(kept)
    x = torch.randn(n, features)
    y = lazy()(x)
    error = (invert_autoregressive(kept, y) - x).abs().max()
    rows = compare(
        "inverse",
        _case(features, hidden, n),
        {
            "one forward pass (zuko)": lambda: lazy()(x),
            "inverse, vqflow": lambda: invert_autoregressive(kept, y),
            "inverse, vqflow, weights sorted at the call": lambda: invert_autoregressive(lazy, y),
        },
    )
    return [rows[0], replace(rows[1], note=f"round trip {error:.0e}, float32"), rows[2]]


def _peers(features: int, hidden: list[int], n: int) -> list[Row]:
    lazy = zuko_layer(features, 0, hidden)
    nflows, normflows = nflows_layer(lazy, hidden), normflows_layer(lazy, hidden)
    y = torch.randn(n, features)
    slow = {
        "one forward pass (zuko)": lambda: lazy()(y),
        "inverse, zuko": lambda: lazy().inv(y),
        "inverse, nflows": lambda: nflows.inverse(y),
        "inverse, normflows": lambda: normflows.inverse(y),
    }
    case = _case(features, hidden, n)
    return compare("inverse", case, slow, repeats=1, warm_up=False)


def _case(features: int, hidden: list[int], n: int) -> str:
    return f"D = {features}, hidden {'-'.join(map(str, hidden))}, batch {n}, affine"


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

"""Points that have no density, or hardly one: refused, or warned of and then defined."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ring
from numpy.typing import NDArray
from small import metric, score, train

from vqflow.config.entries import DatasetEntry
from vqflow.datasets.base import SPLITS, Data, DataSpec
from vqflow.datasets.spread import check_points
from vqflow.kernel_density import scale_of
from vqflow.stages.data import prepare_data

Floats = NDArray[np.float64]
NORMAL = np.random.default_rng(0).standard_normal((60, 3))
ROUNDED = 0.1 + 0.2 + NORMAL * 1e-17
EQUAL = "all 60 training points are equal .in single precision., and have no density; needed"


def data_of(points: Floats, name: str = "mine") -> Data:
    spec = DataSpec(name, "vector", (points.shape[1],))
    return Data(spec, dict.fromkeys(SPLITS, points))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.ones((60, 2)), EQUAL),
        (np.zeros((60, 1)), EQUAL),
        (ROUNDED, EQUAL),
        (NORMAL * 1e-300, EQUAL),
        (1e9 + NORMAL, EQUAL),
        (NORMAL * 1e300, r"values to .*e\+300, but .* allowed: to 3.4e\+38; write .* unit"),
    ],
)
def test_points_without_a_density_are_refused(points: Floats, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^datasets.mine: {message}"):
        check_points(data_of(points))
    np.save(tmp_path / "a.npy", np.repeat(points, 2, axis=0)[:86])
    entry = {"name": "mine", "class": "vqflow.datasets.arrays.Arrays", "path": "a.npy"}
    with pytest.raises(ValueError, match=r"^datasets.mine: (all 60|values to)"):
        prepare_data(DatasetEntry.model_validate(entry), tmp_path, tmp_path / "d.npz")
    assert not (tmp_path / "d.npz").exists()


@pytest.mark.parametrize(
    ("points", "doubts"),
    [
        (NORMAL, []),
        (NORMAL * 1e30, []),
        (NORMAL * 1e-30, []),
        (NORMAL[:, :1], []),
        (NORMAL * [1, 0, 1], [r"mine\[:, 1\] is constant over the 60 points"]),
        (NORMAL * [0, 0, 1], [r"mine\[:, \[0, 1\]\] is constant"]),
        (NORMAL + [0, 1e6, 0], [r"mine\[:, 1\] has mean 1e\+06 .*; subtract the mean first"]),
        (NORMAL * [0, 1, 1] + [0, 0, 1e6], [r"\[:, 0\] is constant", r"\[:, 2\] has mean"]),
    ],
)
def test_columns_with_hardly_a_density_are_pointed_out(points: Floats, doubts: list[str]) -> None:
    found = check_points(data_of(points))
    assert len(found) == len(doubts)
    for line, pattern in zip(found, doubts, strict=True):
        assert re.search(pattern, line)


def test_points_that_differ_by_rounding_have_no_scale() -> None:
    with pytest.raises(ValueError, match="equal, up to rounding"):
        scale_of(ROUNDED)
    assert scale_of(NORMAL * 1e-30) == pytest.approx(1e-30, rel=0.2)


@pytest.mark.parametrize("case", ["constant column", "one feature", "doubled points", "large"])
def test_degenerate_points_are_trained_on_and_scored(case: str, tmp_path: Path) -> None:
    points = {split: np.asarray(array, float) for split, array in ring(2).points.items()}
    change = {
        "constant column": lambda x: np.column_stack([x, np.ones(len(x))]),
        "one feature": lambda x: x[:, :1],
        "doubled points": lambda x: np.repeat(x[:5], 20, axis=0),
        "large": lambda x: x * 1e30,
    }[case]
    changed = {split: change(array) for split, array in points.items()}
    spec = DataSpec("helix", "vector", changed["train"].shape[1:])
    outputs = train(tmp_path, "kmeans-realnvp", Data(spec, changed))
    assert json.loads(outputs["status"].read_text()) == {"status": "ok", "reason": None}
    metrics = (metric("log_likelihood"), metric("kde_log_likelihood", samples=60))
    table = pd.read_csv(score(tmp_path, "kmeans-realnvp", {0: outputs}, *metrics))
    assert np.isfinite(table["value"]).all()

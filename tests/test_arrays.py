from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vqflow.config.components import ConfigError
from vqflow.datasets.arrays import Arrays
from vqflow.datasets.base import SPLITS

SUFFIXES = pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])


def table(rows: int = 40, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).standard_normal((rows, 3))
    return pd.DataFrame(values, columns=["x", "y", "z"])


def write(frame: pd.DataFrame, path: Path) -> str:
    if path.suffix == ".npy":
        np.save(path, frame.to_numpy())
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path.name


@SUFFIXES
def test_one_file_is_split_by_rows(suffix: str, tmp_path: Path) -> None:
    frame = table()
    arrays = Arrays(path=write(frame, tmp_path / f"a{suffix}"), fractions=(0.5, 0.25, 0.25))
    data = arrays.load("mine", tmp_path)
    assert data.spec.kind == "vector" and data.spec.shape == (3,) and data.spec.name == "mine"
    assert [len(data.points[split]) for split in SPLITS] == [20, 10, 10]
    together = np.concatenate([data.points[split] for split in SPLITS])
    assert together.dtype == np.float64
    order = np.argsort(together[:, 0])
    expected = frame.to_numpy()[np.argsort(frame.to_numpy()[:, 0])]
    np.testing.assert_allclose(together[order], expected, rtol=1e-15)
    assert not np.array_equal(together, frame.to_numpy())
    again = arrays.load("mine", tmp_path)
    np.testing.assert_array_equal(again.points["train"], data.points["train"])
    other = Arrays(path=f"a{suffix}", fractions=(0.5, 0.25, 0.25), seed=1).load("mine", tmp_path)
    assert not np.array_equal(other.points["train"], data.points["train"])


@example(rows=4, weights=(6, 4, 6))
@given(rows=st.integers(1, 60), weights=st.tuples(*[st.integers(1, 9)] * 3))
def test_every_row_lands_in_exactly_one_split(
    rows: int, weights: tuple[int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    np.save(folder / "a.npy", np.arange(rows)[:, None])
    arrays = Arrays(path="a.npy", fractions=[weight / sum(weights) for weight in weights])
    ideal = np.array(weights) * rows / sum(weights)
    try:
        data = arrays.load("a", folder)
    except ValueError as error:
        assert "every split needs a row" in str(error) and ideal.min() < 1
        return
    parts = [data.points[split][:, 0] for split in SPLITS]
    assert sorted(np.concatenate(parts)) == list(range(rows))
    np.testing.assert_allclose([len(part) for part in parts], ideal, atol=1)


def test_duplicate_points_are_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((20, 2)))
    data = Arrays(path="a.npy").load("a", tmp_path)
    assert sum(len(data.points[split]) for split in SPLITS) == 20


@SUFFIXES
def test_one_file_per_split_keeps_their_order(suffix: str, tmp_path: Path) -> None:
    frames = {split: table(5 + i, seed=i) for i, split in enumerate(SPLITS)}
    files: dict[str, Any] = {
        split: write(frames[split], tmp_path / f"{split}{suffix}") for split in SPLITS
    }
    data = Arrays(**files).load("a", tmp_path)
    for split in SPLITS:
        points = data.points[split].astype(np.float64)
        np.testing.assert_allclose(points, frames[split].to_numpy(), rtol=1e-15)


def test_absolute_paths_and_chosen_columns(tmp_path: Path) -> None:
    frame = table().assign(name="text")
    write(frame, tmp_path / "a.csv")
    arrays = Arrays(path=str(tmp_path / "a.csv"), columns=["z", "x"])
    points = arrays.load("a", Path("elsewhere")).points["train"]
    assert points.shape[1] == 2
    assert np.isin(points[:, 0], frame["z"]).all() and np.isin(points[:, 1], frame["x"]).all()


@pytest.mark.parametrize("dtype", ["int32", "float32", "bool", "Int64", "Float64"])
def test_numbers_of_any_kind_become_float64(dtype: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(20) % 2, "b": 1}).astype(dtype)
    write(frame, tmp_path / "a.parquet")
    points = Arrays(path="a.parquet").load("a", tmp_path).points
    assert points["train"].dtype == np.float64 and (points["train"][:, 1] == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "got no file, allowed: either path, or all of train"),
        ({"train": "a.npy", "test": "b.npy"}, "got train, test, allowed"),
        ({"path": "a.npy", "train": "b.npy"}, "got path, train, allowed"),
        ({"path": "a.txt"}, r"path is 'a.txt', allowed: .npy, .csv, .parquet"),
        ({"path": "a.npy", "fractions": (0.5, 0.5)}, "fractions is .*, allowed"),
        ({"path": "a.npy", "fractions": (0.5, 0.6, -0.1)}, "fractions is .*, allowed"),
        ({"path": "a.npy", "fractions": (0.5, 0.3, 0.3)}, "fractions is .*, allowed"),
        ({"path": "a.csv", "columns": "x"}, "columns is 'x', allowed: a list"),
        ({"path": "a.csv", "columns": []}, "columns is"),
        ({"path": "a.csv", "columns": ["x", "x"]}, "names a column twice"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arrays(**arguments)


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        Arrays(path="absent.npy").load("a", tmp_path)
    assert str(error.value) == f"datasets.a.path: no file '{tmp_path / 'absent.npy'}'"


def test_the_shape_is_known_once_the_files_are_checked(tmp_path: Path) -> None:
    arrays = Arrays(path=write(table(), tmp_path / "a.csv"))
    assert arrays.shape is None and not arrays.sizes
    arrays.check("a", tmp_path)
    assert arrays.shape == (3,)
    assert arrays.sizes == {"train": 28, "validation": 6, "test": 6}


@pytest.mark.parametrize("columns", [["x", "z", "y"], ["x", "y"]])
def test_splits_with_other_columns_are_refused(columns: list[str], tmp_path: Path) -> None:
    write(table(), tmp_path / "a.csv")
    write(table()[columns], tmp_path / "b.csv")
    write(table(), tmp_path / "c.csv")
    with pytest.raises(ValueError, match="validation: 'b.csv' has .*, but train 'a.csv' has 3"):
        Arrays(train="a.csv", validation="b.csv", test="c.csv").load("a", tmp_path)


def test_one_file_for_two_splits_is_refused() -> None:
    with pytest.raises(ValueError, match="one file is given for two splits"):
        Arrays(train="a.csv", validation="b.csv", test="a.csv")

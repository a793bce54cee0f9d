"""A user's own vectors, from .npy, .csv or .parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqflow.config.limits import Positive, Seed
from vqflow.datasets.base import SPLITS, Array, Data, Dataset, DataSpec
from vqflow.seeding import derive_seed

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".npy", ".csv", ".parquet")


@dataclass(frozen=True)
class Table:
    """What one file holds.

    Attributes:
        values: (N, D) float64.
        columns: Names of the D columns; ``None`` for .npy.
    """

    values: NDArray[np.float64]
    columns: list[str] | None


class Arrays(Dataset):
    """Points from one file, split at random by rows, or from one file per split.

    A .npy file holds a 2-D array of numbers, one point per row; .csv (with a header) and
    .parquet files hold one column per coordinate. Relative paths are below the data root.

    Args:
        path: The file to split.
        train: The file of the training split, in place of ``path``.
        validation: The file of the validation split.
        test: The file of the test split.
        columns: The columns to use, in this order (.csv and .parquet); all if ``None``.
        fractions: Shares of the training, validation and test split, with ``path``.
        seed: Seed of the shuffle before the split; not the seed of a trial.

    Raises:
        ValueError: If the arguments contradict one another or are out of their ranges.
    """

    kind = "vector"
    file_arguments = ("path", "train", "validation", "test")

    def __init__(
        self,
        path: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        columns: Sequence[str] | None = None,
        fractions: Sequence[Positive] = (0.7, 0.15, 0.15),
        seed: Seed = 0,
    ) -> None:
        parts = dict(zip(SPLITS, (train, validation, test), strict=True))
        given = [split for split, part in parts.items() if part is not None]
        if (path is None) != (len(given) == 3) or (path is not None and given):
            found = ["path"] * (path is not None) + given
            raise ValueError(
                f"Arrays: got {', '.join(found) or 'no file'}, "
                "allowed: either path, or all of train, validation and test"
            )
        self.files = {split: part for split, part in parts.items() if part} or {"path": str(path)}
        if len(set(map(Path, self.files.values()))) < len(self.files):
            raise ValueError("Arrays: one file is given for two splits; they must be disjoint")
        for key, file in self.files.items():
            if Path(file).suffix.lower() not in SUFFIXES:
                raise ValueError(f"Arrays: {key} is '{file}', allowed: {', '.join(SUFFIXES)}")
        if columns is not None and (isinstance(columns, str) or len(columns) == 0):
            raise ValueError(f"Arrays: columns is {columns!r}, allowed: a list of names, or null")
        columns = None if columns is None else [str(name) for name in columns]
        if columns is not None and len(set(columns)) < len(columns):
            raise ValueError(f"Arrays: columns {list(columns)} names a column twice")
        if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
            raise ValueError(
                f"Arrays: fractions is {list(fractions)}, allowed: three above 0 that sum to 1"
            )
        self.columns = None if columns is None else list(columns)
        self.fractions = tuple(fractions)
        self.seed = seed

    def load(self, name: str, data_root: Path) -> Data:
        """Reads the files and splits them.

        Raises:
            FileNotFoundError: If a file does not exist.
            ValueError: If a file does not hold finite numbers in two dimensions, or the
                files' columns differ.
        """
        tables = {key: self._read(data_root / file) for key, file in self.files.items()}
        if "path" in tables:
            points = self._split(tables["path"].values)
        else:
            self._check_columns(tables)
            points = {split: table.values for split, table in tables.items()}
        features = points["train"].shape[1]
        return Data(spec=DataSpec(name=name, kind="vector", shape=(features,)), points=points)

    def _split(self, values: NDArray[np.float64]) -> dict[str, Array]:
        order = np.random.default_rng(derive_seed("arrays", self.seed)).permutation(len(values))
        # Halves go up, not to even, so that a share of one row or more never ends with none.
        ends = np.floor(np.cumsum(self.fractions[:2]) * len(values) + 0.5 + 1e-9).astype(int)
        parts = np.split(values[order], ends)
        sizes = [len(part) for part in parts]
        if min(sizes) == 0:
            raise ValueError(
                f"Arrays: path '{self.files['path']}' has {len(values)} rows, which fractions "
                f"{list(self.fractions)} split into {sizes}; every split needs a row"
            )
        return dict(zip(SPLITS, parts, strict=True))

    def _check_columns(self, tables: dict[str, Table]) -> None:
        first = tables["train"]
        for split, table in tables.items():
            named = first.columns is not None and table.columns is not None
            if table.values.shape[1] != first.values.shape[1] or (
                named and table.columns != first.columns
            ):
                raise ValueError(
                    f"Arrays: {split} '{self.files[split]}' has {_describe(table)}, but train "
                    f"'{self.files['train']}' has {_describe(first)}; they must be equal"
                )

    def _read(self, path: Path) -> Table:
        if not path.is_file():
            raise FileNotFoundError(f"Arrays: no file '{path.absolute()}'")
        if path.suffix.lower() == ".npy":
            table = self._read_npy(path)
        else:
            table = self._read_frame(path)
        bad = ~np.isfinite(table.values)
        if bad.any():
            where = np.flatnonzero(bad.any(axis=0))
            names = [table.columns[i] if table.columns else str(i) for i in where]
            raise ValueError(
                f"Arrays: '{path}' has {bad.sum()} missing or infinite values "
                f"in {bad.any(axis=1).sum()} of {len(bad)} rows, in columns {', '.join(names)}"
            )
        return table

    def _read_npy(self, path: Path) -> Table:
        if self.columns is not None:
            raise ValueError(f"Arrays: columns {self.columns} given, but '{path}' has no names")
        try:
            values = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"Arrays: '{path}' is no array of numbers: {error}") from error
        if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "biuf":
            raise ValueError(
                f"Arrays: '{path}' is {values.dtype} of shape {values.shape}, "
                "expected real numbers of shape (N, D)"
            )
        return Table(values.astype(np.float64), columns=None)

    def _read_frame(self, path: Path) -> Table:
        frame = _read_pandas(path)
        columns = list(frame.columns) if self.columns is None else self.columns
        if unknown := [column for column in columns if column not in frame.columns]:
            raise ValueError(
                f"Arrays: '{path}' has no column {', '.join(unknown)}; "
                f"it has {', '.join(frame.columns)}"
            )
        if any(column.startswith("Unnamed: ") for column in columns):
            raise ValueError(f"Arrays: '{path}' has a column without a name; choose with columns")
        frame = frame[columns]
        if wrong := [column for column in columns if frame[column].dtype.kind not in "biuf"]:
            raise ValueError(
                f"Arrays: '{path}' has columns that are not numeric: {', '.join(wrong)}; "
                "choose others with columns"
            )
        return Table(frame.to_numpy(dtype=np.float64, na_value=np.nan), columns)


def _describe(table: Table) -> str:
    names = "" if table.columns is None else f" ({', '.join(table.columns)})"
    return f"{table.values.shape[1]} columns{names}"


def _read_pandas(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"Arrays: cannot read '{path}': {error}") from error
    frame.columns = frame.columns.map(str)
    if not frame.columns.is_unique or len(frame.columns) == 0:
        raise ValueError(f"Arrays: '{path}' needs columns of different names")
    if path.suffix.lower() == ".csv" and any(_is_number(name) for name in frame.columns):
        raise ValueError(
            f"Arrays: the first line of '{path}' must name the columns, "
            f"got {', '.join(frame.columns)}"
        )
    return frame


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

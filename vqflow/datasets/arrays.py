"""A user's own vectors, from .npy, .csv or .parquet files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqflow.config.components import ConfigError
from vqflow.config.limits import Positive, Seed
from vqflow.datasets.base import SPLITS, Array, Data, Dataset, DataSpec
from vqflow.datasets.csv_files import DECIMALS, SEPARATORS, Csv
from vqflow.datasets.files import SUFFIXES, Table, read_table
from vqflow.datasets.spread import check_points
from vqflow.seeding import derive_seed

log = logging.getLogger(__name__)


class Arrays(Dataset):
    """Points from one file, split at random by rows, or from one file per split.

    A .npy file holds a 2-D array of numbers, one point per row; .csv (with a header, in UTF-8)
    and .parquet files hold one column per coordinate. Relative paths are below the data root.
    What is not certain to be read as it is meant is refused, before any job starts.

    Args:
        path: The file to split.
        train: The file of the training split, in place of ``path``.
        validation: The file of the validation split.
        test: The file of the test split.
        columns: The columns to use, in this order (.csv and .parquet); all if ``None``.
        fractions: Shares of the training, validation and test split, with ``path``.
        seed: Seed of the shuffle before the split; not the seed of a trial.
        separator: What stands between the fields of .csv files: ``","``, ``";"``, ``"|"``, a tab
            or a space; as the header shows if ``None``, which never is a space.
        decimal: What stands before the decimals in .csv files: ``"."`` or ``","``; as the
            numbers show if ``None``.

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
        separator: str | None = None,
        decimal: str | None = None,
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
        for key, value, allowed in (
            ("separator", separator, tuple(SEPARATORS)),
            ("decimal", decimal, DECIMALS),
        ):
            if value is not None and value not in allowed:
                raise ValueError(
                    f"Arrays: {key} is {value!r}, allowed: {', '.join(map(repr, allowed))}, or null"
                )
        if separator == "," == decimal:
            raise ValueError(
                "Arrays: separator and decimal are both ',', allowed: two that differ, or null"
            )
        self.csv = Csv(separator, decimal)

    def check(self, name: str, data_root: Path) -> None:
        """Reads the files, so that their faults are known before any job starts."""
        data = self.load(name, data_root)
        for doubt in check_points(data):
            log.warning("%s", doubt)
        self.shape = data.spec.shape
        self.sizes = {split: len(points) for split, points in data.points.items()}

    def load(self, name: str, data_root: Path) -> Data:
        """Reads the files and splits them.

        Raises:
            ConfigError: If a file is not there or does not hold finite numbers in two
                dimensions, or the files' columns differ; names the argument and the file.
        """
        tables = {
            key: self._read(f"datasets.{name}.{key}", data_root / file)
            for key, file in self.files.items()
        }
        if "path" in tables:
            points = self._split(name, tables["path"].values)
        else:
            self._check_columns(name, tables)
            points = {split: table.values for split, table in tables.items()}
        features = points["train"].shape[1]
        return Data(spec=DataSpec(name=name, kind="vector", shape=(features,)), points=points)

    def _split(self, name: str, values: NDArray[np.float64]) -> dict[str, Array]:
        order = np.random.default_rng(derive_seed("arrays", self.seed)).permutation(len(values))
        # Halves go up, not to even, so that a share of one row or more never ends with none.
        ends = np.floor(np.cumsum(self.fractions[:2]) * len(values) + 0.5 + 1e-9).astype(int)
        parts = np.split(values[order], ends)
        sizes = [len(part) for part in parts]
        if min(sizes) == 0:
            raise ConfigError(
                f"datasets.{name}.path: '{self.files['path']}' has {len(values)} rows, which "
                f"fractions {list(self.fractions)} split into {sizes}; every split needs a row"
            )
        return dict(zip(SPLITS, parts, strict=True))

    def _check_columns(self, name: str, tables: dict[str, Table]) -> None:
        first = tables["train"]
        for split, table in tables.items():
            named = first.columns is not None and table.columns is not None
            if table.values.shape[1] != first.values.shape[1] or (
                named and table.columns != first.columns
            ):
                raise ConfigError(
                    f"datasets.{name}.{split}: '{self.files[split]}' has {_describe(table)}, but "
                    f"train '{self.files['train']}' has {_describe(first)}; they must be equal"
                )

    def _read(self, place: str, path: Path) -> Table:
        if not path.is_file():
            raise ConfigError(f"{place}: no file '{path.absolute()}'")
        try:
            return read_table(path, self.columns, self.csv)
        except (ValueError, OSError, EOFError, MemoryError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(f"{place}: '{path}': {reason}") from error


def _describe(table: Table) -> str:
    names = "" if table.columns is None else f" ({', '.join(table.columns)})"
    return f"{table.values.shape[1]} columns{names}"

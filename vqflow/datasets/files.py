"""Tables of finite numbers from files; what is wrong with one is said in a line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vqflow.datasets.csv_files import Csv

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

SUFFIXES = (".npy", ".csv", ".parquet")

_NPY = b"\x93NUMPY"
_KINDS = {
    _NPY: "a .npy file",
    b"PK\x03\x04": "an archive (.npz, .xlsx, .zip)",
    b"\x1f\x8b": "compressed by gzip",
    b"PAR1": "a .parquet file",
    b"\x89HDF": "an HDF5 file",
    b"\x80": "a pickle, which may run code",
}
_EXACT = 2**53


@dataclass(frozen=True)
class Table:
    """What one file holds.

    Attributes:
        values: (N, D) float64, finite; N and D are at least 1.
        columns: Names of the D columns; ``None`` for .npy.
    """

    values: NDArray[np.float64]
    columns: list[str] | None


def read_table(path: Path, columns: Sequence[str] | None, csv: Csv) -> Table:
    """Reads a .npy, .csv or .parquet file.

    Args:
        path: The file.
        columns: The columns to use, in this order; all if ``None``.
        csv: How .csv files are written.

    Raises:
        ValueError: If it holds something else than rows of finite numbers.
        OSError: If it cannot be read.
    """
    suffix = path.suffix.lower()
    _check_kind(path, suffix)
    names: list[str] | None = None
    if suffix == ".npy":
        values = _read_npy(path, columns)
    elif suffix == ".csv":
        values, names = csv.read(path, columns)
    else:
        values, names = _read_parquet(path, columns)
    if not len(values):
        raise ValueError(f"has no rows ({suffix} of shape {values.shape}); needed: at least one")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        where = names[column] if names else str(column)
        raise ValueError(
            f"{bad.sum()} missing or infinite values, the first in row {row} (from 0), column "
            f"{where}: {values[row, column]}; needed: finite numbers"
        )
    if names and columns is None and len(names) > 1 and _counts_rows(values[:, 0]):
        log.warning(
            "'%s': column %s counts the rows; if it is an index and no coordinate, choose the "
            "others with columns",
            path.name,
            names[0],
        )
    return Table(values, names)


def _check_kind(path: Path, suffix: str) -> None:
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise ValueError(f"is empty (0 bytes); needed: what {suffix} says")
    found = next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")
    if suffix not in found and found:
        raise ValueError(f"is {found} by its content; needed: what {suffix} says")
    if not found and suffix != ".csv":
        raise ValueError(
            f"is no {suffix} file: it begins with {start!r}; needed: what {suffix} says"
        )


def _read_npy(path: Path, columns: Sequence[str] | None) -> NDArray[np.float64]:
    if columns is not None:
        raise ValueError(
            f"columns {list(columns)} are given, but a .npy file has no names; needed: null"
        )
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise ValueError(f"{error}; needed: an array of numbers, by numpy.save") from error
    if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "biuf":
        raise ValueError(
            f"is {values.dtype} of shape {values.shape}; needed: real numbers of shape (N, D)"
        )
    return _doubles(values, None)


def _read_parquet(
    path: Path, columns: Sequence[str] | None
) -> tuple[NDArray[np.float64], list[str]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{error}; needed: a table of numbers in Parquet's format") from error
    frame.columns = frame.columns.map(str)
    names = list(frame.columns)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"has the columns {', '.join(names) or 'none'}; needed: different ones")
    if columns is not None:
        if unknown := [column for column in columns if column not in names]:
            raise ValueError(f"no column {', '.join(unknown)}; it has {', '.join(names)}")
        names = list(columns)
    for name in names:
        if frame[name].dtype.kind not in "biuf":
            raise ValueError(
                f"column {name} is not numeric, but {frame[name].dtype}; choose others with columns"
            )
    parts = [_doubles(_plain(frame[name]), name) for name in names]
    return np.stack(parts, axis=1), names


def _plain(column: pd.Series[Any]) -> NDArray[Any]:
    """Gives a column in numpy's own type; pandas' missing values as NaN."""
    if column.isna().any():
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy(dtype=getattr(column.dtype, "numpy_dtype", None))


def _doubles(values: NDArray[Any], column: str | None) -> NDArray[np.float64]:
    """Gives values in double precision, whole numbers only where it holds them exactly."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size:
        largest = max(abs(int(values.min())), abs(int(values.max())))
        if largest > _EXACT:
            where = "" if column is None else f"column {column}: "
            raise ValueError(
                f"{where}{largest} is not exact in double precision; needed: whole numbers to 2^53"
            )
    return values.astype(np.float64)


def _counts_rows(values: NDArray[np.float64]) -> bool:
    counted = np.arange(len(values))
    return len(values) > 2 and bool(
        np.isin(values[0], (0, 1)) and (values - values[0] == counted).all()
    )

"""Points that the command line reads and writes: .npy, .csv and .parquet."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vqflow.datasets.files import Table

_NEEDED = {".npy": (), ".csv": (), ".parquet": ("pandas", "pyarrow")}
"""What may be read and written, and the packages that do it."""


def read(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Reads points (N, D), strictly.

    Args:
        path: The file.
        columns: The columns to use, in this order; all if ``None``. A .npy file has no names.

    Raises:
        ValueError: If the file is not what it should be; names it.
        FileNotFoundError: If there is none.
    """
    from vqflow.datasets.csv_files import Csv
    from vqflow.datasets.files import read_table

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    _check_suffix(path)
    try:
        return read_table(path, columns, Csv())
    except (ValueError, MemoryError) as error:
        raise ValueError(f"{path}: {error}") from error


def check_output(path: Path | None, *inputs: Path, table: bool = True) -> None:
    """Refuses, before any work, a file that could not be written or that is one of the inputs.

    Args:
        path: The file; ``None`` where nothing is written.
        inputs: What is read.
        table: Whether points are to be written.

    Raises:
        ValueError: If so.
        ModuleNotFoundError: If a package that writes it is not installed.
    """
    if path is None:
        return
    if table:
        _check_suffix(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; needed: the file to write")
    if any(each.exists() and path.resolve() == each.resolve() for each in inputs):
        raise ValueError(f"{path} is read and would be written over; choose another file")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ValueError(f"{path} cannot be written: no files can be made in {folder}")


def write(path: Path, values: NDArray[np.floating], columns: Sequence[str]) -> None:
    """Writes an array (N, D); .csv and .parquet files name its columns."""
    import numpy as np

    from vqflow.files import atomic_path

    with atomic_path(path) as temporary:
        suffix = path.suffix.lower()
        if suffix == ".npy":
            np.save(temporary, values)
        elif suffix == ".csv":
            with temporary.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(columns)
                rows.writerows(values.tolist())
        else:
            import pandas as pd

            pd.DataFrame(values, columns=list(columns)).to_parquet(temporary, index=False)


def _check_suffix(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix not in _NEEDED:
        raise ValueError(f"{path} ends in '{suffix}'; allowed: {', '.join(_NEEDED)}")
    for package in _NEEDED[suffix]:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"{suffix} files need {package}", name=package)

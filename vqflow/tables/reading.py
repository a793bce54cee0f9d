"""Reading back a run's table of scores, of this version or an earlier one."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from vqflow.files import open_text

_TEXTS = ("dataset", "variant", "metric", "split", "status", "unit")
_INTEGERS = ("seed", "epoch")
_NEEDED = (*_TEXTS, *_INTEGERS, "value")


def read_scores(path: str | Path) -> pd.DataFrame:
    """Reads ``tables/metrics.csv`` by the names of its columns, values to the last digit.

    Args:
        path: The table.

    Returns:
        Its rows, with at least the columns dataset, variant, metric, split, status, unit (text),
        seed, epoch (Int64, empty for final models) and value (float64); those that are not
        ``ok`` have the value NaN. ``bound`` says which values are bounds, and is empty where an
        earlier version's table has no such column.

    Raises:
        ValueError: If a column is missing.
    """
    table = pd.read_csv(
        open_text(path),
        dtype={name: "str" for name in _TEXTS} | dict.fromkeys(_INTEGERS, "Int64"),
        converters={"value": lambda text: float(text or "nan")},
        keep_default_na=False,
        na_values={name: [""] for name in _INTEGERS},
    )
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise ValueError(f"{path}: no column {', '.join(missing)}; needed: {', '.join(_NEEDED)}")
    table = table.assign(value=table["value"].where(table["status"] == "ok", math.nan))
    return table if "bound" in table.columns else table.assign(bound="")

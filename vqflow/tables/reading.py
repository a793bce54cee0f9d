"""Reading back a run's tables, of this version or an earlier one."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from vqflow.files import open_text
from vqflow.tables.summary import SUMMARY_COLUMNS

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


def read_summary(path: str | Path) -> pd.DataFrame:
    """Reads ``tables/summary.csv``.

    Args:
        path: The table.

    Returns:
        Its rows, with all of :data:`vqflow.tables.summary.SUMMARY_COLUMNS`. Of an earlier
        version's table labels and decimals are filled in, and what has a gain is a headline, or
        all where nothing has.
    """
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    known = table.reindex(columns=list(SUMMARY_COLUMNS))
    texts = ["unit", "better", "bound", "baseline"]
    known = known.astype(dict.fromkeys(texts, "object")).fillna(dict.fromkeys(texts, ""))
    if "headline" not in table.columns:
        compared = set(table.loc[table["gain_mean"].notna(), "metric"])
        known["label"] = table["metric"].str.replace("_", " ")
        known["decimals"] = 2
        headline = table["metric"].isin(compared or set(table["metric"]))
        known["headline"] = headline.map({True: 0.0, False: math.nan})
    counts = ["n_seeds", "n_diverged", "n_not_finite"]
    return known.fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, "int64"))

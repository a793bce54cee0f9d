"""The metrics table: one row per score, of one run or of all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vqflow.files import open_text
from vqflow.tables.statistics import spread_over_points

if TYPE_CHECKING:
    from vqflow.metrics.base import Quantity, Score

SPREAD_COLUMNS = ("standard_error", "median", "worst_share")
METRIC_COLUMNS = (
    "dataset",
    "variant",
    "flow",
    "atlas",
    "embedding",
    "seed",
    "epoch",
    "metric",
    "value",
    "bound",
    *SPREAD_COLUMNS,
    "unit",
    "n",
    "split",
    "status",
    "label",
    "better",
    "decimals",
    "headline",
    "parameters",
    "atlas_parameters",
)
_INTEGERS = ("seed", "epoch", "n", "decimals", "headline", "parameters", "atlas_parameters")
_REALS = ("value", *SPREAD_COLUMNS)
_TEXTS = tuple(name for name in METRIC_COLUMNS if name not in (*_INTEGERS, *_REALS))
_NUMBERS = {**dict.fromkeys(_INTEGERS, "Int64"), **dict.fromkeys(_REALS, "float64")}
_ROW = ["dataset", "variant", "seed", "metric", "split", "epoch"]


def rows(
    scores: Iterable[tuple[Score, Quantity]],
    identity: Mapping[str, Any],
    lower_bound: bool = False,
) -> pd.DataFrame:
    """Gives the metrics table of one run.

    Args:
        scores: The run's scores, each with its quantity, named as the row is to be.
        identity: What is the same in every row: dataset, variant, flow, atlas, embedding,
            seed, parameters and atlas_parameters.
        lower_bound: Whether the model gives a lower bound of its log-density, so that values of
            quantities that follow from it are bounds too.
    """
    return _table(
        {
            **identity,
            "epoch": score.epoch,
            "metric": quantity.name,
            "value": score.value,
            "bound": _bound(quantity) if lower_bound else "",
            **spread_over_points(score.values, quantity.better),
            "unit": quantity.unit,
            "n": score.n,
            "split": score.split,
            "status": "ok" if math.isfinite(score.value) else "not_finite",
            "label": quantity.label,
            "better": quantity.better or "",
            "decimals": quantity.decimals,
            "headline": quantity.headline,
        }
        for score, quantity in scores
    )


def _bound(quantity: Quantity) -> str:
    if not quantity.of_density:
        return ""
    return "upper" if quantity.better == "lower" else "lower"


def gather(paths: Iterable[str | Path], runs: pd.DataFrame) -> pd.DataFrame:
    """Reads the runs' CSV metrics tables into one, in an order that the paths do not change.

    Args:
        paths: The tables.
        runs: One row per run, with ``dataset`` and ``variant``, in the order of the result.

    Raises:
        ValueError: If a table's columns are not those expected, or two rows are of the same
            run, metric, split and epoch.
    """
    tables = [_table([])]
    for path in paths:
        table = pd.read_csv(
            open_text(path),
            dtype={name: "str" for name in _TEXTS} | dict.fromkeys(_INTEGERS, "Int64"),
            converters=dict.fromkeys(_REALS, lambda text: float(text or "nan")),
            keep_default_na=False,
            na_values={name: [""] for name in _INTEGERS},
        )
        if tuple(table.columns) != METRIC_COLUMNS:
            raise ValueError(
                f"{path}: got columns {', '.join(table.columns)}, "
                f"expected {', '.join(METRIC_COLUMNS)}"
            )
        tables.append(table)
    filled = [table for table in tables if len(table)] or tables[:1]
    gathered = in_order(pd.concat(filled, ignore_index=True), _ROW, runs)
    twice = gathered.duplicated(_ROW)
    if twice.any():
        first = gathered[twice].iloc[0]
        raise ValueError(
            f"{int(twice.sum())} rows are there twice; the first: data set '{first['dataset']}', "
            f"variant '{first['variant']}', seed {first['seed']}, metric '{first['metric']}'"
        )
    return gathered


def _table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(records), columns=list(METRIC_COLUMNS))
    return table.astype(_NUMBERS)


def in_order(table: pd.DataFrame, keys: list[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Sorts by the keys, data sets and variants in the order of the runs."""
    places = {
        name: {item: place for place, item in enumerate(runs[name].unique())}
        for name in ("dataset", "variant")
    }

    def rank(column: pd.Series[Any]) -> pd.Series[Any]:
        known = places.get(str(column.name))
        return column if known is None else column.map(known)

    return table.sort_values(keys, key=rank, ignore_index=True, na_position="last", kind="stable")

"""The tables of results: one row per score, and their summary over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vqflow.tables.statistics import student_interval

if TYPE_CHECKING:
    from vqflow.metrics.base import Quantity, Score

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
SUMMARY_COLUMNS = (
    "dataset",
    "metric",
    "label",
    "unit",
    "better",
    "decimals",
    "headline",
    "split",
    "variant",
    "baseline",
    "n_seeds",
    "n_diverged",
    "n_not_finite",
    "mean",
    "std",
    "ci95",
    "gain_mean",
    "gain_low",
    "gain_high",
    "win",
)
_INTEGERS = ("seed", "epoch", "n", "decimals", "headline", "parameters", "atlas_parameters")
_TEXTS = tuple(name for name in METRIC_COLUMNS if name not in (*_INTEGERS, "value"))
_NUMBERS = {**dict.fromkeys(_INTEGERS, "Int64"), "value": "float64"}
_ROW = ["dataset", "variant", "seed", "metric", "split", "epoch"]
_CELL = ["dataset", "metric", "split"]
_ABOUT = ["label", "unit", "better", "decimals", "headline"]


def rows(scores: Iterable[tuple[Score, Quantity]], identity: Mapping[str, Any]) -> pd.DataFrame:
    """Gives the metrics table of one run.

    Args:
        scores: The run's scores, each with its quantity, named as the row is to be.
        identity: What is the same in every row: dataset, variant, flow, atlas, embedding,
            seed, parameters and atlas_parameters.
    """
    return _table(
        {
            **identity,
            "epoch": score.epoch,
            "metric": quantity.name,
            "value": score.value,
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
            path,
            dtype={name: "str" for name in _TEXTS} | dict.fromkeys(_INTEGERS, "Int64"),
            converters={"value": lambda text: float(text or "nan")},
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
    gathered = _sorted(pd.concat(filled, ignore_index=True), _ROW, runs)
    twice = gathered.duplicated(_ROW)
    if twice.any():
        first = gathered[twice].iloc[0]
        raise ValueError(
            f"{int(twice.sum())} rows are there twice; the first: data set '{first['dataset']}', "
            f"variant '{first['variant']}', seed {first['seed']}, metric '{first['metric']}'"
        )
    return gathered


def summarise(
    metrics: pd.DataFrame, runs: pd.DataFrame, baselines: Mapping[str, str]
) -> pd.DataFrame:
    """Summarises the final models' scores over seeds, and compares with the baselines.

    A gain is the mean difference to the baseline over the seeds that both have, turned so
    that positive is better; a variant wins where the gain's 95 % Student t interval lies
    above 0. A run that diverged, or a value that is not finite, leaves its pair out, but is
    counted.

    Args:
        metrics: What :func:`gather` gave.
        runs: One row per run: ``dataset``, ``variant``, ``seed`` and ``status`` (``ok`` or
            ``diverged``); data sets and variants keep its order.
        baselines: Each variant's baseline variant, for those that have one.

    Returns:
        One row per data set, metric, split and variant; what does not exist is empty.
    """
    final = metrics[metrics["epoch"].isna()]
    lost_runs = runs[runs["status"] == "diverged"]
    diverged = Counter(zip(lost_runs["dataset"], lost_runs["variant"], strict=True))
    kept_runs = runs[runs["status"] != "diverged"]
    finished = set(zip(kept_runs["dataset"], kept_runs["variant"], strict=True))
    summary = []
    for _, group in final.groupby(_CELL):
        dataset = str(group["dataset"].iloc[0])
        good = group[group["status"] == "ok"]
        values = {
            str(variant): part.set_index("seed")["value"].sort_index()
            for variant, part in good.groupby("variant")
        }
        not_finite = Counter(group.loc[group["status"] != "ok", "variant"])
        lost = {name for place, name in set(diverged) - finished if place == dataset}
        about: dict[str, Any] = {name: group[name].iloc[0] for name in (*_CELL, *_ABOUT)}
        for variant in {*group["variant"], *lost}:
            baseline = baselines.get(variant, "")
            own = values.get(variant, _NONE)
            summary.append(
                {
                    **about,
                    "variant": variant,
                    "baseline": baseline,
                    "n_diverged": diverged[dataset, variant],
                    "n_not_finite": not_finite[variant],
                    **_spread(own),
                    **_gain(about["better"], own, values.get(baseline, _NONE)),
                }
            )
    table = pd.DataFrame(summary, columns=list(SUMMARY_COLUMNS))
    counts = ("decimals", "headline", "n_seeds", "n_diverged", "n_not_finite")
    types = {**dict.fromkeys(counts, "Int64"), "win": "boolean"}
    texts = [*_CELL, *_ABOUT, "variant", "baseline"]
    numbers = [name for name in SUMMARY_COLUMNS if name not in types and name not in texts]
    table = table.astype({**types, **dict.fromkeys(numbers, "float64")})
    return _sorted(table, [*_CELL, "variant"], runs)


_NONE = pd.Series([], index=pd.Index([], dtype="Int64"), dtype="float64")


def _table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(records), columns=list(METRIC_COLUMNS))
    return table.astype(_NUMBERS)


def _sorted(table: pd.DataFrame, keys: list[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Sorts by the keys, data sets and variants in the order of the runs."""
    places = {
        name: {item: place for place, item in enumerate(runs[name].unique())}
        for name in ("dataset", "variant")
    }

    def rank(column: pd.Series[Any]) -> pd.Series[Any]:
        known = places.get(str(column.name))
        return column if known is None else column.map(known)

    return table.sort_values(keys, key=rank, ignore_index=True, na_position="last", kind="stable")


def _spread(values: pd.Series[float]) -> dict[str, float]:
    """Gives n_seeds, mean, std and ci95, the half width of the mean's 95 % interval."""
    mean, half = student_interval(values)
    n = len(values)
    std = float(values.std(ddof=1)) if n > 1 else math.nan
    return {"n_seeds": n, "mean": mean, "std": std, "ci95": half}


def _gain(better: str, own: pd.Series[float], base: pd.Series[float]) -> dict[str, Any]:
    """Gives the paired gain over the baseline, its interval, and whether it is a win."""
    seeds = own.index.intersection(base.index)
    if not better or not len(seeds):
        return {"gain_mean": math.nan, "gain_low": math.nan, "gain_high": math.nan, "win": None}
    sign = -1.0 if better == "lower" else 1.0
    mean, half = student_interval(sign * (own.loc[seeds] - base.loc[seeds]))
    low, high = mean - half, mean + half
    win = None if math.isnan(low) else bool(low > 0)
    return {"gain_mean": mean, "gain_low": low, "gain_high": high, "win": win}

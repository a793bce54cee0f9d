"""The tables of results: one row per score, and their summary over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from vqflow.metrics.base import Score

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
    "parameters",
    "atlas_parameters",
)
SUMMARY_COLUMNS = (
    "dataset",
    "metric",
    "unit",
    "split",
    "variant",
    "baseline",
    "n_seeds",
    "n_diverged",
    "mean",
    "std",
    "ci95",
    "gain_mean",
    "gain_low",
    "gain_high",
    "win",
)
LOWER_IS_BETTER = frozenset(
    {
        "bits_per_dim",
        "ceiling_gap",
        "fid_classifier",
        "fid_inception",
        "leak",
        "reconstruction_error",
    }
)
"""Metrics of which less is better; the same holds for their ``_confined`` and ``_mean`` rows."""

NOT_RANKED = frozenset(
    {
        "ceiling",
        "ceiling_gap_standard_error",
        "charts",
        "charts_per_point",
        "confinement_error",
        "manifold_log_likelihood",
        "perplexity",
    }
)
"""Metrics that describe and do not rank: they have no gain and no winner."""

_INTEGERS = ("seed", "epoch", "n", "parameters", "atlas_parameters")
_TEXTS = tuple(name for name in METRIC_COLUMNS if name not in (*_INTEGERS, "value"))
_NUMBERS = {**dict.fromkeys(_INTEGERS, "Int64"), "value": "float64"}
_ORDER = ["dataset", "variant", "seed", "metric", "split", "epoch", "unit"]
_RUN = ["dataset", "variant", "seed"]
_CELL = ["dataset", "metric", "unit", "split"]


def lower_is_better(metric: str) -> bool:
    """Says whether less of a metric is better."""
    return metric.removesuffix("_confined").removesuffix("_mean") in LOWER_IS_BETTER


def rows(scores: Iterable[Score], identity: Mapping[str, Any]) -> pd.DataFrame:
    """Gives the metrics table of one run.

    Args:
        scores: The run's scores; without values if the run diverged.
        identity: What is the same in every row: dataset, variant, flow, atlas, embedding,
            seed, status, parameters and atlas_parameters.
    """
    return _table(
        {
            **identity,
            "epoch": score.epoch,
            "metric": score.metric,
            "value": score.value,
            "unit": score.unit,
            "n": score.n,
            "split": score.split,
        }
        for score in scores
    )


def gather(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Reads the runs' CSV metrics tables into one, in an order that the paths do not change.

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
    gathered = pd.concat(filled, ignore_index=True).sort_values(
        _ORDER, ignore_index=True, na_position="last", kind="stable"
    )
    twice = gathered.duplicated(["dataset", "variant", "seed", "metric", "split", "epoch"])
    if twice.any():
        first = gathered[twice].iloc[0]
        raise ValueError(
            f"{int(twice.sum())} rows are there twice; the first: data set '{first['dataset']}', "
            f"variant '{first['variant']}', seed {first['seed']}, metric '{first['metric']}'"
        )
    return gathered


def summarise(metrics: pd.DataFrame, baselines: Mapping[str, str]) -> pd.DataFrame:
    """Summarises the final models' scores over seeds, and compares with the baselines.

    A gain is the mean difference to the baseline over the seeds that both have, turned so
    that positive is better; a variant wins where the gain's 95 % Student t interval lies
    above 0. A diverged run has no score, which leaves its pair out, but is counted.

    Args:
        metrics: What :func:`gather` gave.
        baselines: Each variant's baseline variant, for those that have one.

    Returns:
        One row per data set, metric, split and variant; what does not exist is empty.
    """
    final = metrics[metrics["epoch"].isna()]
    good = final[(final["status"] != "diverged") & final["value"].notna()]
    lost_runs = metrics[metrics["status"] == "diverged"].drop_duplicates(_RUN)
    diverged = Counter(zip(lost_runs["dataset"], lost_runs["variant"], strict=True))
    summary = []
    for _, group in good.groupby(_CELL):
        dataset, metric, unit, split = (str(group[name].iloc[0]) for name in _CELL)
        values = {
            str(variant): part.set_index("seed")["value"].sort_index()
            for variant, part in group.groupby("variant")
        }
        finished = set(good.loc[good["dataset"] == dataset, "variant"])
        lost = {name for place, name in diverged if place == dataset} - finished
        for variant in sorted({*values, *lost}):
            baseline = baselines.get(variant, "")
            own = values.get(variant, _NONE)
            summary.append(
                {
                    "dataset": dataset,
                    "metric": metric,
                    "unit": unit,
                    "split": split,
                    "variant": variant,
                    "baseline": baseline,
                    "n_diverged": diverged[dataset, variant],
                    **_spread(own),
                    **_gain(metric, own, values.get(baseline, _NONE)),
                }
            )
    table = pd.DataFrame(summary, columns=list(SUMMARY_COLUMNS))
    integers = {"n_seeds": "Int64", "n_diverged": "Int64", "win": "boolean"}
    texts = [*_CELL, "variant", "baseline"]
    numbers = [name for name in SUMMARY_COLUMNS if name not in integers and name not in texts]
    return table.astype({**integers, **dict.fromkeys(numbers, "float64")})


_NONE = pd.Series([], index=pd.Index([], dtype="Int64"), dtype="float64")


def _table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(list(records), columns=list(METRIC_COLUMNS))
    return table.astype(_NUMBERS)


def _spread(values: pd.Series[float]) -> dict[str, float]:
    """Gives n_seeds, mean, std and ci95, the half width of the mean's 95 % interval."""
    from scipy.special import stdtrit  # slow to import, and jobs that score do without

    n = len(values)
    std = float(values.std(ddof=1)) if n > 1 else math.nan
    return {
        "n_seeds": n,
        "mean": float(values.mean()) if n else math.nan,
        "std": std,
        "ci95": float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n) if n > 1 else math.nan,
    }


def _gain(metric: str, own: pd.Series[float], base: pd.Series[float]) -> dict[str, Any]:
    """Gives the paired gain over the baseline, its interval, and whether it is a win."""
    seeds = own.index.intersection(base.index)
    if metric in NOT_RANKED or not len(seeds):
        return {"gain_mean": math.nan, "gain_low": math.nan, "gain_high": math.nan, "win": None}
    sign = -1.0 if lower_is_better(metric) else 1.0
    gain = _spread(sign * (own.loc[seeds] - base.loc[seeds]))
    low, high = gain["mean"] - gain["ci95"], gain["mean"] + gain["ci95"]
    win = None if np.isnan(low) else bool(low > 0)
    return {"gain_mean": gain["mean"], "gain_low": low, "gain_high": high, "win": win}

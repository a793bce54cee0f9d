"""The summary of a run's scores over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from vqflow.tables.gains import GAIN_COLUMNS, correct_for_many, gain
from vqflow.tables.points import SPLIT, PointValues, Values
from vqflow.tables.rows import SPREAD_COLUMNS, in_order
from vqflow.tables.statistics import Bootstrap, student_interval

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
    "parameters",
    "atlas_parameters",
    "bound",
    "n_seeds",
    "n_diverged",
    "n_not_finite",
    "mean",
    "std",
    "ci95",
    *SPREAD_COLUMNS,
    "few_points",
    *GAIN_COLUMNS,
)
FEW_DECIDE = 0.1
"""The least share of what worse points lack, held by the worst 0.1 %, that marks a mean."""

_CELL = ["dataset", "metric", "split"]
_ABOUT = ["label", "unit", "better", "decimals", "headline"]
_SIZES = ["parameters", "atlas_parameters"]
_COUNTS = ["n_seeds", "n_diverged", "n_not_finite", "n_pairs", "n_positive", "n_lost_pairs"]


def summarise(
    metrics: pd.DataFrame,
    runs: pd.DataFrame,
    baselines: Mapping[str, str],
    points: Mapping[tuple[str, str], PointValues] | None = None,
) -> pd.DataFrame:
    """Summarises the final models' scores over seeds, and compares with the baselines.

    A gain is the mean difference to the baseline over the seeds that both have, turned so
    that positive is better; a variant wins where the gain's 95 % Student t interval lies
    above 0. A run that diverged, or a value that is not finite, leaves its pair out, but is
    counted, and nothing is won. Standard error and median are those over points, on the mean
    over seeds; the worst share is that of the seed where it is largest.

    Args:
        metrics: What :func:`vqflow.tables.rows.gather` gave.
        runs: One row per run: ``dataset``, ``variant``, ``seed`` and ``status`` (``ok`` or
            ``diverged``); data sets and variants keep its order.
        baselines: Each variant's baseline variant, for those that have one.
        points: By data set and variant, the values of the test points, for the bootstrap.

    Returns:
        One row per data set, metric, split and variant; what does not exist is empty.
    """
    final = metrics[metrics["epoch"].isna()]
    lost_runs = runs[runs["status"] == "diverged"]
    diverged = Counter(zip(lost_runs["dataset"], lost_runs["variant"], strict=True))
    kept_runs = runs[runs["status"] != "diverged"]
    finished = set(zip(kept_runs["dataset"], kept_runs["variant"], strict=True))
    points, bootstrap = points or {}, Bootstrap()
    summary = []
    for _, group in final.groupby(_CELL):
        dataset, metric, split = (str(group[name].iloc[0]) for name in _CELL)
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
            rows = group[group["variant"] == variant]
            ours, theirs = (
                _by_seed(points.get((dataset, name), {}), metric, split)
                for name in (variant, baseline)
            )
            base = values.get(baseline, _NONE)
            bounds = [
                (group.loc[group["variant"] == name, "bound"] != "").any()
                for name in (variant, baseline)
            ]
            wanted = max(
                len(values.get(name, _NONE)) + diverged[dataset, name] + not_finite[name]
                for name in (variant, baseline)
            )
            summary.append(
                {
                    **about,
                    "variant": variant,
                    "baseline": baseline,
                    **{name: rows[name].max() for name in _SIZES},
                    "bound": rows["bound"].iloc[0] if len(rows) else "",
                    "n_diverged": diverged[dataset, variant],
                    "n_not_finite": not_finite[variant],
                    **_spread(own),
                    **_over_points(rows),
                    **gain(
                        about["better"],
                        own,
                        base,
                        ours,
                        theirs,
                        bootstrap,
                        wanted,
                        (bool(bounds[0]), bool(bounds[1])),
                    ),
                }
            )
    table = pd.DataFrame(summary, columns=list(SUMMARY_COLUMNS))
    whole = ["decimals", "headline", *_SIZES, *_COUNTS]
    types = {**dict.fromkeys(whole, "Int64"), "few_points": "boolean", "win": "boolean"}
    texts = [*_CELL, *_ABOUT, "variant", "baseline", "bound"]
    numbers = [name for name in SUMMARY_COLUMNS if name not in types and name not in texts]
    table = correct_for_many(table.astype({**types, **dict.fromkeys(numbers, "float64")}))
    return in_order(table, [*_CELL, "variant"], runs)


_NONE = pd.Series([], index=pd.Index([], dtype="Int64"), dtype="float64")


def _by_seed(kept: PointValues, metric: str, split: str) -> dict[int, Values]:
    """Gives the values of the points that are kept of a metric, by seed."""
    if split != SPLIT:
        return {}
    return {seed: array for (name, seed), array in kept.items() if name == metric}


def _spread(values: pd.Series[float]) -> dict[str, float]:
    """Gives n_seeds, mean, std and ci95, the half width of the mean's 95 % interval."""
    mean, half = student_interval(values)
    n = len(values)
    std = float(values.std(ddof=1)) if n > 1 else math.nan
    return {"n_seeds": n, "mean": mean, "std": std, "ci95": half}


def _over_points(rows: pd.DataFrame) -> dict[str, Any]:
    """Gives what is known of the points that the seeds' means were taken of."""
    share = float(rows["worst_share"].max())
    return {
        "standard_error": rows["standard_error"].mean(),
        "median": rows["median"].mean(),
        "worst_share": share,
        "few_points": None if math.isnan(share) else share >= FEW_DECIDE,
    }

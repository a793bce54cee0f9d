"""A variant against its baseline: paired over seeds and points, and what many chances cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vqflow.tables.points import Values
from vqflow.tables.statistics import Bootstrap, holm, paired_p_value, student_interval

GAIN_COLUMNS = (
    "gain_mean",
    "gain_low",
    "gain_high",
    "gain_boot_low",
    "gain_boot_high",
    "n_pairs",
    "n_positive",
    "p_value",
    "p_holm",
    "win",
    "win_holm",
)
_LEVEL = 0.05


def gain(
    better: str,
    own: pd.Series[float],
    base: pd.Series[float],
    own_points: Mapping[int, Values],
    base_points: Mapping[int, Values],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Gives the gain over the baseline, turned so that positive is better.

    Args:
        better: ``"higher"``, ``"lower"``, or ``""`` for what has no gain.
        own: The variant's values by seed.
        base: The baseline's.
        own_points: Its values of the test points by seed, as far as they are kept.
        base_points: The baseline's.
        bootstrap: Draws seeds and points.

    Returns:
        The mean over the seeds that both have, its 95 % Student t interval, the bootstrap's
        over seeds and points, the number of pairs that are not equal and of those that are
        positive, the p-value of the paired t-test, and whether the Student interval lies above 0.
    """
    seeds = own.index.intersection(base.index)
    if not better or not len(seeds):
        numbers = [name for name in GAIN_COLUMNS if name.startswith("gain")]
        return {**dict.fromkeys(numbers, math.nan), "n_pairs": 0, "n_positive": 0, "win": None}
    sign = -1.0 if better == "lower" else 1.0
    differences = sign * (own.loc[seeds] - base.loc[seeds])
    mean, half = student_interval(differences)
    low, high = mean - half, mean + half
    boot_low, boot_high = math.nan, math.nan
    if all(seed in points for seed in seeds for points in (own_points, base_points)):
        pairs = [own_points[seed].astype(np.float64) - base_points[seed] for seed in seeds]
        boot_low, boot_high = bootstrap.interval(sign * np.stack(pairs))
    return {
        "gain_mean": mean,
        "gain_low": low,
        "gain_high": high,
        "gain_boot_low": boot_low,
        "gain_boot_high": boot_high,
        "n_pairs": int((differences != 0).sum()),
        "n_positive": int((differences > 0).sum()),
        "p_value": paired_p_value(differences),
        "win": None if math.isnan(low) else bool(low > 0),
    }


def correct_for_many(summary: pd.DataFrame) -> pd.DataFrame:
    """Adds ``p_holm`` and ``win_holm``: the verdict where all cells of a table are one family.

    Args:
        summary: Rows with ``metric``, ``split``, ``gain_mean`` and ``p_value``.
    """
    parts = [
        pd.Series(holm(group["p_value"].tolist()), index=group.index)
        for _, group in summary.groupby(["metric", "split"])
    ]
    corrected = pd.concat(parts) if parts else pd.Series(dtype="float64")
    won = (corrected < _LEVEL) & (summary["gain_mean"] > 0)
    return summary.assign(p_holm=corrected, win_holm=won.astype("boolean").mask(corrected.isna()))

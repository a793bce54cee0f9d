"""A variant against its baseline: paired over seeds and points, and what many chances cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vqflow.tables.points import Values
from vqflow.tables.statistics import (
    Bootstrap,
    holm,
    paired_p_value,
    preferred_split,
    student_interval,
)

GAIN_COLUMNS = (
    "gain_mean",
    "gain_low",
    "gain_high",
    "gain_boot_low",
    "gain_boot_high",
    "n_pairs",
    "n_positive",
    "n_lost_pairs",
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
    wanted: int,
    bounds: tuple[bool, bool] = (False, False),
) -> dict[str, Any]:
    """Gives the gain over the baseline, turned so that positive is better.

    Nothing is won where pairs are lost, which makes the rest no fair choice, where the gain does
    not vary with the seed, or over a bound, beyond which the density itself may lie.

    Args:
        better: ``"higher"``, ``"lower"``, or ``""`` for what has no gain.
        own: The variant's values by seed.
        base: The baseline's.
        own_points: Its values of the test points by seed, as far as they are kept.
        base_points: The baseline's.
        bootstrap: Draws seeds and points.
        wanted: How many pairs there are where no run diverged and all values are finite.
        bounds: Whether the variant's values are bounds, and whether the baseline's are.

    Returns:
        The mean over the seeds that both have, its 95 % Student t interval, the bootstrap's
        over seeds and points, the number of pairs that are not equal and of those that are
        positive (none where one side is a bound), of those that are lost, the p-value of the
        paired t-test, and whether the Student interval lies above 0.
    """
    seeds = own.index.intersection(base.index)
    if not better or not len(seeds):
        numbers = [name for name in GAIN_COLUMNS if name.startswith("gain")]
        counts = dict.fromkeys(("n_pairs", "n_positive", "n_lost_pairs"), 0)
        return {**dict.fromkeys(numbers, math.nan), **counts, "win": None}
    sign = -1.0 if better == "lower" else 1.0
    differences = sign * (own.loc[seeds] - base.loc[seeds])
    mean, half = student_interval(differences)
    low, high = mean - half, mean + half
    boot_low, boot_high = math.nan, math.nan
    if all(seed in points for seed in seeds for points in (own_points, base_points)):
        pairs = [own_points[seed].astype(np.float64) - base_points[seed] for seed in seeds]
        boot_low, boot_high = bootstrap.interval(sign * np.stack(pairs))
    lost = wanted - len(seeds)
    open_ended = lost > 0 or bounds[1] or math.isnan(low) or low == high
    known = differences[differences != 0] if not any(bounds) else differences.iloc[:0]
    return {
        "gain_mean": mean,
        "gain_low": low,
        "gain_high": high,
        "gain_boot_low": boot_low,
        "gain_boot_high": boot_high,
        "n_pairs": len(known),
        "n_positive": int((known > 0).sum()),
        "n_lost_pairs": lost,
        "p_value": math.nan if open_ended else paired_p_value(differences),
        "win": None if open_ended else bool(low > 0),
    }


def correct_for_many(summary: pd.DataFrame) -> pd.DataFrame:
    """Adds ``p_holm`` and ``win_holm``: the verdict where all cells of a table are one family.

    Of each metric those are a table that are of the split that a data set's table shows; the
    others are a family for each split.

    Args:
        summary: Rows with ``dataset``, ``metric``, ``split``, ``gain_mean`` and ``p_value``.
    """
    parts = []
    for _, rows in summary.groupby("metric"):
        shown = preferred_split(rows).index
        split = rows["split"].where(~rows.index.isin(shown), "")
        parts += [
            pd.Series(holm(group["p_value"].tolist()), index=group.index)
            for _, group in rows.groupby(split)
        ]
    corrected = pd.concat(parts) if parts else pd.Series(dtype="float64")
    won = (corrected < _LEVEL) & (summary["gain_mean"] > 0)
    return summary.assign(p_holm=corrected, win_holm=won.astype("boolean").mask(corrected.isna()))

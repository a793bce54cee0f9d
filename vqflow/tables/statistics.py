"""What tables and figures compute alike: intervals over seeds, and the split that is shown."""

from __future__ import annotations

import math

import pandas as pd

SHOWN_FIRST = ("test", "train", "validation")
"""Splits in the order in which tables and figures prefer them."""


def student_interval(values: pd.Series[float]) -> tuple[float, float]:
    """Gives the mean and the half width of its 95 % Student t interval.

    Args:
        values: One value per seed.

    Returns:
        NaN where it does not exist: a mean of no values, a width of fewer than two.
    """
    from scipy.special import stdtrit  # slow to import, and jobs that score do without

    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan
    return mean, float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)


def preferred_split(rows: pd.DataFrame) -> pd.DataFrame:
    """Keeps one split per data set: the test split where there is one.

    Args:
        rows: Rows of one metric, with the columns ``dataset`` and ``split``.
    """
    rank = rows["split"].map({split: place for place, split in enumerate(SHOWN_FIRST)})
    return rows[rank == rank.groupby(rows["dataset"]).transform("min")]

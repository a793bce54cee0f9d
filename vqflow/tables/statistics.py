"""What tables and figures compute alike: intervals, tests, and the split that is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHOWN_FIRST = ("test", "train", "validation")
"""Splits in the order in which tables and figures prefer them."""


FEW = 0.001
"""The share of points that is called few."""


def spread_over_points(
    values: NDArray[np.float64] | None, better: str | None = None
) -> dict[str, float]:
    """Says of values that a mean was taken of how far it is to be trusted.

    Args:
        values: One per point or sample (N,).
        better: Which are better: the worst are the lowest unless ``"lower"``.

    Returns:
        ``standard_error`` of the mean; ``median``; and ``worst_share``: of all that the values
        worse than the median lack of it, the part that the worst :data:`FEW` of all points
        (at least one) hold; about 0.01 for normal values. NaN where there are no values, or
        some that are not finite.
    """
    names = ("standard_error", "median", "worst_share")
    if values is None or len(values) < 2 or not np.isfinite(values).all():
        return dict.fromkeys(names, math.nan)
    median = float(np.median(values))
    lacks = np.sort((values - median) * (1 if better == "lower" else -1))[::-1].clip(min=0)
    worst = max(1, math.ceil(FEW * len(values)))
    total = float(lacks.sum())
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    share = float(lacks[:worst].sum()) / total if total else 0.0
    return dict(zip(names, (error, median, share), strict=True))


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


def paired_p_value(differences: pd.Series[float]) -> float:
    """Gives the two-sided p-value of Student's paired t-test that the mean difference is 0.

    Args:
        differences: One per seed.

    Returns:
        NaN for fewer than two, or where they do not vary.
    """
    from scipy.special import stdtr  # slow to import

    n = len(differences)
    if n < 2:
        return math.nan
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    mean = abs(float(differences.mean()))
    if error == 0:
        return math.nan
    return float(2 * stdtr(n - 1, -mean / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts the p-values of a family of tests (Holm 1979).

    Rejecting those below a level keeps the chance of any false rejection below it, however the
    tests depend on one another.

    Args:
        p_values: One per test; NaN counts for none and stays.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def sign_test(positive: int, pairs: int) -> float:
    """Gives the two-sided p-value of so many positive ones among pairs as likely as not.

    Args:
        positive: Number of positive differences.
        pairs: Number of differences that are not 0.
    """
    from scipy.special import bdtr  # slow to import

    if not pairs:
        return math.nan
    return min(1.0, float(2 * bdtr(min(positive, pairs - positive), pairs, 0.5)))


class Bootstrap:
    """Intervals of a mean over seeds and points, both drawn anew with replacement.

    Points are the same for all seeds, so that a draw of points is one for all of them (the
    crossed bootstrap of Owen 2007, *The pigeonhole bootstrap*). It holds the noise of the data
    set that was drawn, beside that of training; of few seeds it knows little, as three values
    drawn anew are spread less than those that they were drawn from.

    Args:
        draws: Number of draws.
        seed: Of the draws, which are the same for all tables of one size.
    """

    def __init__(self, draws: int = 2000, seed: int = 0) -> None:
        self.draws = draws
        self.seed = seed
        self._weights: dict[int, NDArray[np.float32]] = {}

    def interval(self, values: NDArray[np.floating]) -> tuple[float, float]:
        """Gives the 95 % interval of the mean of values (S, N), by the draws' percentiles."""
        seeds, points = values.shape
        of_points = self._drawn(points) @ values.T.astype(np.float64) / points
        of_seeds = self._drawn(seeds) / seeds
        low, high = np.quantile((of_points * of_seeds).sum(1), [0.025, 0.975])
        return float(low), float(high)

    def _drawn(self, size: int) -> NDArray[np.float32]:
        """Gives how often each of so many is drawn, at each draw: (draws, size)."""
        if size not in self._weights:
            generator = np.random.default_rng([self.seed, size])
            numbers = generator.integers(size, size=(self.draws, size))
            numbers += size * np.arange(self.draws)[:, None]
            counts = np.bincount(numbers.ravel(), minlength=self.draws * size)
            self._weights[size] = counts.reshape(self.draws, size).astype(np.float32)
        return self._weights[size]


def preferred_split(rows: pd.DataFrame) -> pd.DataFrame:
    """Keeps one split per data set: the test split where there is one.

    Args:
        rows: Rows of one metric, with the columns ``dataset`` and ``split``.
    """
    rank = rows["split"].map({split: place for place, split in enumerate(SHOWN_FIRST)})
    return rows[rank == rank.groupby(rows["dataset"]).transform("min")]

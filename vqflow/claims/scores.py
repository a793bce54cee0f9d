"""A run's scores by cell, and what is estimated from them over the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from vqflow.tables.statistics import SHOWN_FIRST, paired_p_value, student_interval


@dataclass(frozen=True)
class Cell:
    """Names rows of ``tables/metrics.csv``: one for each seed."""

    dataset: str
    variant: str
    metric: str
    split: str = ""
    epoch: int | None = None

    def __str__(self) -> str:
        """Gives the names, joined."""
        names = [self.dataset, self.variant, self.metric, self.split]
        if self.epoch is not None:
            names.append(f"epoch {self.epoch}")
        return "/".join(names)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval over seeds.

    Attributes:
        value: The number; NaN where there is none.
        low: Lower end; NaN where there is no interval, as of one seed.
        high: Upper end.
        seeds: How many seeds it rests on.
        part: By seed, what it is the mean of, or the mean over that of ``whole``.
        whole: By seed; 1 where it is no share.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    seeds: int = 0
    part: pd.Series[float] | None = field(default=None, repr=False, compare=False)
    whole: pd.Series[float] | float = field(default=1.0, repr=False, compare=False)

    def p_value(self, edge: float) -> float:
        """Gives the two-sided p-value of the test that it is ``edge``; NaN without an interval.

        Args:
            edge: A number.
        """
        if self.part is None or math.isnan(self.low):
            return math.nan
        return paired_p_value(self.part - edge * self.whole)


class Scores:
    """A run's table of scores.

    Args:
        table: What :func:`vqflow.tables.reading.read_scores` gave.
        seeds: The seeds that the run was to have.
    """

    def __init__(self, table: pd.DataFrame, seeds: Sequence[int]) -> None:
        self.seeds = list(seeds)
        self._none = table.iloc[:0]
        self._parts = dict(iter(table.groupby(["dataset", "variant", "metric"])))
        self._present = set(zip(table["dataset"], table["metric"], strict=True))
        self._scored = set(zip(table["dataset"], table["variant"], strict=True))
        self._units = dict(zip(table["metric"], table["unit"], strict=True))

    def has(self, dataset: str, metric: str) -> bool:
        """Says whether a data set has any row of a metric."""
        return (dataset, metric) in self._present

    def unit(self, metric: str) -> str:
        """Gives a metric's unit, which may be empty."""
        return str(self._units.get(metric, ""))

    def cell(
        self, dataset: str, variant: str, metric: str, first: str = "", epoch: int | None = None
    ) -> Cell:
        """Gives the cell of a metric, of the split that is preferred.

        Args:
            dataset: The data set.
            variant: The variant.
            metric: The metric.
            first: A split that is taken before the others, in whose order tables take them.
            epoch: The epoch; ``None`` for the final model.
        """
        splits = self._part(dataset, variant, metric)["split"]
        order = [split for split in (first, *SHOWN_FIRST) if split in set(splits)]
        return Cell(dataset, variant, metric, order[0] if order else "", epoch)

    def values(self, cell: Cell) -> pd.Series[float]:
        """Gives the finite values of a cell, indexed by seed."""
        rows = self._part(cell.dataset, cell.variant, cell.metric)
        epoch = rows["epoch"].isna() if cell.epoch is None else rows["epoch"] == cell.epoch
        rows = rows[(rows["split"] == cell.split) & epoch.fillna(False)]
        values = rows.set_index("seed")["value"].astype("float64").sort_index()
        return values[values.map(math.isfinite)]

    def asked(self, cell: Cell) -> bool:
        """Says whether a metric was asked of a variant: it has rows of it, or of nothing."""
        if len(self._part(cell.dataset, cell.variant, cell.metric)):
            return True
        return (cell.dataset, cell.variant) not in self._scored

    def bounded(self, cell: Cell) -> bool:
        """Says whether a cell's values are bounds of what is meant."""
        return bool((self._part(cell.dataset, cell.variant, cell.metric)["bound"] != "").any())

    def epochs(self, dataset: str, variant: str, metric: str) -> list[int]:
        """Gives the epochs at which a variant has a metric."""
        epochs = self._part(dataset, variant, metric)["epoch"].dropna().unique()
        return sorted(int(epoch) for epoch in epochs)

    def _part(self, dataset: str, variant: str, metric: str) -> pd.DataFrame:
        return self._parts.get((dataset, variant, metric), self._none)


def mean(values: pd.Series[float]) -> Estimate:
    """Gives the mean over seeds with its Student t interval.

    Args:
        values: One value per seed.
    """
    value, half = student_interval(values)
    return Estimate(value, value - half, value + half, len(values), values)


def paired(first: pd.Series[float], second: pd.Series[float]) -> Estimate:
    """Gives the mean of first - second over the seeds that both have, with its interval."""
    seeds = first.index.intersection(second.index)
    return mean(first.loc[seeds] - second.loc[seeds])


def capped(values: pd.Series[float], floor: pd.Series[float], better: str) -> pd.Series[float]:
    """Gives values that are no better than a floor, where that is known.

    Args:
        values: One value per seed.
        floor: One value per seed, as far as known.
        better: ``"higher"`` or ``"lower"``.
    """
    floor = floor.reindex(values.index)
    beyond = values > floor if better == "higher" else values < floor
    return values.where(~beyond, floor)


def share(part: pd.Series[float], whole: pd.Series[float]) -> Estimate:
    """Gives the ratio of two means over the seeds that both have, with its interval.

    The interval is Fieller's (Fieller, Journal of the Royal Statistical Society B, 1954): the
    ratios r for which the paired differences part - r whole have a Student t interval that
    covers 0. It has no bounds, and is NaN here, where the mean of ``whole`` may be 0.
    """
    seeds = part.index.intersection(whole.index)
    x, y, n = part.loc[seeds], whole.loc[seeds], len(seeds)
    if not n or not y.mean():
        return Estimate(seeds=n)
    value = float(x.mean() / y.mean())
    if n < 2:
        return Estimate(value, math.nan, math.nan, n)
    from scipy.special import stdtrit  # slow to import

    scale = float(stdtrit(n - 1, 0.975)) ** 2 / n
    a = y.mean() ** 2 - scale * y.var(ddof=1)
    b = x.mean() * y.mean() - scale * x.cov(y)
    c = x.mean() ** 2 - scale * x.var(ddof=1)
    if a <= 0:
        return Estimate(value, math.nan, math.nan, n)
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return Estimate(value, (b - root) / a, (b + root) / a, n, x, y)

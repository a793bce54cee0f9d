"""How much of a reference's gap to the ceiling each method closes, on each data set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vqflow.config.setting import Setting
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import datasets_of, diverged, numbers
from vqflow.figures.style import GREY, WIDTH, Stroke, label, palette, strokes, theme
from vqflow.tables.statistics import preferred_split, student_interval

_GAP = "ceiling_gap"
_BELOW = "#f4d9cf"
_DARK = 0.72  # shares above have white numbers
_ENDS = (-0.25, 1.1)  # of the axis of means
_ROW = 0.235
_GOAL: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2))}


class GapClosed(RunFigure):
    """The share of a reference's gap to the ceiling that each method closes.

    Args:
        reference: The variant whose gap counts as 1.
        goal: The share that is to be reached.

    Raises:
        ValueError: If the goal is not above 0 and at most 1.
    """

    kinds = ("vector",)
    reads = ("metrics", "runs")
    caption = """
The share of the reference's gap to the ceiling that each method closes: 1 - gap / gap of the
reference, gaps being means of log p* - log q over the test points, and that of the reference its
mean over seeds, which stands in the first row. Numbers are means over seeds, bold where they reach
the goal and on red where a method is worse than the reference. On the right, the mean over data
sets: small dots are seeds, markers the mean with the 95 % Student t interval over seeds, where none
is missing; what lies beyond the axis is an arrow at its end, a mean with its number. Values with ≥
are lower bounds, of models that only bound their density and may be better than they say.
"""

    def __init__(self, reference: str = "realnvp", goal: float = 0.9) -> None:
        if not 0 < goal <= 1:
            raise ValueError(f"goal is {goal}; allowed: above 0, at most 1")
        self.reference = reference
        self.goal = goal

    def check(self, settings: Sequence[Setting], metrics: Collection[str]) -> None:
        """Refuses a reference that is not among the variants."""
        variants = list(dict.fromkeys(setting.variant for setting in settings))
        if self.reference not in variants:
            raise ValueError(f"reference is '{self.reference}'; allowed: {', '.join(variants)}")

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the final models' gaps."""
        bounds = {cell.variant for cell in inputs.cells if cell.lower_bound}
        return draw(inputs.metrics, inputs.runs, self.reference, self.goal, bounds)


@dataclass(frozen=True)
class Shares:
    """What the figure shows.

    Attributes:
        gaps: The reference's mean gap in nats, by data set.
        values: One row per seed, with the columns variant, dataset, seed and share.
        lost: Pairs of variant and data set of which some seeds are missing.
    """

    gaps: pd.Series[float]
    values: pd.DataFrame
    lost: set[tuple[str, str]]

    def means(self, variant: str) -> pd.Series[float]:
        """The variant's mean over seeds, by data set; NaN where there is none."""
        rows = self.values[self.values["variant"] == variant]
        return rows.groupby("dataset")["share"].mean().reindex(self.gaps.index)

    def of_seeds(self, variant: str) -> pd.Series[float]:
        """The variant's mean over data sets, of each seed that has all of its data sets."""
        rows = self.values[self.values["variant"] == variant]
        table = rows.pivot(index="seed", columns="dataset", values="share")
        return table.mean(axis="columns", skipna=False)


def shares_of(metrics: pd.DataFrame, runs: pd.DataFrame, reference: str) -> Shares:
    """Gives the share of the reference's gap that each final model closes.

    A data set where the reference has no gap left is shown without shares.

    Args:
        metrics: The metrics table.
        runs: The table of runs.
        reference: The variant whose mean gap over seeds counts as 1.

    Raises:
        ValueError: If there are no rows of the gap, or none of the reference, and it did not
            diverge.
    """
    datasets = datasets_of(metrics, [_GAP], runs)
    rows = metrics[(metrics["metric"] == _GAP) & numbers(metrics["epoch"]).isna()]
    rows = preferred_split(rows)
    rows = rows.assign(gap=numbers(rows["value"]).where(rows["status"] == "ok"))
    good = rows.dropna(subset=["gap"])
    own = good[good["variant"] == reference]
    ended = runs.loc[runs["variant"] == reference, "status"]
    if own.empty and not (ended == "diverged").any():
        present = ", ".join(map(str, good["variant"].unique()))
        raise ValueError(
            f"metrics table: no rows of '{_GAP}' of the reference '{reference}' (there are of: "
            f"{present})"
        )
    gaps = own.groupby("dataset")["gap"].mean().reindex(datasets)
    share = 1 - good["gap"] / good["dataset"].map(gaps.where(gaps > 0))
    values = good.assign(share=share).dropna(subset=["share"])
    lost = {(name, dataset) for dataset in datasets for name in diverged(runs, dataset)}
    bad = rows[rows["gap"].isna()]
    lost |= set(zip(bad["variant"], bad["dataset"], strict=True))
    return Shares(gaps, values[["variant", "dataset", "seed", "share"]], lost)


@theme()
def draw(
    metrics: pd.DataFrame,
    runs: pd.DataFrame,
    reference: str = "realnvp",
    goal: float = 0.9,
    bounds: Collection[str] = (),
) -> Figure:
    """Draws shares as a map of numbers, methods by data sets, and beside it their means.

    Args:
        metrics: The metrics table (dataset, variant, seed, epoch, metric, value, split, ...).
        runs: The table of runs (dataset, variant, flow, atlas, seed, status, ...); methods have
            its order.
        reference: The variant whose mean gap counts as 1.
        goal: The share that is to be reached.
        bounds: Variants whose shares are lower bounds.

    Raises:
        ValueError: If there is nothing to draw.
    """
    shares = shares_of(metrics, runs, reference)
    styles = strokes(runs[runs["dataset"].isin(shares.gaps.index)])
    height = _ROW * (len(styles) + 1) + 1.25
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    widths = [0.42 * max(len(shares.gaps), 4), 1.7]
    table, means = figure.subplots(1, 2, sharey=True, width_ratios=widths)
    _draw_table(table, shares, list(styles), goal, bounds)
    table.set_yticks(
        range(-1, len(styles)),
        labels=[f"gap of {label(reference)} (nats)", *(label(name) for name in styles)],
    )
    _draw_means(means, shares, styles, goal, bounds)
    if shares.lost:
        figure.supxlabel("† without runs that diverged or are not finite", fontsize=6.5, color=GREY)
    return figure


def _draw_table(
    panel: Axes, shares: Shares, variants: list[str], goal: float, bounds: Collection[str]
) -> None:
    """Draws the map of numbers, under the row of the reference's gaps."""
    colours = ListedColormap(palette("Blues", 256)[10:216])
    for column, (dataset, gap) in enumerate(shares.gaps.to_dict().items()):
        text = "–" if np.isnan(gap) else f"{gap:.2f}"
        panel.text(column, -1, text, ha="center", va="center", fontsize=6.5, color=GREY)
        for row, variant in enumerate(variants):
            share = float(shares.means(variant).iloc[column])
            mark = "†" if (variant, dataset) in shares.lost else ""
            if np.isnan(share):
                panel.text(column, row, mark or "–", ha="center", va="center", color=GREY)
                continue
            below = round(share, 2) < 0 and variant not in bounds  # a bound may be higher
            colour = _BELOW if below else colours(min(max(share, 0.0), 1.0))
            box = (column - 0.5, row - 0.5), 1, 1
            panel.add_patch(Rectangle(*box, facecolor=colour, edgecolor="white"))
            panel.text(
                column,
                row,
                f"{'≥' if variant in bounds else ''}{_number(share)}{mark}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if share > _DARK else "black",
                fontweight="bold" if share >= goal else "normal",
            )
    panel.set(xlim=(-0.5, len(shares.gaps) - 0.5), ylim=(len(variants) - 0.5, -1.5))
    panel.set_xticks(
        range(len(shares.gaps)),
        labels=[label(str(name)) for name in shares.gaps.index],
        rotation=35,
        ha="left",
        rotation_mode="anchor",
    )
    panel.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    panel.grid(False)
    panel.spines[:].set_visible(False)


def _draw_means(
    panel: Axes,
    shares: Shares,
    styles: dict[str, Stroke],
    goal: float,
    bounds: Collection[str],
) -> None:
    """Draws each method's mean over data sets: seeds, their mean and its interval.

    Seeds that lack a data set have no mean, and then there is no interval.
    """
    panel.axvline(goal, **_GOAL)
    for row, (variant, style) in enumerate(styles.items()):
        cells, seeds = shares.means(variant).dropna(), shares.of_seeds(variant).dropna()
        if cells.empty:
            continue
        whole = not any((variant, dataset) in shares.lost for dataset in shares.gaps.index)
        mean, (_, half) = float(cells.mean()), student_interval(seeds if whole else seeds[:0])
        for seed in seeds if len(seeds) > 1 else ():  # a single seed is its own mean
            _mark(panel, seed, row - 0.24, size=2.4, color=style.colour, alpha=0.75)
        face = "white" if style.base else style.colour
        _mark(
            panel,
            mean,
            row + 0.1,
            size=3.6,
            marker="D" if style.base else "s",
            color=style.colour,
            markerfacecolor=face,
            markeredgewidth=1,
            zorder=3,
        )
        if not np.isnan(half):
            bar: dict[str, Any] = {"capsize": 1.6, "elinewidth": 1, "color": style.colour}
            panel.errorbar(mean, row + 0.1, xerr=half, fmt="none", **bar)
        few = f"{len(cells)} set" + ("s" if len(cells) != 1 else "")
        remarks = [few] if len(cells) < len(shares.gaps) else []
        remarks += ["a bound"] if variant in bounds else []
        if not _ENDS[0] <= mean <= _ENDS[1]:
            remarks.insert(0, _number(mean))
        if remarks:
            on_left = 0.4 < mean < _ENDS[1] or mean < _ENDS[0]
            _remark(panel, ", ".join(remarks), row, on_left)
    panel.set_xlim(_ENDS)
    panel.set_xticks(sorted({0.0, 0.5, goal}))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlabel("mean over data sets")
    panel.tick_params(axis="y", length=0, labelleft=False)
    panel.grid(axis="y", visible=False)
    panel.spines["left"].set_visible(False)


def _mark(panel: Axes, value: float, height: float, size: float, **look: Any) -> None:
    """Draws a marker, or an arrow at the end of the axis beyond which it lies."""
    end = min(max(value, _ENDS[0]), _ENDS[1])
    if value != end:
        look |= {"marker": "<" if value < end else ">", "clip_on": False}
    panel.plot(end, height, **{"marker": "o", "markeredgewidth": 0, "markersize": size, **look})


def _remark(panel: Axes, text: str, row: int, on_left: bool) -> None:
    """Writes a remark into a method's row, at one end."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center"}
    side, x = ("left", 0.04) if on_left else ("right", 0.96)
    place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    panel.annotate(text, (x, row), ha=side, fontsize=6, color=GREY, **place)


def _number(value: float) -> str:
    """Two decimals, with a true minus sign, and none before 0."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")

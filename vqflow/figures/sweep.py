"""Metrics against one argument of the variants' entries, such as K, m or ε."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vqflow.config.setting import Setting
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import (
    metric_direction,
    metric_label,
    no_data,
    note,
    numbers,
    panel_grid,
)
from vqflow.figures.style import GREY, palette
from vqflow.figures.swept import Line, check_lines, lines_of, one_of
from vqflow.tables.statistics import SHOWN_FIRST, preferred_split

_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("dashed", "dotted", "dashdot")
_BAND = 0.15
_HEIGHT = 2.35
_MARGIN = 0.45


class Sweep(RunFigure):
    """Metrics of the final models against one argument of their entries: a panel per metric.

    Args:
        argument: What is varied, by its place in a variant: ``"atlas.charts"``,
            ``"atlas.epsilon"``, ``"flow.transforms"``, ``"training.epochs"``,
            ``"dataset.noise"``, ... Values, numbers or text, stand side by side.
        lines: Per line of the figure, by the name in its legend, the variants along it. Each
            one's value is read from its entries.
        metrics: Names of the tables' rows, a panel each.
        beside: Variants drawn as horizontal lines, by the name in the legend.
        split: The split shown of metrics that are scored on it; of others, and where it is
            ``None``, the one that tables show.
        axis: The axis' name; ``None``: that of the argument.

    Raises:
        ValueError: If there are no lines or metrics, a name stands twice, or the split is unknown.
    """

    reads: ClassVar[tuple[str, ...]] = ("settings", "metrics")
    per = ("dataset",)
    caption = """
Metrics of the final models against one setting of theirs, all else as written in the run's
configuration. Markers are means over the seeds, bands one standard deviation, faint dots single
seeds; horizontal lines are variants without the setting. The settings' values are read from the
entries of the configuration.
"""

    def __init__(
        self,
        argument: str,
        lines: Mapping[str, Sequence[str]],
        metrics: Sequence[str] = ("log_likelihood_all",),
        beside: Mapping[str, str] | None = None,
        split: str | None = None,
        axis: str | None = None,
    ) -> None:
        check_lines(lines, metrics)
        if split is not None:
            one_of(split, SHOWN_FIRST, f"split: got '{split}'")
        self.argument = argument
        self.lines = lines
        self.metrics = metrics
        self.beside = beside or {}
        self.split = split
        self.axis = axis

    def check(self, settings: Sequence[Setting], metrics: Collection[str]) -> None:
        """Refuses variants that are not shown, arguments that they lack, and unknown metrics."""
        for metric in self.metrics:
            one_of(metric, metrics, f"metrics: no row '{metric}'")
        for dataset in dict.fromkeys(setting.dataset.name for setting in settings):
            own = {each.variant: each for each in settings if each.dataset.name == dataset}
            for name, variant in self.beside.items():
                one_of(variant, own, f"beside.{name}: no variant '{variant}' is shown on {dataset}")
            lines_of(self.argument, self.lines, own, dataset)

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the final models' values."""
        figure, panels = panel_grid(len(self.metrics), 3, _HEIGHT)
        self.draw_panels(inputs, panels)
        explain(figure, self.lines, self.beside)
        return figure

    def draw_panels(self, inputs: Inputs, panels: Sequence[Axes]) -> None:
        """Draws one metric into each of the panels."""
        own = {setting.variant: setting for setting in inputs.settings}
        (dataset,) = inputs.datasets
        lines, values = lines_of(self.argument, self.lines, own, dataset)
        axis = self.axis or self.argument.rpartition(".")[2].replace("_", " ")
        for panel, metric in zip(panels, self.metrics, strict=True):
            rows = final_rows(inputs.metrics, metric, self.split)
            _draw_panel(panel, rows, lines, self.beside, len(inputs.drawing.seeds))
            if panel.lines:  # else it says that there are no data
                panel.set_xticks(range(len(values)), labels=values)
                panel.set_xlim(-_MARGIN, len(values) - 1 + _MARGIN)
            panel.set_xlabel(axis)
            name_panel(panel, *_names(rows, metric))


def final_rows(metrics: pd.DataFrame, metric: str, split: str | None) -> pd.DataFrame:
    """Gives a metric's rows of the final models; values that are not finite are NaN.

    Args:
        metrics: The metrics table (variant, seed, epoch, metric, value, split, status, ...).
        metric: Name of the rows.
        split: The split, where the metric has it; else, and for ``None``, the preferred one.
    """
    rows = metrics[metrics["metric"] == metric]
    rows = rows[numbers(rows["epoch"]).isna()]
    rows = rows[rows["split"] == split] if split in set(rows["split"]) else preferred_split(rows)
    return rows.assign(value=numbers(rows["value"]).where(rows["status"] == "ok"))


def colours(lines: Collection[str]) -> dict[str, Any]:
    """Gives each line's colour, by its name."""
    return dict(zip(lines, palette(count=len(lines)), strict=True))


def dashes(beside: Collection[str]) -> dict[str, Any]:
    """Gives the line style of each horizontal line, by its name."""
    return {name: _DASHES[turn % len(_DASHES)] for turn, name in enumerate(beside)}


def explain(figure: Figure, lines: Collection[str], beside: Collection[str]) -> None:
    """Draws the legend: lines, horizontal lines, and what dots and bands are."""
    tints = colours(lines)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=tints[name], marker=_marker(turn), label=name)
        for turn, name in enumerate(lines)
    ]
    handles += [
        Line2D([], [], color=GREY, linestyle=dash, label=name)
        for name, dash in dashes(beside).items()
    ]
    handles += [
        Line2D([], [], color=GREY, linestyle="none", marker="o", markersize=2.4, label="one seed"),
        Patch(color=GREY, alpha=_BAND, linewidth=0, label="± standard deviation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))


def band(panel: Axes, values: pd.DataFrame, colour: Any) -> None:
    """Draws mean ± standard deviation, where there are two seeds or more.

    Args:
        panel: Where.
        values: ``mean`` and ``std``, indexed by the place on the axis.
        colour: The line's.
    """
    known = values.dropna()
    if known.empty:
        return
    low, high = known["mean"] - known["std"], known["mean"] + known["std"]
    panel.fill_between(known.index, low, high, color=colour, alpha=_BAND, linewidth=0)


def _draw_panel(
    panel: Axes, rows: pd.DataFrame, lines: Sequence[Line], beside: Mapping[str, str], seeds: int
) -> None:
    tints = colours([line.name for line in lines])
    shown = {variant for line in lines for variant in line.places} | set(beside.values())
    rows = rows[rows["variant"].isin(shown)].dropna(subset=["value"])
    if rows.empty:
        no_data(panel)
        return
    for name, dash in dashes(beside).items():
        level = rows.loc[rows["variant"] == beside[name], "value"]
        mean, std = float(level.mean()), float(level.std(ddof=1))
        panel.axhline(mean, color=GREY, linestyle=dash, linewidth=1)
        if len(level) > 1:
            panel.axhspan(mean - std, mean + std, color=GREY, alpha=_BAND / 2, linewidth=0)
    for turn, line in enumerate(lines):
        own = rows.assign(place=rows["variant"].map(line.places)).dropna(subset=["place"])
        values = own.groupby("place")["value"].agg(["mean", "std"])
        tint = tints[line.name]
        band(panel, values, tint)
        panel.plot(values.index, values["mean"], color=tint, marker=_marker(turn), label=line.name)
        panel.plot(
            own["place"],
            own["value"],
            linestyle="none",
            marker="o",
            markersize=2.4,
            markeredgewidth=0,
            color=tint,
            alpha=0.5,
        )
    missing = len(shown) * seeds - len(rows)
    if missing:
        note(panel, f"{missing} of {len(shown) * seeds} runs without a value")


def name_panel(panel: Axes, name: str, facts: str) -> None:
    """Writes what a panel shows above it, and its unit and direction along the axis."""
    panel.set_title(name.replace(", ", ",\n"))
    panel.set_ylabel(facts)


def _names(rows: pd.DataFrame, metric: str) -> tuple[str, str]:
    """The metric's name with the split, and its unit with the direction."""
    splits = [split for split in rows["split"].unique() if split in ("test", "validation")]
    units = [unit for unit in rows["unit"].unique() if isinstance(unit, str) and unit]
    better = metric_direction(rows, metric)
    facts = f"{units[0]} ({better})" if units and better else "".join([*units, better])
    return " ".join([*splits, metric_label(rows, metric)]), facts


def _marker(turn: int) -> str:
    return _MARKERS[turn % len(_MARKERS)]

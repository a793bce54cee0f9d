"""Test likelihood of every variant: seeds, means, intervals, and the ceiling (paper, table 1)."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import (
    datasets_of,
    diverged,
    metric_direction,
    metric_label,
    no_data,
    numbers,
    panel_grid,
)
from vqflow.figures.style import GREY, Stroke, label, strokes, theme
from vqflow.tables.statistics import preferred_split, student_interval

_ALL, _COVERING, _BITS = "log_likelihood_all", "log_likelihood_covering", "bits_per_dim"
_REACH = 3.0
"""How far the axis goes beyond the middle 80 % of the seeds and all medians, in widths of these."""
_BEYOND: dict[str, Any] = {"linestyle": "none", "markersize": 4}
_CEILING: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2))}


class Likelihood(RunFigure):
    """Every seed's value of a likelihood, mean, interval and ceiling: a panel per data set.

    Args:
        metric: The metric; images show their bits per dimension in place of a log-likelihood, and a
            run that has none over all charts shows that over the covering ones.
    """

    reads = ("metrics", "runs")
    caption = """
Likelihood of the final models on the test split (after table 1 of the paper). Small dots are
seeds; markers are means with the 95 % Student t interval, filled for VQ variants and open for plain
flows and other models. The dashed line is the *ceiling*, the mean exact log-density of the test
points, which no model can exceed in expectation. Runs that diverged, and values that are not
finite, are counted beside their variant. Triangles at an edge stand for seeds and means beyond it,
far from the others. Images are compared in bits per dimension, of which fewer are better.
"""

    def __init__(self, metric: str = _ALL) -> None:
        self.metric = metric

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the final models' values."""
        return draw(inputs.metrics, inputs.runs, self.metric)


@theme()
def draw(metrics: pd.DataFrame, runs: pd.DataFrame, metric: str = _ALL) -> Figure:
    """Draws every seed's value, the mean and its 95 % Student t interval, per data set.

    Data sets that have bits per dimension (images) show those in place of the
    log-likelihood. Where nothing was scored over all charts, the likelihood over the covering ones
    is shown, which bounds it from below. A run that diverged, or whose value is not finite, is
    counted beside its variant.

    Args:
        metrics: The metrics table (dataset, variant, seed, epoch, metric, value, unit, split,
            status, label, better, ...).
        runs: The table of runs (dataset, variant, flow, atlas, seed, status, ...).
        metric: Name of the metric.

    Raises:
        ValueError: If there are no rows of the metric.
    """
    if metric == _ALL and not metrics["metric"].isin([_ALL, _BITS]).any():
        metric = _COVERING
    images = metric.startswith("log_likelihood")
    names = datasets_of(metrics, [metric, _BITS] if images else [metric], runs)
    shown = {name: _metric_of(metrics, name, metric, images) for name in names}
    names.sort(key=lambda name: shown[name] == _BITS)
    styles = strokes(runs[runs["dataset"].isin(names)])
    columns = 2 if len(names) in (2, 4) else 3
    figure, panels = panel_grid(len(names), columns, 1.05 + 0.21 * len(styles))
    beyond = False
    for position, (panel, dataset) in enumerate(zip(panels, names, strict=True)):
        rows = _final(metrics, dataset, shown[dataset])
        panel.set_title(label(dataset))
        beyond |= _draw_panel(panel, rows, styles, _lost(runs, rows, dataset))
        if images and shown[dataset] != _BITS:
            _draw_ceiling(panel, _final(metrics, dataset, "ceiling"))
        below = names[position + columns] if position + columns < len(names) else None
        if below is None or shown[below] != shown[dataset]:
            panel.set_xlabel(_axis_label(shown[dataset], rows))
        if position % columns:
            panel.set_yticklabels([])
    _explain(
        figure,
        interval=bool(metrics["seed"].nunique() > 1),
        ceiling="ceiling" in set(metrics["metric"]) and images,
        beyond=beyond,
    )
    return figure


def _explain(figure: Figure, interval: bool, ceiling: bool, beyond: bool) -> None:
    """The legend: what dots, markers and lines are."""
    handles = [
        Line2D([], [], color=GREY, linestyle="none", marker="o", markersize=2.6, label="one seed"),
        Line2D([], [], color=GREY, marker="s", markersize=4, label="mean, 95 % interval"),
    ]
    if not interval:
        handles = [Line2D([], [], color=GREY, linestyle="none", marker="s", label="the one seed")]
    if ceiling:
        handles.append(Line2D([], [], **_CEILING, label="ceiling"))
    if beyond:
        handles.append(Line2D([], [], color=GREY, **_BEYOND, marker="<", label="beyond the edge"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _metric_of(metrics: pd.DataFrame, dataset: str, metric: str, images: bool) -> str:
    """Bits per dimension where a data set has them, else the metric asked for."""
    bits = (metrics["dataset"] == dataset) & (metrics["metric"] == _BITS)
    return _BITS if images and bits.any() else metric


def _final(metrics: pd.DataFrame, dataset: str, metric: str) -> pd.DataFrame:
    """The final model's rows of a metric, of the test split where there are several."""
    rows = metrics[(metrics["dataset"] == dataset) & (metrics["metric"] == metric)]
    rows = rows[numbers(rows["epoch"]).isna()]
    rows = preferred_split(rows)
    return rows.assign(value=numbers(rows["value"]).where(rows["status"] == "ok"))


def _lost(runs: pd.DataFrame, rows: pd.DataFrame, dataset: str) -> dict[str, str]:
    """What is missing of a variant, for variants that miss some runs."""
    lost = {variant: [f"{n} diverged"] for variant, n in diverged(runs, dataset).items()}
    for variant, n in rows.loc[rows["status"] != "ok", "variant"].value_counts().items():
        lost.setdefault(str(variant), []).append(f"{n} not finite")
    return {variant: ", ".join(notes) for variant, notes in lost.items()}


def _draw_panel(
    panel: Axes, rows: pd.DataFrame, styles: dict[str, Stroke], lost: dict[str, str]
) -> bool:
    """Draws a row for each variant; says whether something lies beyond the panel's edges."""
    if rows["value"].notna().sum() == 0:
        no_data(panel)
    places = {variant: -float(place) for place, variant in enumerate(styles)}
    for variant, style in styles.items():
        place, own = places[variant], rows[rows["variant"] == variant].dropna(subset=["value"])
        values = own["value"]
        seeds = values if len(values) > 1 else values[:0]  # a single value is its own mean
        panel.plot(
            seeds,
            [place + 0.2] * len(seeds),
            linestyle="none",
            marker="o",
            markersize=2.6,
            markeredgewidth=0,
            color=style.colour,
            alpha=0.75,
        )
        if len(values):
            mean, half = student_interval(values)
            panel.errorbar(
                mean,
                place - 0.12,
                xerr=None if half != half else half,
                marker="D" if style.base else "s",
                markersize=4,
                markerfacecolor="white" if style.base else style.colour,
                color=style.colour,
                capsize=2,
                elinewidth=1.2,
            )
    panel.set_ylim(-len(styles) + 0.4, 0.6)
    panel.set_yticks(list(places.values()), labels=[label(variant) for variant in places])
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)
    edges = _edges(rows)
    if edges is not None:
        panel.set_xlim(*edges)
        for variant, style in styles.items():
            values = rows[rows["variant"] == variant]["value"].dropna()
            _mark_beyond(panel, values, edges, places[variant], style)
    for variant, text in lost.items():
        _note_lost(panel, rows[rows["variant"] == variant]["value"], places[variant], text)
    return edges is not None


def _edges(rows: pd.DataFrame) -> tuple[float, float] | None:
    """Gives where an axis is cut, so that a few far seeds do not hide how the others differ.

    Returns:
        The lowest and the highest value shown; ``None`` where nothing lies far off.
    """
    values = rows["value"].dropna()
    if values.empty:
        return None
    inner = [*values.quantile([0.1, 0.9]), *rows.groupby("variant")["value"].median().dropna()]
    width = max(inner) - min(inner)
    low, high = min(inner) - _REACH * width, max(inner) + _REACH * width
    if low <= values.min() and values.max() <= high:
        return None
    return max(low, values.min() - width / 2), min(high, values.max() + width / 2)


def _mark_beyond(
    panel: Axes, values: pd.Series[float], edges: tuple[float, float], place: float, style: Stroke
) -> None:
    """Marks at the edge that seeds, or their mean, lie beyond it."""
    low, high = edges
    for edge, marker, side in ((low, "<", -1), (high, ">", 1)):
        if (side * values > side * edge).any():
            shown = {**_BEYOND, "marker": marker, "color": style.colour, "clip_on": False}
            panel.plot([edge], [place + 0.2], **shown)
            if side * values.mean() > side * edge:
                face = "white" if style.base else style.colour
                panel.plot([edge], [place - 0.12], **shown, markerfacecolor=face)


def _note_lost(panel: Axes, values: pd.Series[float], place: float, text: str) -> None:
    """Writes what is missing into a variant's row, on the side away from its values."""
    on_left = values.notna().any() and values.mean() > sum(panel.get_xlim()) / 2
    panel.annotate(
        text,
        (0.03 if on_left else 0.93, place),
        xycoords=("axes fraction", "data"),
        ha="left" if on_left else "right",
        va="center",
        fontsize=6,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _draw_ceiling(panel: Axes, rows: pd.DataFrame) -> None:
    """Marks the best value that a model can reach: the mean of the exact log-density."""
    if rows["value"].notna().sum() == 0:
        return
    ceiling = float(rows["value"].mean())
    panel.axvline(ceiling, **_CEILING)
    if not panel.get_autoscalex_on():  # the axis is cut
        panel.set_xlim(right=max(panel.get_xlim()[1], ceiling))


def _axis_label(metric: str, rows: pd.DataFrame) -> str:
    """The metric's name, unit and direction."""
    splits = [split for split in rows["split"].unique() if split == "test"]
    units = [unit for unit in rows["unit"].unique() if isinstance(unit, str) and unit]
    name = " ".join([*splits, metric_label(rows, metric)])
    facts = [*(units if metric != _BITS else []), metric_direction(rows, metric)]
    return f"{name}\n({', '.join(fact for fact in facts if fact)})"

"""Test likelihood of every variant: seeds, means, intervals, and the ceiling (paper, table 1)."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import stdtrit

from vqflow.figures.panels import datasets_of, diverged, no_data, numbers, panel_grid
from vqflow.figures.style import GREY, Stroke, label, strokes, theme

_BITS = "bits_per_dim"
_NAMES = {
    "log_likelihood_all": "log-likelihood",
    "log_likelihood_covering": "log-likelihood, covering charts",
    "log_likelihood_confined": "log-likelihood, confined charts",
    "kde_log_likelihood": "KDE log-likelihood of samples",
    "manifold_log_likelihood": "on-manifold log-likelihood",
    _BITS: "bits per dimension",
}

_CEILING: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2))}


@theme()
def draw(metrics: pd.DataFrame, metric: str = "log_likelihood_all") -> Figure:
    """Draws every seed's value, the mean and its 95 % Student t interval, per data set.

    Data sets that have bits per dimension (images) show those in place of the
    log-likelihood. A run that diverged is counted beside its variant; where it has a
    value, this is a cross and no part of the mean.

    Args:
        metrics: The metrics table (dataset, variant, flow, atlas, seed, epoch, metric,
            value, unit, split, status, ...).
        metric: Name of the metric.

    Raises:
        ValueError: If there are no rows of the metric.
    """
    images = metric.startswith("log_likelihood")
    names = datasets_of(metrics, [metric, _BITS] if images else [metric])
    shown = {name: _metric_of(metrics, name, metric, images) for name in names}
    names.sort(key=lambda name: shown[name] == _BITS)
    styles = strokes(metrics[(metrics["dataset"].isin(names)) & (metrics["metric"] != "ceiling")])
    columns = 2 if len(names) in (2, 4) else 3
    figure, panels = panel_grid(len(names), columns, 1.05 + 0.21 * len(styles))
    for position, (panel, dataset) in enumerate(zip(panels, names, strict=True)):
        rows = _final(metrics, dataset, shown[dataset])
        panel.set_title(label(dataset))
        _draw_panel(panel, rows, styles, diverged(metrics, dataset))
        if images and shown[dataset] != _BITS:
            _draw_ceiling(panel, _final(metrics, dataset, "ceiling"))
        below = names[position + columns] if position + columns < len(names) else None
        if below is None or shown[below] != shown[dataset]:
            panel.set_xlabel(_axis_label(shown[dataset], rows))
        if position % columns:
            panel.set_yticklabels([])
    _explain(figure, ceiling="ceiling" in set(metrics["metric"]) and images)
    return figure


def _explain(figure: Figure, ceiling: bool) -> None:
    """The legend: what dots, markers and lines are."""
    handles = [
        Line2D([], [], color=GREY, linestyle="none", marker="o", markersize=2.6, label="one seed"),
        Line2D([], [], color=GREY, marker="s", markersize=4, label="mean, 95 % interval"),
    ]
    if ceiling:
        handles.append(Line2D([], [], **_CEILING, label="ceiling"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _metric_of(metrics: pd.DataFrame, dataset: str, metric: str, images: bool) -> str:
    """Bits per dimension where a data set has them, else the metric asked for."""
    bits = (metrics["dataset"] == dataset) & (metrics["metric"] == _BITS)
    return _BITS if images and bits.any() else metric


def _final(metrics: pd.DataFrame, dataset: str, metric: str) -> pd.DataFrame:
    """The final model's rows of a metric, of the test split where there are several."""
    rows = metrics[(metrics["dataset"] == dataset) & (metrics["metric"] == metric)]
    rows = rows[numbers(rows["epoch"]).isna()]
    on_test = rows["split"] == "test"
    rows = rows[on_test] if on_test.any() else rows
    return rows.assign(value=numbers(rows["value"]))


def interval(values: pd.Series[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % Student t interval (NaN for a single value)."""
    count = len(values)
    if count < 2:
        return float(values.mean()), float("nan")
    half = float(stdtrit(count - 1, 0.975)) * float(values.std(ddof=1)) / count**0.5
    return float(values.mean()), half


def _draw_panel(
    panel: Axes, rows: pd.DataFrame, styles: dict[str, Stroke], failed: dict[str, int]
) -> None:
    if rows["value"].notna().sum() == 0:
        no_data(panel)
    places = {variant: -float(place) for place, variant in enumerate(styles)}
    for variant, style in styles.items():
        place, own = places[variant], rows[rows["variant"] == variant].dropna(subset=["value"])
        sound = own[own["status"] != "diverged"]["value"]
        broken = own[own["status"] == "diverged"]["value"]
        panel.plot(
            sound,
            [place + 0.2] * len(sound),
            linestyle="none",
            marker="o",
            markersize=2.6,
            markeredgewidth=0,
            color=style.colour,
            alpha=0.75,
        )
        panel.plot(broken, [place + 0.2] * len(broken), "x", markersize=3.5, color=style.colour)
        if len(sound):
            mean, half = interval(sound)
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
    for variant, count in failed.items():
        _note_diverged(panel, rows[rows["variant"] == variant]["value"], places[variant], count)


def _note_diverged(panel: Axes, values: pd.Series[float], place: float, count: int) -> None:
    """Writes the number of diverged runs into a variant's row, on the side away from its values."""
    on_left = values.notna().any() and values.mean() > sum(panel.get_xlim()) / 2
    panel.annotate(
        f"{count} diverged",
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
    panel.axvline(float(rows["value"].mean()), **_CEILING)


def _axis_label(metric: str, rows: pd.DataFrame) -> str:
    """The metric's name, unit and direction."""
    splits = [split for split in rows["split"].unique() if split == "test"]
    units = [unit for unit in rows["unit"].unique() if isinstance(unit, str) and unit]
    name = " ".join([*splits, _NAMES.get(metric, label(metric))])
    better = "lower" if metric == _BITS else "higher"
    unit = ", ".join([*(units if metric != _BITS else []), f"{better} is better"])
    return f"{name}\n({unit})"

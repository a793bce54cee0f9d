"""A metric of the samples across training (paper, figure 5)."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import (
    diverged,
    legend,
    metric_direction,
    metric_label,
    no_data,
    note,
    numbers,
    panel_grid,
)
from vqflow.figures.style import GREY, Stroke, label, strokes, theme
from vqflow.published import curves

_THIN = 0.7


class MetricCurves(RunFigure):
    """A metric that is scored across training, by epoch: a panel per data set and embedding.

    Args:
        published: The metrics beside which the paper's curves of the Fréchet distance are drawn.
    """

    reads = ("metrics", "runs")
    per = ("metric",)
    caption = """
A metric of the samples across training (after figure 5 of the paper). Lines are means over the
seeds, bands are one standard deviation; plain flows are dashed and lighter, their VQ variants
solid. Values compare only where number of samples, reference split and feature extractor are the
same; all three are named in the figure. Thin lines, where there are any, are the curves of the
paper's figure 5 (extractor and number of samples not stated there: compare their course, not
their height).
"""

    def __init__(self, published: Collection[str] = ()) -> None:
        self.published = published

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the metric that the figure is of, of the models that are trained by epochs."""
        runs = inputs.runs
        trained = runs[runs["epochs"] > 0]
        shown = runs if trained.empty else trained
        return draw(inputs.metrics, shown, inputs.metric, inputs.metric in self.published)


@theme()
def draw(metrics: pd.DataFrame, runs: pd.DataFrame, metric: str, published: bool = True) -> Figure:
    """Draws a metric over the epochs: mean over seeds, band of one standard deviation.

    The paper's curves can be drawn thinly beside ours (:mod:`vqflow.published`).
    A data set has a panel, or where its variants differ in their embeddings one for each, of
    one scale.

    Args:
        metrics: The metrics table (dataset, variant, embedding, seed, epoch, metric, value, n,
            split, label, better, ...); rows without an epoch are left out.
        runs: The table of runs (dataset, variant, flow, atlas, embedding, seed, status, ...).
        metric: Name of a metric, such as ``"fid_classifier"``.
        published: Whether the paper's curves of the Fréchet distance are drawn.

    Raises:
        ValueError: If there are no runs. A data set without the metric (its extractor's
            weights could not be had, say) gets an empty panel.
    """
    if runs.empty:
        raise ValueError(f"nothing to draw: no runs, for {metric}")
    rows = metrics[metrics["metric"] == metric]
    rows = rows.assign(
        epoch=numbers(rows["epoch"]),
        value=numbers(rows["value"]),
    ).dropna(subset=["epoch"])
    styles = strokes(runs)
    groups = [group for _, group in runs.groupby(["dataset", "embedding"], sort=False)]
    columns = 2 if len(groups) in (2, 4) else 3
    figure, panels = panel_grid(len(groups), columns, 3.2)
    first: dict[str, Axes] = {}
    drawn = 0
    for position, (panel, group) in enumerate(zip(panels, groups, strict=True)):
        dataset = str(group["dataset"].iloc[0])
        embedding = group["embedding"].iloc[0]
        shown = rows[(rows["dataset"] == dataset) & (rows["embedding"] == embedding)]
        if shown["value"].notna().any() and first.setdefault(dataset, panel) is not panel:
            panel.sharey(first[dataset])
        panel.set_title(_title(_heading(runs, group), shown, metric))
        _draw_panel(panel, shown, styles)
        drawn += _draw_published(panel, shown, styles) if published else 0
        _note_diverged(panel, diverged(group, dataset))
        if position % columns == 0:
            panel.set_ylabel(_name(metrics, metric))
    extra = [Line2D([], [], color=GREY, linewidth=_THIN, label="published")] if drawn else []
    legend(figure, styles, extra)
    return figure


def _heading(runs: pd.DataFrame, group: pd.DataFrame) -> str:
    """The data set's name, with that of the embedding where it has several."""
    dataset = group["dataset"].iloc[0]
    name = label(dataset)
    embeddings = runs.loc[runs["dataset"] == dataset, "embedding"].nunique()
    return f"{name}, {label(group['embedding'].iloc[0])}" if embeddings > 1 else name


def _draw_panel(panel: Axes, rows: pd.DataFrame, styles: dict[str, Stroke]) -> None:
    if rows["value"].notna().sum() == 0:
        no_data(panel)
        return
    for variant, style in styles.items():
        values = rows[rows["variant"] == variant].groupby("epoch")["value"]
        curve = pd.DataFrame({"mean": values.mean(), "std": values.std(ddof=1)}).dropna(
            subset=["mean"]
        )
        panel.plot(
            curve.index,
            curve["mean"],
            color=style.colour,
            linestyle=style.dash,
            marker=style.marker,
            markersize=2.5,
            label=variant,
        )
        banded = curve.dropna()
        if len(banded):
            panel.fill_between(
                banded.index,
                banded["mean"] - banded["std"],
                banded["mean"] + banded["std"],
                color=style.colour,
                alpha=0.22,
                linewidth=0,
            )
    panel.set_xlim(left=0)
    if rows["value"].min() >= 0:
        panel.set_ylim(bottom=0)
    panel.set_xlabel("epoch")


def _draw_published(panel: Axes, rows: pd.DataFrame, styles: dict[str, Stroke]) -> int:
    """Draws the paper's curves of the variants, as far as ours go; gives how many."""
    rows = rows[rows["value"].notna()]
    last = rows["epoch"].max()
    published = curves("frechet_distance")
    drawn = 0
    for dataset, variant in dict.fromkeys(zip(rows["dataset"], rows["variant"], strict=True)):
        curve = published.get((dataset, variant), {})
        points = {epoch: value for epoch, value in curve.items() if epoch <= last}
        if len(points) > 1:
            style = styles[variant]
            panel.plot(
                list(points),
                list(points.values()),
                color=style.colour,
                linestyle=style.dash,
                linewidth=_THIN,
            )
            drawn += 1
    return drawn


def _note_diverged(panel: Axes, counts: dict[str, int]) -> None:
    if counts:
        note(panel, "\n".join(f"{label(name)}: {n} diverged" for name, n in counts.items()))


def _title(heading: str, rows: pd.DataFrame, metric: str) -> str:
    """The heading, and below it what the metric was computed from."""
    rows = rows[rows["value"].notna()]
    if rows.empty:
        return heading
    samples = "confined samples" if metric.endswith("_confined") else "samples"
    counts = " or ".join(f"{int(n):,}" for n in sorted(rows["n"].dropna().unique()))
    splits = " or ".join(sorted(map(str, rows["split"].dropna().unique())))
    return f"{heading}\n{counts} {samples} against the {splits} split"


def _name(metrics: pd.DataFrame, metric: str) -> str:
    """The metric's name for the axis, and which values are better."""
    direction = metric_direction(metrics, metric)
    return metric_label(metrics, metric) + (f"\n({direction})" if direction else "")

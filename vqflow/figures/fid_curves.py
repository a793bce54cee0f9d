"""Fréchet distance of the samples across training (paper, figure 5)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vqflow.figures.panels import diverged, legend, no_data, note, numbers, panel_grid
from vqflow.figures.style import Stroke, label, strokes, theme

_EXTRACTORS = {"fid_inception": "Inception features", "fid_classifier": "classifier features"}


@theme()
def draw(metrics: pd.DataFrame, metric: str) -> Figure:
    """Draws a metric over the epochs: mean over seeds, band of one standard deviation.

    A data set has a panel, or where its variants differ in their embeddings one for each, of
    one scale.

    Args:
        metrics: The metrics table (dataset, variant, flow, atlas, embedding, seed, epoch,
            metric, value, n, split, status, ...); rows without an epoch are left out.
        metric: Name of a metric, such as ``"fid_classifier"``.

    Raises:
        ValueError: If the table is empty. A data set without the metric (its extractor's
            weights could not be had, say) gets an empty panel.
    """
    if metrics.empty:
        raise ValueError(f"nothing to draw: no rows, for {metric}")
    rows = metrics[metrics["metric"] == metric]
    rows = rows.assign(
        epoch=numbers(rows["epoch"]),
        value=numbers(rows["value"]),
    ).dropna(subset=["epoch"])
    styles = strokes(metrics)
    groups = [group for _, group in metrics.groupby(["dataset", "embedding"], sort=False)]
    columns = 2 if len(groups) in (2, 4) else 3
    figure, panels = panel_grid(len(groups), columns, 2.7)
    first: dict[str, Axes] = {}
    for position, (panel, group) in enumerate(zip(panels, groups, strict=True)):
        dataset = str(group["dataset"].iloc[0])
        shown = rows.loc[rows.index.intersection(group.index)]
        panel.set_title(_title(_heading(metrics, group), shown, metric))
        _draw_panel(panel, shown, styles)
        _note_diverged(panel, diverged(group, dataset))
        if first.setdefault(dataset, panel) is not panel:
            panel.sharey(first[dataset])
        if position % columns == 0:
            panel.set_ylabel(_name(metric))
    legend(figure, styles)
    return figure


def _heading(metrics: pd.DataFrame, group: pd.DataFrame) -> str:
    """The data set's name, with that of the embedding where it has several."""
    dataset = group["dataset"].iloc[0]
    name = label(dataset)
    embeddings = metrics.loc[metrics["dataset"] == dataset, "embedding"].nunique()
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
    panel.set_xlabel("epoch")


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


def _name(metric: str) -> str:
    """The metric's name for the axis."""
    stem = metric.removesuffix("_confined")
    if stem in _EXTRACTORS:
        return f"Fréchet distance\n({_EXTRACTORS[stem]}, lower is better)"
    return f"{label(stem)}\n(lower is better)"

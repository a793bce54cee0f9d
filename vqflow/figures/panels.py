"""Pieces that several figures are made of: grids of panels, notes, point clouds, table rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from vqflow.figures.style import GREY, WIDTH, Stroke, label
from vqflow.seeding import derive_seed

Points = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

MAX_POINTS = 2500
"""Points of a cloud that are drawn."""

RASTER_POINTS = 1000
"""Clouds of more points than this are pixels in an otherwise vector file."""


FLAT = 0.74
"""Height of a three-dimensional panel, as a share of its width."""

_ZOOM = 1.68


def panel_grid(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A double-column figure with ``count`` panels, at most ``columns`` beside one another.

    Args:
        count: Number of panels.
        columns: Most panels in one row.
        height: Height of one row in inches.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 5.0
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in panels[count:]:
        unused.remove()
    return figure, list(panels[:count])


def no_data(panel: Axes) -> None:
    """Says in an empty panel that there is nothing to draw."""
    panel.annotate(
        "no data", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color=GREY
    )
    panel.grid(False)
    panel.set_xticks([])
    panel.set_yticks([])


def note(panel: Axes, text: str, x: float = 0.98, y: float = 0.98) -> None:
    """Writes a small remark into a panel, by default in its upper right corner."""
    panel.annotate(
        text,
        (x, y),
        xycoords="axes fraction",
        ha="right" if x > 0.5 else "left",
        va="top" if y > 0.5 else "bottom",
        fontsize=6,
        color=GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
    )


def legend(
    figure: Figure,
    strokes: dict[str, Stroke],
    extra: Sequence[Line2D] = (),
    markers: bool = True,
) -> None:
    """One legend for all panels, below them, with a column per flow family.

    Args:
        figure: The figure; widened where the legend needs it.
        strokes: The variants' strokes, in order.
        extra: What else to explain, in a column of its own.
        markers: Whether the curves have markers.
    """
    columns: dict[str, list[Line2D]] = {}
    for variant, stroke in strokes.items():
        handle = Line2D(
            [],
            [],
            color=stroke.colour,
            linestyle=stroke.dash,
            marker=stroke.marker if markers else None,
            label=label(variant),
        )
        columns.setdefault(stroke.family, []).append(handle)
    columns[""] = list(extra)
    filled = [column for column in columns.values() if column]
    rows = max(map(len, filled))
    blank = Line2D([], [], linestyle="none", label=" ")
    handles = [handle for column in filled for handle in (column + [blank] * rows)[:rows]]
    figure.set_figwidth(max(figure.get_figwidth(), 1.45 * len(filled)))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(filled), handlelength=3)


def limits(points: Points, margin: float = 0.1) -> Points:
    """The box around a cloud.

    Args:
        points: Finite points, (N, D).
        margin: Free space on either side, as a share of the widest side.

    Returns:
        Lowest and highest value of each coordinate, (D, 2).
    """
    low, high = points.min(axis=0), points.max(axis=0)
    space = margin * max(float((high - low).max()), 1e-9)
    return np.stack([low - space, high + space], axis=1)


def inside(points: Points, box: Points) -> Mask:
    """Which points (N, D) lie in the box (D, 2); points that are not finite do not."""
    return np.asarray(((points >= box[:, 0]) & (points <= box[:, 1])).all(axis=1))


def thinned(count: int, *names: object, most: int = MAX_POINTS) -> NDArray[np.intp]:
    """At most ``most`` of ``count`` indices, in order; the same for the same names."""
    if count <= most:
        return np.arange(count)
    generator = np.random.default_rng(derive_seed("figure", *names))
    return np.sort(generator.choice(count, most, replace=False))


def cloud_axes(panel: Any, box: Points, flat: bool = True) -> None:
    """Prepares a panel for a cloud: limits, proportions, no clutter.

    Args:
        panel: Two- or three-dimensional axes.
        box: Limits, (2, 2) or (3, 2).
        flat: Whether a three-dimensional panel is lower than wide, by ``FLAT``.
    """
    panel.set(xlim=box[0], ylim=box[1])
    panel.grid(False)
    panel.set(xticks=[], yticks=[])
    if len(box) == 2:
        panel.set_box_aspect(1)
        return
    sides = box[:, 1] - box[:, 0]
    panel.set(zlim=box[2], zticks=[])
    panel.set_box_aspect(np.clip(sides / sides.max(), 0.5, 1), zoom=_ZOOM if flat else FLAT * _ZOOM)
    panel.view_init(elev=24, azim=-58)
    panel.set_axis_off()


def scatter(panel: Any, points: Points, **options: Any) -> None:
    """Draws a cloud (n, 2) or (n, 3) that may reach beyond the panel's own square."""
    if points.shape[1] == 3:
        options["depthshade"] = False
    options.setdefault("rasterized", len(points) > RASTER_POINTS)
    cloud = panel.scatter(*points.T, linewidths=0, clip_on=False, **options)
    cloud.set_in_layout(False)


def note_outside(panel: Axes, share: float) -> None:
    """Writes the share of points that lie outside of the panel, where there are any."""
    if share > 0:
        text = f"{share:.1%}" if share >= 0.001 else "< 0.1%"
        note(panel, f"{text} outside", y=-0.05 if hasattr(panel, "zaxis") else 0.02)


def numbers(column: pd.Series[Any]) -> pd.Series[float]:
    """A table's column as float64, with NaN where it has no number."""
    return pd.to_numeric(column, errors="coerce").astype("float64")


def datasets_of(table: pd.DataFrame, metrics: Iterable[str], runs: pd.DataFrame) -> list[str]:
    """The data sets that have rows of a metric, or of which every run diverged.

    Args:
        table: The metrics table.
        metrics: Names of metrics.
        runs: The table of runs.

    Returns:
        Names in the order of the runs.

    Raises:
        ValueError: If there are no runs or there is no such data set.
    """
    if runs.empty:
        raise ValueError("there are no runs, so there is nothing to draw")
    shown = set(table.loc[table["metric"].isin(list(metrics)), "dataset"])
    failed = (runs["status"] == "diverged").groupby(runs["dataset"]).all()
    names = [name for name in runs["dataset"].unique() if name in shown or failed[name]]
    if not names:
        wanted = "' or '".join(metrics)
        present = ", ".join(sorted(map(str, table["metric"].unique())))
        raise ValueError(f"metrics table: no rows of metric '{wanted}' (there are: {present})")
    return names


def diverged(runs: pd.DataFrame, dataset: str) -> dict[str, int]:
    """Number of seeds whose training diverged on a data set, for variants that have any."""
    rows = runs[(runs["dataset"] == dataset) & (runs["status"] == "diverged")]
    return {str(name): int(n) for name, n in rows.groupby("variant")["seed"].nunique().items()}


def metric_label(rows: pd.DataFrame, metric: str) -> str:
    """What the tables call a metric; its spelt-out name where it has no rows."""
    labels = rows.loc[rows["metric"] == metric, "label"]
    return str(labels.iloc[0]) if len(labels) else label(metric)


def metric_direction(rows: pd.DataFrame, metric: str) -> str:
    """``"higher is better"`` or ``"lower is better"``; nothing for what does not rank."""
    better = rows.loc[rows["metric"] == metric, "better"].dropna()
    return f"{better.iloc[0]} is better" if len(better) and better.iloc[0] else ""

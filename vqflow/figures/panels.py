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


def panel_grid(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A double-column figure with ``count`` panels, at most ``columns`` beside one another.

    Args:
        count: Number of panels.
        columns: Most panels in one row.
        height: Height of one row in inches.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    width = min(WIDTH, 3.6 * columns)
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
    )


def legend(figure: Figure, strokes: dict[str, Stroke], extra: Sequence[Line2D] = ()) -> None:
    """One legend for all panels, below them; a family's base and VQ flow in one column."""
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.dash, marker=s.marker, label=label(variant))
        for variant, s in strokes.items()
    ]
    handles += extra
    columns = len(handles) if len(handles) <= 4 else -(-len(handles) // 2)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=3)


def limits(points: Points, margin: float = 0.06) -> Points:
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


def thinned(count: int, *names: object) -> NDArray[np.intp]:
    """At most ``MAX_POINTS`` of ``count`` indices, in order; the same for the same names."""
    if count <= MAX_POINTS:
        return np.arange(count)
    generator = np.random.default_rng(derive_seed("figure", *names))
    return np.sort(generator.choice(count, MAX_POINTS, replace=False))


def cloud_axes(panel: Any, box: Points) -> None:
    """Prepares a panel for a cloud: limits, proportions, no clutter.

    Args:
        panel: Two- or three-dimensional axes.
        box: Limits, (2, 2) or (3, 2).
    """
    panel.set(xlim=box[0], ylim=box[1])
    panel.grid(False)
    panel.set(xticks=[], yticks=[])
    if len(box) == 2:
        panel.set_box_aspect(1)
        return
    sides = box[:, 1] - box[:, 0]
    panel.set(zlim=box[2], zticks=[])
    panel.set_box_aspect(np.clip(sides / sides.max(), 0.5, 1), zoom=1.25)
    panel.view_init(elev=24, azim=-58)
    panel.set_axis_off()


def note_outside(panel: Axes, share: float) -> None:
    """Writes the share of points that lie outside of the panel, where there are any."""
    if share > 0:
        text = f"{share:.1%}" if share >= 0.001 else "< 0.1%"
        note(panel, f"{text} outside", y=0.0)


def datasets_of(table: pd.DataFrame, metrics: Iterable[str]) -> list[str]:
    """The data sets that have a value of a metric, or of which every run diverged.

    Args:
        table: The metrics table.
        metrics: Names of metrics.

    Returns:
        Names in order of appearance.

    Raises:
        ValueError: If the table is empty or has no such data set.
    """
    if table.empty:
        raise ValueError("metrics table: it has no rows, so there is nothing to draw")
    shown = table["metric"].isin(list(metrics)).groupby(table["dataset"]).any()
    failed = (table["status"] == "diverged").groupby(table["dataset"]).all()
    names = [name for name in table["dataset"].unique() if shown[name] or failed[name]]
    if not names:
        wanted = "' or '".join(metrics)
        present = ", ".join(sorted(map(str, table["metric"].unique())))
        raise ValueError(f"metrics table: no rows of metric '{wanted}' (there are: {present})")
    return names


def diverged(table: pd.DataFrame, dataset: str) -> dict[str, int]:
    """Number of seeds whose training diverged on a data set, for variants that have any."""
    rows = table[(table["dataset"] == dataset) & (table["status"] == "diverged")]
    return {str(name): int(n) for name, n in rows.groupby("variant")["seed"].nunique().items()}

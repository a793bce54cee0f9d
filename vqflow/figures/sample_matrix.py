"""What every method samples of every toy set, coloured by the exact density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from vqflow.config.limits import Count
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import (
    FLAT,
    Points,
    cloud_axes,
    inside,
    limits,
    no_data,
    scatter,
    thinned,
)
from vqflow.figures.style import GREY, WIDTH, density_colours, label, palette, theme

_QUANTILES = (0.001, 0.95)  # of the data's log-density, where the colours begin and end
_SIDE = 0.52  # least width of a panel in inches
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.7, 1.15, 0.85, 0.05  # margins in inches


class SampleMatrix(RunFigure):
    """Samples of every variant: a row per data set, a column per variant, the data first.

    Args:
        points: How many points are drawn in a panel.

    Raises:
        ValueError: If the number is not positive.
    """

    kinds = ("vector",)
    features = (2, 3)
    reads = ("data", "samples")
    caption = """
Test points of each data set, and as many samples of each method, for the first seed. The colour
is the exact log-density of the data, from that which one in a thousand test points lies below to
that which one in twenty lies above, on a scale of its own for each row; orange samples lie lower,
where there are next to no data. Points of data sets that do not know their density are grey. What
lies outside of the box around the data is not drawn.
"""

    def __init__(self, points: Count = 1000) -> None:
        if points < 1:
            raise ValueError(f"points is {points}; allowed: an integer of at least 1")
        self.points = points

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the test split, and beside it the samples of each variant."""
        rows: dict[str, dict[str, Cloud]] = {}
        for name, data in inputs.data.items():
            test: Any = data.points["test"]
            rows[name] = {"Data": Cloud(test, data.log_density.get("test"))}
        for cell in inputs.cells:
            name = cell.dataset
            points: Any = inputs.samples[cell].get("final", rows[name]["Data"].points[:0])
            finite = points[np.isfinite(points).all(axis=1)]
            density = inputs.log_density(name, finite)
            rows[name][label(cell.variant)] = Cloud(finite, density)
        return draw(rows, self.points)


@dataclass(frozen=True)
class Cloud:
    """Points and their exact log-density.

    Attributes:
        points: Finite points, (n, 2) or (n, 3).
        log_density: In nats, (n,); ``None`` where it is not known.
    """

    points: Points
    log_density: Any


@theme()
def draw(rows: dict[str, dict[str, Cloud]], points: int = 1000) -> Figure:
    """Draws a grid of scatter plots: a row per data set, a column per source.

    Args:
        rows: Clouds by data set and source; the first source of each is ``"Data"``.
        points: Most points of a panel.

    Raises:
        ValueError: If there is no data set.
    """
    if not rows:
        raise ValueError("sample matrix: no data set given, so there is nothing to draw")
    sources = list(dict.fromkeys(name for row in rows.values() for name in row))
    deep = [row["Data"].points.shape[1] == 3 for row in rows.values()]
    heights = [FLAT if is_deep else 1.0 for is_deep in deep]
    side = max(_SIDE, min((WIDTH - _LEFT - _RIGHT) / len(sources), 1.4))
    width, height = side * len(sources) + _LEFT + _RIGHT, side * sum(heights) + _TOP + _BOTTOM
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(rows),
        len(sources),
        height_ratios=heights,
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=_BOTTOM / height,
        top=1 - _TOP / height,
        wspace=0,
        hspace=0,
    )
    for turn, (dataset, row) in enumerate(rows.items()):
        view = {"projection": "3d"} if deep[turn] else {}
        panels = [figure.add_subplot(grid[turn, column], **view) for column in range(len(sources))]
        _draw_row(panels, [row.get(name) for name in sources], dataset, points, side)
        middle = grid[turn, 0].get_position(figure)
        place = middle.x0 - 0.05 / width, (middle.y0 + middle.y1) / 2
        text = label(dataset).replace(" ", "\n")
        figure.text(*place, text, ha="right", va="center", fontsize=7)
    for column, name in enumerate(sources):
        above = grid[0, column].get_position(figure)
        place = above.x0 + 0.4 * (above.x1 - above.x0), above.y1 + 0.05 / height
        look: dict[str, Any] = {
            "rotation": 35,
            "ha": "left",
            "va": "bottom",
            "rotation_mode": "anchor",
        }
        figure.text(*place, label(name), fontsize=7, **look)
    bar = figure.add_axes((1 - (_RIGHT - 0.12) / width, 0.25, 0.09 / width, 0.45))
    _colour_bar(figure, bar)
    return figure


def _draw_row(
    panels: Any, clouds: list[Cloud | None], dataset: str, most: int, side: float
) -> None:
    """Draws one data set's panels, left to right."""
    data = clouds[0]
    assert data is not None
    box = limits(data.points, margin=0.06)
    norm = None
    if data.log_density is not None:
        norm = Normalize(*np.quantile(data.log_density, _QUANTILES))
    for column, (panel, cloud) in enumerate(zip(panels, clouds, strict=True)):
        cloud_axes(panel, box)
        panel.set_axis_off()
        if cloud is None or len(cloud.points) == 0:
            no_data(panel)
            continue
        kept = thinned(len(cloud.points), "matrix", dataset, column, most=most)
        kept = kept[inside(cloud.points[kept], box)]
        look: dict[str, Any] = {"color": GREY}
        if norm is not None:
            order = np.argsort(-cloud.log_density[kept], kind="stable")
            kept = kept[order]  # what strays lies on top
            look = {"c": cloud.log_density[kept], "cmap": _colours(), "norm": norm}
        scatter(panel, cloud.points[kept], s=0.9 * side, rasterized=True, **look)


def _colours() -> Colormap:
    """The scale: the darkest for rare points of the data, and another hue for what is below."""
    return density_colours().with_extremes(under=palette()[3])


def _colour_bar(figure: Figure, place: Any) -> None:
    bar: Any = figure.colorbar(
        ScalarMappable(Normalize(0, 1), _colours()),
        cax=place,
        extend="min",
    )
    bar.set_label("exact log-density\n(one scale per row)", fontsize=7)
    bar.set_ticks([0, 1], labels=["0.1% of the\ndata below", "high"])
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)

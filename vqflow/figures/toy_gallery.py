"""Gallery of sets in two or three dimensions: data and samples (paper, figure 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import (
    FLAT,
    Points,
    cloud_axes,
    inside,
    limits,
    no_data,
    note_outside,
    scatter,
    thinned,
)
from vqflow.figures.style import WIDTH, density_colours, label, theme

_NEIGHBOURS = 12
_ROBUST = (3, 97)
_LONGEST_LINE = 12
_LAYOUT = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.02, wspace=0, hspace=0)


class ToyGallery(RunFigure):
    """Data and samples in two or three dimensions: a column per data set, a row per variant."""

    kinds = ("vector",)
    features = (2, 3)
    reads = ("data", "samples")
    per = ("family",)
    caption = """
The data and what each model samples (after figure 4 of the paper), for the first seed.
Points are coloured by the logarithm of their local density (distance to the twelfth neighbour),
on one scale per column; dark points lie where the model puts little mass, which for a flow that
cannot tear space is between the pieces of the data. At most 2,500 points are drawn per panel,
and the share of samples beyond the limits of the column is written where there is any.
"""

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the test split, and below it the samples of each variant."""
        rows: dict[str, dict[str, Any]] = {
            "Data": {name: data.points["test"] for name, data in inputs.data.items()}
        }
        for cell in inputs.cells:
            points = inputs.samples[cell].get("final", rows["Data"][cell.dataset][:0])
            rows.setdefault(label(cell.variant), {})[cell.dataset] = points
        return draw(rows)


@theme()
def draw(rows: dict[str, dict[str, Points]]) -> Figure:
    """Draws a grid of scatter plots: a row per source, a column per data set.

    The colour is the logarithm of the local density by nearest neighbours, on one
    scale per column. The limits of a column are those of its first row that has
    points (the data); samples outside of them are counted in the panel.

    Args:
        rows: Points (n, 2) or (n, 3) by row name (``"Data"``, then models) and data set.

    Raises:
        ValueError: If there is no point at all, or points have other dimensions.
    """
    datasets = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not any(len(points) for row in rows.values() for points in row.values()):
        raise ValueError("toy gallery: no points given, so there is nothing to draw")
    for name, row in rows.items():
        for dataset, points in row.items():
            if points.ndim != 2 or points.shape[1] not in (2, 3):
                raise ValueError(
                    f"toy gallery: row '{name}', data set '{dataset}': points of shape "
                    f"{points.shape} (allowed: (n, 2) or (n, 3))"
                )
    dimensions = {
        name: points.shape[1] for row in reversed(rows.values()) for name, points in row.items()
    }
    size = min((WIDTH - 0.7) / len(datasets), 2.3)
    height = size if 2 in dimensions.values() else FLAT * size
    figure = Figure(figsize=(size * len(datasets) + 0.7, height * len(rows) + 0.3), layout=_LAYOUT)
    grid = figure.add_gridspec(len(rows), len(datasets))
    panels = np.empty((len(rows), len(datasets)), dtype=object)
    for column, dataset in enumerate(datasets):
        view = {"projection": "3d"} if dimensions[dataset] == 3 else {}
        panels[:, column] = [
            figure.add_subplot(grid[turn, column], **view) for turn in range(len(rows))
        ]
        nothing = np.empty((0, dimensions[dataset]))
        clouds = {name: row.get(dataset, nothing) for name, row in rows.items()}
        _draw_column(panels[:, column], clouds, dataset, size, flat=height < size)
        panels[0, column].set_title(label(dataset), pad=2)
    for panel, name in zip(panels[:, 0], rows, strict=True):
        panel.annotate(
            _two_lines(label(name)),
            (-0.02 if len(datasets) > 2 else -0.08, 0.5),  # clouds outgrow wide panels
            xycoords="axes fraction",
            rotation=90,
            ha="right",
            va="center",
        )
    _colour_bar(figure, panels)
    return figure


def _two_lines(name: str) -> str:
    """Breaks a long name at the hyphen nearest its middle: it stands beside one panel."""
    hyphens = [place for place, sign in enumerate(name) if sign == "-"]
    if len(name) <= _LONGEST_LINE or not hyphens:
        return name
    middle = min(hyphens, key=lambda place: abs(place + 1 - len(name) / 2))
    return f"{name[: middle + 1]}\n{name[middle + 1 :]}"


def _draw_column(
    panels: Any, clouds: dict[str, Points], dataset: str, size: float, flat: bool
) -> None:
    """Draws one data set's panels, top to bottom."""
    first = next((points for points in clouds.values() if np.isfinite(points).all(1).any()), None)
    if first is None:
        features = next(iter(clouds.values())).shape[1]
        first = np.array([[-1.0] * features, [1.0] * features])
    box = limits(first[np.isfinite(first).all(axis=1)])
    shown, densities = [], []
    for name, points in clouds.items():
        within = points[inside(points, box)]
        within = within[thinned(len(within), "gallery", name, dataset)]
        shown.append(within)
        densities.append(log_density(within))
    pooled = np.concatenate(densities)
    low, high = np.percentile(pooled, _ROBUST) if len(pooled) else (0.0, 1.0)
    for panel, points, within, density in zip(
        panels, clouds.values(), shown, densities, strict=True
    ):
        cloud_axes(panel, box, flat)
        panel.set_axis_off()
        if len(points) == 0:
            no_data(panel)
            continue
        scatter(
            panel,
            within,
            c=density,
            cmap=density_colours(),
            norm=Normalize(low, max(high, low + 1e-9)),
            s=0.55 * size,
        )
        note_outside(panel, 1 - inside(points, box).mean())


def log_density(points: Points) -> Points:
    """Logarithm of the local density of a cloud, up to a constant.

    Args:
        points: Points, (n, D).

    Returns:
        -D log r of each point, (n,), with r the distance to its twelfth neighbour
        (or to the farthest, where there are fewer points).
    """
    if len(points) < 2:
        return np.zeros(len(points))
    neighbours = min(_NEIGHBOURS, len(points) - 1)
    from sklearn.neighbors import NearestNeighbors  # slow to import

    distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(points).kneighbors()
    radius = np.maximum(distances[:, -1], 1e-12)
    result: Points = np.log(neighbours / len(points)) - points.shape[1] * np.log(radius)
    return result


def _colour_bar(figure: Figure, panels: Any) -> None:
    bar: Any = figure.colorbar(
        ScalarMappable(Normalize(0, 1), density_colours()),
        ax=panels,
        shrink=0.5,
        aspect=30,
        pad=0.01 if panels.shape[1] > 2 else 0.2 / panels.shape[1],  # clouds outgrow their panel
        label="log local density (one scale per column)",
    )
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)

"""The atlas of a data set: its regions, its chart centres, and the image of every chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

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
from vqflow.figures.style import WIDTH, label, theme

Charts = NDArray[np.integer[Any]]

_LIGHTNESS = (0.62, 0.42, 0.75)
_SPARE_HUES = 6


@dataclass(frozen=True)
class AtlasPanel:
    """What is drawn of one data set.

    Attributes:
        points: Data, (n, D).
        charts: Nearest chart of each data point, (n,), in 0 ... K - 1.
        centres: Chart centres in data space, (K, D).
        samples: Samples of the model, (m, D).
        sample_charts: The chart that each sample was drawn from, (m,).
        leak: Probability that a chart's sample lies outside its region, in [0, 1];
            ``None`` or NaN where it is not known.
    """

    points: Points
    charts: Charts
    centres: Points
    samples: Points
    sample_charts: Charts
    leak: float | None

    def __post_init__(self) -> None:
        for name, rows, charts in (
            ("points", self.points, self.charts),
            ("samples", self.samples, self.sample_charts),
        ):
            if rows.ndim != 2 or rows.shape[1:] != self.centres.shape[1:]:
                raise ValueError(
                    f"atlas figure: {name} of shape {rows.shape} with centres of shape "
                    f"{self.centres.shape} (allowed: (n, D) with (K, D))"
                )
            if charts.shape != (len(rows),) or (
                len(rows) and not 0 <= charts.min() <= charts.max() < len(self.centres)
            ):
                raise ValueError(
                    f"atlas figure: the charts of the {name} must be {len(rows)} numbers "
                    f"from 0 to {len(self.centres) - 1}"
                )


class ChartAtlas(RunFigure):
    """The charts of each data set: data by nearest chart, and samples by their chart."""

    reads = ("data", "charts", "samples", "metrics")
    per = ("variant",)
    only_compared = True
    caption = """
The atlas of each data set under one variant, for the first seed. Data are coloured by their
nearest chart, with the chart centres marked; samples of the model are coloured by the chart that
they were drawn from. A chart's samples should lie where its data lie; the *leak* is the share
that does not. Data of more than three dimensions are projected on the two first principal axes of
their standardised coordinates.
"""

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the training split and the samples of each data set."""
        metrics = inputs.metrics
        rows = (metrics["metric"] == "leak") & (metrics["seed"] == inputs.seed)
        leaks = metrics[rows].set_index("dataset")["value"]
        panels = {}
        for cell in inputs.cells:
            points: Any = inputs.data[cell.dataset].points["train"]
            charts, samples = inputs.charts[cell], inputs.samples[cell]
            if not len(charts["centres"]):  # the atlas diverged
                points = points[:0]
            panels[cell.dataset] = AtlasPanel(
                points=points,
                charts=charts["nearest"],
                centres=charts["centres"],
                samples=samples.get("final", points[:0]),
                sample_charts=samples.get("final_charts", charts["nearest"][:0]),
                leak=leaks.get(cell.dataset),
            )
        return draw(panels)


@theme()
def draw(panels: dict[str, AtlasPanel]) -> Figure:
    """Draws, per data set, the data by nearest chart and the samples by their chart.

    One or two data sets are rows, more are columns. Sets of other than two or three
    dimensions are projected on the two first principal axes of the standardised data.

    Args:
        panels: What to draw, by data set.

    Raises:
        ValueError: If there is no data set.
    """
    if not panels:
        raise ValueError("atlas figure: no data set given, so there is nothing to draw")
    count = len(panels)
    in_rows = count <= 2
    size = 2.6 if in_rows else min((WIDTH - 0.3) / count, 2.3)
    shape = (count, 2) if in_rows else (2, count)
    spatial = [panel.points.shape[1] == 3 for panel in panels.values()]
    flat = in_rows or all(spatial)
    shares = [FLAT if deep else 1.0 for deep in (spatial if in_rows else [all(spatial)] * 2)]
    figure = Figure(
        figsize=(size * shape[1] + 0.3, size * sum(shares) + 0.55), layout="constrained"
    )
    grid = figure.add_gridspec(*shape, height_ratios=shares)
    for turn, (dataset, panel) in enumerate(panels.items()):
        view = {"projection": "3d"} if panel.points.shape[1] == 3 else {}
        cells = (grid[turn, 0], grid[turn, 1]) if in_rows else (grid[0, turn], grid[1, turn])
        left, right = (figure.add_subplot(cell, **view) for cell in cells)
        _draw_pair(left, right, panel, dataset, 0.55 * size, flat)
        charts = f"{len(panel.centres)} chart" + ("s" if len(panel.centres) != 1 else "")
        leak = ""
        if panel.leak is not None and panel.leak == panel.leak:
            leak = f", leak {max(panel.leak, 0.0):.1%}"  # rounding may leave -1e-8
        if in_rows:
            left.set_title(f"{label(dataset)}: data, {charts}", pad=3)
            right.set_title(f"{label(dataset)}: samples{leak}", pad=3)
        else:
            left.set_title(f"{label(dataset)}\n{charts}", pad=3)
            right.set_title(leak.removeprefix(", "), fontsize=7, pad=1)
        if turn == 0 and not in_rows:
            _name_row(left, "Data")
            _name_row(right, "Samples")
    centre = Line2D([], [], label="chart centre", linestyle="none", **_CENTRE, markersize=5)
    figure.legend(handles=[centre], loc="outside lower center", fontsize=7, handletextpad=0)
    return figure


_CENTRE: dict[str, Any] = {
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
}


def _name_row(panel: Any, name: str) -> None:
    panel.annotate(
        name, (-0.1, 0.5), xycoords="axes fraction", rotation=90, ha="right", va="center"
    )


def _draw_pair(
    left: Any, right: Any, panel: AtlasPanel, dataset: str, size: float, flat: bool
) -> None:
    """Draws the data and the samples of one data set, in the same coordinates."""
    if len(panel.points) == 0:
        no_data(left)
        no_data(right)
        return
    points, centres, samples = _drawable(panel)
    box = limits(points)
    colours = chart_colours(centres)
    for axes, cloud, charts in (
        (left, points, panel.charts),
        (right, samples, panel.sample_charts),
    ):
        cloud_axes(axes, box, flat)
        if len(cloud) == 0:
            no_data(axes)
            continue
        within = inside(cloud, box)
        kept = thinned(int(within.sum()), "atlas", dataset)
        shown = charts[within][kept]
        scatter(axes, cloud[within][kept], c=colours[shown], s=1.2 * size)
        note_outside(axes, 1 - within.mean())
        if panel.points.shape[1] == 2:
            axes.set(xlabel="$x_1$", ylabel="$x_2$")
        elif len(box) == 2:
            axes.set(xlabel="first principal axis", ylabel="second principal axis")
    if len(box) == 3:
        left.computed_zorder = False
    near = inside(centres, box)
    left.plot(
        *centres[near].T,
        linestyle="none",
        **{**_CENTRE, "markeredgewidth": 0.4},
        markersize=2.4 * size**0.75 * min(1.0, (32 / len(centres)) ** 0.5),
        zorder=3,
        clip_on=False,
        in_layout=False,
    )


def _drawable(panel: AtlasPanel) -> tuple[Points, Points, Points]:
    """Data, centres and samples in the two or three coordinates that are drawn."""
    clouds = panel.points, panel.centres, panel.samples
    if panel.points.shape[1] in (2, 3):
        return clouds
    from sklearn.decomposition import PCA  # slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    principal = make_pipeline(
        StandardScaler(), PCA(n_components=2, svd_solver="covariance_eigh")
    ).fit(panel.points)
    points, centres, samples = (
        principal.transform(cloud) if len(cloud) else np.empty((0, 2)) for cloud in clouds
    )
    return points, centres, samples


def chart_colours(centres: Points) -> NDArray[np.float64]:
    """One colour per chart, so chosen that neighbouring charts differ most.

    Args:
        centres: Chart centres, (K, 2) or (K, 3).

    Returns:
        Red, green and blue, (K, 3), each in [0, 1].
    """
    count = len(centres)
    import seaborn as sns  # slow to import

    hues = -(-count // len(_LIGHTNESS)) + _SPARE_HUES
    palette = np.concatenate(
        [
            sns.husl_palette(hues, h=0.02 + 0.31 * turn / hues, s=0.95, l=lightness)
            for turn, lightness in enumerate(_LIGHTNESS)
        ]
    )
    contrast = np.linalg.norm(palette[:, None] - palette[None], axis=-1)
    distance = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    distance /= max(float(np.median(distance)), 1e-12)
    chosen: list[int] = []
    for chart in range(count):
        clash = 1 / ((distance[chart, :chart] ** 2 + 1e-3) * (contrast[:, chosen] + 1e-3))
        clash_of = clash.sum(axis=1)
        clash_of[chosen] = np.inf
        chosen.append(int(np.argmin(clash_of)))
    result: NDArray[np.float64] = palette[chosen]
    return result

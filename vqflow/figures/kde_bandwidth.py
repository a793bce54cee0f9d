"""How the KDE log-likelihood of samples depends on the kernels' bandwidth (paper, table 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from vqflow.config.limits import Count, GridSize, Positive
from vqflow.datasets.base import Array, Data
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import Points, legend, note, numbers, panel_grid
from vqflow.figures.style import GREY, Stroke, label, strokes, theme
from vqflow.kernel_density import mean_log_densities, scale_of

_TRUTH: dict[str, Any] = {"color": "black", "linewidth": 1.0}
_CHOSEN: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (1, 1.5))}
_TEST = "test points"
_LINEAR = 3.0
_TICKS = (3, 0, -3, -10, *(-(10**power) for power in range(2, 16)))


@dataclass(frozen=True)
class Panel:
    """What one data set's panel shows.

    Attributes:
        bandwidths: Bandwidths (B,), in the data's units.
        truth: The test points' mean log-density (B,), in nats.
        curves: The samples' (B,), by variant.
        chosen: The bandwidth that cross-validation chose, where it is known.
        diverged: The variants that have no samples.
    """

    bandwidths: Points
    truth: Points
    curves: dict[str, Points]
    chosen: float | None
    diverged: list[str]


class KDEBandwidth(RunFigure):
    """KDE log-likelihood of samples against the bandwidth: a panel per data set.

    Args:
        metric: The entry of :class:`vqflow.metrics.kde.KDELogLikelihood` whose bandwidth is marked.
        samples: Most samples of a variant, and most test points, that are scored.
        lowest: Smallest bandwidth, in units of the data's scale (the root of the mean
            variance over the coordinates).
        highest: Largest bandwidth, in the same unit.
        count: Number of bandwidths.
    """

    kinds = ("vector",)
    reads = ("data", "samples", "metrics")
    caption = """
Mean log-likelihood of samples under a Gaussian kernel density (KDE) of the training points, against
the kernels' bandwidth, for the first seed; black: of the test points. The dotted line marks the
bandwidth that cross-validation chose, at which the KDE log-likelihood of the tables is taken (the
measure of table 2 of the paper). The height of the values, and how far models lie apart, is
set by the bandwidth. The scale is linear near 0 and logarithmic far from it.
"""

    def __init__(
        self,
        metric: str = "kde_log_likelihood",
        samples: Count = 2500,
        lowest: Positive = 0.003,
        highest: Positive = 2.0,
        count: GridSize = 25,
    ) -> None:
        if not 0 < lowest < highest:
            raise ValueError(f"lowest, highest: got {lowest}, {highest}, need 0 < lowest < highest")
        if samples < 1 or count < 2:
            raise ValueError(f"samples, count: got {samples}, {count}, allowed: from 1, from 2")
        self.metric = metric
        self.samples = samples
        self.grid = np.geomspace(lowest, highest, count)

    def draw(self, inputs: Inputs) -> Figure:
        """Evaluates the densities and draws the curves."""
        styles = strokes(pd.DataFrame([dict(cell) for cell in inputs.cells]))
        panels = {}
        for dataset in inputs.datasets:
            samples = {
                cell.variant: inputs.samples[cell].get("final")
                for cell in inputs.cells
                if cell.dataset == dataset
            }
            chosen = _chosen(inputs.metrics, dataset, f"{self.metric}_bandwidth")
            panels[dataset] = self.panel(inputs.data[dataset], samples, chosen)
        return draw(panels, styles)

    def panel(self, data: Data, samples: dict[str, Array | None], chosen: float | None) -> Panel:
        """Evaluates the curves of one data set.

        Args:
            data: The splits.
            samples: Samples (n, D) by variant; ``None`` where its run diverged.
            chosen: The bandwidth to mark.
        """
        kernels = data.points["train"].astype(np.float64)
        bandwidths = self.grid * scale_of(kernels)

        def curve(points: Array) -> Points:
            return mean_log_densities(points[: self.samples].astype(float), kernels, bandwidths)

        return Panel(
            bandwidths=bandwidths,
            truth=curve(data.points["test"]),
            curves={name: curve(x) for name, x in samples.items() if x is not None},
            chosen=chosen,
            diverged=[name for name, x in samples.items() if x is None],
        )


def _chosen(metrics: pd.DataFrame, dataset: str, metric: str) -> float | None:
    """The bandwidth in the tables, which is the same of all variants and seeds."""
    rows = metrics[(metrics["dataset"] == dataset) & (metrics["metric"] == metric)]
    values = numbers(rows["value"]).dropna()
    return float(values.iloc[0]) if len(values) else None


@theme()
def draw(panels: dict[str, Panel], styles: dict[str, Stroke]) -> Figure:
    """Draws mean log-densities against the bandwidth.

    Args:
        panels: What to show, by data set.
        styles: How each variant is drawn.
    """
    columns = 2 if len(panels) in (2, 4) else 3
    figure, axes = panel_grid(len(panels), columns, 2.3)
    for position, (axis, (dataset, panel)) in enumerate(zip(axes, panels.items(), strict=True)):
        axis.set_title(label(dataset))
        _draw_panel(axis, panel, styles)
        if position % columns == 0:
            axis.set_ylabel("mean KDE log-likelihood\n(nats)")
        if position + columns >= len(panels):
            axis.set_xlabel("bandwidth (the data's units)")
    extra = [Line2D([], [], label=_TEST, **_TRUTH)]
    if any(panel.chosen is not None for panel in panels.values()):
        extra.append(Line2D([], [], label="cross-validated bandwidth", **_CHOSEN))
    legend(figure, styles, extra, markers=False)
    return figure


def _draw_panel(axis: Axes, panel: Panel, styles: dict[str, Stroke]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("asinh", linear_width=_LINEAR)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(FixedLocator(_TICKS))
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_minor_locator(NullLocator())
    if panel.chosen is not None:
        axis.axvline(panel.chosen, **_CHOSEN)
    axis.plot(panel.bandwidths, panel.truth, label=_TEST, **_TRUTH)
    for variant, curve in panel.curves.items():
        style = styles[variant]
        axis.plot(panel.bandwidths, curve, color=style.colour, linestyle=style.dash, label=variant)
    axis.set_xlim(panel.bandwidths[0], panel.bandwidths[-1])
    if panel.diverged:
        note(axis, "\n".join(f"{label(name)}: diverged" for name in panel.diverged), y=0.02)

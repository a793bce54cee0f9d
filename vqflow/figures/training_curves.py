"""Training and validation loss over the epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import legend, no_data, panel_grid
from vqflow.figures.style import GREY, Stroke, label, strokes, theme

_BEYOND: dict[str, Any] = {"linestyle": "none", "marker": "^", "markersize": 2.6}
_LOSSES = {"train_loss": ("training", 0.6), "validation_loss": ("validation", 1.5)}


class TrainingCurves(RunFigure):
    """Training and validation loss by epoch: a panel per data set."""

    reads = ("history",)
    caption = """
Negative log-likelihood in nats across training: means over the seeds of the validation (thick)
and training (thin) loss; bands span the validation losses of all seeds. Plain flows are dashed
and lighter, their VQ variants solid. The vertical limits leave out the first, steep epochs and
spikes: a triangle at the upper edge marks each point of a curve that lies beyond it.
"""

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the losses of all seeds."""
        return draw(inputs.history)


@theme()
def draw(history: pd.DataFrame) -> Figure:
    """Draws both losses per variant: mean over seeds, validation with a min-max band.

    Args:
        history: One row per epoch (dataset, variant, flow, atlas, seed, epoch, train_loss,
            validation_loss, both negative log-likelihoods in nats).

    Raises:
        ValueError: If there are no rows.
    """
    if history.empty:
        raise ValueError("training history: it has no rows, so there is nothing to draw")
    history = history.replace([np.inf, -np.inf], np.nan)
    names = list(history["dataset"].unique())
    styles = strokes(history)
    columns = 2 if len(names) in (2, 4) else 3
    figure, panels = panel_grid(len(names), columns, 2.1 if len(names) > 1 else 2.8)
    beyond = False
    for position, (panel, dataset) in enumerate(zip(panels, names, strict=True)):
        panel.set_title(label(str(dataset)))
        beyond |= _draw_panel(panel, history[history["dataset"] == dataset], styles)
        if position % columns == 0:
            panel.set_ylabel("negative log-likelihood\n(nats)")
        if position + columns >= len(names):
            panel.set_xlabel("epoch")
    extra = [
        Line2D([], [], color=GREY, linewidth=width, label=name) for name, width in _LOSSES.values()
    ]
    if beyond:
        extra.append(Line2D([], [], color=GREY, label="beyond the upper edge", **_BEYOND))
    figure.align_ylabels()
    legend(figure, styles, extra, markers=False)
    return figure


def _draw_panel(panel: Axes, rows: pd.DataFrame, styles: dict[str, Stroke]) -> bool:
    """Draws the curves of one data set; says whether points lie beyond the upper edge."""
    if rows[list(_LOSSES)].notna().sum().sum() == 0:
        no_data(panel)
        return False
    drawn: list[tuple[pd.Series[float], Stroke]] = []
    for variant, style in styles.items():
        own = rows[rows["variant"] == variant].groupby("epoch")
        for column, (_, width) in _LOSSES.items():
            mean = own[column].mean().dropna()
            drawn.append((mean, style))
            panel.plot(
                mean.index,
                mean,
                color=style.colour,
                linestyle=style.dash,
                linewidth=width,
                zorder=2.1 if style.dash == "solid" else 2.2,  # a dashed line hides no solid one
            )
        band = own["validation_loss"].agg(["min", "max"]).dropna()
        panel.fill_between(
            band.index, band["min"], band["max"], color=style.colour, alpha=0.2, linewidth=0
        )
    low, high = robust_limits(np.concatenate([mean.to_numpy() for mean, _ in drawn]))
    panel.set_ylim(low, high)
    edge = panel.get_xaxis_transform()
    beyond = False
    for mean, style in drawn:
        epochs = mean.index[mean > high]
        beyond |= len(epochs) > 0
        place = [0.985] * len(epochs)
        panel.plot(epochs, place, transform=edge, color=style.colour, zorder=2.3, **_BEYOND)
    return beyond


def robust_limits(values: np.ndarray) -> tuple[float, float]:
    """Limits that show the curves' course, whatever their first epochs or a divergence.

    Args:
        values: Finite losses of all curves, (n,).

    Returns:
        The lowest value and the 97th percentile, at most 2.5 interquartile ranges
        above the third quartile, with a margin of 5 %.
    """
    low, first, third, high = np.percentile(values, [0, 25, 75, 97])
    high = min(high, third + 2.5 * (third - first))
    margin = max(0.05 * (high - low), 1e-6 * max(abs(float(low)), 1.0))
    return float(low - margin), float(high + margin)

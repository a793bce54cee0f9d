"""The paper's figure 6: two metrics against the number of charts, and the learning curve."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vqflow.config.setting import FlowSetting, Setting
from vqflow.figures.base import Inputs
from vqflow.figures.panels import no_data, note, panel_grid
from vqflow.figures.style import GREY
from vqflow.figures.sweep import Sweep, band, colours, dashes, explain, name_panel
from vqflow.figures.swept import one_of
from vqflow.figures.training_curves import robust_limits

_HEIGHT = 2.55


class Ablation(Sweep):
    """Metrics against one argument, and beside them learning curves on the validation split.

    Args:
        curves: The variants whose training is drawn, by the name of the line or of the
            horizontal line whose colour they take.
        **sweep: The arguments of :class:`Sweep`.

    Raises:
        ValueError: If there are no curves, or one is named like no line.
    """

    reads = ("settings", "metrics", "history")
    caption = """
Charts by VQ-AE and by k-means, and a plain flow (after figure 6 of the paper). Left and middle: the
final models against the number of charts K; markers are means over the seeds, bands one standard
deviation, faint dots single seeds, the horizontal line the plain flow. Right: log-likelihood of the
validation split, summed over the covering charts, by epoch of a longer training; its vertical
limits leave out the first, steep epochs. The curves of the paper's figure are not published as
numbers, so that none are drawn beside ours.
"""

    def __init__(self, curves: Mapping[str, str], **sweep: Any) -> None:
        super().__init__(**sweep)
        if not isinstance(curves, Mapping) or not curves:
            raise ValueError(f"curves: got {curves!r}; allowed: a dictionary from a line's name")
        for name in curves:
            one_of(name, [*self.lines, *self.beside], f"curves: no line '{name}'")
        self.curves = curves

    def check(self, settings: Sequence[Setting], metrics: Collection[str]) -> None:
        """Refuses what a sweep does, and curves of what is not trained by epochs."""
        super().check(settings, metrics)
        for dataset in dict.fromkeys(setting.dataset.name for setting in settings):
            flows = [
                each.variant
                for each in settings
                if each.dataset.name == dataset and isinstance(each, FlowSetting)
            ]
            for name, variant in self.curves.items():
                one_of(variant, flows, f"curves.{name}: no flow '{variant}' is shown on {dataset}")

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the final models' values and the learning curves."""
        figure, (*swept, last) = panel_grid(len(self.metrics) + 1, 3, _HEIGHT)
        self.draw_panels(inputs, swept)
        self._draw_curves(last, inputs.history)
        explain(figure, self.lines, self.beside)
        return figure

    def _draw_curves(self, panel: Axes, history: pd.DataFrame) -> None:
        tints, styles = colours(self.lines), dashes(self.beside)
        values = -history["validation_loss"].replace([np.inf, -np.inf], np.nan)
        history = history.assign(value=values).dropna(subset=["value"])
        drawn = []
        for name, variant in self.curves.items():
            epochs = history[history["variant"] == variant].groupby("epoch")["value"]
            curve = epochs.agg(["mean", "std"])
            tint = tints.get(name, GREY)
            band(panel, curve, tint)
            panel.plot(
                curve.index, curve["mean"], color=tint, linestyle=styles.get(name, "solid"), lw=1.2
            )
            drawn.append(curve["mean"].to_numpy())
        if not sum(map(len, drawn)):
            no_data(panel)
            return
        low, high = robust_limits(-np.concatenate(drawn))
        panel.set(ylim=(-high, -low), xlim=(0, None), xlabel="epoch")
        name_panel(panel, "validation log-likelihood, covering charts", "nats (higher is better)")
        below = sum(int((values < -high).sum()) for values in drawn)
        if below:
            note(panel, f"{below} points of the curves lie below", y=0.02)

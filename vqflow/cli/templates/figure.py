"""A figure of your own. What it may read and be drawn for: vqflow/figures/base.py."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from scipy.spatial import KDTree

from vqflow.figures import RunFigure
from vqflow.figures.base import Inputs


class NewThing(RunFigure):
    """How far samples lie from the nearest point of the test split: one figure a data set."""

    reads = ("data", "samples")
    per = ("dataset",)
    caption = "How far samples lie from the nearest point of the test split."

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the share of samples by their distance, a line for each variant and seed."""
        figure, axes = plt.subplots(layout="constrained")
        for cell in inputs.cells:
            tree = KDTree(inputs.data[cell.dataset].points["test"])
            distance, _ = tree.query(inputs.samples[cell]["final"])
            axes.ecdf(distance, label=cell.variant)
        axes.set(xscale="log", xlabel="distance to the data", ylabel="share of samples")
        axes.legend()
        return figure

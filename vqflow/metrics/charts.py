"""How the charts are used: leak, overlap and evenness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.metrics.likelihood import points_of
from vqflow.models.confinement import leak

_CHUNK = 4096


class Charts(Metric):
    """Diagnostics of the atlas and of how well the flow keeps to it; pure numbers.

    * ``leak``: 1 - Σ_k p_k Z_k, the share of the model's probability that falls outside
      the region of its own chart; n is the number of charts, each with its own Z_k.
    * ``confinement_error``: the largest relative standard error of a Z_k.
    * ``charts_per_point``: mean number of charts that cover a test point.
    * ``perplexity``: exp of the entropy of the nearest charts' frequencies on the
      training split; between 1 and K.
    * ``charts``: K, the charts that are kept.
    * ``points_per_chart``: training points over K; an atlas with fewer than 10 is warned of
      (:func:`vqflow.choice.few_points`).

    Regions of images depend on the quantised pixels alone, so that the seeded
    dequantisation noise changes none of these.
    """

    name = "charts"
    needs_charts = True
    quantities = (
        Quantity("leak", decimals=3, headline=50),
        Quantity("confinement_error", headline=None),
        Quantity("charts_per_point", headline=None),
        Quantity("perplexity", "perplexity of the charts", headline=None),
        Quantity("charts", "number of charts", headline=None),
        Quantity("points_per_chart", "training points per chart", headline=None),
    )

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the rows."""
        model, atlas = run.flow, run.flow.atlas
        charts = int(atlas.charts)
        with torch.no_grad():
            test = points_of(run, "test")
            overlap = torch.cat([atlas.covering(part).sum(1) for part in torch.split(test, _CHUNK)])
            nearest = atlas.nearest(points_of(run, "train")).cpu().numpy()
        yield Score("leak", leak(model), charts, "train")
        error = (model.confinement_error / model.log_confinement.exp()).max()
        yield Score("confinement_error", float(error), charts, "train")
        yield Score("charts_per_point", float(overlap.double().mean()), len(test), "test")
        yield Score("perplexity", perplexity(nearest), len(nearest), "train")
        yield Score("charts", float(charts), len(nearest), "train")
        yield Score("points_per_chart", len(nearest) / charts, len(nearest), "train")


def perplexity(charts: np.ndarray) -> float:
    """Gives exp of the entropy of the charts' frequencies.

    Args:
        charts: Index of each point's chart, (N,).
    """
    _, counts = np.unique(charts, return_counts=True)
    frequencies = counts / counts.sum()
    return float(np.exp(-(frequencies * np.log(frequencies)).sum()))

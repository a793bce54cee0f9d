"""A metric of your own. What it is given, and what it may state: vqflow/metrics/base.py."""

from __future__ import annotations

from collections.abc import Iterator

from scipy.spatial import KDTree

from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun


class NewThing(Metric):
    """How far points of the test split are from the nearest sample, on the mean."""

    kinds = ("vector",)
    quantities = (Quantity("new_thing", "distance to the nearest sample", better="lower"),)

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the score of a trained model."""
        test = run.data.points["test"]
        distance, _ = KDTree(run.samples["final"]).query(test)
        yield Score("new_thing", distance.mean(), len(test), "test", values=distance)

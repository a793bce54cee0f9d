"""How exactly a model's density is normalised."""

from __future__ import annotations

from collections.abc import Iterator

from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun


class Normalisation(Metric):
    """Standard error of the constant that normalises the density over all charts, in nats.

    Of a base that knows its constant by Monte Carlo alone, such as
    :class:`vqflow.bases.Resampled`; all other flows and bases are normalised exactly, and have
    the value 0. The mean log-likelihood has this error beside that of the points, and the same
    for all points.
    """

    name = "normalisation_error"
    needs_charts = True
    quantities = (
        Quantity(
            name, "standard error of the density's constant", "nats", decimals=4, headline=None
        ),
    )

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the one row."""
        base = run.flow.base
        error = 0.0 if base is None else base.normalisation_error
        yield Score("normalisation_error", error, len(run.data.points["test"]), "test")

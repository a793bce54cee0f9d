"""Samples under the exact density of the data, which only a benchmark knows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vqflow.config.limits import Count
from vqflow.datasets.base import Data
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.metrics.samples import FLOOR, Floats, final_samples, refuse_images, with_floor

_STRAY_SHARE = 0.001
_MEDIAN = "samples_log_density_median"
_STRAYS = "strays"


class SamplesLogDensity(Metric):
    """Exact log-density of the model's samples: mean, median, and the share of strays.

    ``samples_log_density`` is the mean of log p* over samples of q, minus the cross entropy of q
    to p*: the other direction than that of the ceiling's gap, which averages over the data. Few
    samples far off can decide the mean, so the median stands beside it. ``strays`` is the share
    of samples below the 0.1 % quantile of log p* over the *training* split: about one true sample
    in a thousand. Of 5,000 points that is the sixth lowest, so that share is itself uncertain by
    two fifths.

    The floor of each is that of the test points: what true samples get. A model that
    keeps to the densest parts of the data has a higher mean and median than they, so read both
    with a distance that sees what is missed. Data sets that do not know their density
    get no rows.
    """

    kinds = ("vector",)
    name = "samples_log_density"
    quantities = (
        *with_floor(
            Quantity(name, "exact log-density of samples", "nats", "higher", headline=21),
        ),
        *with_floor(
            Quantity(
                _MEDIAN, "median exact log-density of samples", "nats", "higher", headline=None
            ),
        ),
        *with_floor(
            Quantity(_STRAYS, "share of strays", better="lower", decimals=4, headline=22),
        ),
    )

    def __init__(self, samples: Count = 2500) -> None:
        """Checks the settings.

        Args:
            samples: Number of samples to score.

        Raises:
            ValueError: If it is below 1.
        """
        if samples < 1:
            raise ValueError(f"samples: got {samples}, allowed: 1 or more")
        self.samples = samples

    def reference(self, data: Data) -> Reference:
        """Gives the log-density below which a sample is a stray, where densities are known.

        Raises:
            ValueError: If the data are images.
        """
        refuse_images(self, data)
        if not data.log_density:
            return {}
        exact = data.log_density["train"].astype(np.float64)
        return {"threshold": np.array(np.quantile(exact, _STRAY_SHARE))}

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Scores the final model's samples of every sampler, and the test points as the floor.

        Raises:
            RuntimeError: If there are too few samples.
        """
        if not reference:
            return
        threshold = float(reference["threshold"])
        for suffix, samples in final_samples(self, run, self.samples):
            exact = run.exact_log_density(samples)
            if exact is not None:
                yield from _rows(exact.astype(np.float64), threshold, suffix)
        yield from _rows(run.data.log_density["test"].astype(np.float64), threshold, FLOOR)


def _rows(exact: Floats, threshold: float, suffix: str) -> Iterator[Score]:
    """Gives the three values of exact log-densities (n,) of true or generated samples."""
    values = {
        SamplesLogDensity.name: exact.mean(),
        _MEDIAN: np.median(exact),
        _STRAYS: (exact < threshold).mean(),
    }
    for name, value in values.items():
        yield Score(name + suffix, float(value), len(exact), "test")

"""Log-likelihood of generated samples under a Gaussian kernel density of the training data."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np

from vqflow.config.limits import Count, GridSize, Positive, Seed
from vqflow.datasets.base import Data
from vqflow.kernel_density import choose_bandwidth, log_density, scale_of
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.metrics.samples import FLOOR, final_samples, refuse_images, with_floor

_BANDWIDTH = "kde_log_likelihood_bandwidth"

logger = logging.getLogger(__name__)


class KDELogLikelihood(Metric):
    """Mean log-density of samples under a Gaussian KDE fitted on the training split.

    High where samples lie on the data's manifold (paper, table 2). The bandwidth
    maximises the cross-validated log-likelihood of the training points: the best of
    a log-spaced grid, then refined to 1 % between that one's neighbours. The value depends on
    it more than on the model, so it has a row of its own; the figure ``kde_bandwidth`` shows how.
    The floor is the value of the test points, which samples of a model that keeps to the densest
    parts of the data exceed.
    """

    kinds = ("vector",)
    name = "kde_log_likelihood"
    quantities = (
        *with_floor(Quantity(name, "KDE log-likelihood of samples", "nats", "higher", headline=20)),
        Quantity(_BANDWIDTH, "bandwidth of the KDE", headline=None, decimals=4),
    )

    def __init__(
        self,
        samples: Count = 2500,
        lowest: Positive = 0.003,
        highest: Positive = 0.5,
        count: GridSize = 12,
        folds: Count = 5,
        seed: Seed = 0,
    ) -> None:
        """Checks the settings.

        Args:
            samples: Number of samples to score.
            lowest: Smallest bandwidth of the grid, in units of the data's scale (the
                root of the mean variance over the coordinates).
            highest: Largest bandwidth of the grid, in the same unit.
            count: Number of bandwidths in the grid.
            folds: Number of folds of the cross-validation.
            seed: Seed of the split into folds.

        Raises:
            ValueError: If a setting is out of range.
        """
        if samples < 1:
            raise ValueError(f"samples: got {samples}, allowed: 1 or more")
        if not 0 < lowest < highest:
            raise ValueError(f"lowest, highest: got {lowest}, {highest}, need 0 < lowest < highest")
        if count < 3:
            raise ValueError(f"count: got {count}, allowed: 3 or more")
        if folds < 2:
            raise ValueError(f"folds: got {folds}, allowed: 2 or more")
        self.samples = samples
        self.grid = np.geomspace(lowest, highest, count)
        self.folds = folds
        self.seed = seed

    def reference(self, data: Data) -> Reference:
        """Chooses the bandwidth.

        Raises:
            ValueError: If the data are images, have fewer points than folds, or do not vary.
        """
        place = refuse_images(self, data)
        points = data.points["train"].astype(np.float64)
        if len(points) < self.folds:
            raise ValueError(f"{place}: {len(points)} training points for {self.folds} folds")
        try:
            grid = self.grid * scale_of(points)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        bandwidth = choose_bandwidth(points, grid, self.folds, self.seed)
        if bandwidth in (grid[0], grid[-1]):
            logger.warning(
                "%s: bandwidth %.4g is an end of the grid %.4g to %.4g; widen lowest or highest",
                place,
                bandwidth,
                grid[0],
                grid[-1],
            )
        test = data.points["test"][: self.samples].astype(np.float64)
        floor = log_density(test, points, bandwidth)
        return {"bandwidth": np.array(bandwidth), "points": points, "floor": floor}

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Scores the final model's samples of every sampler, and gives the bandwidth.

        Raises:
            RuntimeError: If there are too few samples.
        """
        points = reference["points"].astype(np.float64)
        bandwidth = float(reference["bandwidth"])
        for suffix, samples in final_samples(self, run, self.samples):
            n, values = len(samples), None
            if np.isfinite(samples).all():
                values = log_density(samples, points, bandwidth)
            value = math.nan if values is None else float(values.mean())
            name = type(self).name + suffix
            yield Score(name, value, n, "train", values=values, of_points=False)
        floor = reference["floor"]
        yield Score(type(self).name + FLOOR, float(floor.mean()), len(floor), "train")
        yield Score(_BANDWIDTH, bandwidth, len(points), "train")

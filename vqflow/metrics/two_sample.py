"""Distances between samples and test points: Wasserstein, energy, and a classifier's accuracy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist, pdist

from vqflow.config.limits import Count, Seed
from vqflow.datasets.base import Data
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.metrics.samples import FLOOR, Floats, final_samples, refuse_images, with_floor
from vqflow.seeding import derive_seed


class TwoSampleMetric(Metric):
    """A distance between the final model's samples and as many test points, of vectors.

    Beside it stands its floor, ``<name>_floor``: the same distance between as many training
    points and the same test points, which no model can be expected to fall below. Sets have
    n points each: ``samples``, or as many as the smaller of both splits has. Values compare only
    at equal n, which every row states.
    """

    kinds = ("vector",)

    def __init__(self, samples: Count = 2500) -> None:
        """Checks the settings.

        Args:
            samples: Number n of samples, and of test points.

        Raises:
            ValueError: If there are fewer than two.
        """
        if samples < 2:
            raise ValueError(f"samples: got {samples}, allowed: 2 or more")
        self.samples = samples

    @abstractmethod
    def distance(self, x: Floats, y: Floats) -> float:
        """Gives the distance between two sets of points, (n, D) each; symmetric."""

    def reference(self, data: Data) -> Reference:
        """Gives the test points, and the floor.

        Raises:
            ValueError: If the data are images, or a split has too few points.
        """
        place = refuse_images(self, data)
        n = min(self.samples, *(len(data.points[split]) for split in ("train", "test")))
        train, test = (_some(data, split, n) for split in ("train", "test"))
        try:
            floor = self.distance(train, test)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        return {"test": test, "floor": np.array(floor)}

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Scores the final model's samples of every sampler, and gives the floor.

        Raises:
            RuntimeError: If there are too few samples.
        """
        name, test = type(self).name, reference["test"].astype(np.float64)
        for suffix, samples in final_samples(self, run, len(test)):
            yield Score(name + suffix, self.distance(samples, test), len(test), "test")
        yield Score(name + FLOOR, float(reference["floor"]), len(test), "test")


def _some(data: Data, split: str, n: int) -> Floats:
    """Gives n points (n, D) of a split at random, rounded to float32 as samples are."""
    points = data.points[split]
    generator = np.random.default_rng(derive_seed("two samples", data.spec.name, split))
    chosen = generator.permutation(len(points))[:n]
    return points[chosen].astype(np.float32).astype(np.float64)


class Wasserstein(TwoSampleMetric):
    """The 2-Wasserstein distance between the sets, exact: the root of the least mean cost.

    W = min over permutations π of (mean_i ‖x_i - y_π(i)‖²)^½, in the data's units (Peyré and
    Cuturi 2019, eq. 2.2 and proposition 2.1). It sees both what is far off and what is missed.
    Two true sets lie apart as well, the farther the fewer their points and the longer the curve
    that they scatter along, by 0.34 ± 0.09 on the helix: the floor, one pair, is but a hint.
    """

    name = "wasserstein"
    quantities = with_floor(Quantity(name, "2-Wasserstein distance", "", "lower", 3, 23))

    def distance(self, x: Floats, y: Floats) -> float:
        """Solves the assignment; about n³ at worst, a second or two for n = 2500."""
        from scipy.optimize import linear_sum_assignment  # slow to import

        costs = cdist(x, y, "sqeuclidean")
        return float(np.sqrt(costs[linear_sum_assignment(costs)].mean()))


class EnergyDistance(TwoSampleMetric):
    """The energy distance between the sets, by the unbiased U-statistic.

    D² = 2 E‖X - Y‖ - E‖X - X'‖ - E‖Y - Y'‖ (Székely and Rizzo 2013, eq. 5), in the data's units;
    the means leave out each point's distance to itself. So two true sets give 0 in
    expectation, and can give less than 0 by chance; their one value, the floor, shows the size of
    that chance.
    """

    name = "energy_distance"
    quantities = with_floor(Quantity(name, "energy distance", "", "lower", 4, 24))

    def distance(self, x: Floats, y: Floats) -> float:
        """Takes the means over all pairs."""
        return float(2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean())


class TwoSampleAccuracy(TwoSampleMetric):
    """The accuracy of a classifier that tells samples from test points: 0.5 where it cannot.

    A classifier two-sample test (Lopez-Paz and Oquab 2017), on held-out points by stratified
    cross-validation. The classifier is scikit-learn's gradient boosting on histograms with its
    defaults: it sees a shift of one noise width on a thin curve, where a small perceptron sees
    nothing; and as it splits coordinates at quantiles, their scales do not matter. Of two true
    sets the accuracy scatters by 0.5 / √(2 n) around 0.5, 0.007 for n = 2500.
    """

    name = "two_sample_accuracy"
    quantities = with_floor(Quantity(name, "two-sample accuracy", "", "lower", 3, 25))

    def __init__(self, samples: Count = 2500, folds: Count = 5, seed: Seed = 0) -> None:
        """Checks the settings.

        Args:
            samples: As for :class:`TwoSampleMetric`.
            folds: Number of folds of the cross-validation.
            seed: Seed of the split into folds.

        Raises:
            ValueError: If a setting is out of range.
        """
        super().__init__(samples)
        if not 2 <= folds <= samples:
            raise ValueError(f"folds: got {folds}, allowed: 2 to {samples}, the samples")
        self.folds = folds
        self.seed = seed

    def distance(self, x: Floats, y: Floats) -> float:
        """Trains the classifier once for each fold, on one thread.

        Raises:
            ValueError: If there are fewer points than folds.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from threadpoolctl import threadpool_limits

        if len(x) < self.folds:
            raise ValueError(f"folds: got {self.folds}, of {len(x)} points")
        points, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
        classifier = HistGradientBoostingClassifier(early_stopping=False, random_state=self.seed)
        with threadpool_limits(1):
            found = cross_val_predict(classifier, points, labels, cv=folds)
        return float((found == labels).mean())

"""Comparisons of samples with data, and distances, by the features of a network."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import ClassVar, cast

import torch

from vqflow.config.limits import Count
from vqflow.datasets.base import SPLITS, Array, Data, DataSpec, Split
from vqflow.metrics.base import (
    SAMPLERS,
    Metric,
    Quantity,
    Reference,
    Score,
    TrainedRun,
    by_sampler,
)
from vqflow.metrics.features import Extractor, Features, features_of, module_features

_SNAPSHOT = re.compile(r"epoch_(\d+)")
_NETWORK = "network/"


class FeatureMetric(Metric):
    """A comparison of samples with a split of the data, by the features of a network.

    Subclasses say what they measure. Values compare only at equal number of samples, split and
    network.
    """

    kinds = ("image",)

    def __init__(
        self, features: Features | torch.nn.Module, samples: Count, split: str = "test"
    ) -> None:
        """Checks the settings.

        Args:
            features: The network, or a module from images (n, channels, height, width) in
                [0, 1] to features (n, F); in the configuration a ``class`` with its arguments.
            samples: Number of samples per snapshot.
            split: Split of the data to compare with.

        Raises:
            ValueError: If a setting is out of range.
        """
        if isinstance(features, torch.nn.Module):
            features = module_features(features)
        if not isinstance(features, Features):
            raise ValueError(
                f"features: got {features!r}, allowed: a vqflow.metrics.features.Features or a "
                "torch.nn.Module, {class: ..., **arguments} in the configuration"
            )
        if samples < 2:
            raise ValueError(f"samples: got {samples}, allowed: 2 or more")
        if split not in SPLITS:
            raise ValueError(f"split: got {split!r}, allowed: {', '.join(SPLITS)}")
        self.features = features
        self.samples = samples
        self.split = cast(Split, split)
        self.quantities = [
            quantity for plain in self.measures(features.label) for quantity in by_sampler(plain)
        ]

    @abstractmethod
    def measures(self, label: str) -> Sequence[Quantity]:
        """Gives the quantities that are measured of a set of samples.

        Args:
            label: What the features are called.
        """

    @abstractmethod
    def summarise(self, features: Array) -> Reference:
        """Gives what the comparison needs of the data's features (n, F)."""

    @abstractmethod
    def compare(self, features: Array, summary: Reference) -> Mapping[str, float]:
        """Gives the value of each quantity, by its name.

        Args:
            features: The samples' features (n, F).
            summary: What :meth:`summarise` gave.
        """

    def check(self, spec: DataSpec) -> None:
        """Checks that the network takes such images."""
        self.features.check(spec)

    def reference(self, data: Data) -> Reference:
        """Gives what the comparison and the network need.

        Raises:
            ValueError: If the data are not images, or not such as the network takes.
        """
        place = f"data set '{data.spec.name}', metric '{self.name}'"
        if data.spec.kind != "image":
            raise ValueError(f"{place}: got vectors, allowed: images")
        try:
            prepared, features = self.features.of_split(data, self.split, self.device)
            summary = self.summarise(features)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        network = {_NETWORK + key: value for key, value in prepared.items()}
        return {**network, **summary}

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the rows of the final model, per sampler, and before them those of snapshots.

        Snapshots are scored by classes that state :attr:`across_training`.

        Raises:
            RuntimeError: If there are too few samples.
        """
        prepared = {
            key.removeprefix(_NETWORK): value
            for key, value in reference.items()
            if key.startswith(_NETWORK)
        }

        @cache
        def network() -> Extractor:
            return self.features.network(run.data.spec, prepared, self.device)

        for key, suffix, epoch in self._sets(run):
            samples = run.samples[key][: self.samples]
            if len(samples) < self.samples:
                raise RuntimeError(
                    f"data set '{run.data.spec.name}', metric '{self.name}': {len(samples)} "
                    f"samples in '{key}', {self.samples} are needed"
                )
            known = (self.features, key, self.samples)
            if known not in run.features:
                run.features[known] = features_of(samples, run.data.spec, network())
            for name, value in self.compare(run.features[known], reference).items():
                yield Score(name + suffix, value, self.samples, self.split, epoch)

    def _sets(self, run: TrainedRun) -> list[tuple[str, str, int | None]]:
        """Gives the sets of samples: their key, what names of their rows end in, their epoch."""
        matches = [match for key in run.samples if (match := _SNAPSHOT.fullmatch(key))]
        epochs = sorted((int(match[1]), match[0]) for match in matches if self.across_training)
        return [
            *((key, "", epoch) for epoch, key in epochs),
            *((key, suffix, None) for key, (suffix, _) in SAMPLERS.items() if key in run.samples),
        ]


class FeatureDistance(FeatureMetric):
    """A distance of samples to a split of the data, for every snapshot and the final model.

    Subclasses say which distance.
    """

    across_training = True

    kind: ClassVar[str]
    """What the distance is called: "<kind> <label of the features> distance"."""

    place: ClassVar[int]
    """Its place among the headline tables."""

    decimals: ClassVar[int] = 2

    def measures(self, label: str) -> Sequence[Quantity]:
        """Gives the distance, named like the class calls itself."""
        distance = Quantity(
            type(self).name,
            f"{self.kind} {label} distance",
            better="lower",
            decimals=self.decimals,
            headline=self.place,
        )
        return (distance,)

    @abstractmethod
    def distance(self, features: Array, summary: Reference) -> float:
        """Gives the distance of the samples' features (n, F) to the data.

        Args:
            features: The samples' features.
            summary: What :meth:`summarise` gave.
        """

    def compare(self, features: Array, summary: Reference) -> Mapping[str, float]:
        """Gives the distance."""
        return {type(self).name: self.distance(features, summary)}

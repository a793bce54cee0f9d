"""The Fréchet distance between Gaussians fitted to features of samples and of data."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import svdvals
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from vqflow.datasets.base import SPLITS, Array, Data, DataSpec
from vqflow.metrics.base import SAMPLERS, Metric, Reference, Score, TrainedRun

Floats = NDArray[np.float64]
Extractor = Callable[[Tensor], Tensor]

_BATCH = 50
_SNAPSHOT = re.compile(r"epoch_(\d+)")


def statistics(features: Array) -> tuple[Floats, Floats]:
    """Gives the mean (F,) and the unbiased covariance (F, F) of features (n, F), n at least 2."""
    values = features.astype(np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"features: got shape {values.shape}, allowed: (n, F) with n at least 2")
    return values.mean(axis=0), np.atleast_2d(np.cov(values, rowvar=False))


def frechet_distance(mean1: Floats, cov1: Floats, mean2: Floats, cov2: Floats) -> float:
    """Gives the squared Fréchet (2-Wasserstein) distance of two Gaussians.

    ‖μ1 - μ2‖² + tr C1 + tr C2 - 2 tr (C1^½ C2 C1^½)^½ (Dowson and Landau 1982), as in
    Heusel et al. 2017. The last trace is the sum of the singular values of R1ᵀ R2 for any
    roots R Rᵀ = C, which, unlike a square root of the product, or of its eigenvalues, stays
    exact where covariances are singular or nearly so.

    Args:
        mean1: First mean, (F,).
        cov1: First covariance, (F, F), symmetric and positive semi-definite.
        mean2: Second mean, (F,).
        cov2: Second covariance, (F, F).

    Returns:
        The distance, at least 0.
    """
    root1, root2 = _root(cov1), _root(cov2)
    cross = float(svdvals(root1.T @ root2).sum()) if root1.size and root2.size else 0.0
    shift = np.asarray(mean1, dtype=np.float64) - np.asarray(mean2, dtype=np.float64)
    traces = float(np.trace(cov1)) + float(np.trace(cov2))
    return max(0.0, float(shift @ shift) + traces - 2 * cross)


def _root(covariance: Floats) -> Floats:
    """Gives R (F, rank) with R Rᵀ = covariance, by Cholesky with pivots down to rounding.

    An eighth of the time of an eigendecomposition at 2,048 features.
    """
    symmetric = (covariance + covariance.T).astype(np.float64) / 2
    factor, pivots, rank, _ = dpstrf(symmetric, lower=1)
    root = np.empty((len(symmetric), rank))
    root[pivots - 1] = np.tril(factor)[:, :rank]
    return root


class FrechetDistance(Metric):
    """Fréchet distance of samples to a split of the data, for every snapshot and the final model.

    Subclasses say which network gives the features. Distances compare only at
    equal number of samples, split and network.
    """

    kinds = ("image",)

    name: ClassVar[str]

    def __init__(self, samples: int, split: str = "test") -> None:
        """Checks the settings.

        Args:
            samples: Number of samples per snapshot.
            split: Split of the data to compare with.

        Raises:
            ValueError: If a setting is out of range.
        """
        if samples < 2:
            raise ValueError(f"samples: got {samples}, allowed: 2 or more")
        if split not in SPLITS:
            raise ValueError(f"split: got {split!r}, allowed: {', '.join(SPLITS)}")
        self.samples = samples
        self.split = cast(Literal["train", "validation", "test"], split)

    @abstractmethod
    def prepare(self, data: Data) -> Reference | None:
        """Gives what :meth:`extractor` needs, or ``None`` if the network cannot be had."""

    @abstractmethod
    def extractor(self, spec: DataSpec, reference: Reference) -> Extractor:
        """Builds the network: images (n, channels, height, width) in [0, 1] to features (n, F).

        Args:
            spec: The images' shape.
            reference: What :meth:`prepare` gave.
        """

    def reference(self, data: Data) -> Reference:
        """Gives the features' mean and covariance on the split, and what the network needs.

        Empty if the network cannot be had.

        Raises:
            ValueError: If the data are not images.
        """
        if data.spec.kind != "image":
            raise ValueError(
                f"data set '{data.spec.name}', metric '{self.name}': got vectors, allowed: images"
            )
        prepared = self.prepare(data)
        if prepared is None:
            return {}
        points = data.points[self.split]
        network = self.extractor(data.spec, prepared)
        mean, covariance = statistics(features_of(points, data.spec, network))
        return {**prepared, "mean": mean, "covariance": covariance}

    def blank(self, data: Data) -> Iterator[Score]:
        """Names the rows of both samplers."""
        for metric in (self.name, f"{self.name}_confined"):
            yield Score(metric, float("nan"), "", self.samples, self.split)

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives a row per snapshot, and for the final model one per sampler.

        Raises:
            RuntimeError: If there are too few samples.
        """
        if not reference:
            return
        mean = reference["mean"].astype(np.float64)
        covariance = reference["covariance"].astype(np.float64)
        network = self.extractor(run.data.spec, reference)
        for key, metric, epoch in self._snapshots(run):
            samples = run.samples[key][: self.samples]
            if len(samples) < self.samples:
                raise RuntimeError(
                    f"data set '{run.data.spec.name}', metric '{metric}': {len(samples)} samples "
                    f"in '{key}', {self.samples} are needed"
                )
            found = statistics(features_of(samples, run.data.spec, network))
            value = frechet_distance(mean, covariance, *found)
            yield Score(metric, value, "", self.samples, self.split, epoch)

    def _snapshots(self, run: TrainedRun) -> list[tuple[str, str, int | None]]:
        matches = [match for key in run.samples if (match := _SNAPSHOT.fullmatch(key))]
        epochs = sorted((int(match[1]), match[0]) for match in matches)
        return [
            *((key, self.name, epoch) for epoch, key in epochs),
            *(
                (key, self.name + suffix, None)
                for key, suffix in SAMPLERS.items()
                if key in run.samples
            ),
        ]


def features_of(points: Array, spec: DataSpec, network: Extractor) -> Array:
    """Gives features (n, F) of uint8 pixels (n, D), computed in small batches."""
    with torch.no_grad():
        parts = [
            network(as_images(points[start : start + _BATCH], spec)).cpu()
            for start in range(0, len(points), _BATCH)
        ]
    return torch.cat(parts).numpy()


def as_images(points: Array, spec: DataSpec) -> Tensor:
    """Gives uint8 pixels (n, D) as float32 images (n, channels, height, width) in [0, 1]."""
    if spec.levels is None:
        raise ValueError(f"data set '{spec.name}': vectors have no pixel values")
    pixels = torch.from_numpy(np.ascontiguousarray(points)).float() / (spec.levels - 1)
    return pixels.reshape(-1, *spec.shape)

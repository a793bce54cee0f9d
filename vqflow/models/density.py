"""Models that are no flow on an atlas: what a class must do, and how the workflow sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqflow.datasets.base import Data, DataSpec
from vqflow.models.chart_mixture import Support
from vqflow.models.vqflow import VQFlow
from vqflow.preprocessing import Preprocessing
from vqflow.seeding import derive_seed
from vqflow.training.outcome import Outcome

Points = NDArray[np.float64]
State = Mapping[str, Any]

_CHUNK = 4096


class Density(ABC):
    """A model of the catalogue's section ``models``: a density on R^D that is fitted to points.

    The workflow builds it with ``features`` (D) and the entry's arguments, fits it once per data
    set and trial, saves its state, and scores, samples and draws it like a flow. Points y are
    numpy arrays (N, D), float64, in the space that flows see too: after the data set's
    preprocessing (images dequantised before), whose log-determinants are added outside.

    A subclass gives :meth:`fit`, :meth:`log_prob`, :meth:`sample`, :meth:`state` and
    :meth:`load_state`. Building one must be cheap: all are built before any job starts.

    Args:
        features: D, the number of coordinates.
    """

    scratch: Path | None = None
    """A folder for what a class wants to keep of a fit in progress. The job sets it before
    :meth:`fit`. One that was killed and starts again with the same settings and code finds what
    is in it; it is removed when the run has succeeded. A class that does not look at it starts
    afresh."""

    lower_bound: bool = False
    """Whether :meth:`log_prob` is a lower bound of log p, in the mean over its random numbers."""

    outcome: Outcome | None = None
    """How :meth:`fit` ended, of a class that trains by :func:`vqflow.training.loop.fit`."""

    def __init__(self, features: int) -> None:
        self.features = features

    @abstractmethod
    def fit(self, train: Points, validation: Points, seed: int) -> None:
        """Fits the density.

        Args:
            train: The training split, (N, D).
            validation: The validation split, (M, D): for choices, and for when to stop.
            seed: Of all random numbers: the same gives the same model.

        Raises:
            DivergedError: If there is no fit to be had: a result, like that of a training that
                diverges (:mod:`vqflow.training.outcome`). Any other error ends the run.
        """

    @abstractmethod
    def log_prob(self, y: Points) -> Points:
        """Gives log p(y) (N,), in nats, of points y (N, D): of a density that integrates to 1.

        Or a lower bound of it, where ``lower_bound`` says so.
        """

    @abstractmethod
    def sample(self, n: int, seed: int) -> Points:
        """Draws points (n, D), independent of one another; the same seed gives the same."""

    @abstractmethod
    def state(self) -> State:
        """Gives what was fitted: numpy arrays, numbers, texts and truth values, by name."""

    @abstractmethod
    def load_state(self, state: State) -> None:
        """Takes over what :meth:`state` gave, into an object with the same arguments."""


class DensityModel(nn.Module):
    """A density in the data's own space: what metrics, figures and samples see of it.

    Points x (N, D) are in data space (vectors, or dequantised pixels in [0, 1)), and
    log-densities in nats with respect to its Lebesgue measure, as those of
    :class:`vqflow.models.VQFlow`. It has no charts.

    Args:
        preprocessing: Bijection from data space to the space of the density.
        density: The density.
        name: What the entry is called, for messages.
    """

    def __init__(self, preprocessing: Preprocessing, density: Density, name: str) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.density = density
        self.name = name

    @property
    def spec(self) -> DataSpec:
        """What the data are."""
        return self.preprocessing.spec

    @property
    def device(self) -> torch.device:
        """Where points are before and after the density, which itself sees numpy's."""
        return self.preprocessing.like.device

    @property
    def lower_bound(self) -> bool:
        """Whether its log-densities are lower bounds."""
        return self.density.lower_bound

    @property
    def fitted_numbers(self) -> int:
        """How many numbers the arrays of the density's state hold."""
        values = self.density.state().values()
        return sum(value.size for value in values if isinstance(value, np.ndarray))

    def fit(self, data: Data, seed: int) -> None:
        """Fits preprocessing and density; the test split is not read.

        Args:
            data: The data set.
            seed: The trial's seed.

        Raises:
            ValueError: If the preprocessing gives something that is not finite.
        """
        name = data.spec.name
        self.preprocessing.fit(data.points["train"], seed=derive_seed("preprocessing", name))
        train, validation = (self._preprocessed(data, split) for split in ("train", "validation"))
        self.density.fit(train, validation, derive_seed("model", name, seed))

    @torch.no_grad()
    def _preprocessed(self, data: Data, split: str) -> Points:
        generator = torch.Generator().manual_seed(derive_seed("dequantise", data.spec.name, split))
        points = torch.as_tensor(data.points[split])
        y, _ = self.preprocessing(self.preprocessing.dequantise(points, generator))
        return _as_array(y)

    @torch.no_grad()
    def log_prob(self, x: Tensor, support: Support = "all") -> Tensor:
        """Gives log p(x) (N,), in nats, of points x (N, D); without gradients.

        Raises:
            ValueError: For another support than ``"all"``, or if the class gives another shape.
        """
        if support != "all":
            raise ValueError(f"models.{self.name}: support is '{support}', but it has no charts")
        return torch.cat([self._log_prob(part) for part in x.split(_CHUNK)])

    def _log_prob(self, x: Tensor) -> Tensor:
        y, ladj = self.preprocessing(x)
        values = self._checked("log_prob", self.density.log_prob(_as_array(y)), (len(x),))
        return (torch.as_tensor(values, device=x.device) + ladj.double()).to(x.dtype)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws points x (n, D).

        Args:
            n: Number of points.
            generator: Random numbers; ``None`` for torch's global ones.

        Raises:
            ValueError: If the class gives another shape.
        """
        device = None if generator is None else generator.device
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=device))
        y = self._checked("sample", self.density.sample(n, seed), (n, self.spec.features))
        like = self.preprocessing.like
        return self.preprocessing.inverse(torch.as_tensor(y).to(like.device, like.dtype))

    def _checked(self, method: str, values: Any, shape: tuple[int, ...]) -> Points:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != shape:
            kind = type(self.density).__name__
            raise ValueError(
                f"models.{self.name}: {kind}.{method} gave the shape {found.shape}, not {shape}"
            )
        return found


Model = VQFlow | DensityModel
"""What a variant is, once it is trained."""


def _as_array(y: Tensor) -> Points:
    return y.double().cpu().numpy()

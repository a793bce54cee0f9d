"""What every metric is: optional reference statistics of the data, and scores of one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from vqflow.datasets.base import Array, Data
from vqflow.models.drawing import NotFiniteError
from vqflow.models.vqflow import VQFlow

__all__ = ["SAMPLERS", "Metric", "NotFiniteError", "Reference", "Score", "TrainedRun"]

Reference = dict[str, Array]

SAMPLERS = {"final": "", "final_confined": "_confined", "final_mean": "_mean"}
"""The final model's sets of samples, and what their rows' names end in."""


@dataclass(frozen=True)
class Score:
    """One row of the metrics table.

    Attributes:
        metric: The metric's name in the table.
        value: Its value.
        unit: Its unit; ``""`` for a pure number.
        n: Number of points or samples that the value was computed from.
        split: The split of the data (for Fréchet distances, that of the reference).
        epoch: The epoch of the snapshot; ``None`` for the final model.
    """

    metric: str
    value: float
    unit: str
    n: int
    split: Literal["train", "validation", "test"]
    epoch: int | None = None


@dataclass(frozen=True)
class TrainedRun:
    """Everything that a metric may look at.

    Attributes:
        data: The data set.
        model: The final model, in evaluation mode and float32.
        samples: Arrays of (n, D): ``"final"`` and ``"final_confined"`` (from the
            final model, by the two samplers; the second is absent where a chart
            leaks almost everything), ``"final_mean"`` (without the residual, where an
            embedding raises the dimension) and ``"epoch_<number>"`` (snapshots); uint8
            pixels for images, float32 for vectors.
        history: One row per epoch of training.
        densities: The final model's log-densities, by support and split: filled by the
            first metric that needs them.
    """

    data: Data
    model: VQFlow
    samples: dict[str, np.ndarray]
    history: pd.DataFrame
    densities: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)


class Metric(ABC):
    """A metric of the catalogue. Subclasses take their configuration as keyword arguments."""

    kinds: tuple[str, ...] = ("vector", "image")
    """The kinds of data that the metric can score."""

    own_space: bool = False
    """Whether the flow must see the data as they are, with preprocessing the identity."""

    device: str = "cpu"
    """Where networks of the metric run: that of the trained flow, set by the job."""

    def reference(self, data: Data) -> Reference:
        """Computes what depends on the data alone, once per data set."""
        return {}

    def blank(self, data: Data) -> Iterable[Score]:
        """Names the final model's scores, without values: the rows of a run that diverged."""
        return []

    @abstractmethod
    def scores(self, run: TrainedRun, reference: Reference) -> Iterable[Score]:
        """Scores one trained run.

        Args:
            run: The run.
            reference: What :meth:`reference` gave for the run's data set.
        """

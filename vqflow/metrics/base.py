"""What every metric is: what it measures, reference statistics of the data, scores of one run."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vqflow.datasets.base import Array, Data, DataSpec, Split
from vqflow.models.density import Model
from vqflow.models.vqflow import VQFlow

Reference = dict[str, Array]

SAMPLERS = {
    "final": ("", ""),
    "final_confined": ("_confined", ", confined"),
    "final_mean": ("_mean", ", without residual"),
}
"""The final model's sets of samples, and what their rows' names and labels end in."""


@dataclass(frozen=True)
class Quantity:
    """What a row of the tables measures, and how tables and figures show it.

    Attributes:
        name: Its name among those of its class; rows are named as :meth:`Metric.rows` says.
        label: What it is called in titles, as within a sentence; the name where empty.
        unit: Its unit; ``""`` for a pure number.
        better: Which values are better; ``None`` for what describes and does not rank: it has
            no gain over a baseline and no winner.
        decimals: Decimals in the tables for people.
        headline: Its place among the tables for people, lowest first, then by name; the
            library's own lie below 100. ``None``: in ``metrics.csv`` and ``summary.csv`` alone.
        of_density: Whether it is as good as the model's log-density is high, so that it is only
            bounded where that is (``lower_bound`` of :class:`vqflow.models.density.Density`).
    """

    name: str
    label: str = ""
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    decimals: int = 2
    headline: int | None = 100
    of_density: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(
                f"quantity: got the name {self.name!r}, allowed: letters, digits, _, . and -"
            )
        if self.better not in ("higher", "lower", None):
            raise ValueError(
                f"quantity '{self.name}': better is {self.better!r}, "
                "allowed: 'higher', 'lower' or None"
            )
        if self.decimals < 0:
            raise ValueError(
                f"quantity '{self.name}': decimals is {self.decimals}, allowed: 0 or more"
            )
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " "))


def by_sampler(quantity: Quantity) -> tuple[Quantity, ...]:
    """Gives a quantity of samples for each of :data:`SAMPLERS`; the plain one alone is a headline.

    Args:
        quantity: The quantity of the final model's plain samples.
    """
    return tuple(
        replace(
            quantity,
            name=quantity.name + suffix,
            label=quantity.label + label,
            headline=None if suffix else quantity.headline,
        )
        for suffix, label in SAMPLERS.values()
    )


@dataclass(frozen=True)
class Score:
    """One value of one of a metric's quantities.

    Attributes:
        quantity: The quantity's name.
        value: Its value; one that is not finite gives a row of the status ``not_finite``.
        n: Number of points or samples that the value was computed from.
        split: The split of the data (for distances, that of the reference).
        epoch: The epoch of the snapshot; ``None`` for the final model.
        values: The values (n,) that ``value`` is the mean of, where it is one: the tables then
            say its standard error, the median, and how much of it a few of them decide.
        of_points: Whether these belong to the points of the split, one each and in their order,
            so that two models' can be paired; values of samples cannot.
    """

    quantity: str
    value: float
    n: int
    split: Split
    epoch: int | None = None
    values: NDArray[np.float64] | None = None
    of_points: bool = True


@dataclass(frozen=True)
class TrainedRun:
    """Everything that a metric may look at, of a run that did not diverge.

    Attributes:
        data: The data set.
        model: The final model, in evaluation mode and float32: a flow on an atlas, or a
            :class:`vqflow.models.density.DensityModel`, which has no charts.
        samples: Arrays of (n, D): ``"final"`` and ``"final_confined"`` (from the
            final model, by the two samplers; the second is absent where a chart
            leaks almost everything), ``"final_mean"`` (without the residual, where an
            embedding raises the dimension) and ``"epoch_<number>"`` (snapshots); uint8
            pixels for images, float32 for vectors.
        history: One row per epoch of training.
        exact_log_density: The data set's own :meth:`vqflow.datasets.base.Dataset.log_density`.
        densities: The final model's log-densities, by support and split: filled by the
            first metric that needs them.
        features: Features of samples, by network, set of samples and number: likewise.
    """

    data: Data
    model: Model
    samples: dict[str, np.ndarray]
    history: pd.DataFrame
    exact_log_density: Callable[[Array], Array | None]
    densities: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    features: dict[tuple[Any, str, int], Array] = field(default_factory=dict)

    @property
    def flow(self) -> VQFlow:
        """The final model, for metrics that need charts.

        Raises:
            TypeError: If it has none, because the metric does not state ``needs_charts``.
        """
        if not isinstance(self.model, VQFlow):
            raise TypeError(
                f"the model '{self.model.name}' has no charts; a metric that reads them states "
                "needs_charts = True, and then gives no rows for such a model"
            )
        return self.model


class Metric(ABC):
    """A metric of the catalogue. Subclasses take their configuration as keyword arguments.

    A subclass states its :attr:`quantities`, on the class or in ``__init__``, and gives their
    values in :meth:`scores`; tables and figures follow from these.
    """

    quantities: Sequence[Quantity] = ()
    """All that the metric may give a score of."""

    name: str = ""
    """On the class: what it calls its entry itself, see :meth:`rows`. The job sets the entry's."""

    kinds: tuple[str, ...] = ("vector", "image")
    """The kinds of data that the metric can score."""

    own_space: bool = False
    """Whether the flow must see the data as they are, with preprocessing the identity."""

    across_training: bool = False
    """Whether snapshots across training are scored too, which the figure ``fid_curves`` draws."""

    needs_charts: bool = False
    """Whether it reads charts, atlas or flow (``run.flow``): models without give no rows then."""

    device: str = "cpu"
    """Where networks of the metric run: that of the trained flow, set by the job."""

    def rows(self) -> dict[str, Quantity]:
        """Gives, by the quantities' own names, the quantities named as their rows in the tables.

        The entry's name takes the place of the class' :attr:`name` where a quantity's name
        begins with it, and stands before it where it does not; an entry that is called what
        the class calls it leaves all names as they are. A class with one quantity and no name
        of its own calls itself like that quantity, so that the row is named like the entry.
        """
        own = type(self).name or (self.quantities[0].name if len(self.quantities) == 1 else "")
        entry = self.name or own

        def row(name: str) -> str:
            if entry == own:
                return name
            if own and (name == own or name.startswith(f"{own}_")):
                return entry + name[len(own) :]
            return f"{entry}_{name}"

        return {
            quantity.name: replace(quantity, name=row(quantity.name))
            for quantity in self.quantities
        }

    def check(self, spec: DataSpec) -> None:
        """Checks, before any work starts, that data of this shape can be scored.

        Args:
            spec: The data's kind and shape; called only where they are known without reading.

        Raises:
            ValueError: If they cannot.
        """
        return

    def reference(self, data: Data) -> Reference:
        """Computes what depends on the data alone, once per data set."""
        return {}

    @abstractmethod
    def scores(self, run: TrainedRun, reference: Reference) -> Iterable[Score]:
        """Scores one trained run; runs that diverged are not scored.

        Args:
            run: The run.
            reference: What :meth:`reference` gave for the run's data set.
        """

"""What every figure is: what it says of itself, what it reads, and how it is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vqflow.config.figures import Cell, Drawing
from vqflow.config.setting import Setting
from vqflow.datasets.base import Array, Data

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Inputs:
    """What one figure shows.

    Samples, charts and models are those of the first seed; tables hold all seeds. Cells and
    the rows of tables have the order of the configuration.

    Attributes:
        drawing: The figure.
        contents: What was read, by the names of :attr:`RunFigure.reads`.
    """

    drawing: Drawing
    contents: Mapping[str, Any]

    @property
    def cells(self) -> list[Cell]:
        """The variants on data sets that the figure shows."""
        return self.drawing.cells

    @property
    def datasets(self) -> list[str]:
        """The data sets of the cells, each once."""
        return list(dict.fromkeys(cell.dataset for cell in self.cells))

    @property
    def seed(self) -> int:
        """The first seed, of samples, charts and models."""
        return self.drawing.seeds[0]

    @property
    def metric(self) -> str:
        """The metric that the figure is of, for figures that are drawn per metric."""
        return self.drawing.metric or ""

    @property
    def data(self) -> Mapping[str, Data]:
        """The splits of each data set, by its name."""
        splits: Mapping[str, Data] = self._read("data")
        return splits

    def log_density(self, dataset: str, x: Array) -> Array | None:
        """Gives the exact log-density (N,), in nats, of points x (N, D); it comes with the data.

        Returns:
            ``None`` where the data set does not know it.
        """
        exact: Mapping[str, Callable[[Array], Array | None]] = self._read("data", "log_density")
        return exact[dataset](x)

    @property
    def samples(self) -> Mapping[Cell, Arrays]:
        """The samples of each cell: see :class:`vqflow.metrics.base.TrainedRun`.

        Beside those, ``"final_charts"``, the chart (n,) that each final sample is of. A run
        that diverged has no ``"final"``.
        """
        samples: Mapping[Cell, Arrays] = self._read("samples")
        return samples

    @property
    def charts(self) -> Mapping[Cell, Arrays]:
        """Each cell's ``"nearest"``, the training points' charts (N,), and ``"centres"`` (K, D).

        A figure that reads charts, or the history, is drawn of flows on atlases alone.
        """
        charts: Mapping[Cell, Arrays] = self._read("charts")
        return charts

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per score: dataset, variant, flow, atlas, embedding, seed, epoch, metric, ..."""
        return self._table("metrics")

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch of training: the columns of a cell, seed, epoch, train_loss, ...

        A training without epochs has one row, in which epoch and losses are empty.
        """
        return self._table("history")

    @property
    def runs(self) -> pd.DataFrame:
        """One row per training: see :func:`vqflow.stages.tables.run_table`."""
        return self._table("runs")

    @property
    def settings(self) -> list[Setting]:
        """What each of the cells is: its entries of the catalogue, with all that they state."""
        settings: list[Setting] = self._read("settings")
        return settings

    def model(self, cell: Cell) -> Any:
        """Loads a cell's model: on the CPU, in evaluation mode, float32.

        A :class:`vqflow.models.VQFlow`, or where ``cell.atlas`` is ``"none"`` a
        :class:`vqflow.models.density.DensityModel`; ``None`` where there is none, because it
        or its atlas diverged.
        """
        return self._read("model")[cell]()

    def _table(self, name: str) -> pd.DataFrame:
        table: pd.DataFrame = self._read(name)
        return table

    def _read(self, name: str, content: str = "") -> Any:
        if name not in self.drawing.reads:
            raise ValueError(
                f"figures.{self.drawing.entry.name}: uses {name}, but {self.drawing.entry.class_} "
                f"states reads = {tuple(self.drawing.reads)}"
            )
        return self.contents[content or name]


class RunFigure(ABC):
    """A figure of the catalogue. Subclasses take their configuration as keyword arguments.

    The attributes are read from the source before anything runs, so a class states them in
    its body as literals. A figure is drawn again when what it reads changes.
    """

    kinds: ClassVar[tuple[str, ...]] = ("vector", "image")
    """The kinds of data that it can show."""

    features: ClassVar[tuple[int, ...] | None] = None
    """The numbers of coordinates that the data may have; ``None``: any."""

    reads: ClassVar[tuple[str, ...]] = ()
    """What it uses of its inputs: some of ``"data"``, ``"samples"``, ``"charts"``,
    ``"metrics"``, ``"history"``, ``"runs"``, ``"model"`` and ``"settings"``."""

    per: ClassVar[tuple[str, ...]] = ()
    """What one figure is drawn for each of: ``"dataset"``, ``"family"`` (a variant without a
    baseline, with those compared with it), ``"variant"``, ``"metric"`` (of those scored across
    training), or several of these, for each combination; with none, one figure for the run."""

    only_compared: ClassVar[bool] = False
    """Whether variants without a baseline are left out."""

    caption: ClassVar[str] = ""
    """What the report says below it, in reStructuredText."""

    def check(self, settings: Sequence[Setting], metrics: Collection[str]) -> None:
        """Refuses, before anything runs, what the figure could not draw; by default nothing.

        Args:
            settings: The variants on data sets of the benchmarks that ask for it.
            metrics: Names of the rows that the run's tables have.

        Raises:
            ValueError: If an argument names what is not there.
        """
        return

    @abstractmethod
    def draw(self, inputs: Inputs) -> Figure:
        """Draws the figure, in the project's theme; the workflow saves it."""

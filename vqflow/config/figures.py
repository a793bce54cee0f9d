"""Which figures a run draws: what each shows, from which files, and under which name.

Imports no class of figures, which would need Matplotlib: what a class states of itself is read
from its source.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from vqflow.config.catalogue import Config
from vqflow.config.components import ConfigError
from vqflow.config.entries import Component, DatasetEntry, Name, Strict
from vqflow.config.setting import NONE, DensitySetting, FlowSetting, Setting
from vqflow.source import class_attributes, find_module, near_class, syntax

Read = Literal["data", "samples", "charts", "metrics", "history", "runs", "model", "settings"]
Axis = Literal["dataset", "family", "variant", "metric"]

_ALLOWED: dict[str, tuple[str, ...]] = {
    "kinds": ("vector", "image"),
    "reads": get_args(Read),
    "per": get_args(Axis),
}
_PARTS: dict[str, tuple[str, ...]] = {"runs": ("flows", "statuses", "atlases"), "settings": ()}
"""What is not read from one file each: of a run what trained, how it ended, and its atlas; of
settings none."""

_FILE_PER_SEED = {"history", "runs"}
_OF_ALL_SEEDS = {"metrics", *_FILE_PER_SEED}
_OF_FLOWS = {"charts", "history"}
"""What models that are no flow do not have: figures that read it leave them out."""


@dataclass(frozen=True)
class Statement:
    """What a class of figures states of itself: see :class:`vqflow.figures.base.RunFigure`."""

    kinds: tuple[str, ...]
    features: tuple[int, ...] | None
    reads: tuple[Read, ...]
    per: tuple[Axis, ...]
    only_compared: bool
    caption: str


class Cell(Strict):
    """One variant on one data set, with the names of what it is made of.

    Attributes:
        lower_bound: Whether the model only bounds its density from below, as the class of a model
            that is no flow may state.
    """

    dataset: Name
    variant: Name
    flow: Name
    atlas: Name
    embedding: Name
    lower_bound: bool = False


class Drawing(Strict):
    """One figure to be drawn.

    Attributes:
        name: Its file's name, without the suffix.
        entry: The class and its arguments.
        reads: What the class reads.
        cells: What it shows, in the order of the configuration.
        seeds: The trials that it reads; the first alone gives samples, charts and model.
        metric: The metric that it is of, for figures that are drawn per metric.
        datasets: The entries of the data sets that it shows, for figures that read data.
        settings: The entries of each cell, for figures that read settings.
    """

    name: str
    entry: Component
    reads: list[Read]
    cells: list[Cell]
    seeds: list[int]
    metric: Name | None
    datasets: list[DatasetEntry]
    settings: list[Setting] = []

    def keys(self, read: Read) -> list[tuple[Cell, int]]:
        """Gives the cells and seeds that a kind of file is read of; metrics have all in one."""
        seeds = self.seeds if read in _FILE_PER_SEED else self.seeds[:1]
        return [(cell, seed) for cell in self.cells for seed in seeds]

    def files(self, patterns: Mapping[str, str]) -> dict[str, list[str]]:
        """Gives the files that the figure reads, one for each of :meth:`keys`.

        Args:
            patterns: For all that a figure can read, a path with ``{dataset}``,
                ``{variant}``, ``{atlas}`` and ``{seed}``, as far as it depends on them. In place
                of ``"runs"`` stand ``"flows"``, ``"statuses"`` and ``"atlases"``, the last of those
            cells alone that have one.
        """
        return {
            part: [
                patterns[part].format(**dict(cell), seed=n)
                for cell, n in self.keys(read)
                if part != "atlases" or cell.atlas != NONE
            ]
            for read in self.reads
            for part in _PARTS.get(read, (read,))
        }


def kind_of(drawing: Drawing) -> str:
    """Says in words what a figure is, for a heading."""
    return drawing.entry.name.replace("_", " ")


def subject_of(drawing: Drawing) -> str:
    """Says what a figure is drawn of; empty where that is the whole run."""
    return drawing.name.removeprefix(drawing.entry.name).removeprefix("-")


def stated_figures(config: Config) -> dict[str, Statement]:
    """Reads what the class of every selected figure states of itself.

    Args:
        config: The configuration.

    Raises:
        ConfigError: If a class is none of figures, or states what is not allowed.
    """
    names = dict.fromkeys(name for entry in config.benchmarks.values() for name in entry.figures)
    return {name: _statement(name, config.figures[name].class_) for name in names}


def _statement(name: str, path: str) -> Statement:
    try:
        file = find_module(path.rpartition(".")[0])
        if file is not None:
            syntax(file)
    except SyntaxError as error:
        raise ConfigError(f"figures.{name}.class: cannot read '{path}': {error}") from error
    found = class_attributes(path)
    if missing := [field.name for field in fields(Statement) if field.name not in found]:
        near = near_class(path)
        hint = f"; did you mean '{near}'?" if near else ""
        raise ConfigError(
            f"figures.{name}.class: '{path}' is not there, or no vqflow.figures.RunFigure "
            f"(no {missing[0]}){hint}"
        )
    for attribute, allowed in _ALLOWED.items():
        stated = found[attribute]
        if (
            not isinstance(stated, tuple)
            or set(stated) - set(allowed)
            or len(set(stated)) != len(stated)
        ):
            raise ConfigError(
                f"figures.{name}: {path}.{attribute} is {stated!r}; allowed: a tuple of some of "
                f"{', '.join(map(repr, allowed))}"
            )
    features = found["features"]
    if features is not None and not (
        isinstance(features, tuple) and all(isinstance(count, int) for count in features)
    ):
        raise ConfigError(
            f"figures.{name}: {path}.features is {features!r}; allowed: a tuple of numbers of "
            "coordinates, or None"
        )
    return Statement(**{field.name: found[field.name] for field in fields(Statement)})


def across_training(config: Config) -> list[str]:
    """Gives the selected metrics whose class states that it scores snapshots too."""
    names = dict.fromkeys(name for entry in config.benchmarks.values() for name in entry.metrics)
    classes = {name: config.metrics[name].class_ for name in names}
    return [name for name, path in classes.items() if class_attributes(path).get("across_training")]


def plan_figures(
    config: Config, stated: Mapping[str, Statement], across: Sequence[str]
) -> dict[str, Drawing]:
    """Gives every figure that the selected benchmarks ask for, by its file's name.

    Args:
        config: The configuration.
        stated: What :func:`stated_figures` gave.
        across: The metrics that are scored across training.

    Raises:
        ConfigError: If two figures would have the same name.
    """
    drawings: dict[str, Drawing] = {}
    settings = config.settings()
    for figure, statement in stated.items():
        for axes, cells in _groups(config, figure, statement, across):
            name = "-".join([figure, *axes.values()])
            if name in drawings:
                raise ConfigError(
                    f"figures.{figure}: its file '{name}' is one of figures."
                    f"{drawings[name].entry.name} too; give one of them another name"
                )
            all_seeds = _OF_ALL_SEEDS & set(statement.reads)
            datasets = dict.fromkeys(cell.dataset for cell in cells)
            drawings[name] = Drawing(
                name=name,
                entry=config.figures[figure],
                reads=list(statement.reads),
                cells=cells,
                seeds=config.seeds if all_seeds else config.seeds[:1],
                metric=axes.get("metric"),
                datasets=[config.datasets[dataset] for dataset in datasets]
                if "data" in statement.reads
                else [],
                settings=[settings[cell.dataset, cell.variant] for cell in cells]
                if "settings" in statement.reads
                else [],
            )
    return drawings


def _groups(
    config: Config, figure: str, statement: Statement, across: Sequence[str]
) -> Iterator[tuple[dict[Axis, str], list[Cell]]]:
    """Gives what each drawing of a figure is of, by axis, and the cells that it shows."""
    settings, families, baselines = config.settings(), config.families(), config.baselines()
    chosen = [
        key
        for key in config.figure_settings(figure)
        if key[1] in baselines or not statement.only_compared
        if isinstance(settings[key], FlowSetting) or not _OF_FLOWS & set(statement.reads)
    ]
    values: dict[Axis, Iterable[str]] = {
        "dataset": dict.fromkeys(dataset for dataset, _ in chosen),
        "family": families,
        "variant": dict.fromkeys(variant for _, variant in chosen),
        "metric": across,
    }
    for combination in itertools.product(*(values[axis] for axis in statement.per)):
        axes = dict(zip(statement.per, combination, strict=True))
        keys = chosen
        if "family" in axes:
            keys = [key for key in keys if key[1] in families[axes["family"]]]
        if "metric" in axes:
            keys = [key for key in keys if axes["metric"] in config.selected_metrics(*key)]
        cells = [
            _cell(settings[dataset, variant])
            for dataset, variant in keys
            if axes.get("dataset", dataset) == dataset and axes.get("variant", variant) == variant
        ]
        if cells:
            yield axes, cells


def _cell(setting: Setting) -> Cell:
    bound = isinstance(setting, DensitySetting) and class_attributes(setting.model.class_).get(
        "lower_bound", False
    )
    names = setting.names()
    return Cell(dataset=setting.dataset.name, variant=setting.variant, lower_bound=bound, **names)

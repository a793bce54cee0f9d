"""Building everything that a run selects, once, before any work starts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vqflow.choice import candidates
from vqflow.config.components import ConfigError, build_entry
from vqflow.config.entries import Component, DatasetEntry
from vqflow.config.setting import DensitySetting, FlowSetting, Setting, load_setting
from vqflow.config.values import load
from vqflow.datasets.base import Dataset, DataSpec
from vqflow.figures.base import RunFigure
from vqflow.metrics.base import Metric
from vqflow.models.build import build_atlas, build_embedding, build_model
from vqflow.models.density_store import build_density
from vqflow.objectives import Objective
from vqflow.stages.evaluate import build_metric
from vqflow.stages.machine_checks import check_gpu, check_memory, check_points
from vqflow.stages.part_checks import (
    POINTS,
    check_base,
    check_flow,
    check_objective,
    check_preprocessing,
    check_quantiser,
)


def check(selection: Mapping[str, Any]) -> list[str]:
    """Builds every selected class with its arguments, and reads the user's data files.

    Args:
        selection: Plain values: ``settings``: all of them; ``metrics``: data set -> metrics'
            entries; ``figures``: figure -> its ``entry``, what was read that its class states
            (``stated``), and its ``cells``, pairs of data set and variant; ``gpu``, where the
            jobs run on this machine: the places that ask for a GPU; ``data_root``: the folder of
            the data files, none of which are read without it.

    Returns:
        The names of what was built.

    Raises:
        ConfigError: One line per mistake, each beginning with its place in the configuration.
    """
    attempts = _Attempts()
    here = "gpu" in selection
    attempts.run("GPU", partial(check_gpu, selection.get("gpu", ())))
    settings = [load_setting(value) for value in selection["settings"]]
    entries = {setting.dataset.name: setting.dataset for setting in settings}
    built = {
        name: attempts.run(f"datasets.{name}", partial(_dataset, entry, selection.get("data_root")))
        for name, entry in entries.items()
    }
    datasets: dict[str, Dataset] = {name: each for name, each in built.items() if each is not None}
    for setting in settings:
        name = setting.dataset.name
        if name not in datasets:
            continue
        spec = _stand_in(setting, datasets[name])
        model = partial(_model, setting, spec, datasets[name], here)
        attempts.run(f"variants.{setting.variant} on {name}", model)
    metrics: dict[str, Metric] = {}
    for name, values in selection["metrics"].items():
        own = [setting for setting in settings if setting.dataset.name == name]
        for value in values if name in datasets else []:
            entry = load(Component, value)
            checked = partial(_metric, entry, name, datasets[name], own)
            metric = attempts.run(f"metrics.{entry.name} on {name}", checked)
            if metric is not None:
                metrics[entry.name] = metric
    attempts.run("metrics: names of rows", partial(_rows, metrics))
    for figure, asked in selection["figures"].items():
        cells = [tuple(cell) for cell in asked["cells"]]
        own = [each for each in settings if (each.dataset.name, each.variant) in cells]
        shown = {name: datasets[name] for name, _ in cells if name in datasets}
        entry = load(Component, asked["entry"])
        drawn = partial(_figure, entry, asked["stated"], shown, own, metrics)
        attempts.run(f"figures.{figure}", drawn)
    if attempts.mistakes:
        raise ConfigError("\n".join(attempts.mistakes))
    return attempts.done


class _Attempts:
    """Collects the mistakes of many attempts, each once."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []
        self.done: list[str] = []

    def run(self, place: str, make: Callable[[], Any]) -> Any:
        try:
            result = make()
        except ConfigError as error:
            mistake = str(error)
        except Exception as error:
            mistake = f"{place}: {type(error).__name__}: {error}"
        else:
            self.done.append(place)
            return result
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)
        return None


def _stand_in(setting: Setting, dataset: Dataset) -> DataSpec:
    """Gives the data's shape, or where it is not known yet a small one wider than latent space."""
    name, kind = setting.dataset.name, dataset.kind
    if dataset.shape is not None:
        return DataSpec(name, kind, dataset.shape, 256 if kind == "image" else None)
    parts: list[Component | None] = []
    if isinstance(setting, FlowSetting):
        parts = [setting.embedding, setting.base, setting.choice_embedding]
    given = [part.arguments() for part in parts if part is not None]
    sizes = [part.get(size, 0) for part in given for size in ("latent_features", "rank")]
    latent = max((size for size in sizes if isinstance(size, int)), default=0)
    if kind == "image":
        side = max(8, 4 * math.ceil(math.sqrt(latent + 1) / 4))
        return DataSpec(name, "image", (1, side, side), 256)
    return DataSpec(name, "vector", (max(3, latent + 1),))


def _dataset(entry: DatasetEntry, data_root: str | None) -> Dataset:
    dataset = build_entry(entry, "datasets", Dataset)
    if not hasattr(dataset, "kind"):
        raise ConfigError(
            f"datasets.{entry.name}.class: '{entry.class_}' does not state its kind "
            "('vector' or 'image')"
        )
    if data_root is not None:
        dataset.check(entry.name, Path(data_root))
    return dataset


def _metric(entry: Component, name: str, dataset: Dataset, settings: Sequence[Setting]) -> Metric:
    place = f"metrics.{entry.name}"
    metric = build_metric(entry)
    if dataset.kind not in metric.kinds:
        raise ConfigError(
            f"{place}: scores {' and '.join(metric.kinds)} data, "
            f"but datasets.{name} is {dataset.kind} data"
        )
    if dataset.shape is not None:
        try:
            metric.check(_stand_in(settings[0], dataset))
        except ValueError as error:
            raise ConfigError(f"{place} on {name}: {error}") from error
    if metric.own_space and settings[0].dataset.preprocess:
        raise ConfigError(f"{place}: needs datasets.{name}.preprocess: []")
    if metric.needs_charts and not any(isinstance(each, FlowSetting) for each in settings):
        raise ConfigError(f"{place}: needs charts, which no variant on datasets.{name} has")
    for setting in settings:
        _check_samples(place, metric, name, setting)
    return metric


def _check_samples(place: str, metric: Metric, dataset: str, setting: Setting) -> None:
    needed = getattr(metric, "samples", 0)
    drawn = {f"sampling.{setting.sampling.name}.samples": setting.sampling.samples}
    if isinstance(setting, FlowSetting) and metric.across_training:
        training = setting.training
        if training.snapshot_interval is not None and training.snapshot_samples is not None:
            drawn[f"training.{training.name}.snapshot_samples"] = training.snapshot_samples
    for key, samples in drawn.items():
        if samples < needed:
            raise ConfigError(
                f"{place}.samples: {needed} are needed, but {key}, used for {dataset}, is {samples}"
            )


def _rows(metrics: Mapping[str, Metric]) -> None:
    """Refuses two entries that give rows of one name: the tables could not tell them apart."""
    owners: dict[str, str] = {}
    for entry, metric in metrics.items():
        for quantity in metric.rows().values():
            owner = owners.setdefault(quantity.name, entry)
            if owner != entry:
                raise ConfigError(
                    f"metrics.{entry}: gives rows '{quantity.name}' as metrics.{owner} does; "
                    "rename one of the two entries, which renames its rows"
                )


def _figure(
    entry: Component,
    stated: Mapping[str, Any],
    datasets: Mapping[str, Dataset],
    settings: Sequence[Setting],
    metrics: Mapping[str, Metric],
) -> None:
    place, path = f"figures.{entry.name}", entry.class_
    figure = build_entry(entry, "figures", RunFigure)
    for attribute, read in stated.items():
        given = getattr(figure, attribute)
        if given != (tuple(read) if isinstance(read, list) else read):
            raise ConfigError(
                f"{place}: {path}.{attribute} is {given!r}, but its source reads as {read!r}; "
                "state it in the body of the class as a literal"
            )
    for name, dataset in datasets.items():
        if dataset.kind not in figure.kinds:
            raise ConfigError(
                f"{place}: draws {' and '.join(figure.kinds)} data, "
                f"but datasets.{name} is {dataset.kind} data"
            )
        features = None if dataset.shape is None else math.prod(dataset.shape)
        allowed = figure.features
        if allowed is not None and features is not None and features not in allowed:
            raise ConfigError(
                f"{place}: draws data of {' or '.join(map(str, allowed))} dimensions, "
                f"but datasets.{name} has {features}"
            )
    rows = {row.name for metric in metrics.values() for row in metric.rows().values()}
    try:
        figure.check(settings, rows)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def _model(setting: Setting, spec: DataSpec, dataset: Dataset, here: bool) -> None:
    check_memory(setting, dataset, spec.features, here)
    if isinstance(setting, DensitySetting):
        model = build_density(setting, spec)
        check_preprocessing(setting.dataset, model.preprocessing)
    else:
        _flow(setting, spec, dataset)


def _flow(setting: FlowSetting, spec: DataSpec, dataset: Dataset) -> None:
    for candidate in candidates(setting.atlas):
        check_points(setting, dataset, build_atlas(candidate, spec))
    atlas = build_atlas(next(candidates(setting.atlas)), spec)
    atlas.eval().requires_grad_(False)
    x = torch.rand(POINTS, spec.features, generator=torch.Generator().manual_seed(0))
    charts = max(POINTS, atlas.min_charts)
    atlas.set_charts(torch.zeros(charts, atlas.encode(x).shape[1]), x)
    if setting.choice_embedding is not None:
        build_embedding(setting.choice_embedding, atlas)
    model = build_model(setting, atlas, seed=0)
    check_quantiser(atlas)
    objective = build_entry(setting.objective, "objectives", Objective)
    check_objective(setting.objective, objective)
    check_preprocessing(setting.dataset, model.preprocessing)
    check_flow(setting.flow, model)
    check_base(setting.base, model)
    with torch.no_grad():
        model.log_prob(x)


if __name__ == "__main__":
    try:
        names = check(json.load(sys.stdin))
    except ConfigError as error:
        sys.exit("\n".join(f"preflight: {line}" for line in str(error).splitlines()))
    print(f"preflight: {len(names)} data sets, models and metrics can be built")

"""What a job is expected to take, before it runs: seconds and memory.

First estimates, for schedulers and for deciding what is short: no result depends on them. Made
from the configuration alone, so that parsing the workflow stays fast; what was measured in an
earlier run is better, and is taken where there is a table of it.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vqflow.config.entries import AtlasEntry, DatasetEntry
from vqflow.config.setting import DensitySetting, FlowSetting, Setting
from vqflow.source import argument_defaults, class_attributes

Measured = Mapping[tuple[str, str], float]
"""Seconds per epoch of (data set, variant)."""

_LAYER_SECONDS = 2.5e-4
"""One layer's calls in a step, forward, backward and the optimiser's part."""

_FLOPS = {"cpu": 4e10, "cuda": 3e12}
"""Per second, of one core and of a GPU, as far as trainings reach them."""

BASE_MB = 1600
"""Python with torch, and the two Snakemakes that a scheduler's job starts around it."""


@dataclass(frozen=True)
class Size:
    """Training points and features of a data set."""

    points: int
    features: int


def data_size(entry: DatasetEntry) -> Size | None:
    """Gives the size of a data set as far as its class and arguments state it.

    Returns:
        ``None`` where they do not: of a user's files, for one.
    """
    given = {**argument_defaults(entry.class_), **entry.arguments()}
    stated = class_attributes(entry.class_)
    points, shape = given.get("n_train") or stated.get("most_points"), stated.get("shape")
    if not isinstance(points, int) or not isinstance(shape, tuple):
        return None
    return Size(points, math.prod(shape))


def file_size(path: Path) -> Size | None:
    """Gives the size of prepared data, from the header of its training points.

    Args:
        path: What :meth:`vqflow.datasets.base.Data.save` wrote.

    Returns:
        ``None`` where there is no such file yet.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("points/train.npy") as file:
            header = file.read(256)
    except (OSError, KeyError, zipfile.BadZipFile):
        return None
    shape = re.search(rb"'shape': \((\d+), (\d+)\)", header)
    return None if shape is None else Size(int(shape[1]), int(shape[2]))


def measured(tables: list[Path]) -> dict[tuple[str, str], float]:
    """Reads the seconds per epoch of earlier runs; the first table that knows a cell wins.

    Args:
        tables: ``runtime.csv`` of runs, the likeliest first; those that are absent are left out.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for table in tables:
        for cell, seconds in _read(table).items():
            found.setdefault(cell, seconds)
    return {cell: max(seconds) for cell, seconds in found.items()}


@lru_cache(maxsize=64)
def _read(table: Path) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    if not table.is_file():
        return found
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                seconds = float(row["seconds_per_epoch"])
                cell = row["dataset"], row["variant"]
            except (KeyError, TypeError, ValueError):
                continue
            if math.isfinite(seconds):
                found.setdefault(cell, []).append(seconds)
    return found


def training_seconds(setting: Setting, size: Size | None, earlier: Measured) -> float | None:
    """Gives what the training of one trial is expected to take.

    Returns:
        ``None`` where it cannot be said: data of unknown size, or networks that do not state
        their hidden layers.
    """
    budget = setting.training if isinstance(setting, FlowSetting) else setting.model.training
    if budget is None:
        return 30.0  # a model without epochs: a mixture by expectation maximisation, say
    known = earlier.get((setting.dataset.name, setting.variant))
    if known is not None:
        return known * budget.epochs
    if size is None:
        return None
    steps = budget.epochs * math.ceil(size.points / budget.batch_size)
    if isinstance(setting, DensitySetting):
        return steps * 0.02
    flow = _flow_arguments(setting)
    if flow is None:
        return None
    parameters, layers = flow_size(flow, _modelled(setting, size))
    rows = budget.batch_size * _pairs(setting.atlas)
    device = "cpu" if setting.training.device == "cpu" else "cuda"
    return steps * (layers * _LAYER_SECONDS + 6 * parameters * rows / _FLOPS[device])


def atlas_seconds(entry: AtlasEntry, size: Size | None) -> float | None:
    """Gives what fitting one atlas is expected to take."""
    tried = 1 if entry.choice is None else len(entry.choice.charts) * len(entry.choice.min_charts)
    if entry.training is None:
        return 10.0 * tried
    if size is None:
        return None
    steps = entry.training.epochs * math.ceil(size.points / entry.training.batch_size)
    return tried * steps * (0.012 + 6e-7 * entry.training.batch_size * size.features)


def memory_mb(setting: Setting, size: Size | None) -> int:
    """Gives the memory that a job on a model is expected to need, of all its stages the most.

    Data in all splits and their copies, the networks with the optimiser's state, the values kept
    for one batch's gradient, and the samples.
    """
    if size is None:
        return 6000
    total = 10 * 4 * size.points * size.features
    drawn, snapshots = setting.sampling.samples, 0
    if isinstance(setting, FlowSetting):
        training = setting.training
        flow = _flow_arguments(setting)
        if flow is not None:
            parameters, layers = flow_size(flow, _modelled(setting, size))
            rows = training.batch_size * _pairs(setting.atlas)
            width = max([*flow.get("hidden_features", ()), size.features])
            total += 64 * parameters + 32 * rows * width * layers
        if training.snapshot_interval:
            snapshots = training.epochs // training.snapshot_interval
            drawn += snapshots * (training.snapshot_samples or 0)
    total += 4 * 4 * drawn * size.features
    return BASE_MB + math.ceil(total / 1e6)


def flow_size(flow: Mapping[str, Any], features: int) -> tuple[int, int]:
    """Gives about how many parameters and layers a flow of dense networks has.

    Args:
        flow: Its arguments.
        features: Dimension of the data.
    """
    widths = [features, *flow["hidden_features"], 2 * features]
    transforms = int(flow.get("transforms", 3))
    one = sum(a * b for a, b in zip(widths, widths[1:], strict=False))
    return transforms * one, transforms * (len(widths) + 2)


def _flow_arguments(setting: FlowSetting) -> dict[str, Any] | None:
    """Gives the arguments of a flow whose hidden layers are stated, also those of one per chart."""
    given = setting.flow.arguments()
    inner = given.get("flow")
    if isinstance(inner, Mapping):
        given = dict(inner)
    hidden = given.get("hidden_features")
    usable = isinstance(hidden, (list, tuple)) and all(isinstance(width, int) for width in hidden)
    return given if usable and isinstance(given.get("transforms", 3), int) else None


def _modelled(setting: FlowSetting, size: Size) -> int:
    """Gives the dimension of the space that the flow models: its latent one, where it is stated."""
    latent = setting.embedding.arguments().get("latent_features")
    return latent if isinstance(latent, int) else size.features


def _pairs(entry: AtlasEntry) -> int:
    """Gives about how many charts of a point are evaluated."""
    least = entry.arguments().get("min_charts", 1)
    if entry.choice is not None:
        least = max(entry.choice.min_charts)
    return least if isinstance(least, int) else 1

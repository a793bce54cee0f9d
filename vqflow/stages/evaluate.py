"""Scoring trained flows."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vqflow.config.components import ConfigError, build
from vqflow.config.values import canonical
from vqflow.datasets.base import Array, Data
from vqflow.files import atomic_path
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.models.build import count_numbers, count_parameters
from vqflow.models.store import load_model
from vqflow.seeding import derive_seed
from vqflow.stages.common import Entry, use, write_csv
from vqflow.tables import summary as tables

log = logging.getLogger(__name__)


def build_metric(entry: Entry, device: str = "cpu", shared: dict[str, Any] | None = None) -> Metric:
    """Builds a metric of the catalogue: ``{"name", "class", **arguments}``.

    An argument may be a ``class`` with arguments itself, such as a network that gives features;
    what it draws at random is the same in every job.

    Args:
        entry: The entry.
        device: Where networks of the metric run.
        shared: Such arguments that are built already, by their entries; extended.

    Raises:
        ConfigError: If a class does not exist, does not accept its arguments or is no metric.
    """
    place = f"metrics.{entry['name']}"
    shared = {} if shared is None else shared
    arguments = {key: value for key, value in entry.items() if key != "name"}
    for key, value in arguments.items():
        if isinstance(value, Mapping) and "class" in value:
            text = canonical(value)
            if text not in shared:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(derive_seed("metric", text))
                    shared[text] = build(value, f"{place}.{key}")
            arguments[key] = shared[text]
    metric = build(arguments, place)
    if not isinstance(metric, Metric):
        raise ConfigError(f"{place}.class: '{entry['class']}' is not a vqflow.metrics.base.Metric")
    if not metric.quantities:
        raise ConfigError(f"{place}.class: '{entry['class']}' states no quantities, see Metric")
    metric.name = entry["name"]
    metric.device = device
    return metric


def build_metrics(entries: Sequence[Entry], device: str = "cpu") -> list[Metric]:
    """Builds metrics of the catalogue; those with the same network share it."""
    shared: dict[str, Any] = {}
    return [build_metric(entry, device, shared) for entry in entries]


def make_reference(
    metrics: Sequence[Entry], data_path: Path, output: Path, threads: int = 1, device: str = "cpu"
) -> None:
    """Computes what metrics need of the data alone, for all of them, into one file."""
    use(threads, device)
    data = Data.load(data_path)
    arrays = {}
    for metric in build_metrics(metrics, device):
        for key, value in metric.reference(data).items():
            arrays[f"{metric.name}//{key}"] = value
    with atomic_path(output) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def evaluate(
    setting: Entry,
    variant: str,
    metrics: Sequence[Entry],
    data_path: Path,
    reference_path: Path,
    runs: Mapping[int, Entry],
    output: Path,
) -> None:
    """Scores all trials of one variant on one data set; those that diverged get no rows.

    Args:
        setting: The resolved setting of the variant.
        variant: The variant's name.
        metrics: The metrics' entries of the catalogue.
        data_path: What :func:`prepare_data` wrote.
        reference_path: What :func:`make_reference` wrote.
        runs: Per seed, the paths ``model``, ``samples`` and ``history``.
        output: The table of metrics, one row per score.
    """
    device = setting["training"]["device"]
    use(setting["training"]["threads"], device)
    data = Data.load(data_path)
    references = _load_references(reference_path)
    built = build_metrics(metrics, device)
    frames = [tables.rows([], {})]
    for seed, paths in runs.items():
        model, status = load_model(paths["model"])
        if status == "diverged":
            log.warning("%s, %s, seed %d: diverged", data.spec.name, variant, seed)
            continue
        identity = {
            "dataset": data.spec.name,
            "variant": variant,
            "flow": setting["flow"]["name"],
            "atlas": setting["atlas"]["name"],
            "embedding": setting["embedding"]["name"],
            "seed": seed,
            "parameters": count_numbers(model),
            "atlas_parameters": count_parameters(model.atlas),
        }
        run = TrainedRun(
            data=data,
            model=model.to(device),
            samples=_load_arrays(paths["samples"]),
            history=pd.read_csv(paths["history"]),
        )
        for metric in built:
            scores = _score(metric, run, references.get(metric.name, {}))
            frames.append(tables.rows(scores, identity))
            log.info("%s, %s, seed %d: %s", data.spec.name, variant, seed, metric.name)
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    write_csv(pd.concat(filled, ignore_index=True), output)


def _score(metric: Metric, run: TrainedRun, reference: Reference) -> list[tuple[Score, Quantity]]:
    rows = metric.rows()
    with torch.no_grad():
        scores = list(metric.scores(run, reference))
    for score in scores:
        if score.quantity not in rows:
            raise ValueError(
                f"metrics.{metric.name}: gives a score of '{score.quantity}', which is not among "
                f"its quantities: {', '.join(rows)}"
            )
        if not math.isfinite(score.value):
            log.warning("%s: not finite", rows[score.quantity].name)
    return [(score, rows[score.quantity]) for score in scores]


def _load_references(path: Path) -> dict[str, Reference]:
    references: dict[str, Reference] = {}
    for key, value in _load_arrays(path).items():
        metric, _, name = key.partition("//")
        references.setdefault(metric, {})[name] = value
    return references


def _load_arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}

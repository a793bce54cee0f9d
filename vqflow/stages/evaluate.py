"""Scoring trained models."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from vqflow.config.components import ConfigError, build, build_entry, classes_in
from vqflow.config.entries import Component, Device
from vqflow.config.setting import Scoring
from vqflow.config.values import canonical, dump
from vqflow.datasets.base import Data, Dataset
from vqflow.files import load_arrays, load_json, open_text, save_arrays
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.models.build import count_numbers, count_parameters
from vqflow.models.density import DensityModel, Model
from vqflow.models.density_store import load_any
from vqflow.models.vqflow import VQFlow
from vqflow.seeding import derive_seed
from vqflow.stages.common import write_csv
from vqflow.stages.machine import Machine
from vqflow.tables import rows as tables
from vqflow.tables.points import Values, point_values, save_points

log = logging.getLogger(__name__)


def build_metric(
    entry: Component, device: Device = "cpu", shared: dict[str, Any] | None = None
) -> Metric:
    """Builds a metric of the catalogue.

    An argument may be a ``class`` with arguments itself, such as a network that gives features;
    what it draws at random is the same in every job.

    Args:
        entry: The entry.
        device: Where networks of the metric run.
        shared: Such arguments that are built already, by their entries; extended.

    Raises:
        ConfigError: If a class does not exist, does not accept its arguments or is no metric.
    """
    place = f"metrics.{entry.name}"
    shared = {} if shared is None else shared
    arguments = entry.arguments()
    for key, value in arguments.items():
        if isinstance(value, Mapping) and "class" in value:
            text = canonical(value)
            if text not in shared:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(derive_seed("metric", text))
                    shared[text] = build(value, f"{place}.{key}")
            arguments[key] = shared[text]
    metric: Metric = build(arguments, place, Metric)
    if not metric.quantities:
        raise ConfigError(f"{place}.class: '{entry.class_}' states no quantities, see Metric")
    metric.name = entry.name
    metric.device = device
    return metric


def build_metrics(entries: Sequence[Component], device: Device = "cpu") -> list[Metric]:
    """Builds metrics of the catalogue; those with the same network share it."""
    shared: dict[str, Any] = {}
    return [build_metric(entry, device, shared) for entry in entries]


def make_reference(
    metrics: Sequence[Component], data_path: Path, output: Path, machine: Machine
) -> None:
    """Computes what metrics need of the data alone, for all of them, into one file."""
    machine.use()
    data = Data.load(data_path)
    arrays = {}
    for metric in build_metrics(metrics, machine.device):
        for key, value in metric.reference(data).items():
            arrays[f"{metric.name}//{key}"] = value
    save_arrays(output, arrays)


def evaluate(
    scoring: Scoring,
    data_path: Path,
    reference_path: Path,
    runs: Mapping[int, Mapping[str, Path]],
    output: Path,
    points: Path,
    machine: Machine,
) -> None:
    """Scores all trials of one variant on one data set; those that diverged get no rows.

    Args:
        scoring: The variant's setting, and the metrics.
        data_path: What :func:`vqflow.stages.data.prepare_data` wrote.
        reference_path: What :func:`make_reference` wrote.
        runs: Per seed, the paths ``model``, ``history`` and ``snapshots`` of what
            :func:`vqflow.stages.flow.train_flow` wrote, and ``samples``, ``confinement`` and
            ``status`` of what :func:`vqflow.stages.samples.sample_flow` did.
        output: The table of metrics, one row per score.
        points: What the means of the test split were taken of, point by point.
        machine: Threads and device.
    """
    machine.use()
    setting = scoring.setting
    data = Data.load(data_path)
    allow = set(classes_in(dump(setting)))
    exact_log_density = build_entry(setting.dataset, "datasets", Dataset).log_density
    references = _load_references(reference_path)
    built = build_metrics(scoring.metrics, machine.device)
    frames = [tables.rows([], {})]
    kept: dict[tuple[str, int], Values] = {}
    for seed, paths in runs.items():
        if load_json(paths["status"])["status"] == "diverged":
            log.warning("%s, %s, seed %d: diverged", data.spec.name, setting.variant, seed)
            continue
        model = load_any(paths["model"], paths["confinement"], allow)
        identity = {
            "dataset": data.spec.name,
            "variant": setting.variant,
            **setting.names(),
            "seed": seed,
            **_sizes(model),
        }
        run = TrainedRun(
            data=data,
            model=model.to(machine.device),
            samples={**load_arrays(paths["snapshots"]), **load_arrays(paths["samples"])},
            history=pd.read_csv(open_text(paths["history"])),
            exact_log_density=exact_log_density,
        )
        for metric in built:
            if metric.needs_charts and not isinstance(model, VQFlow):
                continue
            scores = _score(metric, run, references.get(metric.name, {}))
            bounded = isinstance(model, DensityModel) and model.lower_bound
            frames.append(tables.rows(scores, identity, bounded))
            kept |= point_values(scores, seed)
            log.info("%s, %s, seed %d: %s", data.spec.name, setting.variant, seed, metric.name)
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    save_points(points, kept)
    write_csv(pd.concat(filled, ignore_index=True), output)


def _sizes(model: Model) -> dict[str, int]:
    """Gives how many numbers were fitted, of model and atlas."""
    if not isinstance(model, VQFlow):
        return {"parameters": model.fitted_numbers, "atlas_parameters": 0}
    return {
        "parameters": count_numbers(model),
        "atlas_parameters": count_parameters(model.atlas),
    }


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
    for key, value in load_arrays(path).items():
        metric, _, name = key.partition("//")
        references.setdefault(metric, {})[name] = value
    return references

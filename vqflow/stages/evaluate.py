"""Scoring trained flows."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vqflow.config.components import build_entry
from vqflow.config.entries import Component, Device
from vqflow.config.setting import Scoring
from vqflow.datasets.base import Array, Data
from vqflow.files import atomic_path
from vqflow.metrics.base import Metric, NotFiniteError, Reference, TrainedRun
from vqflow.models.build import count_numbers, count_parameters
from vqflow.models.store import load_model
from vqflow.stages.common import write_csv
from vqflow.stages.machine import Machine
from vqflow.tables import summary as tables

log = logging.getLogger(__name__)


def make_reference(
    metrics: Sequence[Component], data_path: Path, output: Path, machine: Machine
) -> None:
    """Computes what metrics need of the data alone, for all of them, into one file."""
    machine.use()
    data = Data.load(data_path)
    arrays = {}
    for metric in metrics:
        for key, value in build_metric(metric, machine.device).reference(data).items():
            arrays[f"{metric.name}//{key}"] = value
    with atomic_path(output) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def build_metric(entry: Component, device: Device = "cpu") -> Metric:
    """Builds a metric of the catalogue.

    Raises:
        ConfigError: If the class refuses its arguments or is not a :class:`Metric`.
    """
    metric = build_entry(entry, "metrics", Metric)
    metric.device = device
    return metric


def evaluate(
    scoring: Scoring,
    data_path: Path,
    reference_path: Path,
    runs: Mapping[int, Mapping[str, Path]],
    output: Path,
    machine: Machine,
) -> None:
    """Scores all trials of one variant on one data set.

    Args:
        scoring: The variant's setting, and the metrics.
        data_path: What :func:`vqflow.stages.data.prepare_data` wrote.
        reference_path: What :func:`make_reference` wrote.
        runs: Per seed, the paths ``model``, ``history`` and ``snapshots`` of what
            :func:`vqflow.stages.flow.train_flow` wrote, and ``samples``, ``confinement`` and
            ``status`` of what :func:`vqflow.stages.samples.sample_flow` did.
        output: The table of metrics, one row per score.
        machine: Threads and device.
    """
    machine.use()
    setting = scoring.setting
    data = Data.load(data_path)
    references = _load_references(reference_path)
    frames = []
    for seed, paths in runs.items():
        model = load_model(paths["model"], paths["confinement"])
        identity = {
            "dataset": data.spec.name,
            "variant": setting.variant,
            "flow": setting.flow.name,
            "atlas": setting.atlas.name,
            "embedding": setting.embedding.name,
            "seed": seed,
            "status": json.loads(paths["status"].read_text("utf-8"))["status"],
            "parameters": count_numbers(model),
            "atlas_parameters": count_parameters(model.atlas),
        }
        run = TrainedRun(
            data=data,
            model=model.to(machine.device),
            samples={**_load_arrays(paths["snapshots"]), **_load_arrays(paths["samples"])},
            history=pd.read_csv(paths["history"]),
        )
        for entry in scoring.metrics:
            metric = build_metric(entry, machine.device)
            frames.append(_score(metric, run, references.get(entry.name, {}), identity))
            log.info("%s, %s, seed %d: %s", data.spec.name, setting.variant, seed, entry.name)
    write_csv(pd.concat(frames, ignore_index=True), output)


def _score(
    metric: Metric, run: TrainedRun, reference: Reference, identity: dict[str, Any]
) -> pd.DataFrame:
    if identity["status"] == "ok":
        try:
            with torch.no_grad():
                return tables.rows(list(metric.scores(run, reference)), identity)
        except NotFiniteError as error:
            log.error("diverged: %s", error)
    return tables.rows(metric.blank(run.data), {**identity, "status": "diverged"})


def _load_references(path: Path) -> dict[str, Reference]:
    references: dict[str, Reference] = {}
    for key, value in _load_arrays(path).items():
        metric, _, name = key.partition("//")
        references.setdefault(metric, {})[name] = value
    return references


def _load_arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}

"""Scoring trained flows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vqflow.config.components import build
from vqflow.datasets.base import Array, Data
from vqflow.files import atomic_path
from vqflow.metrics.base import Metric, NotFiniteError, Reference, TrainedRun
from vqflow.models.build import count_numbers, count_parameters
from vqflow.models.store import load_model
from vqflow.stages.common import Entry, use, write_csv
from vqflow.tables import summary as tables

log = logging.getLogger(__name__)


def build_metric(entry: Entry, device: str = "cpu") -> Metric:
    """Builds a metric of the catalogue: ``{"name", "class", **arguments}``."""
    arguments = {key: value for key, value in entry.items() if key != "name"}
    metric: Metric = build(arguments, f"metrics.{entry['name']}")
    metric.device = device
    return metric


def make_reference(
    metrics: Sequence[Entry], data_path: Path, output: Path, threads: int = 1, device: str = "cpu"
) -> None:
    """Computes what metrics need of the data alone, for all of them, into one file."""
    use(threads, device)
    data = Data.load(data_path)
    arrays = {}
    for entry in metrics:
        for key, value in build_metric(entry, device).reference(data).items():
            arrays[f"{entry['name']}//{key}"] = value
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
    """Scores all trials of one variant on one data set.

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
    frames = []
    for seed, paths in runs.items():
        model, status = load_model(paths["model"])
        identity = {
            "dataset": data.spec.name,
            "variant": variant,
            "flow": setting["flow"]["name"],
            "atlas": setting["atlas"]["name"],
            "embedding": setting["embedding"]["name"],
            "seed": seed,
            "status": status,
            "parameters": count_numbers(model),
            "atlas_parameters": count_parameters(model.atlas),
        }
        run = TrainedRun(
            data=data,
            model=model.to(device),
            samples=_load_arrays(paths["samples"]),
            history=pd.read_csv(paths["history"]),
        )
        for entry in metrics:
            metric = build_metric(entry, device)
            frames.append(_score(metric, run, references.get(entry["name"], {}), identity))
            log.info("%s, %s, seed %d: %s", data.spec.name, variant, seed, entry["name"])
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

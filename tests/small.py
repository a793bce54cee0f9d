"""Settings of the catalogue made small, and the jobs run on them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from conftest import CATALOGUE, ring

from vqflow.config.catalogue import Config
from vqflow.config.components import classes_in
from vqflow.config.entries import Component
from vqflow.config.parsing import parse_config
from vqflow.config.setting import DensitySetting, Scoring, Setting
from vqflow.config.values import dump
from vqflow.datasets.base import Data
from vqflow.stages.atlas import fit_atlas
from vqflow.stages.evaluate import evaluate, make_reference
from vqflow.stages.flow import train_flow
from vqflow.stages.machine import Machine
from vqflow.stages.model import fit_model
from vqflow.stages.samples import sample_flow

SHORT = {"epochs": 4, "snapshot_interval": 2, "snapshot_samples": 60}
FEW = {"charts": [4, 6], "min_charts": [1, 2], "epsilon": [0.1]}
SMALL = {
    "training": {"toy": SHORT, "toy-long": SHORT, "frames": SHORT},
    "sampling": {"default": {"samples": 60, "confinement_samples": 20}},
    "atlases": {
        "kmeans32": {"charts": 8},
        "vq32": {"charts": 8, "training": {"epochs": 2}},
        "kmeans-auto": {"choice": FEW},
        "vq-auto": {"choice": FEW, "training": {"epochs": 2}},
    },
    "models": {
        "mixture-of-gaussians": {"components": [1, 3]},
        "cif-realnvp": {"training": {"epochs": 2}},
        "cif-maf": {"training": {"epochs": 2}},
        "cfm": {"training": {"epochs": 2}},
    },
}
ATLAS_FILES = {
    "atlas": "atlas.pt",
    "charts": "charts.npz",
    "history": "atlas.csv",
    "choice": "choice.csv",
    "provenance": "atlas.json",
}
FLOW_FILES = {
    "model": "model.pt",
    "history": "history.csv",
    "snapshots": "snapshots.npz",
    "provenance": "provenance.json",
}
SAMPLE_FILES = {
    "samples": "samples.npz",
    "confinement": "confinement.npz",
    "status": "status.json",
}


def merge(base: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Merges as Snakemake does: dictionaries deeply, lists replaced."""
    merged = copy.deepcopy(base)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
        )
    return merged


def config(variant: str, **changes: Any) -> Config:
    """A run of one variant on one data set, made small."""
    run = {
        "run": "test",
        "seeds": [0],
        "benchmarks": {
            "b": {"datasets": ["helix"], "variants": [variant], "metrics": ["log_likelihood"]}
        },
    }
    return parse_config(merge(merge(merge(CATALOGUE, SMALL), run), changes))


def setting(variant: str, **changes: Any) -> Setting:
    """The one setting of :func:`config`."""
    return config(variant, **changes).settings()["helix", variant]


def component(section: str, name: str, **changes: Any) -> Component:
    """An entry of the catalogue with some arguments changed."""
    return Component.model_validate({"name": name, **CATALOGUE[section][name], **changes})


def metric(name: str, **changes: Any) -> Component:
    """A metric of the catalogue with some arguments changed."""
    return component("metrics", name, **changes)


def train(
    folder: Path, variant: str, data: Data | None = None, seed: int = 0, **changes: Any
) -> dict[str, Path]:
    """Runs atlas, flow and samples on small data, or another model and samples; gives the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (data or ring(3, name="helix")).save(folder / "data.npz")
    chosen = setting(variant, **changes)
    paths = {key: folder / name for key, name in {**FLOW_FILES, **SAMPLE_FILES}.items()}
    if isinstance(chosen, DensitySetting):
        alone = {**paths, "scratch": folder / "scratch"}
        fit_model(chosen.of_model(), folder / "data.npz", {seed: alone}, Machine())
        sample_flow(chosen.sampling, {seed: paths}, Machine(), set(classes_in(dump(chosen))))
        return paths
    atlas = {key: folder / name for key, name in ATLAS_FILES.items()}
    atlas |= {"scratch": folder / "scratch-atlas"}
    fit_atlas(chosen.of_atlas(), folder / "data.npz", {seed: atlas}, Machine())
    trial = {**paths, "atlas": folder / "atlas.pt", "scratch": folder / "scratch"}
    train_flow(chosen.of_model(), folder / "data.npz", {seed: trial}, Machine())
    sample_flow(chosen.sampling, {seed: paths}, Machine(), set(classes_in(dump(chosen))))
    return paths


def score(
    folder: Path,
    variant: str,
    runs: dict[int, dict[str, Path]],
    *metrics: Component,
    **changes: Any,
) -> Path:
    """Scores what :func:`train` made, of the data in the folder; gives the table's path."""
    data, reference, table = (
        folder / name for name in ("data.npz", "reference.npz", "metrics.csv")
    )
    make_reference(metrics, data, reference, Machine())
    scoring = Scoring(setting=setting(variant, **changes), metrics=list(metrics))
    evaluate(scoring, data, reference, runs, table, table.with_suffix(".npz"), Machine())
    return table

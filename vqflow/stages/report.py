"""A run's tables, from its jobs' results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from vqflow.files import atomic_path, write_json, write_text
from vqflow.provenance import provenance
from vqflow.tables.layout import summary_latex, summary_markdown
from vqflow.tables.summary import gather, summarise

RUN_COLUMNS = [
    "dataset",
    "variant",
    "flow",
    "atlas",
    "embedding",
    "seed",
    "status",
    "epochs",
    "best_epoch",
    "training_seconds",
    "seconds_per_epoch",
    "atlas_seconds",
    "threads",
    "device",
]


def make_tables(
    config: Mapping[str, Any],
    datasets: Sequence[str],
    variants: Sequence[str],
    baselines: Mapping[str, str],
    metrics: Sequence[str],
    flows: Sequence[str],
    atlases: Sequence[str],
    outputs: Mapping[str, Path],
) -> None:
    """Gathers all scores and times of a run and summarises them.

    Args:
        config: What the run selects, which is written beside the tables.
        datasets: The data sets, in the order of the tables' columns.
        variants: The variants, in the order of the tables' rows.
        baselines: variant -> the variant that it is compared with.
        metrics: The tables of scores, one per data set and variant.
        flows: The provenance of every trained flow, at
            ``.../{dataset}/{variant}/seed{seed}/provenance.json``.
        atlases: The provenance of the atlas of each of them.
        outputs: Paths ``metrics``, ``runtime``, ``summary``, ``markdown``, ``latex``,
            ``provenance`` and ``config``.
    """
    runs = run_table(flows, atlases)
    scores = gather([Path(path) for path in metrics], runs)
    summary = summarise(scores, runs, dict(baselines))
    tables = {"metrics": scores, "summary": summary, "runtime": runs}
    for name, table in tables.items():
        with atomic_path(outputs[name]) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    write_text(outputs["markdown"], summary_markdown(summary, variants, datasets))
    write_text(outputs["latex"], summary_latex(summary, variants, datasets))
    write_text(outputs["config"], yaml.safe_dump(dict(config), sort_keys=False))
    write_json(outputs["provenance"], provenance(run=config["run"]))


def run_table(flows: Sequence[str], atlases: Sequence[str]) -> pd.DataFrame:
    """Reads the record of every run: what it was, whether it diverged, and how long it took.

    Times are in seconds; an atlas serves many flows.

    Args:
        flows: The provenance of every trained flow, in the order of the tables.
        atlases: The provenance of the atlas of each of them.
    """
    rows = []
    for path, atlas_path in zip(map(Path, flows), map(Path, atlases), strict=True):
        facts = json.loads(path.read_text(encoding="utf-8"))
        atlas = json.loads(atlas_path.read_text(encoding="utf-8"))
        config = facts["config"]
        rows.append(
            {
                "dataset": path.parents[2].name,
                "variant": path.parents[1].name,
                "flow": config["flow"]["name"],
                "atlas": config["atlas"]["name"],
                "embedding": config["embedding"]["name"],
                "seed": facts["seed"],
                "status": facts["status"],
                "epochs": facts["epochs"],
                "best_epoch": facts["best_epoch"],
                "training_seconds": facts["training_seconds"],
                "seconds_per_epoch": round(facts["training_seconds"] / facts["epochs"], 4),
                "atlas_seconds": atlas["training_seconds"],
                "threads": config["training"]["threads"],
                "device": config["training"]["device"],
            }
        )
    return pd.DataFrame(rows, columns=RUN_COLUMNS)

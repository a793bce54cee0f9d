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

RUNTIME_COLUMNS = [
    "dataset",
    "variant",
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
    runs: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    flows: Sequence[str],
    statuses: Sequence[str],
    atlases: Sequence[str],
    outputs: Mapping[str, Path],
) -> None:
    """Gathers all scores and times of a run and summarises them.

    Args:
        config: What the run selects, which is written beside the tables.
        datasets: The data sets, in the order of the tables' columns.
        variants: The variants, in the order of the tables' rows.
        baselines: variant -> the variant that it is compared with.
        runs: Data set, variant and seed of every trained flow.
        metrics: The tables of scores, one per data set and variant.
        flows: The provenance of each run.
        statuses: How each run ended.
        atlases: The provenance of each run's atlas.
        outputs: Paths ``metrics``, ``runtime``, ``summary``, ``markdown``, ``latex``,
            ``provenance`` and ``config``.
    """
    scores = gather([Path(path) for path in metrics])
    summary = summarise(scores, dict(baselines))
    tables = {
        "metrics": scores,
        "summary": summary,
        "runtime": runtimes(runs, flows, statuses, atlases),
    }
    for name, table in tables.items():
        with atomic_path(outputs[name]) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    write_text(outputs["markdown"], summary_markdown(summary, variants, datasets))
    write_text(outputs["latex"], summary_latex(summary, variants, datasets))
    write_text(outputs["config"], yaml.safe_dump(dict(config), sort_keys=False))
    write_json(outputs["provenance"], provenance(run=config["run"]))


def runtimes(
    runs: Sequence[Mapping[str, Any]],
    flows: Sequence[str],
    statuses: Sequence[str],
    atlases: Sequence[str],
) -> pd.DataFrame:
    """Gives how every run ended and how long it and its atlas took, in seconds.

    An atlas serves many flows. Arguments as for :func:`make_tables`.
    """
    rows = []
    for run, *paths in zip(runs, flows, statuses, atlases, strict=True):
        flow, status, atlas = (json.loads(Path(path).read_text("utf-8")) for path in paths)
        rows.append(
            {
                **run,
                "status": status["status"],
                "epochs": flow["epochs"],
                "best_epoch": flow["best_epoch"],
                "training_seconds": flow["training_seconds"],
                "seconds_per_epoch": round(flow["training_seconds"] / flow["epochs"], 4),
                "atlas_seconds": atlas["training_seconds"],
                "threads": flow["hardware"]["threads"],
                "device": flow["device"],
            }
        )
    return pd.DataFrame(rows, columns=RUNTIME_COLUMNS)

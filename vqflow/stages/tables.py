"""A run's tables, from its jobs' results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from vqflow.config.setting import NONE
from vqflow.files import load_json, save_json, save_text, write_text
from vqflow.provenance import provenance
from vqflow.tables.layout import diverged_tables, headline_tables
from vqflow.tables.markup import summary_latex, summary_markdown
from vqflow.tables.points import load_points
from vqflow.tables.rows import gather
from vqflow.tables.summary import summarise

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
    cells: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    points: Sequence[str],
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
        cells: Of every run the data set, variant, flow, atlas, embedding and seed.
        metrics: The tables of scores, one per data set and variant, in the order of the cells.
        points: What their means were taken of, in the same order.
        flows: The provenance of each run.
        statuses: How each run ended.
        atlases: The provenance of the atlas of each run that has one.
        outputs: Paths ``metrics``, ``runtime``, ``summary``, ``markdown``, ``latex``,
            ``provenance`` and ``config``.
    """
    runs = run_table(cells, flows, statuses, atlases)
    scores = gather([Path(path) for path in metrics], runs)
    of_cells = dict.fromkeys((str(cell["dataset"]), str(cell["variant"])) for cell in cells)
    values = {cell: load_points(path) for cell, path in zip(of_cells, points, strict=True)}
    summary = summarise(scores, runs, dict(baselines), values)
    tables = {"metrics": scores, "summary": summary, "runtime": runs}
    for name, table in tables.items():
        save_text(outputs[name], table.to_csv(index=False, lineterminator="\n"))
    shown = headline_tables(summary, variants, datasets)
    shown += diverged_tables(runs, variants, datasets)
    write_text(outputs["markdown"], summary_markdown(shown))
    write_text(outputs["latex"], summary_latex(shown))
    save_text(outputs["config"], yaml.safe_dump(dict(config), sort_keys=False))
    data = {
        str(cell["dataset"]): load_json(path)["data_sha256"]
        for cell, path in zip(cells, flows, strict=True)
    }
    save_json(outputs["provenance"], provenance(run=config["run"], data_sha256=data))


def run_table(
    cells: Sequence[Mapping[str, Any]],
    flows: Sequence[str],
    statuses: Sequence[str],
    atlases: Sequence[str],
) -> pd.DataFrame:
    """Gives the record of every run: what it was, how it ended, and how long it took.

    Times are in seconds; an atlas serves many flows. Arguments as for :func:`make_tables`.
    """
    rows = []
    of_flows = iter(atlases)
    for cell, *paths in zip(cells, flows, statuses, strict=True):
        flow, status = (load_json(path) for path in paths)
        atlas: dict[str, Any] = {}
        if cell["atlas"] != NONE:
            atlas = load_json(next(of_flows))
        epochs, seconds = flow["epochs"], flow["training_seconds"]
        rows.append(
            {
                **cell,
                "status": status["status"],
                "epochs": epochs,
                "best_epoch": flow["best_epoch"],
                "training_seconds": seconds,
                "seconds_per_epoch": round(seconds / epochs, 4) if epochs else math.nan,
                "atlas_seconds": atlas.get("training_seconds", math.nan),
                "threads": flow["hardware"]["threads"],
                "device": flow["device"],
            }
        )
    return pd.DataFrame(rows, columns=RUN_COLUMNS)

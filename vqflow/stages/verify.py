"""A finished run against its reference: a table of all cells, and a few lines that sum it up."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from vqflow.files import load_text, write_text
from vqflow.tables.comparison import (
    CLOSE,
    DIFFERS,
    EQUAL,
    MISSING,
    compare,
    setting_differences,
)
from vqflow.tables.reading import read_scores

_SHOWN = 10


def verify(
    metrics: Path, config: Path, reference: Path, reference_config: Path | None, table: Path
) -> tuple[str, str]:
    """Compares a run's scores and settings with those of its reference.

    Args:
        metrics: The run's table of scores.
        config: Its configuration.
        reference: The reference's table of scores.
        reference_config: Its configuration; ``None`` where it was not kept.
        table: Where the comparison goes, a row for each cell.

    Returns:
        What was found, in a few lines; and in one line why the run is no repetition of the
        reference, which is empty where it is one.
    """
    seeds = [_seeds(path) for path in (config, reference_config)]
    cells = compare(read_scores(metrics), read_scores(reference), *seeds)
    write_text(table, cells.to_csv(index=False, lineterminator="\n"))
    found = cells["status"].value_counts()
    counts = {name: int(found.get(name, 0)) for name in (EQUAL, CLOSE, DIFFERS, MISSING)}
    lines = [
        f"{table.parent} against {reference.parents[1]}",
        "  cells: " + ", ".join(f"{count} {name}" for name, count in counts.items()),
        *_missing(cells),
        *_beyond(cells),
        *_settings(config, reference_config),
        f"  each cell: {table}",
    ]
    return "\n".join(lines), _failure(cells, counts, table)


def _seeds(config: Path | None) -> dict[tuple[str, str], list[int]]:
    """Gives the seeds of each data set and variant that a configuration selects."""
    content = {} if config is None else _read(config)
    return {
        pair: content["seeds"]
        for benchmark in content.get("benchmarks", {}).values()
        for pair in product(benchmark["datasets"], benchmark["variants"])
    }


def _missing(cells: pd.DataFrame) -> list[str]:
    notes = cells.loc[cells["status"] == MISSING, "note"].value_counts()
    return [f"  {count} {note}" for note, count in notes.items()]


def _beyond(cells: pd.DataFrame) -> list[str]:
    """Says how many means lie far apart for chance, which single cells of few seeds do not show."""
    judged = cells["p_value"].dropna()
    if judged.empty:
        return []
    count = int((judged < 0.05).sum())
    return [
        f"  {count} of {len(judged)} that are not equal, {count / len(judged):.0%}, lie outside of "
        "their 95 % interval; by chance about 5 %"
    ]


def _settings(config: Path, reference: Path | None) -> list[str]:
    if reference is None:
        return ["  settings: the reference has no config.yaml"]
    ours, theirs = (_read(path) for path in (config, reference))
    differences = setting_differences(ours, theirs)
    if not differences:
        return ["  settings: the same"]
    more = len(differences) - _SHOWN
    return [
        f"  settings: {len(differences)} differ",
        *(f"    {line}" for line in differences[:_SHOWN]),
        *([f"    and {more} more"] if more > 0 else []),
    ]


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(load_text(path))
    return content


def _failure(cells: pd.DataFrame, counts: dict[str, int], table: Path) -> str:
    compared = sum(counts.values()) - counts[MISSING]
    if not compared:
        return f"verify: the run and its reference have no cell in common ({table})"
    if not counts[DIFFERS]:
        return ""
    first = cells[cells["status"] == DIFFERS].iloc[0]
    names = [first["dataset"], first["variant"], first["metric"], first["split"]]
    place = "/".join(names) + ("" if pd.isna(first["epoch"]) else f"/epoch {first['epoch']}")
    detail = first["note"] or f"tolerance {first['tolerance']:.3g}"
    return (
        f"verify: {counts[DIFFERS]} of {compared} cells differ, the first is {place}: "
        f"{first['value']:.6g}, in the reference {first['reference_value']:.6g} ({detail}; {table})"
    )

"""The headline numbers of a run, in short lines."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vqflow.tables.layout import number, value_cell
from vqflow.tables.statistics import preferred_split


@dataclass(frozen=True)
class Line:
    """One variant on one data set.

    Attributes:
        dataset: The data set.
        variant: The variant.
        value: The mean over seeds, with its interval.
        gain: The gain over the baseline.
        interval: The gain's 95 % interval.
        mark: ✓ where that lies above 0, ✓✓ where it does after Holm's correction.
    """

    dataset: str
    variant: str
    value: str
    gain: str
    interval: str
    mark: str


@dataclass(frozen=True)
class Brief:
    """The headline of one metric: what it is, and its numbers."""

    title: str
    lines: list[Line]


def briefs(summary: pd.DataFrame, entries: Sequence[str]) -> list[Brief]:
    """Gives the first headline of each metric of a run.

    Args:
        summary: What :func:`vqflow.tables.reading.read_summary` gave.
        entries: The metrics that the run asks for, by the names of their entries.
    """
    shown = summary.dropna(subset=["headline"]).sort_values(["headline", "metric"], kind="stable")
    found = []
    for entry in entries:
        own = [m for m in shown["metric"].unique() if m == entry or m.startswith(f"{entry}_")]
        if own:
            found.append(_brief(preferred_split(summary[summary["metric"] == own[0]])))
    return found


def _brief(rows: pd.DataFrame) -> Brief:
    """Gives the variants that are more than a baseline: compared with one, or nobody's there."""
    baselines = pd.MultiIndex.from_frame(rows[["dataset", "baseline"]])
    alone = ~pd.MultiIndex.from_frame(rows[["dataset", "variant"]]).isin(baselines)
    chosen = rows[(rows["baseline"] != "") | alone]
    label, unit, better = (str(rows[name].iloc[0]) for name in ("label", "unit", "better"))
    splits = " and ".join(rows["split"].unique())
    facts = [unit, f"{splits} split", f"{better} is better" if better else ""]
    title = f"{label[:1].upper()}{label[1:]} ({', '.join(filter(None, facts))})"
    return Brief(title, [_line(row) for row in chosen.to_dict("records")])


def _line(row: Mapping[Hashable, Any]) -> Line:
    named = {str(key): value for key, value in row.items()}
    decimals = named["decimals"]
    gain, low, high = (named[name] for name in ("gain_mean", "gain_low", "gain_high"))
    ends = [number(end, decimals) for end in (low, high) if not math.isnan(end)]
    return Line(
        dataset=named["dataset"],
        variant=named["variant"],
        value=value_cell(named).text,
        gain="" if math.isnan(gain) else number(gain, decimals, "+"),
        interval=f"[{', '.join(ends)}]" if ends else "",
        mark="✓" * ((named["win"] is True) + (named["win_holm"] is True)),
    )

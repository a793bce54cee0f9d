"""The summary as tables for people, laid out as the paper's Tables 1 and 2."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vqflow.tables.statistics import preferred_split, sign_test

_MISSING = "–"
_WON = "✓"
_FEW = "†"
_LONG = 1e9
_BOUNDS = {"": "", "lower": "≥ ", "upper": "≤ "}


@dataclass(frozen=True)
class Cell:
    """One cell of a table, bold where it is to stand out."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: What it shows: metric, unit, split, direction, number of seeds, and what bold is.
        columns: Names of the data sets; where it shows values, ``parameters`` last.
        rows: Per variant, one cell per column.
    """

    title: str
    columns: list[str]
    rows: dict[str, list[Cell]]


def headline_tables(
    summary: pd.DataFrame, variants: Sequence[str], datasets: Sequence[str]
) -> list[Table]:
    """Gives, per headline metric, the table of values and, if there are any, that of the gains.

    Metrics come by their place ``headline``, then by name.

    Args:
        summary: What :func:`vqflow.tables.summary.summarise` gave.
        variants: Rows, in order.
        datasets: Columns, in order; a data set without the metric is left out.
    """
    tables = []
    for metric, name in _headlines(summary).items():
        part = preferred_split(summary[summary["metric"] == metric])
        columns = [dataset for dataset in datasets if dataset in set(part["dataset"])]
        present = [variant for variant in variants if variant in set(part["variant"])]
        if not columns or not present:
            continue
        part = part[part["dataset"].isin(columns) & part["variant"].isin(present)]
        grid = _grid(part, present, columns, value_cell)
        title = f"{name} {_details(part, grid)}"
        sizes = {
            variant: _sizes_cell(rows) for variant, rows in part.groupby("variant", sort=False)
        }
        grid = {variant: [*cells, sizes[variant]] for variant, cells in grid.items()}
        tables.append(Table(title, [*columns, "parameters"], grid))
        compared = part[part["gain_mean"].notna()]
        paired = [variant for variant in present if variant in set(compared["variant"])]
        if paired:
            pairs = compared.drop_duplicates("variant").set_index("variant")["baseline"]
            labels = {variant: f"{variant} vs {pairs[variant]}" for variant in paired}
            grid = _grid(compared, paired, columns, _gain_cell)
            renamed = {labels[variant]: cells for variant, cells in grid.items()}
            tables.append(Table(f"{name}: {_gain_details(compared)}", columns, renamed))
    return tables


def diverged_tables(
    runs: pd.DataFrame, variants: Sequence[str], datasets: Sequence[str]
) -> list[Table]:
    """Gives a table of how many runs of each variant on each data set diverged, if any did.

    Args:
        runs: One row per run, with ``dataset``, ``variant`` and ``status``.
        variants: Rows, in order; those without such a run are left out.
        datasets: Columns, in order; those without such a run are left out.
    """
    groups = runs.assign(lost=runs["status"] == "diverged").groupby(["dataset", "variant"])
    counts = {
        (str(dataset), str(variant)): (int(part["lost"].sum()), len(part))
        for (dataset, variant), part in groups
    }
    lost = {cell: f"diverged ({n} of {of})" for cell, (n, of) in counts.items() if n}
    columns = [name for name in datasets if any(name == dataset for dataset, _ in lost)]
    grid = {
        variant: [Cell(lost.get((dataset, variant), _MISSING)) for dataset in columns]
        for variant in variants
        if any(variant == name for _, name in lost)
    }
    title = "Runs that diverged (they have no scores; status.json of each says why)"
    return [Table(title, columns, grid)] if lost else []


def _headlines(summary: pd.DataFrame) -> dict[str, str]:
    """Gives metric -> title; two metrics of one label are told apart by their names."""
    shown = summary.dropna(subset=["headline"]).sort_values(["headline", "metric"])
    labels = dict(zip(shown["metric"], shown["label"], strict=True))
    titles = {metric: label[:1].upper() + label[1:] for metric, label in labels.items()}
    counts = Counter(titles.values())
    return {
        metric: title if counts[title] == 1 else f"{title}, {metric}"
        for metric, title in titles.items()
    }


def _details(part: pd.DataFrame, grid: dict[str, list[Cell]]) -> str:
    cells = [cell for row in grid.values() for cell in row]
    seeds = part["n_seeds"] + part["n_diverged"] + part["n_not_finite"]
    low, high = int(seeds.min()), int(seeds.max())
    count = f"{low} seed{'s' * (low != 1)}" if low == high else f"{low} to {high} seeds"
    splits = part.drop_duplicates("dataset").set_index("dataset")["split"]
    if splits.nunique() == 1:
        split = f"{splits.iloc[0]} split"
    else:
        split = "split: " + ", ".join(f"{name} {splits[name]}" for name in splits.index)
    unit = str(part["unit"].iloc[0])
    better = str(part["better"].iloc[0])
    facts = [
        unit,
        split,
        f"{better} is better" if better else "",
        f"value of {count}" if high == 1 else f"mean ± 95 % confidence of {count}",
        "bold: wins over its own baseline" if any(cell.bold for cell in cells) else "",
        f"{_FEW} a seed's worst 0.1 % of points hold a tenth or more of what its worse half lacks"
        if any(_FEW in cell.text for cell in cells)
        else "",
        "≥, ≤: the model only bounds its density" if part["bound"].any() else "",
    ]
    return f"({'; '.join(fact for fact in facts if fact)})"


def _gain_details(part: pd.DataFrame) -> str:
    """Says what the gains are, and what all of them show together."""
    positive, pairs = int(part["n_positive"].sum()), int(part["n_pairs"].sum())
    facts = [
        "positive is better",
        f"{_WON} where the interval lies above 0, {_WON}{_WON} where it does after Holm's "
        f"correction for {int(part['p_value'].notna().sum())} cells",
    ]
    if part["bound"].any():
        facts.append("≥: the model only bounds its density")
    if part["gain_boot_low"].notna().any():
        seeds = "seeds and " if part["n_seeds"].max() > 1 else ""
        facts.append(f"⟨bootstrap over {seeds}points⟩")
    if pairs:
        counted = f"positive in {positive} of {pairs} pairs of runs"
        if part.duplicated(["dataset", "baseline"]).any():
            facts.append(f"{counted}, of which some share a baseline's run")
        else:
            facts.append(f"{counted}, sign test p = {sign_test(positive, pairs):.2g}")
    return f"gain over the baseline, paired over seeds, with 95 % interval ({'; '.join(facts)})"


def _grid(
    part: pd.DataFrame,
    variants: Sequence[str],
    datasets: Sequence[str],
    cell: Callable[[dict[str, Any]], Cell],
) -> dict[str, list[Cell]]:
    found = {
        (row["dataset"], row["variant"]): {str(key): value for key, value in row.items()}
        for row in part.to_dict("records")
    }
    return {
        variant: [
            cell(found[dataset, variant]) if (dataset, variant) in found else Cell(_MISSING)
            for dataset in datasets
        ]
        for variant in variants
    }


def value_cell(row: dict[str, Any]) -> Cell:
    """Gives the mean of a row of the summary, with its interval and what is to be known of it."""
    lost = [
        f"{count} {word}"
        for word, count in (("diverged", row["n_diverged"]), ("not finite", row["n_not_finite"]))
        if count
    ]
    if not row["n_seeds"]:
        seeds = row["n_diverged"] + row["n_not_finite"]
        counts = (text.partition(" ") for text in lost)
        return Cell(" and ".join(f"{word} ({count} of {seeds})" for count, _, word in counts))
    decimals = row["decimals"]
    text = _BOUNDS[row["bound"]] + number(row["mean"], decimals)
    if not math.isnan(row["ci95"]):
        text += f" ± {number(row['ci95'], decimals)}"
    if row["few_points"] is True:
        text += f" {_FEW}"
    if lost:
        text += f" ({', '.join(lost)})"
    return Cell(text, bold=row["win"] is True)


def _gain_cell(row: dict[str, Any]) -> Cell:
    decimals = row["decimals"]
    bound = "≥ " if row["bound"] else ""
    text = bound + number(row["gain_mean"], decimals, "+")
    for left, low, high, right in (("[", "gain_low", "gain_high", "]"), _BOOTSTRAP):
        if not math.isnan(row[low]):
            ends = ", ".join(number(row[key], decimals) for key in (low, high))
            text += f" {left}{ends}{right}"
    if lost := row["n_lost_pairs"]:
        text += f" ({lost} pair{'s' * (lost != 1)} lost)"
    won = row["win"] is True
    mark = _WON * (1 + (row["win_holm"] is True)) if won else _MISSING
    return Cell(f"{text} {mark}", bold=won)


_BOOTSTRAP = ("⟨", "gain_boot_low", "gain_boot_high", "⟩")


def _sizes_cell(rows: pd.DataFrame) -> Cell:
    """Gives how many numbers are fitted, of model and atlas, or their range over data sets."""
    model, atlas = (rows[name].dropna() for name in ("parameters", "atlas_parameters"))
    if not len(model):
        return Cell(_MISSING)
    return Cell(_range(model) + (f" + {_range(atlas)}" if atlas.max() else ""))


def _range(counts: pd.Series[int]) -> str:
    low, high = (_short(int(count)) for count in (counts.min(), counts.max()))
    return low if low == high else f"{low}–{high}"


def _short(count: int) -> str:
    for size, unit in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def number(value: float, decimals: int, sign: str = "") -> str:
    """Gives a number of so many decimals, or of three digits where it is long."""
    form = f"{sign}.{decimals}f" if abs(value) < _LONG else f"{sign}.3g"
    return f"{value:{form}}".replace("-", "−")

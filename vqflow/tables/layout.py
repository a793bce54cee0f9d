"""The summary as tables for people: Markdown and LaTeX, laid out as the paper's Tables 1 and 2."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vqflow.tables.summary import lower_is_better

HEADLINES = {
    "log_likelihood_all": "Log-likelihood, all charts",
    "log_likelihood_covering": "Log-likelihood, covering charts",
    "log_likelihood_confined": "Log-likelihood, confined charts",
    "kde_log_likelihood": "KDE log-likelihood of samples",
    "bits_per_dim": "Bits per dimension",
    "fid_classifier": "Fréchet classifier distance",
    "fid_inception": "Fréchet Inception distance",
    "leak": "Leak",
}
_DECIMALS = {"bits_per_dim": 3, "leak": 3}
_SPLITS = ("test", "train", "validation")
_MISSING = "–"
_WON = "✓"
_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "✓": r"$\checkmark$",
    "é": r"\'e",
}


@dataclass(frozen=True)
class Cell:
    """One cell of a table, bold where it is to stand out."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: What it shows: metric, unit, split and number of seeds.
        columns: Names of the data sets.
        rows: Per variant, one cell per data set.
    """

    title: str
    columns: list[str]
    rows: dict[str, list[Cell]]


def headline_tables(
    summary: pd.DataFrame, variants: Sequence[str], datasets: Sequence[str]
) -> list[Table]:
    """Gives, per headline metric, the table of values and, if there are any, that of the gains.

    Args:
        summary: What :func:`vqflow.tables.summary.summarise` gave.
        variants: Rows, in order.
        datasets: Columns, in order; a data set without the metric is left out.
    """
    tables = []
    for metric, name in HEADLINES.items():
        part = _one_split(summary[summary["metric"] == metric])
        columns = [dataset for dataset in datasets if dataset in set(part["dataset"])]
        present = [variant for variant in variants if variant in set(part["variant"])]
        if not columns or not present:
            continue
        part = part[part["dataset"].isin(columns) & part["variant"].isin(present)]
        tables.append(
            Table(
                f"{name} {_details(metric, part)}",
                columns,
                _grid(part, present, columns, _value_cell),
            )
        )
        compared = part[part["gain_mean"].notna()]
        paired = [variant for variant in present if variant in set(compared["variant"])]
        if paired:
            pairs = compared.drop_duplicates("variant").set_index("variant")["baseline"]
            labels = {variant: f"{variant} vs {pairs[variant]}" for variant in paired}
            grid = _grid(compared, paired, columns, _gain_cell)
            tables.append(
                Table(
                    f"{name}: gain over the baseline, paired over seeds, with 95 % interval "
                    f"(positive is better; {_WON} where the interval lies above 0)",
                    columns,
                    {labels[variant]: cells for variant, cells in grid.items()},
                )
            )
    return tables


def summary_markdown(
    summary: pd.DataFrame, variants: Sequence[str], datasets: Sequence[str]
) -> str:
    """Gives the headline tables in Markdown; arguments as for :func:`headline_tables`."""
    blocks = []
    for table in headline_tables(summary, variants, datasets):
        lines = [
            ["", *table.columns],
            [":--", *("--:" for _ in table.columns)],
            *(
                [name, *(f"**{cell.text}**" if cell.bold else cell.text for cell in cells)]
                for name, cells in table.rows.items()
            ),
        ]
        grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(f"**{table.title}**\n\n{grid}\n")
    return "\n".join(blocks)


def summary_latex(summary: pd.DataFrame, variants: Sequence[str], datasets: Sequence[str]) -> str:
    r"""Gives the headline tables in LaTeX, to be read in by ``\input``.

    The document needs the packages booktabs and amssymb. Arguments as for
    :func:`headline_tables`.
    """
    blocks = ["% Needs \\usepackage{booktabs} and \\usepackage{amssymb}.\n"]
    for table in headline_tables(summary, variants, datasets):
        body = [
            " & ".join([_escape(name), *(_latex_cell(cell) for cell in cells)]) + r" \\"
            for name, cells in table.rows.items()
        ]
        lines = [
            r"\begin{table}",
            r"  \centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"  \caption{{{_escape(table.title)}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"    \toprule",
            "    " + " & ".join(["", *map(_escape, table.columns)]) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _one_split(part: pd.DataFrame) -> pd.DataFrame:
    """Keeps one split per data set: the test split where there is one."""
    rank = part["split"].map({split: place for place, split in enumerate(_SPLITS)})
    return part[rank == rank.groupby(part["dataset"]).transform("min")]


def _details(metric: str, part: pd.DataFrame) -> str:
    seeds = part["n_seeds"] + part["n_diverged"]
    low, high = int(seeds.min()), int(seeds.max())
    count = f"{low} seed{'s' * (low != 1)}" if low == high else f"{low} to {high} seeds"
    splits = part.drop_duplicates("dataset").set_index("dataset")["split"]
    if splits.nunique() == 1:
        split = f"{splits.iloc[0]} split"
    else:
        split = "split: " + ", ".join(f"{name} {splits[name]}" for name in splits.index)
    unit = str(part["unit"].iloc[0])
    direction = "lower is better" if lower_is_better(metric) else "higher is better"
    facts = [unit, split, direction, f"mean ± 95 % confidence of {count}"]
    return f"({'; '.join(fact for fact in facts if fact)})"


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


def _value_cell(row: dict[str, Any]) -> Cell:
    if not row["n_seeds"]:
        return Cell("diverged")
    decimals = _DECIMALS.get(row["metric"], 2)
    text = _number(row["mean"], decimals)
    if not math.isnan(row["ci95"]):
        text += f" ± {row['ci95']:.{decimals}f}"
    if row["n_diverged"]:
        text += f" ({row['n_diverged']} diverged)"
    return Cell(text, bold=row["win"] is True)


def _gain_cell(row: dict[str, Any]) -> Cell:
    decimals = _DECIMALS.get(row["metric"], 2)
    text = _number(row["gain_mean"], decimals, "+")
    if not math.isnan(row["gain_low"]):
        low, high = (_number(row[key], decimals) for key in ("gain_low", "gain_high"))
        text += f" [{low}, {high}]"
    won = row["win"] is True
    return Cell(f"{text} {_WON if won else _MISSING}", bold=won)


def _number(value: float, decimals: int, sign: str = "") -> str:
    return f"{value:{sign}.{decimals}f}".replace("-", "−")


def _latex_cell(cell: Cell) -> str:
    text = _escape(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def _escape(text: str) -> str:
    return re.sub("|".join(map(re.escape, _LATEX)), lambda match: _LATEX[match[0]], text)

"""Tables for people in Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vqflow.tables.layout import Cell, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "✓": r"$\checkmark$",
    "†": r"$\dagger$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "é": r"\'e",
}


def summary_markdown(tables: Sequence[Table]) -> str:
    """Gives tables in Markdown."""
    blocks = []
    for table in tables:
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


def summary_latex(tables: Sequence[Table]) -> str:
    r"""Gives tables in LaTeX, to be read in by ``\input``.

    The document needs the packages booktabs and amssymb.
    """
    blocks = ["% Needs \\usepackage{booktabs} and \\usepackage{amssymb}.\n"]
    for table in tables:
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


def _latex_cell(cell: Cell) -> str:
    text = _escape(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def _escape(text: str) -> str:
    return re.sub("|".join(map(re.escape, _LATEX)), lambda match: _LATEX[match[0]], text)

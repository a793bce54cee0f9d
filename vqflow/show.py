"""Printing a run's summary and the paths of its tables, figures, claims and report."""

from __future__ import annotations

import sys
from pathlib import Path


def show(run: Path) -> str:
    """Gives the summary table of a run and the paths of what it made.

    Raises:
        FileNotFoundError: If the run has no tables yet.
    """
    summary = (run / "tables" / "summary.md").read_text(encoding="utf-8")
    tables = sorted(str(path) for path in (run / "tables").iterdir())
    figures = sorted(str(path) for path in (run / "figures").glob("*.png"))
    claims = sorted(str(path) for path in run.glob("claims.*"))
    lines = [summary, "Tables:", *tables, "", "Figures (each also as PDF):", *figures]
    lines += ["", "Claims of the paper and of this project, decided:", *claims]
    lines += ["", "All of it in one page, to open in a browser:", str(run / "report.html")]
    return "\n".join(lines)


if __name__ == "__main__":
    print(show(Path(sys.argv[1])))

"""``vqflow show``: what came out of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from vqflow.tables.brief import Brief

_FILES = {
    "tables": ("tables/*",),
    "figures, also as .pdf": ("figures/*.png",),
    "claims": ("claims.*",),
    "report": ("*.html", "*.zip"),
    "what was run": ("config.yaml", "provenance.json"),
}


def show(
    run: Annotated[Path, typer.Argument(help="The run's folder, such as results/demo.")],
    all_tables: Annotated[
        bool, typer.Option("--all", help="Print the full tables, as wide as they are.")
    ] = False,
) -> None:
    """Show the numbers and claims of a run, and where its files are.

    Gains are over each variant's baseline, paired over seeds and turned so that positive is better,
    with their 95 % interval. A check mark stands where it lies above 0, two where it does
    after Holm's correction for all cells of the table.
    """
    summary = run / "tables" / "summary.md"
    if not summary.is_file():
        finished = sorted(
            str(path.parents[1]) for path in Path().glob("results/*/tables/summary.md")
        )
        raise FileNotFoundError(
            f"{run} holds no results: there is no {summary}; needed: the folder of a run that has "
            f"ended{', here ' if finished else ''}{', '.join(finished)}"
        )
    if all_tables:
        typer.echo(summary.read_text(encoding="utf-8"))
        return
    _print(_parts(run))


def _parts(run: Path) -> Iterator[str | Table]:
    """Gives what is printed, first to last."""
    import yaml

    from vqflow.tables.brief import briefs
    from vqflow.tables.reading import read_summary

    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    entries = [name for bench in config["benchmarks"].values() for name in bench["metrics"]]
    seeds = len(config["seeds"])
    yield f"Run {config['run']}, {seeds} seed{'s' * (seeds != 1)}"
    for brief in briefs(read_summary(run / "tables" / "summary.csv"), list(dict.fromkeys(entries))):
        yield ""
        yield brief.title
        yield _numbers(brief)
    if (run / "claims.csv").is_file():
        yield ""
        yield "Claims: statements that hold, of those that this run tests"
        yield from _claims(run / "claims.csv")
    yield ""
    yield _files(run)


def _numbers(brief: Brief) -> Table:
    """Gives a line for each variant, below one for its data set."""
    table = _table(header=True)
    table.add_column("data set, variant", overflow="fold")
    for name in ("mean ± 95 %", "gain", "95 % interval", ""):
        table.add_column(name, no_wrap=True, justify="right" if name else "left")
    for dataset, lines in groupby(brief.lines, attrgetter("dataset")):
        table.add_row(dataset)
        for line in lines:
            _, variant, *cells = astuple(line)
            table.add_row(f"  {variant}", *cells)
    return table


def _claims(path: Path) -> Iterator[str]:
    """Gives a line for each claim of which something is tested."""
    from vqflow.claims.layout import MARKS
    from vqflow.claims.reading import read_claims
    from vqflow.claims.statement import BETTER, HOLDS, UNTESTED

    for claim in read_claims(path):
        counts = claim.counts()
        tested = sum(counts.values()) - counts.get(UNTESTED, 0)
        if tested:
            tally = f"{counts.get(HOLDS, 0) + counts.get(BETTER, 0)} of {tested}"
            yield f"{MARKS[claim.verdict()]:3} {claim.key:9}{tally:>9}  {claim.title}"


def _files(run: Path) -> Table:
    """Gives what the run wrote, by paths below its folder."""
    table = _table()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("files in", str(run))
    for name, patterns in _FILES.items():
        found = sorted(path for pattern in patterns for path in run.glob(pattern))
        files = [str(path.relative_to(run)) for path in found if not path.name.startswith(".")]
        if files:
            table.add_row(name, " ".join(files))
    if (run / "report.html").is_file():
        table.add_row("to open it", f"python -m webbrowser {run / 'report.html'}")
    return table


def _table(header: bool = False) -> Table:
    from rich.table import Table

    return Table(box=None, show_header=header, pad_edge=False, padding=(0, 2, 0, 0))


def _print(parts: Iterable[str | Table]) -> None:
    """Prints texts in one line each, cut where they are longer, and tables."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for part in parts:
        console.print(part, no_wrap=isinstance(part, str), overflow="ellipsis")

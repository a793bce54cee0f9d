"""The command ``vqflow`` with all its commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import vqflow
from vqflow.cli.catalogue import catalogue
from vqflow.cli.check import check
from vqflow.cli.fit import fit
from vqflow.cli.info import info
from vqflow.cli.new import new
from vqflow.cli.reporting import Reporting
from vqflow.cli.sample import sample
from vqflow.cli.score import score
from vqflow.cli.show import show

_EXAMPLES: dict[Callable[..., None], str] = {
    fit: "vqflow fit points.npy --out model.pt",
    sample: "vqflow sample model.pt -n 1000 --out samples.csv",
    score: "vqflow score model.pt new.npy --out scores.csv",
    info: "vqflow info results/demo/flows/helix/maf/seed0 --json",
    catalogue: "vqflow catalogue flows --configfile mine.yaml",
    check: "vqflow check config/demo.yaml",
    new: "vqflow new metric strays",
    show: "vqflow show results/demo",
}
_MORE = "vqflow COMMAND --help says more of a command."


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vqflow {vqflow.__version__}")
        raise typer.Exit


def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """VQ-Flows: densities of points on manifolds, fitted, sampled, scored and compared."""
    if str(Path.cwd()) not in sys.path:  # classes of one's own, as python -m vqflow finds them
        sys.path.insert(0, str(Path.cwd()))
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _build() -> typer.Typer:
    built = typer.Typer(cls=Reporting, rich_markup_mode=None)
    built.callback(invoke_without_command=True, epilog=f"Example: {_EXAMPLES[fit]}; {_MORE}")(_main)
    for command, example in _EXAMPLES.items():
        built.command(epilog=f"Example: {example}")(command)
    return built


app = _build()

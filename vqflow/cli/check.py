"""``vqflow check``: what is wrong in a run's configuration, before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    files: Annotated[
        list[Path], typer.Argument(help="The run's file, or several as after --configfile.")
    ],
) -> None:
    """Say what is wrong in a run's file, and run nothing."""
    from vqflow import check as checking

    names = checking.check(files)
    shown = " ".join(map(str, files))
    typer.echo(f"{shown}: {len(names)} data sets, models, metrics and figures fit")

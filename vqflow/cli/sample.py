"""``vqflow sample``: points drawn from a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vqflow.cli.arrays import check_output, write
from vqflow.cli.options import Allow


class Sampler(StrEnum):
    """How points are drawn."""

    PLAIN = "plain"
    CONFINED = "confined"


def sample(
    model: Annotated[
        Path, typer.Argument(help="A model's file, or the folder of one that a run trained.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write: .npy, .csv or .parquet.")],
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Number of points.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same gives the same points.")] = 0,
    sampler: Annotated[
        Sampler,
        typer.Option(help="confined draws points anew that leave the region of their chart."),
    ] = Sampler.PLAIN,
    allow: Allow = None,
) -> None:
    """Draw points from a model.

    Columns are named as those that the model was fitted to, or x0, x1, ...
    """
    check_output(out, model)

    import numpy as np

    import vqflow

    density = vqflow.load(model, allow=allow or ())
    if sampler is Sampler.PLAIN:
        points = density.sample(n, seed)
    elif isinstance(density, vqflow.FittedModel):
        points = density.sample(n, seed, support="confined")
    else:
        raise ValueError(f"--sampler is confined, but {model} has no charts; allowed: plain")
    points = np.asarray(points)
    lost = int((~np.isfinite(points)).any(1).sum())
    if lost:
        raise RuntimeError(f"{lost} of {n} points are not finite; nothing was written")
    names = density.facts.get("columns") or [f"x{i}" for i in range(density.features)]
    write(out, points, names)
    typer.echo(f"{n} points of {density.features} dimensions: {out}")

"""``vqflow score``: how likely a model finds points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqflow.cli.arrays import check_output, read, write
from vqflow.cli.options import Allow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def score(
    model: Annotated[
        Path, typer.Argument(help="A model's file, or the folder of one that a run trained.")
    ],
    data: Annotated[Path, typer.Argument(help="Points, one per row: .npy, .csv or .parquet.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file for the points' scores: .npy, .csv or .parquet."),
    ] = None,
    allow: Allow = None,
) -> None:
    """Score points by a model.

    Prints the number of points, and the mean of their log-densities in nats, its standard error and
    their median.

    Of .csv and .parquet files the columns are read that the model was fitted to, by their names.
    The file written has the columns log_density and, where the model has charts, posterior_0,
    posterior_1, ... in this order.
    """
    check_output(out, model, data)

    import numpy as np

    import vqflow

    density = vqflow.load(model, allow=allow or ())
    named = data.suffix.lower() != ".npy"
    table = read(data, density.facts.get("columns") if named else None)
    if table.values.shape[1] != density.features:
        raise ValueError(
            f"{data} has {table.values.shape[1]} columns; {model} needs {density.features}"
        )
    log_prob = density.log_prob(table.values)
    posterior = np.empty((len(log_prob), 0))
    if isinstance(density, vqflow.FittedModel):
        posterior = density.posterior(table.values)
    for name, value in summarise(log_prob).items():
        typer.echo(f"{name:16}{value:.4f} nats" if name != "points" else f"{name:16}{value}")
    if getattr(density.model, "lower_bound", False):
        typer.echo(f"{'note':16}the model only bounds its log-density, from below")
    if posterior.shape[1] > 1:
        used = len(np.unique(posterior.argmax(1)))
        typer.echo(f"{'charts':16}{used} of {posterior.shape[1]} are a point's most probable one")
    if out is not None:
        names = ["log_density", *(f"posterior_{k}" for k in range(posterior.shape[1]))]
        write(out, np.column_stack([log_prob, posterior]), names)
        typer.echo(f"{'written to':16}{out}")


def summarise(log_prob: NDArray[np.float64]) -> dict[str, float]:
    """Gives the number of points, and of their log-densities mean, standard error and median.

    A single point has no standard error.
    """
    import numpy as np

    count = len(log_prob)
    summary = {"points": count, "mean": float(np.mean(log_prob))}
    if count > 1:
        summary["standard error"] = float(np.std(log_prob, ddof=1)) / math.sqrt(count)
    return {**summary, "median": float(np.median(log_prob))}

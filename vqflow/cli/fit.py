"""``vqflow fit``: a model of the user's points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqflow.cli.arrays import check_output, read
from vqflow.cli.reporting import progress
from vqflow.cli.score import summarise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FACTS = {
    "points": "test_points",
    "mean": "test_log_likelihood",
    "standard error": "test_standard_error",
}


def fit(
    data: Annotated[
        Path, typer.Argument(help="Points, one per row: .npy, .csv (with a header) or .parquet.")
    ],
    out: Annotated[Path, typer.Option(help="The file that the model goes to.")],
    flow: Annotated[
        str,
        typer.Option(
            help="maf, realnvp, nsf or gaussian, or the import path of a class: zuko.flows.NAF."
        ),
    ] = "maf",
    charts: Annotated[
        str, typer.Option(help="Number of charts, 1 for the plain flow; auto chooses it.")
    ] = "auto",
    columns: Annotated[
        str | None, typer.Option(help="The columns to use, of .csv and .parquet: x,y,z.")
    ] = None,
    test: Annotated[
        float, typer.Option(help="Share of the points that is held out and scored at the end.")
    ] = 0.1,
    validation: Annotated[
        float | None,
        typer.Option(
            help="Share of the others by which charts and epoch are chosen.",
            show_default="a fifth, at most 10,000 points",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Most epochs to train.", show_default="by the number of points"),
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate of Adam.")] = 6e-3,
    seed: Annotated[
        int, typer.Option(help="The same gives the same model on the same machine.")
    ] = 0,
) -> None:
    """Fit a density to points, and score it on points held out.

    Points are standardised. The number of charts is chosen on a part of the points that is held out
    for it, by which also the best epoch is kept.
    """
    check_output(out, data, table=False)
    number = _charts(charts)
    table = read(data, None if columns is None else [name.strip() for name in columns.split(",")])
    known, unseen = _split(table.values, test, seed)
    shape = "{} points of {} dimensions".format(*table.values.shape)
    progress(f"{data}: {shape}, {len(unseen)} held out")

    import vqflow
    from vqflow.files import digest

    model = vqflow.fit(
        known,
        flow={"class": flow} if "." in flow else flow,
        charts=number,
        validation=validation,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
    )
    model.facts |= {"file": data.name, "sha256": digest(data), "columns": table.columns}
    lines = [str(model)]
    if len(unseen):
        scores = summarise(model.log_prob(unseen))
        model.facts |= {_FACTS[name]: value for name, value in scores.items() if name in _FACTS}
        error = f" ± {scores['standard error']:.3f}" if "standard error" in scores else ""
        points = f"{len(unseen)} points that it has not seen"
        lines.append(
            f"  test: {scores['mean']:.3f}{error} nats (mean ± standard error of {points})"
        )
    model.save(out)
    lines += [f"written to {out}; next:", f"  vqflow sample {out} -n 1000 --out samples.npy"]
    lines += [f"  vqflow score {out} new.npy --out scores.csv", f"  vqflow info {out}"]
    typer.echo("\n".join(lines))


def _charts(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--charts is {text}; allowed: auto, or a whole number of 1 or more")
    return int(text)


def _split(
    values: NDArray[np.float64], share: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives the points to fit, in their order, and those that are held out."""
    import numpy as np

    from vqflow.seeding import derive_seed

    if not 0 <= share < 1:
        raise ValueError(f"--test is {share}; allowed: a share of 0 or more, below 1")
    held_out = np.zeros(len(values), dtype=bool)
    order = np.random.default_rng(derive_seed("test", seed)).permutation(len(values))
    held_out[order[: round(share * len(values))]] = True
    return values[~held_out], values[held_out]

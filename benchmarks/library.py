"""``vqflow.fit`` with no argument but the data, against the same with ``charts=1``.

``python -m benchmarks.library`` writes ``benchmarks/results/library.{json,md}``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

import vqflow
from vqflow.datasets import toy3d
from vqflow.provenance import provenance

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
TOYS = {
    "spherical": toy3d.Spherical,
    "helix": toy3d.Helix,
    "lissajous": toy3d.Lissajous,
    "twisted_eight": toy3d.TwistedEight,
    "knotted": toy3d.Knotted,
    "interlocked_circles": toy3d.InterlockedCircles,
}
TABLES = ("breast_cancer", "wine")
FITS = {"fit(x)": {}, "fit(x, charts=1)": {"charts": 1}}
TEST_SHARE = 0.2


def main() -> None:
    """Fits all, and writes each score as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.library", description=__doc__)
    parser.parse_args()
    rows: list[tuple[object, ...]] = []
    for name in (*TABLES, *TOYS):
        x, test = split(name)
        for seed in SEEDS:
            for label, arguments in FITS.items():
                started = time.perf_counter()
                model = vqflow.fit(x, seed=seed, **arguments)
                seconds = time.perf_counter() - started
                score = float(model.log_prob(test).mean())
                rows.append((name, label, seed, model.charts, score, round(seconds, 1)))
                print(*rows[-1], flush=True)
        table = pd.DataFrame(rows, columns=["data", "fit", "seed", "charts", "nats", "seconds"])
        write(table)
    print(markdown(table))


def write(table: pd.DataFrame) -> None:
    """Writes every fit with the machine, and the table of means."""
    content = {**provenance(), "rows": table.to_dict("records")}
    (RESULTS / "library.json").write_text(json.dumps(content, indent=1) + "\n")
    (RESULTS / "library.md").write_text(markdown(table) + "\n")


def split(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives what is fitted to, and the test points.

    Of the toys, whose points are generated, the training and test split; of the tables of
    scikit-learn four fifths and one, parted at random, the same for all seeds.
    """
    if name in TOYS:
        points = TOYS[name]().load(name, Path()).points
        return points["train"], points["test"]
    from sklearn import datasets

    x = getattr(datasets, f"load_{name}")().data
    order = np.random.default_rng(0).permutation(len(x))
    held_out = round(TEST_SHARE * len(x))
    return x[order[held_out:]], x[order[:held_out]]


def markdown(table: pd.DataFrame) -> str:
    """Gives test log-likelihoods, and the paired gain with its 95 % interval over seeds."""
    auto, single = FITS
    rows = []
    for name, part in table.groupby("data", sort=False):
        scores = part.pivot(index="seed", columns="fit", values="nats")
        seconds = part.groupby("fit")["seconds"].mean()
        rows.append(
            {
                "": name,
                "charts chosen": ", ".join(str(k) for k in part[part.fit == auto].charts),
                f"{auto}, nats": interval(scores[auto]),
                f"{single}, nats": interval(scores[single]),
                "gain, nats": interval(scores[auto] - scores[single], sign="+"),
                "seconds": f"{seconds[auto]:.0f}, {seconds[single]:.0f}",
            }
        )
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def interval(values: pd.Series, sign: str = "") -> str:
    """Gives mean ± Student's 95 % interval."""
    half = student.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    return f"{values.mean():{sign}.2f} ± {half:.2f}"


if __name__ == "__main__":
    main()

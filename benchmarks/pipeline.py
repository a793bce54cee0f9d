"""How much of a run was not training: ``python -m benchmarks.pipeline results/toy3d``.

Every job's time from start to end is in the run's ``benchmarks/``, as Snakemake measured it;
the time spent in epochs is in ``tables/runtime.csv`` and in each atlas' provenance.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd


def shares(run: Path) -> pd.DataFrame:
    """Gives the jobs and their seconds by stage, and the share of all that was training."""
    seconds, jobs = {}, {}
    for path in sorted((run / "benchmarks").rglob("*.tsv")):
        stage = path.relative_to(run / "benchmarks").parts[0].removesuffix(".tsv")
        seconds[stage] = seconds.get(stage, 0.0) + float(pd.read_csv(path, sep="\t")["s"].iloc[0])
        jobs[stage] = jobs.get(stage, 0) + 1
    table = pd.DataFrame({"jobs": jobs, "seconds": seconds})
    training = {
        "flows": float(pd.read_csv(run / "tables" / "runtime.csv")["training_seconds"].sum()),
        "atlases": sum(
            json.loads(path.read_text())["training_seconds"]
            for path in (run / "atlases").rglob("provenance.json")
        ),
    }
    table["training"] = pd.Series(training)
    table.loc["all"] = table.sum()
    table["not training"] = 1 - table["training"].fillna(0) / table["seconds"]
    return table


if __name__ == "__main__":
    print(shares(Path(sys.argv[1])).round(2).to_markdown())

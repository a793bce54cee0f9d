"""Copies of the workflow, and Snakemake run in them as a user would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]

TINY: dict[str, Any] = {
    "run": "tiny",
    "seeds": [0],
    "datasets": {"helix": {"n_train": 200, "n_validation": 100, "n_test": 100}},
    "training": {"toy": {"epochs": 2}},
    "sampling": {"default": {"samples": 50, "confinement_samples": 10}},
    "atlases": {"kmeans32": {"charts": 4, "min_charts": 2, "epsilon": 0.5}},
    "metrics": {"kde_log_likelihood": {"samples": 50}},
    "figures": {"density_slice": {"points": 400}},
    "benchmarks": {
        "toys": {
            "datasets": ["helix"],
            "variants": ["realnvp", "kmeans-realnvp"],
            "metrics": ["log_likelihood", "charts"],
            "figures": ["toy_gallery", "atlas", "likelihood", "training_curves", "density_slice"],
        }
    },
}


def copy_workflow(folder: Path, *more: str) -> Path:
    """Copies what a run is started from, and further parts of the project; gives the folder."""
    for name in ("Snakefile", "workflow", "config", "profiles", "envs", *more):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


def run(folder: Path, *arguments: str, fails: bool = False) -> str:
    """Runs Snakemake; gives what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("VQFLOW_DATA", None)
    result = subprocess.run(
        [*SNAKEMAKE, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
    )
    output = result.stdout + result.stderr
    assert (result.returncode != 0) == fails, output
    return output


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Gives how many jobs of each rule a dry run would run."""
    output = run(folder, "-n", *arguments)
    table = output.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.M)}

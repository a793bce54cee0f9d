"""The same run gives the same bytes, wherever and however it is made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import copy_workflow

CONFIG: dict[str, Any] = {
    "run": "twice",
    "seeds": [0],
    "datasets": {"helix": {"n_train": 200, "n_validation": 100, "n_test": 100}},
    "training": {"toy": {"epochs": 2}},
    "sampling": {"default": {"samples": 50, "confinement_samples": 10}},
    "atlases": {"vq32": {"charts": 4, "min_charts": 2, "training": {"epochs": 2}}},
    "benchmarks": {
        "toys": {
            "datasets": ["helix"],
            "variants": ["vq-realnvp"],
            "metrics": ["log_likelihood", "charts"],
            "figures": ["likelihood"],
        }
    },
}
DIFFERENT = {"runtime.csv", "provenance.json", "report.html"}
"""Times and the machine stand in them."""


def reordered(value: Any) -> Any:
    """The same configuration with the keys of each dictionary in the other order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return value


def clone(folder: Path, config: dict[str, Any]) -> Path:
    (copy_workflow(folder) / "run.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def snakemake(folder: Path, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--configfile", "run.yaml", *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def results(folder: Path) -> dict[str, bytes]:
    """Every result of a run by its path."""
    root = folder / "results" / "twice"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.name.removeprefix(".").removesuffix(".sha256") not in DIFFERENT
        and path.relative_to(root).parts[0] not in ("logs", "benchmarks", "checkpoints")
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = clone(tmp_path_factory.mktemp("first"), CONFIG)
    snakemake(folder, "--cores", "1", PYTHONHASHSEED="0", OMP_NUM_THREADS="1")
    return folder


def test_two_clones_agree_with_other_cores_threads_hashes_and_order_of_keys(
    first: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = clone(tmp_path_factory.mktemp("zweiter Örtlichkeit"), reordered(CONFIG))
    variables = {"PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    snakemake(second, "--cores", "2", **variables, LANG="C", LC_ALL="C")
    here, there = results(first), results(second)
    assert sorted(here) == sorted(there)
    assert any(name.endswith("model.pt") for name in here)
    assert "tables/summary.csv" in here and "figures/likelihood.png" in here
    differing = [name for name in here if here[name] != there[name]]
    assert not differing


def test_what_was_run_is_recorded_with_the_sums_of_its_data(first: Path) -> None:
    facts = json.loads((first / "results" / "twice" / "provenance.json").read_text())
    data = (first / "results" / "twice" / "data" / "helix.npz").read_bytes()
    assert facts["data_sha256"] == {"helix": hashlib.sha256(data).hexdigest()}
    assert {"commit", "dirty"} <= set(facts["git"])
    assert facts["packages"]["torch"] and facts["hardware"]["processor"]


@pytest.mark.parametrize("records", [True, False])
def test_results_of_another_clone_are_taken_as_they_are(
    first: Path, tmp_path: Path, records: bool
) -> None:
    """With Snakemake's own records beside them or not."""
    third = clone(tmp_path, CONFIG)
    for name in ("results", ".snakemake") if records else ("results",):
        shutil.copytree(first / name, third / name)
    assert "Nothing to be done" in snakemake(third, "--cores", "1")

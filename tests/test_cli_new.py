"""``vqflow new`` and ``vqflow catalogue``: what is started works at once, and is listed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from cli import vqflow
from conftest import CATALOGUE
from runs import ROOT, copy_workflow
from small import merge

from vqflow.check import check
from vqflow.cli.new import Kind
from vqflow.config.catalogue import SECTIONS
from vqflow.source import class_docstring

KINDS = list(Kind)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each kind."""
    folder = tmp_path_factory.mktemp("started")
    for kind in KINDS:
        printed = vqflow("new", kind, f"my_{kind}", "--out", folder)
        assert f"snakemake --configfile {folder / f'my_{kind}.yaml'}" in printed
    return folder


@pytest.fixture
def importable(started: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(started))
    return started


def content(folder: Path, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / f"my_{kind}.yaml").read_text())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_started_passes_the_preflight(importable: Path, kind: Kind) -> None:
    built = check([str(importable / f"my_{kind}.yaml")])
    assert any(f"my_{kind}" in place for place in built)
    assert content(importable, kind)["run"] == f"my_{kind}"


def test_what_is_started_runs_together(started: Path, tmp_path: Path) -> None:
    """One model on one's own data, flow and atlas, scored and drawn by one's own classes."""
    tiny: dict[str, Any] = {
        "run": "tiny",
        "seeds": [0],
        "datasets": {"my_data": {"n": 120}},
        "atlases": {"my_atlas": {"charts": 3}},
        "variants": {"my_flow": {"atlas": "my_atlas"}},
        "training": {"toy": {"epochs": 1}},
        "sampling": {"default": {"samples": 50, "confinement_samples": 10}},
    }
    whole: dict[str, Any] = {}
    for kind in KINDS:
        whole = merge(whole, content(started, kind))
    whole = merge(whole, tiny)
    whole["benchmarks"] = {
        "mine": {
            "datasets": ["my_data"],
            "variants": ["my_flow"],
            "metrics": ["my_metric"],
            "figures": ["my_figure"],
        }
    }
    (copy_workflow(tmp_path) / "tiny.yaml").write_text(yaml.safe_dump(whole))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(started), str(ROOT)])
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(tmp_path / "results/tiny/tables/metrics.csv")
    assert list(table["metric"]) == ["my_metric"] and table["value"].gt(0).all()
    assert (tmp_path / "results/tiny/figures/my_figure-my_data.png").stat().st_size > 5000
    text = vqflow("show", tmp_path / "results/tiny")
    assert "Distance to the nearest sample" in text and "my_flow" in text


def test_what_is_there_is_never_written_over(started: Path) -> None:
    before = {path: path.read_bytes() for path in started.glob("my_*")}
    line = vqflow("new", "metric", "my_flow", "--out", started, code=2)
    assert "my_flow.py and " in line and "exists already" in line
    assert {path: path.read_bytes() for path in started.glob("my_*")} == before


def test_the_catalogue_lists_every_entry_by_its_class() -> None:
    text = vqflow("catalogue")
    for section in SECTIONS:
        entries = CATALOGUE.get(section, {})
        assert (f"\n{section}\n" in f"\n{text}") == bool(entries)
        lines = vqflow("catalogue", section).splitlines() if entries else []
        assert [line.split()[0] for line in lines] == list(entries)
    assert "helix                A helix of 4.5 turns: (t/π - 4.5, cos t, sin t)" in text
    assert "without a docstring" not in text and "``" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_ones_own_entries_are_marked(started: Path, kind: Kind) -> None:
    file = started / f"my_{kind}.yaml"
    text = vqflow("catalogue", "--configfile", file)
    own = {
        name
        for section, entries in content(started, kind).items()
        if section in SECTIONS
        for name in entries
    }
    assert {line.split()[1] for line in text.splitlines() if line.startswith("* my")} == {
        name for name in own if name.startswith("my")
    }
    assert "\n* toy " in text and f"* added or changed by {file}" in text
    assert "without a docstring" not in text


def test_only_an_empty_class_has_the_docstring_of_its_base() -> None:
    assert str(class_docstring("zuko.flows.RealNVP")).startswith("Creates a NICE / RealNVP flow.")
    assert class_docstring("vqflow.nowhere.Nothing") is None

"""Mistakes as Snakemake shows them: when the workflow is parsed, and before the first job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import ROOT
from test_wrong_configs import BASE, RUN, merge

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", ROOT / "Snakefile"]


@pytest.mark.parametrize(
    ("change", "arguments", "line"),
    [
        (
            {"atlases": {"vq32": {"epsilon": float("inf")}}},
            ["-n"],
            "atlases.vq32.epsilon: is .inf; allowed: a finite number",
        ),
        (
            {"flows": {"realnvp": {"transforms": 0}}},
            [],
            "preflight: flows.realnvp.transforms: is 0; allowed: 1 or more",
        ),
        (
            {"training": {"toy": {"device": "cuda"}}},
            [],
            'preflight: training.toy.device: is "cuda", but torch sees no GPU here',
        ),
    ],
)
def test_a_mistake_is_said_before_any_work(
    tmp_path: Path, change: dict[str, Any], arguments: list[str], line: str
) -> None:
    if "cuda" in line and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(merge(merge(BASE, RUN), change)))
    done = subprocess.run(
        [*SNAKEMAKE, "--configfile", "mine.yaml", "--workflow-profile", "none", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 1
    assert [each for each in done.stdout.splitlines() if each.startswith(line)], done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results" / "small" / "data").exists()

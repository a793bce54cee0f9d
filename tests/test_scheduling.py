"""Snakemake's scheduler as it is: it looks at the jobs when one has ended, and not all the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

JOBS = 9
SNAKEFILE = """
from vqflow.stages.scheduling import rest_between_jobs

onstart:
    rest_between_jobs(workflow.scheduler)

rule all:
    input: expand("quick{n}", n=range(6)), "slow", "last"

rule quick:
    output: "quick{n,[0-9]}"
    priority: 2
    shell: "touch {output}"

rule slow:
    output: "slow"
    priority: 1
    shell: "sleep 4; touch {output}"

rule last:
    output: "last"
    shell: "touch {output}"
"""


def looks(folder: Path, *arguments: str) -> int:
    """Runs six quick jobs, one of four seconds and a last one; how often the scheduler looked."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--verbose", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert all((folder / name).exists() for name in ("quick0", "quick5", "slow", "last"))
    return result.stderr.count("Resources before job selection")


@pytest.mark.parametrize("rate", ["100/1s", "2/1s"], ids=["unused", "used-up"])
def test_looks_follow_the_jobs(tmp_path: Path, rate: str) -> None:
    """It rests while the slow job runs; a rate that is used up holds jobs back, and all run."""
    assert 1 <= looks(tmp_path, "--max-jobs-per-timespan", rate) <= 2 * JOBS

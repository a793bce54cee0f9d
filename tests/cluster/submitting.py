"""A real SLURM that answers, and projects of which each run is submitted to it: fixtures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import ROOT, copy_workflow

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
SAME = ("metrics.csv", "summary.csv", "summary.md", "summary.tex")


def answer(*command: str) -> str:
    """What a command prints; nothing where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@pytest.fixture(scope="session")
def partition() -> str:
    """The partition that jobs may go to."""
    names = answer("sinfo", "--noheader", "--format=%R %T").splitlines()
    free = [line.split()[0] for line in names if line.split()[1] in ("idle", "mixed", "allocated")]
    if not free:
        pytest.skip("no SLURM with a node that takes jobs answers to sinfo here")
    return free[0]


@pytest.fixture(scope="session")
def operator(partition: str) -> None:
    """Skips what needs the rights to change nodes and partitions."""
    user = answer("id", "-un")
    shown = answer("scontrol", "show", "config")
    if os.getuid() != 0 and f"SlurmUser               = {user}" not in shown:
        pytest.skip("needs the rights of SLURM's operator")


@dataclass
class Project:
    """A copy of the workflow with a profile for this cluster, made from the shipped one.

    Attributes:
        folder: Where it lies.
        partitions: Of ``partitions.yaml``: the site's.
        settings: What else of the profile is the site's, or a test's.
    """

    folder: Path
    partitions: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    def write(self, run: dict[str, Any]) -> None:
        """Writes the run's configuration and the profile."""
        (self.folder / "run.yaml").write_text(yaml.safe_dump(run))
        profile = self.folder / "profiles" / "slurm"
        (profile / "partitions.yaml").write_text(yaml.safe_dump({"partitions": self.partitions}))
        shipped = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
        here = {
            "slurm-status-command": "squeue",
            "slurm-init-seconds-before-status-checks": 1,
            "latency-wait": 10,
            "cores": 2,
        }
        (profile / "config.yaml").write_text(yaml.safe_dump({**shipped, **here, **self.settings}))

    def start(self, *arguments: str, profile: str = "slurm") -> subprocess.Popen[str]:
        """Starts Snakemake as a user would, in a process group of its own."""
        return subprocess.Popen(
            [
                *SNAKEMAKE,
                "--workflow-profile",
                f"profiles/{profile}",
                "--configfile",
                "run.yaml",
                *arguments,
            ],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, started: subprocess.Popen[str], fails: bool = False) -> str:
        """Waits for Snakemake and gives what it printed."""
        output, _ = started.communicate(timeout=1500)
        assert (started.returncode != 0) == fails, output[-6000:]
        return output

    def run(self, *arguments: str, profile: str = "slurm", fails: bool = False) -> str:
        """Runs Snakemake to its end."""
        return self.finish(self.start(*arguments, profile=profile), fails)

    def tables(self, run: str) -> dict[str, bytes]:
        """The bytes of a run's tables."""
        folder = self.folder / "results" / run / "tables"
        return {name: (folder / name).read_bytes() for name in SAME}

    def log(self, run: str, pattern: str) -> str:
        """What stands in the logs of a run's jobs, those of one kind."""
        files = (self.folder / "results" / run / "logs").glob(pattern)
        return "".join(file.read_text() for file in files if not file.name.startswith("."))


Make = Callable[..., Project]


def copy_project(folder: Path, partition: str, run: dict[str, Any], **limits: Any) -> Project:
    """Makes a project in a new folder, with a partition of some limits."""
    folder.mkdir()
    most = {"max_runtime": 1440, "max_mem_mb": 12_000, **limits}
    made = Project(copy_workflow(folder), {partition: most})
    made.write(run)
    return made


@pytest.fixture
def make_project(tmp_path: Path, partition: str) -> Iterator[Make]:
    """Makes projects; jobs that a test leaves behind are cancelled."""
    before = set(answer("squeue", "--noheader", "--format=%i").split())
    yield lambda name, run, **limits: copy_project(tmp_path / name, partition, run, **limits)
    for job in set(answer("squeue", "--noheader", "--format=%i").split()) - before:
        answer("scancel", job)


def submitted(output: str) -> list[str]:
    """The numbers of SLURM's jobs in what Snakemake printed; one for all tasks of an array."""
    return sorted(set(re.findall(r"SLURM (?:jobid|job ID) (\d+)", output)))


def queued() -> dict[str, str]:
    """The state of each job that has not ended."""
    lines = answer("squeue", "--noheader", "--format=%i %T").splitlines()
    return dict(tuple(line.split()) for line in lines)


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """Waits until something is true, and gives it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"nothing of the kind within {seconds} s")


def kill(process: subprocess.Popen[str]) -> None:
    """Kills Snakemake and all that it started here."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

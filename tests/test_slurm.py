"""Jobs whose time is over queue themselves again: with commands that pretend to be SLURM's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vqflow.stages.slurm import queue_again


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands: squeue answers what is in ``state``, scontrol notes what it is told."""
    commands = {
        "squeue": f'cat "{tmp_path}/state"',
        "scontrol": f'echo "$@" >> "{tmp_path}/told"',
    }
    for name, line in commands.items():
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{line}\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    return tmp_path


@pytest.mark.parametrize("left", ["0:00", "1:59", "2:00", "5:00"])
def test_a_job_near_its_limit_is_queued_again(cluster: Path, left: str) -> None:
    (cluster / "state").write_text(f"RUNNING {left}\n")
    assert queue_again()
    assert (cluster / "told").read_text() == "requeue 17\n"


@pytest.mark.parametrize(
    "state",
    [
        "RUNNING 5:01",
        "RUNNING 1:00:00",
        "RUNNING 2-00:00:10",
        "RUNNING UNLIMITED",
        "CANCELLED 1:00",
        "COMPLETING 0:30",
        "",
    ],
)
def test_a_job_that_is_ended_for_another_reason_is_not(cluster: Path, state: str) -> None:
    (cluster / "state").write_text(state + "\n")
    assert not queue_again()
    assert not (cluster / "told").exists()


def test_without_slurm_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("PATH", "")
    assert not queue_again()


def test_where_slurm_does_not_answer_the_job_just_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("PATH", "")
    assert not queue_again()

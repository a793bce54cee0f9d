"""The log of a job: every attempt's lines, also those of one that runs still."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vqflow.stages import job

ATTEMPT = """
import logging, sys
from vqflow.stages.job import start_job
start_job(sys.argv[1])
print(flush=True)
logging.getLogger("vqflow").info("%s: %s", sys.argv[2], sys.stdin.readline().strip())
"""


def attempt(log: Path, name: str) -> subprocess.Popen[str]:
    """Starts an attempt that has opened its log and waits for a line to write."""
    command = [sys.executable, "-c", ATTEMPT, str(log), name]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None and started.stdout.readline() == "\n"
    return started


def test_lines_of_all_attempts_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "seed0.log"
    attempt(log, "first").communicate("killed")
    log.unlink()  # as Snakemake does before it tries again
    orphan = attempt(log, "second")
    log.unlink()
    attempt(log, "third").communicate("ends")
    orphan.communicate("lives")
    lines = [line.split(" ", 2)[2] for line in log.read_text().splitlines()]
    assert [line for line in lines if "started on" not in line] == [
        "INFO first: killed",
        "INFO third: ends",
        "INFO second: lives",
    ]
    assert len(lines) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"seed0.log", ".seed0.log"}


def test_where_there_are_no_second_names_the_log_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    log, kept = tmp_path / "a.log", tmp_path / ".a.log"
    kept.write_text("earlier\n")
    assert job._named(log, kept) == [log, kept]
    assert log.read_text() == "earlier\n"

"""Snakemake killed, and the same command again: with a lock that nobody holds any more."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from runs import SNAKEMAKE, TINY, copy_workflow, run

ARGUMENTS = ["--configfile", "tiny.yaml", "--until", "prepare_data"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Its name has a space and letters that are not ASCII."""
    folder = tmp_path / "path with ünï space"
    folder.mkdir()
    (copy_workflow(folder) / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def test_a_killed_run_goes_on_and_one_that_lives_keeps_its_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without a home, and with texts in ASCII."""
    for name in ("HOME", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C")
    lock = folder / ".snakemake" / "locks" / "0.output.lock"
    first = subprocess.Popen([*SNAKEMAKE, *ARGUMENTS], cwd=folder, start_new_session=True)
    while not (lock.exists() and lock.stat().st_size):
        assert first.poll() is None
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        assert "LockException" in run(folder, *ARGUMENTS, fails=True)
        assert lock.exists()
    finally:
        os.killpg(first.pid, signal.SIGKILL)
    assert lock.exists()
    run(folder, *ARGUMENTS)
    assert (folder / "results" / "tiny" / "data" / "helix.npz").exists()
    first.wait()
    assert not lock.exists()
    assert not list((folder / ".snakemake" / "vqflow" / "holders").iterdir())

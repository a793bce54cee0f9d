"""Leases and locks of processes that live, are dead, or run on another machine."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vqflow.processes import Process
from vqflow.stages import lease as leases
from vqflow.stages import locks
from vqflow.stages.lease import lease
from vqflow.stages.locks import free_dead_locks
from vqflow.stages.scratch import remove_finished, run_trials

SLEEPER = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
RUN = "results/mine"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BEAT": 0.02, "STALE": 0.3, "POLL": 0.01}.items():
        monkeypatch.setattr(leases, name, seconds)


@pytest.fixture(scope="module")
def alive() -> Iterator[Process]:
    """Another process of this machine."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as sleeper:
        assert sleeper.stdout is not None and sleeper.stdout.readline()
        yield replace(Process.current(), pid=sleeper.pid, started=started(sleeper.pid))
        sleeper.kill()


@pytest.fixture(scope="module")
def dead() -> Process:
    """One that was killed."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as sleeper:
        assert sleeper.stdout is not None and sleeper.stdout.readline()
        process = replace(Process.current(), pid=sleeper.pid, started=started(sleeper.pid))
        assert not process.is_dead
        sleeper.kill()
        time.sleep(0.1)
        assert process.is_dead, "also before its parent has read how it ended"
    return process


def started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def elsewhere(process: Process) -> Process:
    return replace(process, machine="another", host="node7")


def hold(path: Path, holder: Process) -> None:
    path.write_text(json.dumps({"token": "theirs", "holder": holder.plain(), "job": "17"}))


def test_a_number_that_another_process_has_now_is_not_the_old_one(alive: Process) -> None:
    assert not alive.is_dead
    assert replace(alive, started=alive.started - 1).is_dead
    assert not elsewhere(replace(alive, started=1)).is_dead, "not known"
    assert Process.from_plain(json.loads(json.dumps(alive.plain()))) == alive
    assert Process.from_plain({"pid": 3}) is None


def test_a_lease_is_there_while_it_is_held_and_renewed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "seed0.lease"
    with lease(path):
        assert Process.from_plain(json.loads(path.read_text())["holder"]) == Process.current()
        first = path.stat().st_mtime_ns
        time.sleep(0.2)
        assert path.stat().st_mtime_ns > first
    assert not list(path.parent.iterdir())


def test_the_dead_ones_is_taken_over_at_once(
    tmp_path: Path, dead: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE", 1e6)
    hold(tmp_path / "lease", dead)
    with lease(tmp_path / "lease"):
        assert "theirs" not in (tmp_path / "lease").read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "x", "holder": null}'])
def test_one_of_another_machine_or_of_nobody_is_taken_over_when_it_is_stale(
    tmp_path: Path, alive: Process, text: str
) -> None:
    path = tmp_path / "lease"
    hold(path, elsewhere(alive))
    if text:
        path.write_text(text)
    before = time.monotonic()
    with lease(path):
        assert time.monotonic() - before >= 0.3
    assert not list(tmp_path.iterdir())


def test_a_second_waits_for_the_first_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Longer than a dead one's lease would last, and however many there are."""
    order: list[str] = []

    def train(name: str, seconds: float) -> None:
        with lease(tmp_path / "lease"):
            order.append(f"{name} starts")
            time.sleep(seconds)
            order.append(f"{name} ends")

    threads = [threading.Thread(target=train, args=("first", 0.8))]
    threads += [threading.Thread(target=train, args=(f"next {n}", 0.02)) for n in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert order[:2] == ["first starts", "first ends"]
    assert [each.rpartition(" ")[2] for each in order] == ["starts", "ends"] * 4
    waits = f"waiting for process {os.getpid()} on "
    assert waits in caplog.text and waits in capsys.readouterr().err
    assert caplog.text.count(waits) <= 3 * 3, "not at every look"


def test_who_lost_the_lease_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a machine slept, and another took over."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: killed.append(given))
    path = tmp_path / "lease"
    with lease(path):
        path.write_text('{"token": "theirs"}')
        time.sleep(0.2)
    assert [each for each in killed if each[1]] == [(os.getpid(), signal.SIGTERM)]
    assert "theirs" in path.read_text()


def test_scratch_stays_until_the_run_has_succeeded(tmp_path: Path) -> None:
    """So that results which are lost after their job are made again from the last epoch."""
    trials = {seed: {"scratch": tmp_path / "flows" / f"seed{seed}"} for seed in (0, 1)}

    def run(seed: int, paths: dict[str, Path]) -> None:
        paths["scratch"].mkdir(parents=True)
        (paths["scratch"] / "state").touch()
        assert len(list(tmp_path.rglob("*.lease"))) == 2
        if seed == failing:
            raise RuntimeError("out of luck")

    failing = 1
    with pytest.raises(RuntimeError, match="luck"):
        run_trials(trials, run)  # type: ignore[arg-type]
    remove_finished(tmp_path)
    assert len(list(tmp_path.rglob("state"))) == 2
    assert not list(tmp_path.rglob("*.lease"))
    for paths in trials.values():
        (paths["scratch"] / "finished").touch()
    with lease(tmp_path / "flows" / "seed1.lease"):
        remove_finished(tmp_path)
    assert [path.parent.name for path in tmp_path.rglob("state")] == ["seed1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    return tmp_path


def locked(folder: Path, holder: Process | None, run: str = RUN, number: int = 0) -> list[Path]:
    """Writes what a Snakemake leaves: who it is, and then its locks."""
    if holder is not None:
        path = folder / ".snakemake" / "vqflow" / "holders" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"run": run, "process": holder.plain()}))
    files = []
    for kind in ("input", "output"):
        files.append(folder / ".snakemake" / "locks" / f"{number}.{kind}.lock")
        files[-1].write_text(f"{run}/data/helix.npz\nresults/reference/{Path(run).name}/x.csv\n")
    return files


def test_the_locks_of_the_dead_are_removed(folder: Path, dead: Process) -> None:
    files = locked(folder, dead)
    free_dead_locks(RUN)
    assert not [file for file in files if file.exists()]
    holders = list((folder / ".snakemake" / "vqflow" / "holders").iterdir())
    assert [json.loads(path.read_text())["process"]["pid"] for path in holders] == [os.getpid()]
    locks._leave(holders[0], os.getpid())
    assert not holders[0].exists()


def test_the_locks_of_the_living_stay(folder: Path, alive: Process, dead: Process) -> None:
    files = locked(folder, alive)
    other = locked(folder, dead, "results/other", 1)
    free_dead_locks(RUN)
    assert all(file.exists() for file in (*files, *other))
    free_dead_locks("results/other")
    assert all(file.exists() for file in files) and not any(file.exists() for file in other)


def test_locks_of_whom_nobody_knows_stay(folder: Path, dead: Process) -> None:
    files = locked(folder, None)
    locked(folder, dead, "results/other", 1)
    free_dead_locks(RUN)
    assert all(file.exists() for file in files)


def test_locks_on_files_of_others_stay(folder: Path, dead: Process) -> None:
    files = locked(folder, dead)
    for file in files:
        file.write_text(f"{RUN}/data/helix.npz\nelsewhere/x.csv\n")
    free_dead_locks(RUN)
    assert all(file.exists() for file in files)


def test_of_locks_of_another_machine_is_said_what_to_do(
    folder: Path, alive: Process, dead: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    files = locked(folder, elsewhere(dead))
    free_dead_locks(RUN)
    assert all(file.exists() for file in files)
    assert (
        f"process {dead.pid} on node7; if that runs no more: snakemake --unlock"
        in capsys.readouterr().err
    )
    for file in files:
        file.unlink()  # as by hand
    free_dead_locks(RUN)
    locked(folder, dead, number=1)
    free_dead_locks(RUN)
    assert not list(folder.rglob("*.lock")), "what the other machine left is forgotten"


def test_a_folder_that_cannot_be_written_is_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refuse(*given: object) -> None:
        tried.append(given[0])
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locks, "write_text", refuse)
    free_dead_locks(RUN)
    assert len(tried) == 1 and not Path(str(tried[0])).exists()


def test_logs_name_the_dead(
    tmp_path: Path, dead: Process, caplog: pytest.LogCaptureFixture
) -> None:
    hold(tmp_path / "lease", dead)
    with caplog.at_level(logging.WARNING), lease(tmp_path / "lease"):
        assert f"its holder, process {dead.pid} on {dead.host}, is dead" in caplog.text

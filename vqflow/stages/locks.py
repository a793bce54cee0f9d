"""Locks that a killed Snakemake left on the working directory, told from those of one that lives.

Snakemake's lock is a list of files, without the name of who holds it. So each run writes its own
beside, before it takes the lock, and one that starts removes locks whose holder is known to be
dead. Imports no torch.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vqflow.files import write_text
from vqflow.processes import Process

_SNAKEMAKE = Path(".snakemake")


def free_dead_locks(run: str) -> None:
    """Removes the locks of a run's earlier processes that were killed, and announces this one.

    A lock is left alone where its holder lives, is of another machine, or is not known; of the
    one of another machine is said what to do.

    Args:
        run: The folder of the run's results, relative to the working directory.
    """
    holders = _SNAKEMAKE.absolute() / "vqflow" / "holders"
    with suppress(OSError):  # nothing can be written here, and so nothing locked
        own = _announce(holders, run)
        locks = [lock for lock in _SNAKEMAKE.glob("locks/*.lock") if _is_of(lock, run)]
        for lock in locks:
            _free(lock, [found for found in _holders(holders, run) if found[0] != own])
        if not list(_SNAKEMAKE.glob("locks/*.lock")):
            _forget(holders, own)


def _announce(holders: Path, run: str) -> Path:
    process = Process.current()
    own = holders / f"{process.host}-{process.pid}.json"
    write_text(own, json.dumps({"run": run, "process": process.plain()}))
    atexit.register(_leave, own, os.getpid())
    return own


def _leave(own: Path, pid: int) -> None:
    if os.getpid() == pid:  # and not of a child that was forked off
        with suppress(OSError):
            own.unlink(missing_ok=True)


def _is_of(lock: Path, run: str) -> bool:
    """Says whether all files that a lock names are the run's results, or its reference's."""
    parent, _, name = run.rpartition("/")
    names = lock.read_text(encoding="utf-8").split("\n")
    ours = (f"{run}/", f"{parent}/reference/{name}/")
    return any(names) and all(name.startswith(ours) for name in names if name)


def _holders(holders: Path, run: str) -> Iterator[tuple[Path, Process]]:
    for path in holders.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(path.read_text(encoding="utf-8"))
            process = Process.from_plain(content["process"])
            if content["run"] == run and process is not None:
                yield path, process


def _free(lock: Path, holders: list[tuple[Path, Process]]) -> None:
    """Removes a lock if all that may have taken it, having started before, are dead."""
    with suppress(FileNotFoundError):
        taken = lock.stat().st_mtime_ns
        before = [process for path, process in holders if path.stat().st_mtime_ns <= taken]
        if before and all(process.is_dead for process in before):
            lock.unlink()
            return
        away = [process for process in before if not process.is_here]
        if away and all(process.is_dead for process in before if process.is_here):
            print(
                f"this folder is locked by Snakemake, {away[0]}; if that runs no more: "
                "snakemake --unlock, with the same --configfile",
                file=sys.stderr,
            )


def _forget(holders: Path, own: Path) -> None:
    """Removes what processes left that hold nothing."""
    for path in holders.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            process = Process.from_plain(json.loads(path.read_text(encoding="utf-8"))["process"])
            if path != own and (process is None or process.is_dead or not process.is_here):
                path.unlink()

"""A training's lease on its scratch folder: two jobs of the same training do not run at once.

A job may outlive the Snakemake that started it, and be started again meanwhile, also on another
machine. The lease is a file that names its holder, made so that one of two wins on any file system,
NFS included, and whose time the holder renews.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vqflow.processes import Process

log = logging.getLogger(__name__)

BEAT = 15.0
"""Seconds from one renewal to the next."""

STALE = 120.0
"""Seconds without a renewal after which a holder of another machine counts as dead."""

POLL = 2.0
"""Seconds from one look at another's lease to the next."""


@contextmanager
def lease(path: Path) -> Iterator[None]:
    """Holds a lease; waits first while another process that lives holds it.

    Args:
        path: The lease's file.
    """
    held = _Lease(path)
    held.acquire()
    stop = threading.Event()
    beat = threading.Thread(target=held.keep, args=(stop,), name="lease", daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        held.release()


class _Lease:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = uuid.uuid4().hex

    def acquire(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        seen, since, told = None, time.monotonic(), None
        while not self._create():
            found = self._read()
            if found is None:
                continue  # gone meanwhile
            content, state = found
            if state != seen:
                seen, since = state, time.monotonic()
            holder = Process.from_plain(content.get("holder"))
            silent = time.monotonic() - since
            if (holder is not None and holder.is_dead) or silent >= STALE:
                log.warning("%s: its holder, %s, is dead: taken over", self.path, holder)
                self._remove(state)
                continue
            if told != (told := content.get("token", "")):
                message = f"waiting for {_name(content)}, which does the same training"
                log.warning("%s (%s)", message, self.path)
                print(f"{message} ({self.path})", file=sys.stderr)
            time.sleep(POLL)

    def _create(self) -> bool:
        content = {
            "token": self.token,
            "holder": Process.current().plain(),
            "job": os.environ.get("SLURM_JOB_ID"),
        }
        try:
            with self.path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(content))
        except FileExistsError:
            return False
        return True

    def _read(self) -> tuple[dict[str, Any], tuple[str, int]] | None:
        """Gives the lease's content and its state, which a renewal changes; ``None`` without."""
        try:
            with self.path.open(encoding="utf-8") as file:
                renewed = os.fstat(file.fileno()).st_mtime_ns
                text = file.read()
        except FileNotFoundError:
            return None
        try:
            content = json.loads(text)
        except ValueError:  # being written, or cut off
            content = {}
        return (content if isinstance(content, dict) else {}), (text, renewed)

    def _remove(self, state: tuple[str, int]) -> None:
        """Removes a dead one's lease; moved first, since another may have done so before."""
        moved = self.path.with_name(f"{self.path.name}.{self.token}")
        with suppress(FileNotFoundError):
            self.path.rename(moved)
            if moved.read_text(encoding="utf-8") != state[0]:
                moved.rename(self.path)
            else:
                moved.unlink()

    def keep(self, stop: threading.Event) -> None:
        """Renews the lease until told to stop; a process that lost it ends as on SIGTERM."""
        while not stop.wait(BEAT):
            try:
                found = self._read()
                if found is None and self._create():
                    continue
                if found is not None and found[0].get("token") == self.token:
                    os.utime(self.path)
                    continue
            except OSError:  # passing faults of a file system
                continue
            log.error("%s: lost to another process: stopping", self.path)
            os.kill(os.getpid(), signal.SIGTERM)
            return

    def release(self) -> None:
        found = self._read()
        if found is not None and found[0].get("token") == self.token:
            self.path.unlink(missing_ok=True)


def _name(content: dict[str, Any]) -> str:
    holder = Process.from_plain(content.get("holder"))
    job = content.get("job")
    return f"{holder or 'another process'}{f', SLURM job {job}' if job else ''}"

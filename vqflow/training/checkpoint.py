"""The rolling checkpoint: read so that a damaged one costs little, written also on SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from vqflow.files import DamagedError, load_weights, save_weights

log = logging.getLogger(__name__)

State = Mapping[str, Any]
"""All that a training goes on from: tensors and plain values."""


def _nothing(epoch: int) -> None:
    return None


@dataclass(frozen=True)
class Checkpoint:
    """A rolling checkpoint: where it is, and what it belongs to.

    Attributes:
        path: The file; the one before it is kept beside it. Removed by the caller once
            nobody needs it.
        fingerprint: Identifies all that the result depends on.
        interval: Least time between two checkpoints, in seconds.
        lacking: Says which file that goes with the state after an epoch is missing or damaged.
    """

    path: Path
    fingerprint: str
    interval: float = 30.0
    lacking: Callable[[int], str | None] = _nothing

    def save(self, epoch: int, state: State) -> None:
        """Writes the state after an epoch; a kill at any time leaves this one or one before."""
        content = {"fingerprint": self.fingerprint, "epoch": epoch, "state": dict(state)}
        save_weights(self._beside("new"), content)
        if self.path.exists():
            self.path.replace(self._beside("previous"))
        self._beside("new").replace(self.path)

    def load(self) -> tuple[int, State] | None:
        """Gives the last epoch and the state after it, of the newest file that can be used."""
        for path in (self._beside("new"), self.path, self._beside("previous")):
            if not path.exists():
                continue
            try:
                content = load_weights(path)
            except DamagedError as error:
                log.warning("%s; kept as %s, going on without it", error, _set_aside(path))
                continue
            if content.get("fingerprint") != self.fingerprint:
                log.warning("checkpoint %s belongs to another configuration", path)
                continue
            lacking = self.lacking(content["epoch"])
            if lacking is not None:
                log.warning("%s: going on from before epoch %d", lacking, content["epoch"])
                continue
            log.info("resumed from %s after epoch %d", path, content["epoch"])
            return content["epoch"], content["state"]
        return None

    def _beside(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{name}{self.path.suffix}")


def _set_aside(path: Path) -> Path:
    number = len(list(path.parent.glob(f"{path.stem}.damaged*")))
    return path.rename(path.with_name(f"{path.stem}.damaged{number}{path.suffix}"))


class Rolling:
    """The state after the last epoch: on disk in intervals, and in memory in between.

    Args:
        checkpoint: Where it goes; ``None`` keeps nothing.
    """

    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self._saved = time.monotonic()
        self._epoch = 0
        self._unsaved: State | None = None

    def load(self) -> State | None:
        """Gives the state to go on from, if there is one."""
        found = None if self._checkpoint is None else self._checkpoint.load()
        if found is None:
            return None
        self._epoch, state = found
        return state

    def keep(self, epoch: int, state: Callable[[bool], State]) -> None:
        """Keeps the state after an epoch.

        Args:
            epoch: The epoch, from 1.
            state: Gives the state, and on ``True`` as a copy that training does not change.
        """
        if self._checkpoint is None:
            return
        due = time.monotonic() - self._saved >= self._checkpoint.interval
        self._epoch, self._unsaved = epoch, state(not due)
        if due:
            self.flush()

    def flush(self) -> None:
        """Writes what is not on disk yet."""
        if self._checkpoint is not None and self._unsaved is not None:
            self._checkpoint.save(self._epoch, self._unsaved)
        self._unsaved, self._saved = None, time.monotonic()

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Within this, SIGTERM writes the state after the last epoch and ends the process.

        It comes before a preemption or at a time limit, seconds before the kill.
        """
        if self._checkpoint is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.flush()
        try:
            message = f"stopped by SIGTERM, saved at epoch {self._epoch}"
            log.warning("%s; the same command goes on from there", message)
            print(f"{message}; the same command goes on from there", file=sys.stderr)
        finally:  # even where the signal came amid a write to the log
            raise SystemExit(128 + number)

"""Processes as files name them: whether the one that wrote a file still runs."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_STATE, _STARTED = 0, 19  # in /proc/<pid>/stat, after the name in brackets


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one of the same number.

    Attributes:
        host: The machine's name, for people.
        machine: What tells machines, and containers with processes of their own, apart.
        pid: Its number.
        started: When it started, as its machine counts; 0 where that is not known.
    """

    host: str
    machine: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Process:
        """Gives this process."""
        return cls(socket.gethostname(), _machine(), os.getpid(), _started(os.getpid()) or 0)

    @classmethod
    def from_plain(cls, value: Any) -> Process | None:
        """Gives what :meth:`plain` gave the values of; ``None`` of anything else."""
        try:
            host, machine = str(value["host"]), str(value["machine"])
            return cls(host, machine, int(value["pid"]), int(value["started"]))
        except (KeyError, TypeError, ValueError):
            return None

    def plain(self) -> dict[str, Any]:
        """Gives plain values."""
        return asdict(self)

    @property
    def is_here(self) -> bool:
        """Whether it is one of this machine, so that :attr:`is_dead` knows."""
        return self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """Whether it is known to run no more: of another machine, this is not known."""
        return self.is_here and _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _started(pid: int) -> int | None:
    """Gives when a process started; ``None`` where none runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # of another user
        pass
    try:
        facts = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:  # no Linux
        return 0
    return None if facts[_STATE] in "ZX" else int(facts[_STARTED])


def _machine() -> str:
    """Gives this start of this machine, and the space that its process numbers are of."""
    facts = [socket.gethostname()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
        facts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(facts)

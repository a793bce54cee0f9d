"""How long a run is expected to take, and what is left of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from vqflow.terminal.jobs import Job

Expected = Mapping[str, float]
"""Seconds by the key of a job, see :func:`key`; those of a rule alone are its jobs' mean."""

_DEFAULT_SECONDS = 6.0
_TRUSTED_SHARE = 0.1


def key(rule: str, **wildcards: str) -> str:
    """Gives what a job's expected seconds are found by."""
    names = [wildcards[name] for name in ("dataset", "atlas", "variant") if wildcards.get(name)]
    return " ".join([rule, *names])


class Clock:
    """Counts jobs, and weighs each by what it was expected to take.

    What is left is told from how long the finished part took, once that is a tenth of the whole.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._jobs: dict[str, int] = {}
        self._expected: Expected = {}
        self._cores = 1
        self._done = 0
        self._weight = 0.0

    def expect_jobs(self, stats: Mapping[str, Any]) -> None:
        """Takes how many jobs of each rule there are; only the first count is that of the run."""
        if not self._jobs:
            self._jobs = {rule: int(n) for rule, n in stats.items() if rule not in ("total", "all")}

    def expect_seconds(self, expected: Expected, cores: int) -> None:
        """Takes what jobs are expected to take."""
        self._expected, self._cores = expected, max(1, cores)
        self._started = time.monotonic()

    def opening(self) -> str:
        """Says how many jobs are to be done, and about how long they will take."""
        if not self._jobs:
            return ""
        return f": {sum(self._jobs.values())} jobs, about {duration(self._total() / self._cores)}"

    def finish(self, job: Job) -> tuple[int, int, float | None]:
        """Counts a job.

        Returns:
            How many are done, how many there are, and the seconds left where they can be told.
        """
        if job.rule != "all":
            self._done += 1
            self._weight += self._seconds(key(job.rule, **job.wildcards), job.rule)
        count = sum(self._jobs.values())
        whole = self._total()
        left = None
        if self._done < count and _TRUSTED_SHARE * whole <= self._weight <= whole:
            took = time.monotonic() - self._started
            left = took * (whole - self._weight) / self._weight
        return self._done, max(count, self._done), left

    def _total(self) -> float:
        return sum(count * self._seconds(rule, rule) for rule, count in self._jobs.items())

    def _seconds(self, name: str, rule: str) -> float:
        return self._expected.get(name, self._expected.get(rule, _DEFAULT_SECONDS))


def duration(seconds: float) -> str:
    """Writes a time as a person would: ``34 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"

"""What a job does that SLURM ends because its time is over."""

from __future__ import annotations

import os
import re
import subprocess

_NEAR_SECONDS = 300
"""SLURM sends its signal up to a minute early; the profile asks for it 2 minutes before the end."""


def queue_again() -> bool:
    """Puts this job into the queue again where its time is nearly over; it ends at once then.

    A time limit is no failure: the job keeps its number, and costs Snakemake no retry. A job that
    a person cancels, or that is preempted, which SLURM sees to itself, is left alone.

    Returns:
        Whether it was put there.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or not 0 <= _seconds_left(job) <= _NEAR_SECONDS:
        return False
    return _answer("scontrol", "requeue", job) is not None


def _seconds_left(job: str) -> float:
    """Gives the time that a job has left; -1 where it runs no more or SLURM does not say."""
    answer = _answer("squeue", "--noheader", f"--jobs={job}", "--format=%T %L")
    state, _, left = (answer or "").strip().partition(" ")
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", left)
    if state != "RUNNING" or found is None:
        return -1
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _answer(*command: str) -> str | None:
    """Gives what a command prints; ``None`` where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout

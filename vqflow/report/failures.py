"""What failed in a run, with the ends of the logs that say why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vqflow.report.plan import MISSING, Trial

LINES = 40
"""How much of a log is shown: a traceback and what came before it."""

_OTHERS = {"report.log", "verify.log"}
"""Logs of jobs that have no benchmark: this one's, and one that is no part of a run."""


@dataclass(frozen=True)
class Failure:
    """Something that did not come out.

    Attributes:
        what: The training, or the job.
        how: ``"diverged"``, ``"failed"`` or ``"did not end"``.
        reason: Why, in a line; empty where it is not known.
        log: Its log, within the run's folder; empty where there is none.
        end: The last lines of the log.
    """

    what: str
    how: str
    reason: str
    log: str
    end: str


def diverged(run: Path, trials: Iterable[Trial]) -> Iterator[Failure]:
    """Gives the trainings that diverged, which is a result and stops no run."""
    for trial in trials:
        if trial.status in ("ok", MISSING):
            continue
        folder = run / "logs" / "flows" / trial.dataset / trial.variant
        logs = [folder / f"{name}.log" for name in (f"seed{trial.seed}", "trials")]
        log = next((path for path in logs if path.is_file()), None)
        what = f"{trial.variant} on {trial.dataset}, seed {trial.seed}"
        name, end = ("", "") if log is None else (log.relative_to(run).as_posix(), _end(log))
        yield Failure(what, trial.status, trial.reason, name, end)


def unfinished(run: Path) -> Iterator[Failure]:
    """Gives the jobs that began and did not end: Snakemake writes a job's benchmark when it has.

    A benchmark older than the log is one of an earlier time. Only for a run that is not whole,
    since jobs of an earlier selection may lie in its folder.
    """
    logs = run / "logs"
    for log in sorted(logs.rglob("*.log")):
        inner = log.relative_to(logs)
        benchmark = (run / "benchmarks" / inner).with_suffix(".tsv")
        ended = benchmark.is_file() and benchmark.stat().st_mtime_ns >= log.stat().st_mtime_ns
        if ended or log.name.startswith(".") or inner.as_posix() in _OTHERS:
            continue
        end = _end(log)
        failed = " ERROR job failed" in end
        reason = end.rstrip().rpartition("\n")[2] if failed else ""
        name = log.relative_to(run).as_posix()
        job = inner.with_suffix("").as_posix()
        yield Failure(job, "failed" if failed else "did not end", reason, name, end)


def _end(log: Path) -> str:
    """Gives the last lines of a log, of its last attempt alone."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if " INFO started on " in line]
    return "\n".join(lines[starts[-1] if starts else 0 :][-LINES:])

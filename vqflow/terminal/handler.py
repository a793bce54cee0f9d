"""The terminal of a run: one line a finished job, and what is worth a warning.

Snakemake's own log (``.snakemake/log/``) keeps every word; errors are printed as Snakemake does.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from vqflow.terminal.clock import Clock, duration
from vqflow.terminal.jobs import Job

_SILENT = {
    LogEvent.RUN_INFO,
    LogEvent.WORKFLOW_STARTED,
    LogEvent.SHELLCMD,
    LogEvent.JOB_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.PROGRESS,
    LogEvent.RULEGRAPH,
}
_CHATTER = (
    "Building DAG",
    "Using shell",
    "Select jobs to execute",
    "Execute ",
    "Conda environments",
    "Group jobs: inactive",
    "Complete log(s)",
    "Elapsed time",
    "Using workflow specific profile",
    "Config file ",
    "Assuming unrestricted shared filesystem",
)

_UNREADABLE = "Config file is not valid JSON or YAML"


class RunHandler(LogHandlerBase):
    """Prints what a user wants to see of a run, at any width, in colour only on a terminal."""

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return False

    @property
    def has_formatter(self) -> bool:
        return False

    @property
    def needs_rulegraph(self) -> bool:
        return False

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self._console = Console(
            file=stream,
            no_color=settings.nocolor or None,
            highlight=False,
            soft_wrap=True,
        )
        self._jobs: dict[int, Job] = {}
        self._started: dict[int, float] = {}
        self._clock = Clock()
        self._lock = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a line for what matters, and passes over the rest."""
        try:
            with self._lock:
                self._show(record)
        except Exception:
            self.handleError(record)

    def _show(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if self.common_settings.dryrun:
            self._plain(record)
        elif event == LogEvent.JOB_INFO:
            self._meet(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(vars(record)["job_id"])
        elif event == LogEvent.GROUP_INFO:
            self._print(f"submitted together: {record.group_id}", "dim")  # type: ignore[attr-defined]
        elif event == LogEvent.RUN_INFO:
            self._clock.expect_jobs(vars(record)["stats"])
        elif event is None and hasattr(record, "expected"):
            self._clock.expect_seconds(record.expected, vars(record)["cores"])
            self._print(f"{record.getMessage()}{self._clock.opening()}", "bold")
        elif event not in _SILENT and not self._is_chatter(record, event):
            self._plain(record)

    def _is_chatter(self, record: logging.LogRecord, event: Any) -> bool:
        if event is not None or record.levelno >= logging.WARNING or self.common_settings.verbose:
            return False
        return record.getMessage().lstrip().startswith(_CHATTER) or not record.getMessage().strip()

    def _meet(self, record: logging.LogRecord) -> None:
        told = vars(record)
        job = Job(told["rule_name"], dict(told["wildcards"] or {}), list(told["output"] or []))
        self._jobs[told["jobid"]] = job
        self._started[told["jobid"]] = time.monotonic()

    def _finish(self, number: int) -> None:
        job = self._jobs.pop(number, None)
        if job is None:
            return
        done, total, left = self._clock.finish(job)
        if job.rule == "all":
            return
        seconds = time.monotonic() - self._started.pop(number)
        try:
            result, warnings = job.result(), list(job.warnings())
        except Exception:
            result, warnings = "", []  # its files are judged by the jobs that read them
        parts = [job.title(), result, duration(seconds)]
        if left is not None:
            parts.append(f"about {duration(left)} left")
        line = Text(f"[{done:>{len(str(total))}}/{total}] ", style="dim")
        line.append("; ".join(part for part in parts if part), style="not dim")
        self._console.print(line)
        for warning in warnings:
            self._print(f"    warning: {job.title()}: {warning}", "yellow")

    def _plain(self, record: logging.LogRecord) -> None:
        text = _with_place(self.format(record))
        if text and text != "None":
            style = "red" if record.levelno >= logging.ERROR else ""
            warned = record.levelno == logging.WARNING
            self._print(text, "yellow" if warned else style)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))


def _with_place(text: str) -> str:
    """Names file and line of what Snakemake cannot read, in place of its own words."""
    if _UNREADABLE not in text:
        return text
    from vqflow.config.components import ConfigError
    from vqflow.config.files import read_files

    places = []
    for argument in sys.argv[1:]:
        path = Path(argument.removeprefix("--configfile="))
        if path.suffix in (".yaml", ".yml") and path.is_file():
            try:
                read_files([path])
            except ConfigError as error:
                places.append(str(error))
    return "\n".join(places) or text

"""Logging of the workflow's jobs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vqflow.config.components import ConfigError


def start_job(log_path: str) -> None:
    """Sends log messages, warnings and an uncaught error of this process to its log file.

    Appends, so that a job that resumes keeps the lines of its first part. The terminal
    keeps the progress bar, and of an uncaught error its one line.
    """
    logging.basicConfig(
        filename=log_path,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )
    logging.captureWarnings(True)

    def on_error(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        logging.getLogger("vqflow").error("job failed", exc_info=(kind, error, trace))
        name = "" if issubclass(kind, ConfigError) else f"{kind.__name__}: "
        print(f"error: {name}{error} (log: {log_path})", file=sys.stderr)

    sys.excepthook = on_error


def read_stage(params: Any) -> Any:
    """Gives the plain value behind a rule's ``stage`` parameter."""
    return json.loads(params.stage)["value"]


def by_seed(seeds: Sequence[int], **files: Any) -> dict[int, dict[str, Path]]:
    """Gives the paths of each trial.

    Args:
        seeds: The trials' seeds.
        files: For each name, one path per seed; a path alone where there is one seed.
    """
    lists = {
        name: [paths] if isinstance(paths, (str, Path)) else list(paths)
        for name, paths in files.items()
    }
    rows = zip(*lists.values(), strict=True)
    return {
        seed: dict(zip(lists, map(Path, row), strict=True))
        for seed, row in zip(seeds, rows, strict=True)
    }

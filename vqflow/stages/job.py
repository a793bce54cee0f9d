"""Logging of the workflow's jobs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vqflow.config.components import ConfigError
from vqflow.config.entries import Component, Device
from vqflow.config.values import Model, load
from vqflow.files import DamagedError
from vqflow.stages.machine import Machine

log = logging.getLogger(__name__)


def start_job(log_path: str) -> None:
    """Sends log messages, warnings and an uncaught error of this process to its log file.

    The lines of earlier attempts come first, and those of one that runs still: Snakemake removes a
    job's log before each, which therefore is a second name of a hidden file beside it. The
    terminal keeps the progress, and of an uncaught error its one line.
    """
    log_file = Path(log_path)
    kept = log_file.with_name(f".{log_file.name}")
    logging.basicConfig(
        handlers=[logging.FileHandler(file, encoding="utf-8") for file in _named(log_file, kept)],
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )
    queued = os.environ.get("SLURM_JOB_ID")
    log.info(
        "started on %s, process %d%s",
        socket.gethostname(),
        os.getpid(),
        f", SLURM job {queued}" if queued else "",
    )
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk is said once, by what it stopped

    def on_error(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        log.error("job failed", exc_info=(kind, error, trace))
        name = "" if issubclass(kind, (ConfigError, DamagedError)) else f"{kind.__name__}: "
        print(f"error: {name}{error} (log: {log_path})", file=sys.stderr)

    sys.excepthook = on_error


def _named(log_file: Path, kept: Path) -> list[Path]:
    """Gives a log its second name; returns both to write where the file system has none."""
    kept.touch()
    log_file.unlink(missing_ok=True)
    try:
        os.link(kept, log_file)
    except OSError:
        shutil.copyfile(kept, log_file)
        return [log_file, kept]
    return [kept]


def read_values(snakemake: Any) -> Any:
    """Gives the plain values of a rule's ``stage`` parameter."""
    return json.loads(snakemake.params.stage)["value"]


def read_code(snakemake: Any) -> str:
    """Gives the identity of the code in a rule's ``stage`` parameter."""
    code: str = json.loads(snakemake.params.stage)["code"]
    return code


def read_stage(snakemake: Any, kind: type[Model]) -> Model:
    """Gives what a rule's ``stage`` parameter says, typed."""
    return load(kind, read_values(snakemake))


def read_components(snakemake: Any) -> list[Component]:
    """Gives the components that a rule's ``stage`` parameter lists."""
    return [load(Component, value) for value in read_values(snakemake)]


def machine_of(snakemake: Any) -> Machine:
    """Gives what a job may use: threads by Snakemake, a GPU where its resources name one."""
    device: Device = "cuda" if snakemake.resources.get("gpu") else "cpu"
    return Machine(snakemake.threads, device)


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

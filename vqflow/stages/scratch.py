"""The folders of trainings in progress, and when they go. Imports no torch."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from vqflow.stages.lease import lease
from vqflow.stages.slurm import queue_again

log = logging.getLogger(__name__)

_FINISHED = "finished"


def run_trials(
    trials: Mapping[int, Mapping[str, Path]], run: Callable[[int, Mapping[str, Path]], None]
) -> None:
    """Runs a job's trials one after the other, with a lease on the scratch folder of each.

    The folders stay, marked as finished once all have succeeded: a job that failed in one, or
    that Snakemake does not know to have ended, lost its outputs, and makes them again from there.

    Args:
        trials: Per seed, the trial's paths, among them ``scratch``.
        run: Called with a seed and its paths.
    """
    try:
        _run_leased(trials, run)
    except SystemExit:  # on SIGTERM, after the checkpoint was written
        if queue_again():
            log.info("the job's time is nearly over: queued again, it goes on from there")
        raise


def _run_leased(
    trials: Mapping[int, Mapping[str, Path]], run: Callable[[int, Mapping[str, Path]], None]
) -> None:
    with ExitStack() as leases:
        for _, paths in sorted(trials.items()):
            leases.enter_context(lease(_lease_of(paths["scratch"])))
        for seed, paths in trials.items():
            run(seed, paths)
        for paths in trials.values():
            paths["scratch"].mkdir(parents=True, exist_ok=True)
            (paths["scratch"] / _FINISHED).touch()


def remove_finished(root: Path) -> None:
    """Removes the scratch folders of finished trainings that no job holds.

    For the end of a run that succeeded: Snakemake has all results then.

    Args:
        root: The folder that they are in, at any depth.
    """
    for mark in list(root.rglob(_FINISHED)):
        if not _lease_of(mark.parent).exists():
            shutil.rmtree(mark.parent, ignore_errors=True)


def _lease_of(scratch: Path) -> Path:
    return scratch.with_name(f"{scratch.name}.lease")

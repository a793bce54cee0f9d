"""What the stages share: threads, checkpoints, tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from vqflow.config.values import fingerprint
from vqflow.files import save_text
from vqflow.training.loop import Checkpoint


def checkpoint_in(scratch: Path, code: str, facts: list[Any]) -> Checkpoint:
    """Gives the rolling checkpoint of a training, after removing those of other code or settings.

    Args:
        scratch: The folder of the checkpoint.
        code: Identity of the code that trains.
        facts: All else that the training depends on, as plain values.
    """
    identity = fingerprint([code, torch.__version__, *facts])
    if scratch.exists() and not (scratch / identity).exists():
        shutil.rmtree(scratch)
    (scratch / identity).mkdir(parents=True, exist_ok=True)
    return Checkpoint(scratch / identity / "checkpoint.pt", identity)


def run_trials(
    trials: Mapping[int, Mapping[str, Path]], run: Callable[[int, Mapping[str, Path]], None]
) -> None:
    """Runs a job's trials one after the other.

    Their checkpoints go once all have succeeded: a job that failed in one, and so lost its
    outputs, does not train the others again.

    Args:
        trials: Per seed, the trial's paths, among them ``scratch``.
        run: Called with a seed and its paths.
    """
    for seed, paths in trials.items():
        run(seed, paths)
    for paths in trials.values():
        shutil.rmtree(paths["scratch"], ignore_errors=True)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Writes a table atomically, with its checksum."""
    save_text(path, frame.to_csv(index=False, lineterminator="\n"))

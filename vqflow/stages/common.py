"""What the stages share: threads, checkpoints, tables."""

from __future__ import annotations

import shutil
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


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Writes a table atomically, with its checksum."""
    save_text(path, frame.to_csv(index=False, lineterminator="\n"))

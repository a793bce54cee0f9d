"""Fitting atlases."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vqflow import choice
from vqflow.atlases.base import Atlas, as_data_space
from vqflow.config.setting import AtlasSetting
from vqflow.config.values import dump
from vqflow.datasets.base import Array, Data
from vqflow.files import digest, save_arrays, save_json
from vqflow.models.diverged import save_divergence
from vqflow.models.store import save_atlas
from vqflow.provenance import provenance
from vqflow.stages.common import checkpoint_in, write_csv
from vqflow.stages.machine import Machine
from vqflow.stages.scratch import run_trials
from vqflow.training.outcome import DivergedError

log = logging.getLogger(__name__)


def fit_atlas(
    setting: AtlasSetting,
    data_path: Path,
    trials: Mapping[int, Mapping[str, Path]],
    machine: Machine,
    code: str = "",
) -> None:
    """Fits an atlas on a data set, once per trial; one that diverges is a result too.

    Args:
        setting: The atlas' entry of the catalogue, and with a choice what it is scored by.
        data_path: What :func:`vqflow.stages.data.prepare_data` wrote.
        trials: Per seed, the paths ``atlas``, ``charts`` (nearest chart and centre of each
            chart in data space, for figures), ``history``, ``choice`` (what the charts were
            chosen among) and ``provenance``, and ``scratch``, the folder of the rolling
            checkpoint.
        machine: Threads and device.
        code: Identity of the code that runs; a checkpoint of other code is not resumed.
    """
    machine.use()
    data = Data.load(data_path)
    run_trials(trials, partial(_fit, setting.on(machine.device), data, digest(data_path), code))


def _fit(
    setting: AtlasSetting,
    data: Data,
    data_identity: str,
    code: str,
    seed: int,
    paths: Mapping[str, Path],
) -> None:
    checkpoint = checkpoint_in(paths["scratch"], code, [dump(setting), seed, data_identity])
    started = time.monotonic()
    fitted: choice.FittedAtlas | DivergedError
    try:
        fitted = choice.fit_atlas(setting, data, seed, checkpoint)
    except DivergedError as error:
        fitted = error
    seconds = round(time.monotonic() - started, 3)
    entry, reason = setting.atlas, None
    scores: list[dict[str, Any]] = []
    charts: dict[str, Array] = {
        "nearest": np.zeros(0, dtype=np.int64),
        "centres": np.zeros((0, data.spec.features)),
    }
    if isinstance(fitted, DivergedError):
        reason = str(fitted)
        log.error("diverged: %s", reason)
        save_divergence(paths["atlas"], reason)
    else:
        atlas, scores = fitted.atlas, fitted.scores
        entry = atlas.entry or setting.atlas
        _warn_of_few(f"atlases.{setting.atlas.name} on {data.spec.name}, seed {seed}", data, atlas)
        save_atlas(paths["atlas"], atlas)
        charts = describe_charts(atlas, data)
    save_arrays(paths["charts"], charts)
    history = pd.DataFrame(fitted.history, columns=None if fitted.history else ["epoch"])
    write_csv(history, paths["history"])
    write_csv(pd.DataFrame(scores, columns=list(choice.COLUMNS)), paths["choice"])
    facts = provenance(
        stage="atlas",
        config=dump(entry),
        seed=seed,
        data_sha256=data_identity,
        diverged=reason is not None,
        reason=reason,
        training_seconds=seconds,
    )
    save_json(paths["provenance"], facts)


def _warn_of_few(place: str, data: Data, atlas: Atlas) -> None:
    few = choice.few_points(len(data.points["train"]), atlas.charts)
    if few is not None:
        message = f"{place}: {few}"
        log.warning(message)
        print(f"warning: {message}", file=sys.stderr)


@torch.no_grad()
def describe_charts(atlas: Atlas, data: Data) -> dict[str, Array]:
    """Gives, for figures, the nearest chart of each training point and each chart's centre.

    A centre lies in code space; shown is the training point whose code is nearest to it.
    """
    x = as_data_space(data, "train")
    best = torch.full((atlas.charts,), torch.inf)
    centres = torch.zeros(atlas.charts, x.shape[1])
    nearest = []
    for part in x.split(4096):
        distances = atlas.distances(part)
        nearest.append(distances.argmin(1))
        least = distances.min(0)
        closer = least.values < best
        best = torch.where(closer, least.values, best)
        centres[closer] = part[least.indices[closer]]
    return {"nearest": torch.cat(nearest).numpy(), "centres": centres.numpy()}

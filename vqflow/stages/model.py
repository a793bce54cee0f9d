"""Fitting models that are no flow on an atlas."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from vqflow.config.components import ConfigError, classes_in
from vqflow.config.setting import DensityModelSetting
from vqflow.config.values import dump
from vqflow.datasets.base import Data
from vqflow.files import digest, save_arrays, save_json
from vqflow.models.density import DensityModel
from vqflow.models.density_store import build_density, load_density, save_density
from vqflow.models.diverged import save_divergence
from vqflow.provenance import provenance
from vqflow.stages.common import checkpoint_in, write_csv
from vqflow.stages.machine import Machine
from vqflow.stages.scratch import run_trials
from vqflow.training.outcome import DivergedError, Outcome

log = logging.getLogger(__name__)

_COMPARED = 16
_CLOSE = 1e-4


def fit_model(
    setting: DensityModelSetting,
    data_path: Path,
    trials: Mapping[int, Mapping[str, Path]],
    machine: Machine,
    code: str = "",
) -> None:
    """Fits a model that is no flow, once per trial.

    Args:
        setting: What the model is built from.
        data_path: What :func:`vqflow.stages.data.prepare_data` wrote.
        trials: Per seed, the paths to write, those of :func:`vqflow.stages.flow.train_flow`:
            ``model``, ``history`` (a row per epoch of a class that the training loop fits, else
            none), ``snapshots`` (empty) and ``provenance``; and ``scratch``, the folder that
            the class may use while it fits.
        machine: Threads and device.
        code: Identity of the code that runs; the scratch of other code is removed first.
    """
    machine.use()
    data = Data.load(data_path)
    run_trials(trials, partial(_fit, setting, data, digest(data_path), machine, code))


def _fit(
    setting: DensityModelSetting,
    data: Data,
    data_identity: str,
    machine: Machine,
    code: str,
    seed: int,
    paths: Mapping[str, Path],
) -> None:
    model = build_density(setting, data.spec)
    checkpoint = checkpoint_in(paths["scratch"], code, [dump(setting), seed, data_identity])
    model.density.scratch = checkpoint.path.parent
    started = time.monotonic()
    outcome = _outcome(model, data, seed)
    seconds = round(time.monotonic() - started, 3)
    log.info("%s on %s, seed %d: %g seconds", setting.model.name, data.spec.name, seed, seconds)
    if outcome.status == "ok":
        save_density(paths["model"], model, setting)
        _check_saved(paths["model"], model, data, set(classes_in(dump(setting))))
    else:
        log.error("diverged: %s", outcome.reason)
        save_divergence(paths["model"], str(outcome.reason))
    save_arrays(paths["snapshots"], {})
    columns = ["epoch", "train_loss", "validation_loss"]
    history = pd.DataFrame(outcome.history, columns=None if outcome.history else columns)
    write_csv(history, paths["history"])
    facts = provenance(
        stage="model",
        config=dump(setting),
        seed=seed,
        device=machine.device,
        data_sha256=data_identity,
        diverged=outcome.status == "diverged",
        reason=outcome.reason,
        epochs=len(outcome.history),
        best_epoch=outcome.best_epoch,
        training_seconds=seconds,
    )
    save_json(paths["provenance"], facts)


def _outcome(model: DensityModel, data: Data, seed: int) -> Outcome:
    """Fits a model; says how that ended."""
    try:
        model.fit(data, seed)
    except DivergedError as error:
        history = [dict(row) for row in error.history]
        return Outcome(history=history, status="diverged", reason=str(error))
    return model.density.outcome or Outcome()


def _check_saved(path: Path, model: DensityModel, data: Data, allow: Collection[str]) -> None:
    """Sees that the file gives back what was fitted, on some points of the validation split.

    Raises:
        ConfigError: If not: the state does not hold all of it.
    """
    points = torch.as_tensor(data.points["validation"][:_COMPARED])
    x = model.preprocessing.dequantise(points, torch.Generator().manual_seed(0))
    fitted, loaded = (each.log_prob(x) for each in (model, load_density(path, allow)))
    if not torch.allclose(fitted, loaded, rtol=_CLOSE, atol=_CLOSE, equal_nan=True):
        apart = float((fitted - loaded).abs().max())
        kind = type(model.density).__name__
        raise ConfigError(
            f"models.{model.name}: log p differs by {apart:.3g} nats after {kind}.load_state: "
            f"{kind}.state must hold all that was fitted"
        )

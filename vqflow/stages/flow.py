"""Training flows, with snapshots of samples across training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from vqflow.config.components import build_entry, classes_in
from vqflow.config.entries import Device
from vqflow.config.setting import ModelSetting
from vqflow.config.values import dump
from vqflow.datasets.base import Array, Data
from vqflow.files import digest, save_arrays, save_json
from vqflow.flows.precision import set_precision
from vqflow.models.build import build_model, place_charts
from vqflow.models.diverged import read_divergence, save_divergence
from vqflow.models.drawing import NotFiniteError, as_stored, generator_for
from vqflow.models.store import load_atlas, save_model
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import FlowTask, Objective
from vqflow.provenance import provenance
from vqflow.seeding import derive_seed
from vqflow.stages.common import checkpoint_in, write_csv
from vqflow.stages.machine import Machine
from vqflow.stages.scratch import run_trials
from vqflow.stages.snapshots import Snapshots
from vqflow.training.loop import fit

log = logging.getLogger(__name__)

_DRAWS = 10**6


def train_flow(
    setting: ModelSetting,
    data_path: Path,
    trials: Mapping[int, Mapping[str, Path]],
    machine: Machine,
    code: str = "",
) -> None:
    """Trains one flow, once per trial, resuming from checkpoints.

    Args:
        setting: What the model is built from and how it is trained.
        data_path: What :func:`vqflow.stages.data.prepare_data` wrote.
        trials: Per seed, the path ``atlas`` of what :func:`vqflow.stages.atlas.fit_atlas`
            wrote, those to write: ``model``, ``history``, ``snapshots`` and ``provenance``,
            and ``scratch``, the folder of the rolling checkpoint and the snapshots; see
            :func:`vqflow.stages.scratch.run_trials`.
        machine: Threads and device.
        code: Identity of the code that runs; a checkpoint of other code is not resumed.
    """
    machine.use()
    data = Data.load(data_path)
    run = partial(_train, setting, data, digest(data_path), machine.device, code)
    run_trials(trials, run)


def _train(
    setting: ModelSetting,
    data: Data,
    data_identity: str,
    device: Device,
    code: str,
    seed: int,
    paths: Mapping[str, Path],
) -> None:
    training = setting.training.on(device)
    name = data.spec.name
    cause = read_divergence(paths["atlas"])
    if cause is not None:
        _pass_on(f"its atlas diverged: {cause}", setting, data_identity, device, seed, paths)
        return
    atlas = load_atlas(paths["atlas"], data.spec, allow=set(classes_in(dump(setting))))
    model = build_model(setting, atlas, seed)
    model.preprocessing.fit(data.points["train"], seed=derive_seed("preprocessing", name))
    model.to(device)
    precision = set_precision(model.flow, training.precision, device)
    pairs = place_charts(model, data)
    facts = [dump(setting), seed, data_identity, digest(paths["atlas"])]
    checkpoint = checkpoint_in(paths["scratch"], code, facts)
    samples = training.snapshot_samples
    snapshots = Snapshots(checkpoint.path.parent / "snapshots", training.snapshot_interval)

    def take_snapshot(epoch: int) -> None:
        if samples is not None and snapshots.due(epoch):
            snapshots.save(epoch, _draw(model, samples, seed, epoch))

    outcome = fit(
        FlowTask(
            model,
            data,
            build_entry(setting.objective, "objectives", Objective),
            take_snapshot,
            training.reconstruction_weight,
            pairs,
        ),
        training,
        seed=derive_seed("flow", name, seed),
        batch_seed=derive_seed("order", name, seed),
        checkpoint=replace(checkpoint, lacking=snapshots.lacking),
        name=f"{setting.flow.name} on {setting.atlas.name}, {name}, seed {seed}",
        compiled=training.compile,
    )
    if model.base is not None and outcome.status == "ok":
        generator = torch.Generator(model.device).manual_seed(derive_seed("normalise", seed))
        model.base.normalise(_DRAWS, generator)
    save_model(paths["model"], model.eval().cpu(), setting)
    save_arrays(paths["snapshots"], snapshots.gather(outcome.ended), compressed=True)
    write_csv(pd.DataFrame(outcome.history), paths["history"])
    facts_of_run = provenance(
        stage="flow",
        config=dump(setting),
        seed=seed,
        device=device,
        precision=precision,
        data_sha256=data_identity,
        diverged=outcome.status == "diverged",
        reason=outcome.reason,
        epochs=len(outcome.history),
        best_epoch=outcome.best_epoch,
        training_seconds=round(outcome.seconds, 3),
    )
    save_json(paths["provenance"], facts_of_run)


def _pass_on(
    reason: str,
    setting: ModelSetting,
    data_identity: str,
    device: Device,
    seed: int,
    paths: Mapping[str, Path],
) -> None:
    """Records that there is no atlas to train on, as a training that diverged is recorded."""
    log.error("diverged: %s", reason)
    save_divergence(paths["model"], reason)
    save_arrays(paths["snapshots"], {})
    write_csv(pd.DataFrame(columns=["epoch", "train_loss", "validation_loss"]), paths["history"])
    facts = provenance(
        stage="flow",
        config=dump(setting),
        seed=seed,
        device=device,
        precision=setting.training.precision,
        data_sha256=data_identity,
        diverged=True,
        reason=reason,
        epochs=0,
        best_epoch=0,
        training_seconds=0.0,
    )
    save_json(paths["provenance"], facts)


def _draw(model: VQFlow, n: int, seed: int, epoch: int) -> dict[str, Array]:
    try:
        points = as_stored(model, model.sample(n, generator_for(model, seed, epoch))[0])
    except NotFiniteError as error:
        log.warning("no snapshot of epoch %d: %s", epoch, error)
        return {}
    return {f"epoch_{epoch}": points}

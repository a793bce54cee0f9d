"""Training flows, and drawing their samples."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vqflow.config.entries import Training
from vqflow.datasets.base import Array, Data
from vqflow.files import atomic_path, digest, write_json
from vqflow.models.build import build_model, place_charts
from vqflow.models.store import load_atlas, save_model
from vqflow.models.vqflow import LeakError, NotFiniteError, VQFlow
from vqflow.objectives import FlowTask
from vqflow.provenance import provenance
from vqflow.seeding import derive_seed
from vqflow.stages.common import Entry, checkpoint_in, run_trials, use, write_csv
from vqflow.training.loop import Outcome, fit

log = logging.getLogger(__name__)


def train_flow(setting: Entry, data_path: Path, trials: Mapping[int, Mapping[str, Path]]) -> None:
    """Trains one flow, once per trial, resuming from checkpoints, and draws its samples.

    Args:
        setting: A resolved setting (:meth:`vqflow.config.catalogue.Setting.resolved`).
        data_path: What :func:`vqflow.stages.data.prepare_data` wrote.
        trials: Per seed, the path ``atlas`` of what :func:`vqflow.stages.atlas.fit_atlas`
            wrote, those to write: ``model``, ``history``, ``samples`` and ``provenance``,
            and ``scratch``, the folder of the rolling checkpoint and the snapshots; removed
            once all trials succeeded.
    """
    settings = setting["training"]
    use(settings["threads"], settings["device"])
    data = Data.load(data_path)
    run_trials(trials, partial(_train, setting, data, digest(data_path)))


def _train(
    setting: Entry, data: Data, data_identity: str, seed: int, paths: Mapping[str, Path]
) -> None:
    settings = setting["training"]
    name = data.spec.name
    model = build_model(setting, load_atlas(paths["atlas"], data.spec), seed)
    model.preprocessing.fit(data.points["train"], seed=derive_seed("preprocessing", name))
    model.to(settings["device"])
    place_charts(model, data)
    facts = [dict(setting), seed, data_identity, digest(paths["atlas"])]
    checkpoint = checkpoint_in(paths["scratch"], "flow", facts)
    snapshots = checkpoint.path.parent / "snapshots"

    def take_snapshot(epoch: int) -> None:
        interval = settings["snapshot_interval"]
        if interval is not None and epoch % interval == 0:
            try:
                points, _ = draw_samples(model, settings["samples"], seed, epoch)
            except NotFiniteError as error:
                log.warning("no snapshot of epoch %d: %s", epoch, error)
                return
            with atomic_path(snapshots / f"epoch_{epoch}.npy") as temporary:
                np.save(temporary, points)

    outcome = fit(
        FlowTask(
            model, data, settings["objective"], take_snapshot, settings["reconstruction_weight"]
        ),
        _optimisation(settings),
        seed=derive_seed("flow", name, seed),
        batch_seed=derive_seed("order", name, seed),
        checkpoint=checkpoint,
        name=f"{setting['flow']['name']} on {setting['atlas']['name']}, {name}, seed {seed}",
    )
    model.eval()
    samples = {
        path.stem: np.load(path)
        for path in snapshots.glob("epoch_*.npy")
        if int(path.stem.removeprefix("epoch_")) <= len(outcome.history)
    }
    if outcome.status == "ok":
        try:
            model.estimate_confinement(settings["confinement_samples"], seed)
            samples |= _final_samples(model, settings["samples"], seed)
        except NotFiniteError as error:
            log.error("diverged: %s", error)
            outcome.status = "diverged"
    save_model(paths["model"], model.cpu(), setting, outcome.status)
    with atomic_path(paths["samples"]) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **samples)
    write_csv(pd.DataFrame(outcome.history), paths["history"])
    write_json(paths["provenance"], _flow_provenance(setting, seed, outcome))


def draw_samples(
    model: VQFlow,
    n: int,
    seed: int,
    epoch: int | None,
    support: Any = "all",
    residual: bool = True,
) -> tuple[Array, Array]:
    """Draws samples as they are stored: points (n, D), uint8 or float32, and charts (n,).

    Args:
        model: The model.
        n: Number of samples.
        seed: The trial's seed.
        epoch: The epoch, which seeds the draw too; ``None`` for the final model.
        support: See :meth:`vqflow.models.VQFlow.sample`.
        residual: See there.

    Raises:
        NotFiniteError: If a sample is not finite; as a pixel it would look like one.
    """
    generator = torch.Generator(model.device)
    generator.manual_seed(derive_seed("samples", seed, epoch, support))
    x, charts = model.sample(n, support, generator, residual)
    bad = int((~torch.isfinite(x)).any(1).sum())
    if bad:
        raise NotFiniteError(f"{bad} of {n} samples are not finite")
    points = model.preprocessing.quantise(x).cpu().numpy()
    return points, charts.cpu().numpy().astype(np.int32)


def _final_samples(model: VQFlow, n: int, seed: int) -> dict[str, Array]:
    points, charts = draw_samples(model, n, seed, None)
    samples = {"final": points, "final_charts": charts}
    if model.raises_dimension:
        samples["final_mean"], _ = draw_samples(model, n, seed, None, residual=False)
    try:
        samples["final_confined"], _ = draw_samples(model, n, seed, None, "confined")
    except LeakError as error:
        log.warning("no confined samples: %s", error)
    return samples


def _optimisation(settings: Entry) -> Training:
    return Training.model_validate({k: v for k, v in settings.items() if k != "name"})


def _flow_provenance(setting: Entry, seed: int, outcome: Outcome) -> dict[str, Any]:
    return provenance(
        stage="flow",
        config=dict(setting),
        seed=seed,
        status=outcome.status,
        epochs=len(outcome.history),
        best_epoch=outcome.best_epoch,
        training_seconds=round(outcome.seconds, 3),
    )

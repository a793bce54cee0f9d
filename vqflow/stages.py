"""The jobs of the workflow, as functions from files to files."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vqflow import tables
from vqflow.assembly import (
    build_atlas,
    build_model,
    count_parameters,
    load_atlas,
    load_model,
    save_atlas,
    save_model,
)
from vqflow.atlas import Atlas, as_data_space
from vqflow.components import ConfigError, build
from vqflow.config import STAGE_VERSIONS, Training, fingerprint
from vqflow.datasets.base import Array, Data, Dataset
from vqflow.io import atomic_path, provenance, write_json
from vqflow.metrics.base import Metric, NotFiniteError, Reference, TrainedRun
from vqflow.model import LeakError, VQFlow
from vqflow.objectives import FlowTask
from vqflow.seeding import derive_seed
from vqflow.training import Checkpoint, Outcome, fit

log = logging.getLogger(__name__)

Entry = Mapping[str, Any]


def build_dataset(entry: Entry) -> Dataset:
    """Builds a data set of the catalogue: ``{"name", "class", "preprocess", **arguments}``."""
    arguments = {key: value for key, value in entry.items() if key not in ("name", "preprocess")}
    dataset: Dataset = build(arguments, f"datasets.{entry['name']}")
    return dataset


def build_metric(entry: Entry, device: str = "cpu") -> Metric:
    """Builds a metric of the catalogue: ``{"name", "class", **arguments}``."""
    arguments = {key: value for key, value in entry.items() if key != "name"}
    metric: Metric = build(arguments, f"metrics.{entry['name']}")
    metric.device = device
    return metric


def prepare_data(entry: Entry, data_root: Path, output: Path) -> None:
    """Makes or reads the splits of a data set and writes them to one file."""
    data = build_dataset(entry).load(entry["name"], data_root)
    with atomic_path(output) as temporary:
        data.save(temporary)
    log.info("%s: %s", entry["name"], {key: len(value) for key, value in data.points.items()})


def fit_atlas(entry: Entry, data_path: Path, seed: int, outputs: Entry, scratch: Path) -> None:
    """Fits an atlas on a data set.

    Args:
        entry: The atlas' entry of the catalogue.
        data_path: What :func:`prepare_data` wrote.
        seed: The trial's seed.
        outputs: Paths ``atlas``, ``charts`` (nearest chart and centre of each chart in
            data space, for figures), ``history`` and ``provenance``.
        scratch: Folder of the rolling checkpoint; removed on success.
    """
    settings = entry.get("training") or {}
    _use(settings.get("threads", 1), settings.get("device", "cpu"))
    data = Data.load(data_path)
    atlas = build_atlas(entry, data.spec)
    checkpoint = _checkpoint(scratch, "atlas", [dict(entry), seed, _digest(data_path)])
    started = time.monotonic()
    history = atlas.fit(data, seed, checkpoint)
    seconds = round(time.monotonic() - started, 3)
    atlas.eval()
    save_atlas(outputs["atlas"], atlas, entry)
    with atomic_path(outputs["charts"]) as temporary:
        np.savez(temporary, allow_pickle=False, **describe_charts(atlas, data))
    _write_csv(pd.DataFrame(history, columns=None if history else ["epoch"]), outputs["history"])
    facts = provenance(stage="atlas", config=dict(entry), seed=seed, training_seconds=seconds)
    write_json(outputs["provenance"], facts)
    shutil.rmtree(scratch, ignore_errors=True)


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


def train_flow(
    setting: Entry, data_path: Path, atlas_path: Path, seed: int, outputs: Entry, scratch: Path
) -> None:
    """Trains one flow, resuming from its checkpoint, and draws its samples.

    Args:
        setting: A resolved setting (:meth:`vqflow.config.Setting.resolved`).
        data_path: What :func:`prepare_data` wrote.
        atlas_path: What :func:`fit_atlas` wrote.
        seed: The trial's seed.
        outputs: Paths ``model``, ``history``, ``samples`` and ``provenance``.
        scratch: Folder of the rolling checkpoint and the snapshots; removed on success.
    """
    settings = setting["training"]
    _use(settings["threads"], settings["device"])
    data = Data.load(data_path)
    name = data.spec.name
    model = build_model(setting, load_atlas(atlas_path, data.spec), seed)
    model.preprocessing.fit(data.points["train"], seed=derive_seed("preprocessing", name))
    model.to(settings["device"])
    facts = [dict(setting), seed, _digest(data_path), _digest(atlas_path)]
    checkpoint = _checkpoint(scratch, "flow", facts)
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
        FlowTask(model, data, settings["objective"], take_snapshot),
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
    save_model(outputs["model"], model.cpu(), setting, outcome.status)
    with atomic_path(outputs["samples"]) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **samples)
    _write_csv(pd.DataFrame(outcome.history), outputs["history"])
    write_json(outputs["provenance"], _flow_provenance(setting, seed, outcome))
    shutil.rmtree(scratch, ignore_errors=True)


def draw_samples(
    model: VQFlow, n: int, seed: int, epoch: int | None, support: Any = "all"
) -> tuple[Array, Array]:
    """Draws samples as they are stored: points (n, D), uint8 or float32, and charts (n,).

    Args:
        model: The model.
        n: Number of samples.
        seed: The trial's seed.
        epoch: The epoch, which seeds the draw too; ``None`` for the final model.
        support: See :meth:`vqflow.model.VQFlow.sample`.

    Raises:
        NotFiniteError: If a sample is not finite; as a pixel it would look like one.
    """
    generator = torch.Generator(model.device)
    generator.manual_seed(derive_seed("samples", seed, epoch, support))
    x, charts = model.sample(n, support, generator)
    bad = int((~torch.isfinite(x)).any(1).sum())
    if bad:
        raise NotFiniteError(f"{bad} of {n} samples are not finite")
    points = model.preprocessing.quantise(x).cpu().numpy()
    return points, charts.cpu().numpy().astype(np.int32)


def _final_samples(model: VQFlow, n: int, seed: int) -> dict[str, Array]:
    points, charts = draw_samples(model, n, seed, None)
    samples = {"final": points, "final_charts": charts}
    try:
        samples["final_confined"], _ = draw_samples(model, n, seed, None, "confined")
    except LeakError as error:
        log.warning("no confined samples: %s", error)
    return samples


def make_reference(
    metrics: Sequence[Entry], data_path: Path, output: Path, threads: int = 1, device: str = "cpu"
) -> None:
    """Computes what metrics need of the data alone, for all of them, into one file."""
    _use(threads, device)
    data = Data.load(data_path)
    arrays = {}
    for entry in metrics:
        for key, value in build_metric(entry, device).reference(data).items():
            arrays[f"{entry['name']}//{key}"] = value
    with atomic_path(output) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def evaluate(
    setting: Entry,
    variant: str,
    metrics: Sequence[Entry],
    data_path: Path,
    reference_path: Path,
    runs: Mapping[int, Entry],
    output: Path,
) -> None:
    """Scores all trials of one variant on one data set.

    Args:
        setting: The resolved setting of the variant.
        variant: The variant's name.
        metrics: The metrics' entries of the catalogue.
        data_path: What :func:`prepare_data` wrote.
        reference_path: What :func:`make_reference` wrote.
        runs: Per seed, the paths ``model``, ``samples`` and ``history``.
        output: The table of metrics, one row per score.
    """
    device = setting["training"]["device"]
    _use(setting["training"]["threads"], device)
    data = Data.load(data_path)
    references = _load_references(reference_path)
    frames = []
    for seed, paths in runs.items():
        model, status = load_model(paths["model"])
        identity = {
            "dataset": data.spec.name,
            "variant": variant,
            "flow": setting["flow"]["name"],
            "atlas": setting["atlas"]["name"],
            "embedding": setting["embedding"]["name"],
            "seed": seed,
            "status": status,
            "parameters": count_parameters(model.flow) + count_parameters(model.embedding),
            "atlas_parameters": count_parameters(model.atlas),
        }
        run = TrainedRun(
            data=data,
            model=model.to(device),
            samples=_load_arrays(paths["samples"]),
            history=pd.read_csv(paths["history"]),
        )
        for entry in metrics:
            metric = build_metric(entry, device)
            frames.append(_score(metric, run, references.get(entry["name"], {}), identity))
            log.info("%s, %s, seed %d: %s", data.spec.name, variant, seed, entry["name"])
    _write_csv(pd.concat(frames, ignore_index=True), output)


def _score(
    metric: Metric, run: TrainedRun, reference: Reference, identity: dict[str, Any]
) -> pd.DataFrame:
    if identity["status"] == "ok":
        try:
            with torch.no_grad():
                return tables.rows(list(metric.scores(run, reference)), identity)
        except NotFiniteError as error:
            log.error("diverged: %s", error)
    return tables.rows(metric.blank(run.data), {**identity, "status": "diverged"})


def _load_references(path: Path) -> dict[str, Reference]:
    references: dict[str, Reference] = {}
    for key, value in _load_arrays(path).items():
        metric, _, name = key.partition("//")
        references.setdefault(metric, {})[name] = value
    return references


def _load_arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def _use(threads: int, device: str) -> None:
    torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training device is 'cuda' but torch sees no GPU here; set device: cpu, "
            "or run the job where a GPU is"
        )


def _optimisation(settings: Entry) -> Training:
    return Training.model_validate({k: v for k, v in settings.items() if k != "name"})


def _checkpoint(scratch: Path, stage: str, facts: list[Any]) -> Checkpoint:
    identity = fingerprint([STAGE_VERSIONS[stage], torch.__version__, *facts])
    if scratch.exists() and not (scratch / identity).exists():
        shutil.rmtree(scratch)
    (scratch / identity).mkdir(parents=True, exist_ok=True)
    return Checkpoint(scratch / identity / "checkpoint.pt", identity)


def _digest(path: Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


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

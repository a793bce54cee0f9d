"""Drawing from trained flows: samples of each sampler, and how far charts keep to their regions."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from vqflow.config.entries import Sampling
from vqflow.datasets.base import Array
from vqflow.files import atomic_path, write_json
from vqflow.models.confinement import LeakError, estimate_confinement, sample_confined
from vqflow.models.drawing import NotFiniteError, as_stored, generator_for
from vqflow.models.store import load_model, save_confinement
from vqflow.models.vqflow import VQFlow
from vqflow.stages.machine import Machine

log = logging.getLogger(__name__)


def sample_flow(
    sampling: Sampling, trials: Mapping[int, Mapping[str, Path]], machine: Machine
) -> None:
    """Draws from the final models, and records how each run ended.

    Args:
        sampling: What to draw.
        trials: Per seed, the paths ``model`` and ``provenance`` of what
            :func:`vqflow.stages.flow.train_flow` wrote, and those to write: ``samples``,
            ``confinement`` (Z_k) and ``status`` (``{"status": "ok" or "diverged", "reason"}``;
            a run that diverged has no samples).
        machine: Threads and device.
    """
    machine.use()
    for seed, paths in trials.items():
        _sample(sampling, machine.device, seed, paths)


def _sample(sampling: Sampling, device: str, seed: int, paths: Mapping[str, Path]) -> None:
    model = load_model(paths["model"]).to(device)
    reason = None
    if json.loads(paths["provenance"].read_text())["diverged"]:
        reason = "training met a loss that is not finite"
    samples: dict[str, Array] = {}
    if reason is None:
        try:
            estimate_confinement(model, sampling.confinement_samples, seed)
            samples = _draw(model, sampling.samples, seed)
        except NotFiniteError as error:
            log.error("diverged: %s", error)
            reason = str(error)
    with atomic_path(paths["samples"]) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **samples)
    save_confinement(paths["confinement"], model)
    status = "ok" if reason is None else "diverged"
    write_json(paths["status"], {"status": status, "reason": reason})


def _draw(model: VQFlow, n: int, seed: int) -> dict[str, Array]:
    generator = partial(generator_for, model, seed, None)
    points, charts = as_stored(model, *model.sample(n, generator()))
    samples = {"final": points, "final_charts": charts}
    if model.raises_dimension:
        drawn = model.sample(n, generator(), residual=False)
        samples["final_mean"], _ = as_stored(model, *drawn)
    try:
        drawn = sample_confined(model, n, generator("confined"))
        samples["final_confined"], _ = as_stored(model, *drawn)
    except LeakError as error:
        log.warning("no confined samples: %s", error)
    return samples

"""Drawing from trained models: samples of each sampler, and how far charts keep to regions."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from vqflow.config.entries import Sampling
from vqflow.datasets.base import Array
from vqflow.files import load_json, save_arrays, save_json
from vqflow.models.confinement import LeakError, estimate_confinement, sample_confined
from vqflow.models.density import Model
from vqflow.models.density_store import load_any
from vqflow.models.diverged import read_divergence
from vqflow.models.drawing import NotFiniteError, as_stored, generator_for
from vqflow.models.store import save_confinement
from vqflow.models.vqflow import VQFlow
from vqflow.stages.machine import Machine

log = logging.getLogger(__name__)


def sample_flow(
    sampling: Sampling,
    trials: Mapping[int, Mapping[str, Path]],
    machine: Machine,
    allow: Collection[str] = (),
) -> None:
    """Draws from the final models, and records how each run ended.

    Args:
        sampling: What to draw.
        trials: Per seed, the paths ``model`` and ``provenance`` of what
            :func:`vqflow.stages.flow.train_flow` or :func:`vqflow.stages.model.fit_model`
            wrote, and those to write: ``samples``, ``confinement`` (Z_k;
            empty without charts) and ``status`` (``{"status": "ok" or "diverged", "reason"}``; a
            run that diverged has no samples).
        machine: Threads and device.
        allow: Import paths of the classes that the configuration names.
    """
    machine.use()
    for seed, paths in trials.items():
        absent = read_divergence(paths["model"]) is not None
        model = None if absent else load_any(paths["model"], allow=allow).to(machine.device)
        _sample(sampling, model, seed, paths)


def _sample(sampling: Sampling, model: Model | None, seed: int, paths: Mapping[str, Path]) -> None:
    facts = load_json(paths["provenance"])
    reason = facts["reason"] if facts["diverged"] else None
    samples: dict[str, Array] = {}
    if model is not None and reason is None:
        try:
            samples = _draw(model, sampling, seed)
        except NotFiniteError as error:
            log.error("diverged: %s", error)
            reason = str(error)
    save_arrays(paths["samples"], samples, compressed=True)
    save_confinement(paths["confinement"], model if isinstance(model, VQFlow) else None)
    status = "ok" if reason is None else "diverged"
    save_json(paths["status"], {"status": status, "reason": reason})


def _draw(model: Model, sampling: Sampling, seed: int) -> dict[str, Array]:
    if isinstance(model, VQFlow):
        estimate_confinement(model, sampling.confinement_samples, seed)
        return _draw_charts(model, sampling.samples, seed)
    x = model.sample(sampling.samples, generator_for(model, seed, None))
    return {"final": as_stored(model, x)}


def _draw_charts(model: VQFlow, n: int, seed: int) -> dict[str, Array]:
    generator = partial(generator_for, model, seed, None)
    x, charts = model.sample(n, generator())
    samples: dict[str, Array] = {
        "final": as_stored(model, x),
        "final_charts": charts.cpu().numpy().astype(np.int32),
    }
    if model.raises_dimension:
        x, _ = model.sample(n, generator(), residual=False)
        samples["final_mean"] = as_stored(model, x)
    try:
        x, _ = sample_confined(model, n, generator("confined"))
        samples["final_confined"] = as_stored(model, x)
    except LeakError as error:
        log.warning("no confined samples: %s", error)
    return samples

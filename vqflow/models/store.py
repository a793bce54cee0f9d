"""Atlases and models as files, with the configuration that they were built from."""

from __future__ import annotations

import json
from pathlib import Path

from vqflow.atlases import Atlas
from vqflow.datasets.base import DataSpec
from vqflow.files import load_weights, save_weights
from vqflow.models.build import Resolved, build_atlas, build_model
from vqflow.models.vqflow import VQFlow


def save_atlas(path: Path, atlas: Atlas) -> None:
    """Saves a fitted atlas with the configuration it was built from."""
    save_weights(path, {"config": json.dumps(atlas.entry), "state": atlas.state_dict()})


def load_atlas(path: Path, spec: DataSpec) -> Atlas:
    """Loads what :func:`save_atlas` wrote."""
    content = load_weights(path)
    atlas = build_atlas(json.loads(content["config"]), spec)
    atlas.load_state_dict(content["state"])
    return atlas.eval()


def save_model(path: Path, model: VQFlow, setting: Resolved, status: str) -> None:
    """Saves a model with the configuration it was built from and how training ended."""
    spec = model.atlas.spec
    save_weights(
        path,
        {
            "config": json.dumps({**setting, "atlas": model.atlas.entry}),
            "spec": [spec.name, spec.kind, list(spec.shape), spec.levels],
            "status": status,
            "atlas": model.atlas.state_dict(),
            "model": model.state_dict(),
        },
    )


def load_model(path: Path) -> tuple[VQFlow, str]:
    """Loads what :func:`save_model` wrote: the model and the status of its training."""
    content = load_weights(path)
    setting = json.loads(content["config"])
    name, kind, shape, levels = content["spec"]
    spec = DataSpec(name, kind, tuple(shape), levels)
    atlas = build_atlas(setting["atlas"], spec)
    atlas.load_state_dict(content["atlas"])
    model = build_model(setting, atlas, seed=0)
    model.load_state_dict(content["model"])
    return model, content["status"]

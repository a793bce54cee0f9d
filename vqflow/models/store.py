"""Atlases and models as files, with the configuration that they were built from."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from vqflow.atlases import Atlas
from vqflow.config.entries import AtlasEntry
from vqflow.config.setting import DensityModelSetting, ModelSetting
from vqflow.config.values import dump
from vqflow.datasets.base import DataSpec
from vqflow.files import load_arrays, load_weights, save_arrays, save_weights
from vqflow.identity import Code
from vqflow.models.build import build_atlas, build_model
from vqflow.models.trust import check_classes
from vqflow.models.vqflow import VQFlow
from vqflow.provenance import git_state

BuiltFrom = ModelSetting | DensityModelSetting
"""What a file of a model says that it was built from."""

_ATLAS = "atlas."
_UNKNOWN = "an unknown commit"


def save_atlas(path: Path, atlas: Atlas) -> None:
    """Saves a fitted atlas with the configuration it was built from."""
    config = _entry_of(atlas).model_dump_json(by_alias=True)
    save_weights(path, {"config": config, "state": atlas.state_dict()})


def load_atlas(path: Path, spec: DataSpec, allow: Collection[str] = ()) -> Atlas:
    """Loads what :func:`save_atlas` wrote.

    Args:
        path: The atlas' file.
        spec: What the data look like.
        allow: See :func:`vqflow.models.trust.check_classes`.
    """
    content = load_weights(path)
    entry = AtlasEntry.model_validate_json(content["config"])
    check_classes(path, dump(entry), allow)
    atlas = build_atlas(entry, spec)
    atlas.load_state_dict(content["state"])
    return atlas.eval()


def save_model(
    path: Path, model: VQFlow, setting: ModelSetting, facts: Mapping[str, Any] | None = None
) -> None:
    """Saves a model with what it was built from, configuration and code, and plain facts."""
    built = setting.model_copy(update={"atlas": _entry_of(model.atlas)})
    save_weights(
        path,
        {
            **described(built, model.atlas.spec, [build_model, type(model)], facts),
            "state": model.state_dict(),
        },
    )


def load_model(path: Path, confinement: Path | None = None, allow: Collection[str] = ()) -> VQFlow:
    """Loads what :func:`save_model` wrote.

    Warns, in one line, where the code of the density is not what the model was saved under.

    Args:
        path: The model's file.
        confinement: What :func:`save_confinement` wrote of it, if it is to have its Z_k.
        allow: See :func:`vqflow.models.trust.check_classes`.
    """
    content = load_weights(path)
    setting = ModelSetting.model_validate_json(content["config"])
    check_classes(path, density_parts(setting), allow)
    atlas = build_atlas(setting.atlas, read_spec(content))
    state = content["state"]
    of_atlas = {key for key in state if key.startswith(_ATLAS)}
    atlas.load_state_dict({key.removeprefix(_ATLAS): state[key] for key in of_atlas})
    model = build_model(setting, atlas, seed=0)
    model.load_state_dict(state)
    warn_of_other_code(path, content, setting, [build_model, type(model)])
    if confinement is not None:
        arrays = load_arrays(confinement)
        model.log_confinement.copy_(torch.from_numpy(arrays["log_confinement"]))
        model.confinement_error.copy_(torch.from_numpy(arrays["confinement_error"]))
    return model


def load_origin(path: Path) -> tuple[ModelSetting, dict[str, Any]]:
    """Loads what a saved model was built from, and the facts beside it."""
    content = load_weights(path)
    return ModelSetting.model_validate_json(content["config"]), content.get("facts", {})


def save_confinement(path: Path, model: VQFlow | None) -> None:
    """Saves log Z_k (K,) and the standard errors of Z_k (K,); nothing of a model without charts."""
    arrays = {}
    if model is not None:
        arrays = {
            "log_confinement": model.log_confinement.cpu().numpy(),
            "confinement_error": model.confinement_error.cpu().numpy(),
        }
    save_arrays(path, arrays)


def described(
    setting: BuiltFrom, spec: DataSpec, code: Sequence[Any], facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Gives what every file of a model says of it.

    Args:
        setting: What it was built from.
        spec: What the data are.
        code: The functions and classes that make its density, besides those that entries name.
        facts: Plain facts.
    """
    return {
        "config": setting.model_dump_json(by_alias=True),
        "facts": dict(facts or {}),
        "code": {"identity": _density_code(code, setting), "commit": _commit()},
        "spec": [spec.name, spec.kind, list(spec.shape), spec.levels],
    }


def read_spec(content: Mapping[str, Any]) -> DataSpec:
    """Gives what the data are, of a model's file."""
    name, kind, shape, levels = content["spec"]
    return DataSpec(name, kind, tuple(shape), levels)


def warn_of_other_code(
    path: Path, content: Mapping[str, Any], setting: BuiltFrom, code: Sequence[Any]
) -> None:
    """Warns where the code of a density is not what its model was saved under.

    Args:
        path: The model's file.
        content: What is in it.
        setting: What the model was built from.
        code: See :func:`described`.
    """
    saved = content.get("code", {"identity": None, "commit": _UNKNOWN})
    if saved["identity"] != _density_code(code, setting):
        warnings.warn(
            f"{path}: the code of this density is not what the model was saved under; "
            f"saved under {saved['commit']}, this is {_commit()}",
            stacklevel=3,
        )


def _density_code(code: Sequence[Any], setting: BuiltFrom) -> str:
    """Gives the identity of all code that a density depends on; its data and training are not."""
    starts = [f"{part.__module__}.{part.__qualname__}" for part in code]
    return _code().identity(starts, density_parts(setting))


@cache
def _code() -> Code:
    """Gives the code of this process, read once for all models that it loads."""
    return Code()


def density_parts(setting: BuiltFrom) -> dict[str, Any]:
    """Gives plain values of what a density is built from: not its data and training."""
    made = dump(setting)
    preprocess = made.pop("dataset")["preprocess"]
    parts = {key: part for key, part in made.items() if key not in ("training", "objective")}
    parts["preprocess"] = preprocess
    return parts


def _commit() -> str:
    state = git_state()
    if state["commit"] is None:
        return _UNKNOWN
    return f"{state['commit'][:12]}{' with changes' if state['dirty'] else ''}"


def _entry_of(atlas: Atlas) -> AtlasEntry:
    if atlas.entry is None:
        raise ValueError("the atlas has no entry of the catalogue: build it with build_atlas")
    return atlas.entry

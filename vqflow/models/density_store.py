"""Models that are no flow as files; and loading any model, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vqflow.config.components import ConfigError, build_entry
from vqflow.config.setting import DensityModelSetting
from vqflow.datasets.base import DataSpec
from vqflow.files import load_weights, save_weights
from vqflow.models.build import build_preprocessing
from vqflow.models.density import Density, DensityModel, Model, State
from vqflow.models.store import (
    density_parts,
    described,
    load_model,
    read_spec,
    warn_of_other_code,
)
from vqflow.models.trust import check_classes


def build_density(setting: DensityModelSetting, spec: DataSpec) -> DensityModel:
    """Builds a model of the catalogue's section ``models``, not fitted yet.

    Raises:
        ConfigError: If a class refuses its arguments, or is no :class:`Density`.
    """
    dataset, entry = setting.dataset, setting.model
    preprocessing = build_preprocessing(dataset.name, dataset.preprocess, spec)
    density = build_entry(entry, "models", Density, features=spec.features)
    return DensityModel(preprocessing, density, entry.name).eval()


def save_density(path: Path, model: DensityModel, setting: DensityModelSetting) -> None:
    """Saves a fitted model with what it was built from, configuration and code.

    Raises:
        ConfigError: If the state holds something that is neither array, number, text nor truth
            value.
    """
    state = {key: _stored(model, key, value) for key, value in model.density.state().items()}
    content = {
        **described(setting, model.spec, [build_density, DensityModel]),
        "state": model.preprocessing.state_dict(),
        "density": state,
    }
    save_weights(path, content)


def _stored(model: DensityModel, key: str, value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, str)):
        return value
    kind = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise ConfigError(
        f"models.{model.name}: state of {type(model.density).__name__} has '{key}', of type "
        f"{kind}; allowed: numpy arrays of numbers, numbers, texts, true and false"
    )


def load_density(path: Path, allow: Collection[str] = ()) -> DensityModel:
    """Loads what :func:`save_density` wrote.

    Warns, in one line, where the code of the density is not what the model was saved under.

    Args:
        path: The model's file.
        allow: See :func:`vqflow.models.trust.check_classes`.
    """
    content = load_weights(path)
    setting = DensityModelSetting.model_validate_json(content["config"])
    check_classes(path, density_parts(setting), allow)
    model = build_density(setting, read_spec(content))
    model.preprocessing.load_state_dict(content["state"])
    state: State = {
        key: value.numpy() if isinstance(value, torch.Tensor) else value
        for key, value in content["density"].items()
    }
    model.density.load_state(state)
    warn_of_other_code(path, content, setting, [build_density, DensityModel])
    return model


def load_any(path: Path, confinement: Path | None = None, allow: Collection[str] = ()) -> Model:
    """Loads a trained model, a flow on an atlas or another.

    Args:
        path: The model's file.
        confinement: Of a flow, its Z_k: see :func:`vqflow.models.store.load_model`.
        allow: See :func:`vqflow.models.trust.check_classes`.
    """
    if "model" in json.loads(load_weights(path)["config"]):
        return load_density(path, allow)
    return load_model(path, confinement, allow)

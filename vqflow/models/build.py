"""Models from their configuration, and back from their saved weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from vqflow.atlases.base import Atlas, as_data_space
from vqflow.bases import Base
from vqflow.config.components import ConfigError, build
from vqflow.datasets.base import Data, DataSpec
from vqflow.embeddings import Embedding
from vqflow.flows import build_flow
from vqflow.models.vqflow import VQFlow
from vqflow.preprocessing import Preprocessing
from vqflow.seeding import derive_seed

Resolved = Mapping[str, Any]


def build_atlas(entry: Resolved, spec: DataSpec) -> Atlas:
    """Builds an atlas of the catalogue, not fitted yet.

    Args:
        entry: ``{"name", "class", **arguments}``; what is null is left out. Where ``charts``
            is ``"auto"``, the numbers are to be chosen first
            (:func:`vqflow.choice.candidates`).
        spec: What the data look like.

    Raises:
        ConfigError: If the class refuses its arguments or is not an :class:`Atlas`.
    """
    place = f"atlases.{entry['name']}"
    arguments = {key: value for key, value in entry.items() if key != "name" and value is not None}
    atlas = build(arguments, place, spec=spec)
    if not isinstance(atlas, Atlas):
        raise ConfigError(f"{place}.class: '{entry['class']}' is not a vqflow.atlases.Atlas")
    atlas.entry = dict(entry)
    return atlas


def build_preprocessing(entry: Resolved, spec: DataSpec) -> Preprocessing:
    """Builds the preprocessing of a data set of the catalogue, not fitted yet.

    Raises:
        ConfigError: If it does not suit the data.
    """
    try:
        return Preprocessing(spec, **entry["preprocess"])
    except ValueError as error:
        raise ConfigError(f"datasets.{entry['name']}.preprocess: {error}") from error


def build_model(setting: Resolved, atlas: Atlas, seed: int) -> VQFlow:
    """Builds a model on a fitted atlas; its initial weights depend on seed and flow alone.

    Args:
        setting: A resolved setting (:meth:`vqflow.config.catalogue.Setting.resolved`).
        atlas: The fitted atlas.
        seed: The trial's seed.

    Raises:
        ConfigError: If a class refuses its arguments.
    """
    preprocessing = build_preprocessing(setting["dataset"], atlas.spec)
    embedding = build_embedding(setting["embedding"], atlas)
    pixels = atlas.spec.kind == "image" and embedding.latent_features == atlas.spec.features
    flow = build_flow(
        _without_name(setting["flow"]),
        f"flows.{setting['flow']['name']}",
        features=embedding.latent_features,
        context=atlas.code_dim,
        seed=derive_seed("weights", setting["flow"]["name"], seed),
        shape=atlas.spec.shape if pixels else None,
    )
    base = _build_base(setting["base"], embedding.latent_features, atlas.charts)
    return VQFlow(preprocessing, atlas, embedding, flow, base).eval()


def build_embedding(entry: Resolved, atlas: Atlas) -> Embedding:
    """Builds an embedding of the catalogue for the charts of a fitted atlas.

    Raises:
        ConfigError: If the class refuses its arguments or is not an :class:`Embedding`.
    """
    place = f"embeddings.{entry['name']}"
    sizes = {"features": atlas.spec.features, "charts": atlas.charts}
    embedding = build(_without_name(entry), place, **sizes)
    if not isinstance(embedding, Embedding):
        raise ConfigError(f"{place}.class: '{entry['class']}' is not a vqflow.embeddings.Embedding")
    return embedding


def _build_base(entry: Resolved | None, features: int, charts: int) -> Base | None:
    if entry is None:
        return None
    place = f"bases.{entry['name']}"
    base = build(_without_name(entry), place, features=features, charts=charts)
    if not isinstance(base, Base):
        raise ConfigError(f"{place}.class: '{entry['class']}' is not a vqflow.bases.Base")
    return base


def place_charts(model: VQFlow, data: Data) -> None:
    """Starts embedding and base from the training split, with the charts of quantised points."""
    generator = torch.Generator(model.device)
    generator.manual_seed(derive_seed("dequantise", data.spec.name, "charts"))
    points = torch.as_tensor(data.points["train"]).to(model.device)
    covering = model.atlas.pairs(as_data_space(data, "train").to(model.device))
    model.place_charts(model.preprocessing.dequantise(points, generator), covering)


def count_parameters(module: torch.nn.Module) -> int:
    """Counts the parameters of a module, trained or frozen."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_numbers(model: VQFlow) -> int:
    """Counts what is trained or fitted of a model, but for its atlas."""
    base = 0 if model.base is None else model.base.fitted_numbers
    return count_parameters(model.flow) + model.embedding.fitted_numbers + base


def _without_name(entry: Resolved) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "name"}

"""Atlases and models from their configuration."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vqflow.atlases import Atlas
from vqflow.atlases.base import as_data_space
from vqflow.atlases.covering import Covering
from vqflow.bases import Base
from vqflow.config.components import ConfigError, build, build_entry
from vqflow.config.entries import AtlasEntry, Component, Part
from vqflow.config.setting import ModelSetting
from vqflow.datasets.base import Data, DataSpec
from vqflow.embeddings import Embedding
from vqflow.flows import build_flow
from vqflow.flows.staircase import StaircaseLinear
from vqflow.models.vqflow import VQFlow
from vqflow.preprocessing import Bijection, Preprocessing
from vqflow.seeding import derive_seed


def build_atlas(entry: AtlasEntry, spec: DataSpec) -> Atlas:
    """Builds an atlas of the catalogue, not fitted yet.

    Args:
        entry: The entry. Where ``charts`` is ``"auto"``, the numbers are to be chosen first
            (:func:`vqflow.choice.candidates`).
        spec: What the data look like.

    Raises:
        ConfigError: If the class refuses its arguments or is not an :class:`Atlas`.
    """
    atlas = build_entry(entry, "atlases", Atlas, spec=spec)
    atlas.entry = entry
    return atlas


def build_preprocessing(name: str, entry: Sequence[Part], spec: DataSpec) -> Preprocessing:
    """Builds the preprocessing of a data set of the catalogue, not fitted yet.

    Raises:
        ConfigError: If a class refuses its arguments, is not a :class:`Bijection`, or does not
            suit the data.
    """
    steps = []
    for number, step in enumerate(entry):
        place = f"datasets.{name}.preprocess.{number}"
        steps.append(build(step.arguments(), place, Bijection, features=spec.features))
    try:
        return Preprocessing(spec, steps)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def build_model(setting: ModelSetting, atlas: Atlas, seed: int) -> VQFlow:
    """Builds a model on a fitted atlas; its initial weights depend on seed, flow and base alone.

    Args:
        setting: What it is built from.
        atlas: The fitted atlas.
        seed: The trial's seed.

    Raises:
        ConfigError: If a class refuses its arguments.
    """
    dataset = setting.dataset
    preprocessing = build_preprocessing(dataset.name, dataset.preprocess, atlas.spec)
    embedding = build_embedding(setting.embedding, atlas)
    pixels = atlas.spec.kind == "image" and embedding.latent_features == atlas.spec.features
    flow = build_flow(
        setting.flow.arguments(),
        f"flows.{setting.flow.name}",
        features=embedding.latent_features,
        context=atlas.code_dim,
        seed=derive_seed("weights", setting.flow.name, seed),
        shape=atlas.spec.shape if pixels else None,
        charts=atlas.charts,
    )
    if setting.base is not None and not flow.standard:
        raise ConfigError(
            f"bases.{setting.base.name}: takes the place of a standard normal, but "
            f"flows.{setting.flow.name} has the base {flow.base_name}; give the variant "
            "another flow, or no base"
        )
    base = None
    if setting.base is not None:
        sizes = {"features": embedding.latent_features, "charts": atlas.charts}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("weights", "bases", setting.base.name, seed))
            base = build_entry(setting.base, "bases", Base, **sizes)
    return VQFlow(preprocessing, atlas, embedding, flow, base).eval()


def build_embedding(entry: Component, atlas: Atlas) -> Embedding:
    """Builds an embedding of the catalogue for the charts of a fitted atlas.

    Raises:
        ConfigError: If the class refuses its arguments or is not an :class:`Embedding`.
    """
    sizes = {"features": atlas.spec.features, "charts": atlas.charts}
    return build_entry(entry, "embeddings", Embedding, **sizes)


def place_charts(model: VQFlow, data: Data) -> Covering:
    """Starts embedding and base from the training split, with the charts of quantised points.

    Returns:
        The covering pairs of the training split.
    """
    generator = torch.Generator(model.device)
    generator.manual_seed(derive_seed("dequantise", data.spec.name, "charts"))
    points = torch.as_tensor(data.points["train"]).to(model.device)
    covering = model.atlas.pairs(as_data_space(data, "train").to(model.device))
    model.place_charts(model.preprocessing.dequantise(points, generator), covering)
    return covering


def count_parameters(module: torch.nn.Module) -> int:
    """Counts the parameters of a module, trained or frozen; masked layers as if they were dense."""
    absent = sum(
        part.mask.numel() - sum(weight.numel() for weight in part.weights)
        for part in module.modules()
        if isinstance(part, StaircaseLinear)
    )
    return absent + sum(parameter.numel() for parameter in module.parameters())


def count_numbers(model: VQFlow) -> int:
    """Counts what is trained or fitted of a model, but for its atlas."""
    base = 0 if model.base is None else model.base.fitted_numbers
    return count_parameters(model.flow) + model.embedding.fitted_numbers + base

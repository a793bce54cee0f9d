"""What a job is told: entries of the catalogue, typed, as text and back.

Threads and device are no part of the text: they belong to the job and not to its result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vqflow.config.entries import (
    AtlasEntry,
    Component,
    DatasetEntry,
    DensityEntry,
    Device,
    Optimisation,
    Part,
    Sampling,
    Strict,
    Training,
)
from vqflow.config.values import load

NONE = "none"
"""In the columns ``atlas`` and ``embedding``: a model that has none."""


class AtlasSetting(Strict):
    """All that an atlas depends on, but for the data.

    One that chooses its charts depends on the space that it is scored in: embedding and
    preprocessing, which are left out of others.
    """

    atlas: AtlasEntry
    embedding: Component | None = None
    preprocess: list[Part] | None = None

    def on(self, device: Device) -> AtlasSetting:
        """Gives the same, trained on a device."""
        if self.atlas.training is None:
            return self
        training = self.atlas.training.model_copy(update={"device": device})
        return self.model_copy(
            update={"atlas": self.atlas.model_copy(update={"training": training})}
        )


class ModelSetting(Strict):
    """All that a trained model depends on, but for the data and its atlas' own."""

    dataset: DatasetEntry
    flow: Component
    atlas: AtlasEntry
    embedding: Component
    base: Component | None
    training: Training
    objective: Component


class FlowSetting(ModelSetting):
    """One data set and a flow's variant, every name replaced by its entry of the catalogue."""

    variant: str
    sampling: Sampling
    choice_embedding: Component | None

    def of_atlas(self) -> AtlasSetting:
        """Gives what the atlas depends on."""
        if self.choice_embedding is None:
            return AtlasSetting(atlas=self.atlas)
        return AtlasSetting(
            atlas=self.atlas, embedding=self.choice_embedding, preprocess=self.dataset.preprocess
        )

    def of_model(self) -> ModelSetting:
        """Gives what the trained model depends on."""
        return ModelSetting(**{name: getattr(self, name) for name in ModelSetting.model_fields})

    @property
    def uses(self) -> Optimisation:
        """What states the threads and the device of its jobs."""
        return self.training

    def names(self) -> dict[str, str]:
        """Gives what the model is made of, by the columns of the tables."""
        return {
            "flow": self.flow.name,
            "atlas": self.atlas.name,
            "embedding": self.embedding.name,
        }


class DensityModelSetting(Strict):
    """All that a fitted model which is no flow on an atlas depends on, but for the data."""

    dataset: DatasetEntry
    model: DensityEntry


class DensitySetting(DensityModelSetting):
    """One data set and a variant that is no flow on an atlas, with their entries."""

    variant: str
    sampling: Sampling

    def of_model(self) -> DensityModelSetting:
        """Gives what the fitted model depends on."""
        return DensityModelSetting(dataset=self.dataset, model=self.model)

    @property
    def uses(self) -> DensityEntry:
        """What states the threads and the device of its jobs."""
        return self.model

    def names(self) -> dict[str, str]:
        """Gives its name by the columns of the tables, where a flow's stands."""
        return {"flow": self.model.name, "atlas": NONE, "embedding": NONE}


Setting = FlowSetting | DensitySetting
"""One data set and variant."""


def load_setting(value: Mapping[str, Any]) -> Setting:
    """Gives back the setting that :func:`vqflow.config.values.dump` gave the plain values of."""
    if "model" in value:
        return load(DensitySetting, value)
    return load(FlowSetting, value)


class Scoring(Strict):
    """What a job that scores is told."""

    setting: Setting
    metrics: list[Component]

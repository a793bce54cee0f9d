"""What a job is told: entries of the catalogue, typed, as text and back.

Threads and device are no part of the text: they belong to the job and not to its result.
"""

from __future__ import annotations

from vqflow.config.entries import (
    AtlasEntry,
    Component,
    DatasetEntry,
    Device,
    Part,
    Sampling,
    Strict,
    Training,
)


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


class Setting(ModelSetting):
    """One data set and variant, every name replaced by its entry of the catalogue."""

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


class Scoring(Strict):
    """What a job that scores is told."""

    setting: Setting
    metrics: list[Component]

"""What a variant may say: a flow on an atlas with a training, or a model of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticKnownError

from vqflow.config.entries import Entry, Name


class FlowVariant(Entry):
    """A flow on an atlas, with a training."""

    flow: Name = Field(description="An entry of `flows`.")
    atlas: Name = Field(description="An entry of `atlases`.")
    training: Name = Field(description="An entry of `training`.")
    embedding: Name = Field("identity", description="An entry of `embeddings`.")
    base: Name | None = Field(
        None,
        description="What the flow's noise is distributed as, an entry of `bases`; null: the "
        "flow's own, which is standard normal for nearly all.",
    )
    baseline: Name | None = Field(None, description="The variant that this one is compared with.")
    differs: list[Literal["flow", "training", "embedding", "base"]] = Field(
        default_factory=list,
        description="In what a rival or a control is meant to differ from its baseline, beside the "
        "atlas.",
    )


class DensityVariant(Entry):
    """A model of its own, in place of a flow on an atlas."""

    model: Name = Field(description="An entry of `models`, in place of flow, atlas and training.")
    baseline: Name | None = Field(None, description="The variant that this one is compared with.")


def _by_kind(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Reads a variant as what it says it is, so that a mistake is one of that kind alone."""
    if not isinstance(given, (Mapping, FlowVariant, DensityVariant)):
        raise PydanticKnownError("dict_type")
    if not isinstance(given, Mapping):
        return handler(given)
    if "model" not in given:
        return FlowVariant.model_validate(given)
    parts = [key for key in given if key in FlowVariant.model_fields and key not in _SHARED]
    if parts:
        raise ValueError(
            f"has model beside {', '.join(parts)}; a variant is either a model of its own, or a "
            "flow on an atlas with a training"
        )
    return DensityVariant.model_validate(given)


_SHARED = {"name", "baseline"}

Variant = Annotated[FlowVariant | DensityVariant, WrapValidator(_by_kind)]
"""One model of the benchmark."""

"""Samples as they are stored: seeded, finite, and of images the pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.datasets.base import Array
from vqflow.models.density import Model
from vqflow.seeding import derive_seed


class NotFiniteError(RuntimeError):
    """A model gave numbers that are not finite: it is scored as diverged."""


def generator_for(
    model: Model, seed: int, epoch: int | None, support: str = "all"
) -> torch.Generator:
    """Gives the random numbers of one set of samples, on the model's device.

    Args:
        model: The model.
        seed: The trial's seed.
        epoch: The epoch of a snapshot; ``None`` for the final model.
        support: Of the sampler: ``"all"`` or ``"confined"``.
    """
    generator = torch.Generator(model.device)
    generator.manual_seed(derive_seed("samples", seed, epoch, support))
    return generator


def as_stored(model: Model, x: Tensor) -> Array:
    """Gives points x (n, D) as uint8 or float32.

    Raises:
        NotFiniteError: If a sample is not finite; as a pixel it would look like one.
    """
    bad = int((~torch.isfinite(x)).any(1).sum())
    if bad:
        raise NotFiniteError(f"{bad} of {len(x)} samples are not finite")
    points: Array = model.preprocessing.quantise(x).cpu().numpy()
    return points

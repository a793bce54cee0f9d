"""What metrics of vectors' samples share: the sets of samples, floors, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vqflow.datasets.base import Data
from vqflow.metrics.base import SAMPLERS, Metric, Quantity, TrainedRun, by_sampler

Floats = NDArray[np.float64]

FLOOR = "_floor"
"""What the rows end in that give the value of true samples."""


def with_floor(quantity: Quantity) -> tuple[Quantity, ...]:
    """Gives a quantity of samples for each sampler, and of true samples: its floor.

    Args:
        quantity: The quantity of the final model's plain samples.
    """
    floor = replace(
        quantity,
        name=quantity.name + FLOOR,
        label=f"{quantity.label}, floor",
        better=None,
        headline=None,
    )
    return (*by_sampler(quantity), floor)


def refuse_images(metric: Metric, data: Data) -> str:
    """Gives what messages of a metric on a data set of vectors begin with.

    Raises:
        ValueError: If the data are images.
    """
    place = f"data set '{data.spec.name}', metric '{metric.name}'"
    if data.spec.kind == "image":
        raise ValueError(f"{place}: got images, allowed: vectors")
    return place


def final_samples(metric: Metric, run: TrainedRun, count: int) -> Iterator[tuple[str, Floats]]:
    """Gives the final model's sets of samples, one for each of :data:`SAMPLERS` that it has.

    Args:
        metric: The metric, for messages.
        run: The trained run.
        count: n, the number of samples.

    Yields:
        What the set's rows end in, and its first n samples (n, D).

    Raises:
        RuntimeError: If there are too few samples.
    """
    for key, (suffix, _) in SAMPLERS.items():
        if key not in run.samples:
            continue
        samples = run.samples[key][:count].astype(np.float64)
        if len(samples) < count:
            raise RuntimeError(
                f"data set '{run.data.spec.name}', metric '{metric.name}': {len(samples)} "
                f"samples in '{key}', {count} are needed"
            )
        yield suffix, samples

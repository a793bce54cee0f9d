"""Whether the machine that a run is started on can do what its configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import torch

from vqflow.atlases.base import Atlas
from vqflow.config.components import ConfigError
from vqflow.config.setting import FlowSetting, Setting
from vqflow.datasets.base import Dataset

_BYTES = 8  # of a number while it is computed
_ELSEWHERE = 2**40  # of memory that jobs on other machines are thought to have at most


def check_gpu(places: Sequence[str]) -> None:
    """Refuses to start where a GPU is asked for and none is there.

    Raises:
        ConfigError: One line for each of the places that ask for one.
    """
    if places and not torch.cuda.is_available():
        lines = [
            f'{place}: is "cuda", but torch sees no GPU here; allowed: "cpu", or "auto", which '
            "takes a GPU where there is one"
            for place in places
        ]
        raise ConfigError("\n".join(lines))


def check_memory(setting: Setting, dataset: Dataset, features: int, here: bool) -> None:
    """Refuses numbers of points that no memory holds.

    Args:
        setting: The setting.
        dataset: Its data set.
        features: D.
        here: Whether the jobs run on this machine.

    Raises:
        ConfigError: If points or samples would take more than the machine has.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if here else _ELSEWHERE
    for place, number in (*_drawn(setting), *_points(setting, dataset)):
        if number * features * _BYTES > memory:
            most = memory // (features * _BYTES)
            owner = "this machine has" if here else "a machine is thought to have"
            raise ConfigError(
                f"{place}: is {number}; allowed: at most {most}, as {owner} "
                f"{memory / 2**30:.0f} GiB of memory and a point has {features} numbers"
            )


def check_points(setting: FlowSetting, dataset: Dataset, atlas: Atlas) -> None:
    """Refuses more charts than there are training points, where their number is known.

    Of a choice only the least number counts, as those with too few points are left out of it.

    Raises:
        ConfigError: If so.
    """
    choice = setting.atlas.choice
    wanted = getattr(atlas, "wanted_charts", 1) if choice is None else min(choice.charts)
    key = "charts" if choice is None else "choice.charts"
    points = dict(_points(setting, dataset)).get(f"datasets.{setting.dataset.name}.n_train")
    if points is not None and wanted > points:
        raise ConfigError(
            f"atlases.{setting.atlas.name}.{key}: is {wanted}; allowed: at most {points}, the "
            f"training points of datasets.{setting.dataset.name}"
        )


def _drawn(setting: Setting) -> Iterator[tuple[str, int]]:
    sampling = setting.sampling
    yield f"sampling.{sampling.name}.samples", sampling.samples
    yield f"sampling.{sampling.name}.confinement_samples", sampling.confinement_samples
    if isinstance(setting, FlowSetting) and setting.training.snapshot_interval is not None:
        place = f"training.{setting.training.name}.snapshot_samples"
        yield place, setting.training.snapshot_samples or 0


def _points(setting: Setting, dataset: Dataset) -> Iterator[tuple[str, int]]:
    sizes = getattr(dataset, "sizes", None)
    for split, number in sizes.items() if isinstance(sizes, Mapping) else ():
        if isinstance(number, int):
            yield f"datasets.{setting.dataset.name}.n_{split}", number

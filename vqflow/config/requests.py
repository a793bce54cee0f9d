"""What jobs ask a scheduler for, and which of them go together in one submission."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vqflow.config.catalogue import Config
from vqflow.config.entries import AtlasEntry, Uses
from vqflow.config.expected import (
    BASE_MB,
    Measured,
    Size,
    atlas_seconds,
    data_size,
    memory_mb,
    training_seconds,
)
from vqflow.config.setting import FlowSetting, Setting

SHORT_SECONDS = 180.0
"""Trials that are expected to take less are trained in one job, one after the other."""

SUBMISSION_SECONDS = 7200.0
"""The short jobs of a data set are one submission where together they are expected to take less."""

_UNKNOWN_MINUTES = 24 * 60
_START_MINUTES = 8
"""SLURM sends the signal before the end up to a minute early: no job may be that short."""

_SLACK = 4.0
_SCORING_SECONDS = 20.0
_START_SECONDS = 3.0
_UNSAID_MINUTES = 10


@dataclass(frozen=True)
class Limits:
    """The most that a site gives a job: minutes and megabytes."""

    runtime: float = math.inf
    mem_mb: float = math.inf

    def request(self, minutes: float, megabytes: float, attempt: int) -> Request:
        """Gives what an attempt asks for: more with each, never more than there is."""
        return Request(
            runtime=int(min(math.ceil(minutes * attempt), self.runtime)),
            mem_mb=int(min(math.ceil(megabytes * attempt), self.mem_mb)),
        )


@dataclass(frozen=True)
class Request:
    """What a job asks for: minutes and megabytes."""

    runtime: int
    mem_mb: int


def gathers_trials(config: Config) -> bool:
    """Says whether all trials of a variant are one job: as stated, or where trainings are short.

    By the configuration and first estimates alone, so that a run is always cut into the same jobs.
    """
    if config.gather_trials != "auto":
        return config.gather_trials
    return all(_trial_seconds(setting) is not None for setting in config.settings().values())


def model_request(
    setting: Setting,
    trials: int,
    size: Size | None,
    earlier: Measured,
    limits: Limits,
    attempt: int,
) -> Request:
    """Gives what the training of a model asks for.

    Args:
        setting: The data set and variant.
        trials: The trials of the job, one after the other.
        size: The data's, ``None`` where it is not known.
        earlier: Measured seconds per epoch.
        limits: The site's.
        attempt: 1 for the first.
    """
    uses = setting.uses
    minutes = _minutes(training_seconds(setting, size, earlier), trials)
    return _stated(uses, limits, minutes, memory_mb(setting, size), attempt)


def atlas_request(
    entry: AtlasEntry,
    trials: int,
    size: Size | None,
    limits: Limits,
    attempt: int,
) -> Request:
    """Gives what fitting an atlas asks for; arguments as of :func:`model_request`."""
    values = 0 if size is None else size.points * size.features
    megabytes = 6000 if size is None else BASE_MB + 60 * values / 1e6
    return _stated(
        entry.training, limits, _minutes(atlas_seconds(entry, size), trials), megabytes, attempt
    )


def scoring_request(
    settings: Sequence[Setting], size: Size | None, limits: Limits, attempt: int
) -> Request:
    """Gives what sampling, scoring and reference statistics of a data set ask for.

    Args:
        settings: Those of the models concerned.
        size: The data's.
        limits: The site's.
        attempt: 1 for the first.
    """
    megabytes = max((memory_mb(setting, size) for setting in settings), default=2000)
    wide = size is None or size.features > 100
    return limits.request(240 if wide else 10, 1.5 * megabytes, attempt)


def submitted_whole(config: Config) -> set[str]:
    """Gives the data sets whose jobs go to a scheduler as one: short ones, and not too many."""
    found = set()
    for dataset in config.selected_datasets():
        takes = [
            _trial_seconds(setting)
            for (name, _), setting in config.settings().items()
            if name == dataset
        ]
        known = [seconds for seconds in takes if seconds is not None]
        total = len(config.seeds) * sum(known) + _SCORING_SECONDS * len(known)
        if len(known) == len(takes) and total <= SUBMISSION_SECONDS:
            found.add(dataset)
    return found


def expected_seconds(config: Config, earlier: Measured) -> dict[str, float]:
    """Gives what jobs are expected to take, by their rule, data set and atlas or variant.

    Args:
        config: The configuration.
        earlier: Measured seconds per epoch.

    Returns:
        Also for each rule alone the mean of its jobs.
    """
    trials = len(config.seeds) if gathers_trials(config) else 1
    found: dict[str, float] = {}
    for (dataset, variant), setting in config.settings().items():
        size = data_size(setting.dataset)
        rule = "train_flow" if isinstance(setting, FlowSetting) else "fit_model"
        seconds = training_seconds(setting, size, earlier)
        found[f"{rule} {dataset} {variant}"] = trials * (seconds or 60 * _UNSAID_MINUTES)
        scored = 60 if size is None or size.features > 100 else 3
        found[f"evaluate {dataset} {variant}"] = len(config.seeds) * scored
        if isinstance(setting, FlowSetting):
            seconds = atlas_seconds(setting.atlas, size)
            name = f"fit_atlas {dataset} {setting.atlas.name}"
            found[name] = trials * (seconds or 60 * _UNSAID_MINUTES)
    found = {name: _START_SECONDS + seconds for name, seconds in found.items()}
    for rule in {name.partition(" ")[0] for name in found}:
        own = [seconds for name, seconds in found.items() if name.startswith(f"{rule} ")]
        found[rule] = sum(own) / len(own)
    return found


def _trial_seconds(setting: Setting) -> float | None:
    """Gives the first estimate of a trial, atlas included, where it is short."""
    size = data_size(setting.dataset)
    takes = [training_seconds(setting, size, {})]
    if isinstance(setting, FlowSetting):
        takes.append(atlas_seconds(setting.atlas, size))
    known = [seconds for seconds in takes if seconds is not None]
    return sum(known) if len(known) == len(takes) and sum(known) < SHORT_SECONDS else None


def _minutes(seconds: float | None, trials: int) -> float:
    """Gives minutes with room for a slower machine, and for starting the job."""
    if seconds is None:
        return _UNKNOWN_MINUTES
    return _START_MINUTES + _SLACK * seconds * trials / 60


def _stated(
    uses: Uses | None,
    limits: Limits,
    minutes: float,
    megabytes: float,
    attempt: int,
) -> Request:
    """Gives a request, with what the configuration states in the place of estimates."""
    if uses is not None and uses.runtime is not None:
        minutes = uses.runtime
    if uses is not None and uses.mem_mb is not None:
        megabytes = uses.mem_mb
    return limits.request(minutes, megabytes, attempt)

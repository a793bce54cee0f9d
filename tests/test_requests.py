"""What jobs ask a scheduler for: by data, network and epochs, within the site's limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import CATALOGUE, ROOT, RUNS
from hypothesis import given
from hypothesis import strategies as st
from small import merge

from vqflow.config.catalogue import Config
from vqflow.config.expected import (
    Size,
    data_size,
    file_size,
    measured,
    memory_mb,
    training_seconds,
)
from vqflow.config.parsing import parse_config
from vqflow.config.requests import (
    Limits,
    atlas_request,
    gathers_trials,
    model_request,
    scoring_request,
    submitted_whole,
)
from vqflow.config.setting import FlowSetting
from vqflow.config.values import dump
from vqflow.datasets.toy3d import Helix

MNIST = Size(50_000, 784)
NO_LIMITS = Limits()


def shipped(run: str, **changes: Any) -> Config:
    raw = yaml.safe_load((ROOT / "config" / f"{run}.yaml").read_text())
    return parse_config(merge(merge(CATALOGUE, raw), changes))


def cell(config: Config, dataset: str, variant: str) -> FlowSetting:
    setting = config.settings()[dataset, variant]
    assert isinstance(setting, FlowSetting)
    return setting


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("helix", Size(5000, 3)),
        ("two_moons", Size(5000, 2)),
        ("digits", Size(1297, 64)),
        ("mnist", MNIST),
    ],
)
def test_the_size_of_built_in_data_is_known_before_they_are_made(name: str, size: Size) -> None:
    catalogue = parse_config(merge(CATALOGUE, shipped_benchmarks(name)))
    assert data_size(catalogue.datasets[name]) == size


def shipped_benchmarks(dataset: str) -> dict[str, Any]:
    chosen = {"datasets": [dataset], "variants": ["realnvp"], "metrics": ["log_likelihood"]}
    return {"run": "sizes", "seeds": [0], "benchmarks": {"all": chosen}}


def test_the_size_of_prepared_data_is_read_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "helix.npz"
    assert file_size(path) is None
    Helix(n_train=321, n_validation=5, n_test=7).load("helix", tmp_path).save(path)
    assert file_size(path) == Size(321, 3)
    path.write_bytes(b"no archive")
    assert file_size(path) is None


@pytest.mark.parametrize(
    "run", ["toy3d", "toy3d-cef", "digits-frames", "mnist-short", "mnist-latent"]
)
def test_first_estimates_are_near_what_kept_runs_took(run: str) -> None:
    """Within a factor of 6 of each cell, which requests have room for, and none far too little."""
    config = shipped(run)
    took = measured([ROOT / "results" / "reference" / run / "tables" / "runtime.csv"])
    assert took
    for (dataset, variant), setting in config.settings().items():
        assert isinstance(setting, FlowSetting)
        estimate = training_seconds(setting, data_size(setting.dataset), {})
        assert estimate is not None
        seconds = took[dataset, variant] * setting.training.epochs
        assert seconds / 3 < estimate < 6 * seconds, (dataset, variant)
        exact = training_seconds(setting, None, took)
        assert exact == pytest.approx(seconds), "measured times win over estimates"


def test_trainings_of_seconds_ask_for_minutes_and_little_memory() -> None:
    config = shipped("demo")
    for setting in config.settings().values():
        size = data_size(setting.dataset)
        asked = model_request(setting, 3, size, {}, NO_LIMITS, 1)
        assert asked.runtime <= 20
        assert 1600 <= asked.mem_mb <= 2200


def test_images_ask_for_more_than_toys_and_longer_training_for_longer() -> None:
    config = shipped("mnist")
    setting = cell(config, "mnist", "maf")
    whole = model_request(setting, 1, MNIST, {}, NO_LIMITS, 1)
    half = model_request(setting, 1, Size(25_000, 784), {}, NO_LIMITS, 1)
    assert whole.runtime > 1.8 * half.runtime - 10
    assert whole.mem_mb > 4000 > cell_memory("toy3d", "helix", "maf")


def cell_memory(run: str, dataset: str, variant: str) -> int:
    setting = cell(shipped(run), dataset, variant)
    return memory_mb(setting, data_size(setting.dataset))


@given(
    attempt=st.integers(1, 20), minutes=st.integers(1, 10_000), megabytes=st.integers(100, 10**6)
)
def test_requests_grow_with_the_attempt_up_to_the_sites_limits(
    attempt: int, minutes: int, megabytes: int
) -> None:
    limits = Limits(runtime=240, mem_mb=20_000)
    asked = limits.request(minutes, megabytes, attempt)
    more = limits.request(minutes, megabytes, attempt + 1)
    assert asked.runtime <= more.runtime <= 240 and asked.mem_mb <= more.mem_mb <= 20_000
    if asked.mem_mb < 20_000:
        assert asked.mem_mb >= megabytes * attempt
        assert more.mem_mb > asked.mem_mb
    if asked.runtime < 240:
        assert asked.runtime == minutes * attempt


def test_what_a_training_states_wins_over_estimates() -> None:
    changes = {"training": {"toy": {"mem_mb": 1234, "runtime": 77}}}
    setting = cell(shipped("toy3d", **changes), "helix", "maf")
    asked = model_request(setting, 1, Size(5000, 3), {}, NO_LIMITS, 1)
    assert (asked.runtime, asked.mem_mb) == (77, 1234)
    assert dump(setting) == dump(cell(shipped("toy3d"), "helix", "maf"))


def test_data_of_unknown_size_ask_for_much_time_and_memory() -> None:
    setting = cell(shipped("toy3d"), "helix", "vq-maf")
    limits = Limits(runtime=240)
    for asked in (
        model_request(setting, 1, None, {}, limits, 1),
        atlas_request(setting.atlas, 1, None, limits, 1),
        scoring_request([setting], None, limits, 1),
    ):
        assert asked.runtime == 240 and asked.mem_mb >= 6000


@pytest.mark.parametrize(
    ("run", "gathered", "whole"),
    [
        ("demo", True, {"helix", "knotted", "digits"}),
        ("mnist", False, set()),
        ("mnist-latent", False, set()),
    ],
)
def test_short_trainings_go_together(run: str, gathered: bool, whole: set[str]) -> None:
    config = shipped(run)
    assert gathers_trials(config) == gathered
    assert submitted_whole(config) == whole


def test_what_is_gathered_does_not_depend_on_earlier_runs_and_can_be_stated() -> None:
    assert not gathers_trials(shipped("demo", gather_trials=False))
    assert gathers_trials(shipped("mnist", gather_trials=True))


def test_many_short_jobs_of_a_data_set_are_submissions_of_their_own() -> None:
    config = shipped("demo", seeds=list(range(400)))
    assert submitted_whole(config) == set()


def test_every_shipped_run_is_cut_into_jobs() -> None:
    for path in RUNS:
        config = shipped(path.stem)
        assert submitted_whole(config) <= set(config.selected_datasets())


def test_damaged_tables_of_earlier_runs_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "runtime.csv"
    pd.DataFrame(
        {"dataset": ["a", "b"], "variant": ["x", "x"], "seconds_per_epoch": ["?", 2.0]}
    ).to_csv(path)
    assert measured([tmp_path / "absent.csv", path]) == {("b", "x"): 2.0}

"""Wrong configurations are refused before any work; right ones reach a job as they are written."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import CATALOGUE, ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import SMALL, merge

from vqflow.config.catalogue import SECTIONS
from vqflow.config.components import ConfigError
from vqflow.config.entries import Component, Part
from vqflow.config.figures import across_training, plan_figures, stated_figures
from vqflow.config.files import read_files
from vqflow.config.parsing import parse_config
from vqflow.config.requests import gathers_trials, submitted_whole
from vqflow.config.selection import selection_of
from vqflow.config.setting import load_setting
from vqflow.config.values import canonical, dump, dump_unnamed
from vqflow.stages import preflight

RUN: dict[str, Any] = {
    "run": "small",
    "seeds": [0],
    "metrics": {"kde_log_likelihood": {"samples": 60}},
    "benchmarks": {
        "b": {
            "datasets": ["helix"],
            "variants": ["realnvp", "vq-realnvp"],
            "metrics": ["log_likelihood", "kde_log_likelihood"],
            "figures": ["toy_gallery"],
        }
    },
}
BASE = merge(merge(CATALOGUE, SMALL), RUN)
WRONG = yaml.safe_load((ROOT / "tests" / "wrong.yaml").read_text(encoding="utf-8"))


def check(change: Mapping[str, Any], here: bool = False) -> list[str]:
    """Does what happens before the first job."""
    config = parse_config(merge(BASE, dict(change)))
    stated = stated_figures(config)
    plan_figures(config, stated, across_training(config))
    submitted_whole(config)
    return preflight.check(json.loads(canonical(selection_of(config, stated, here))))


def refusal(change: Mapping[str, Any], here: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        check(change, here)
    return str(caught.value)


def test_what_the_changes_are_of_is_right() -> None:
    assert "variants.vq-realnvp on helix" in check({})


@pytest.mark.parametrize("case", WRONG, ids=[case["words"][:60] for case in WRONG])
def test_a_mistake_is_one_line_with_place_and_what_is_allowed(case: dict[str, Any]) -> None:
    line = refusal(case["change"])
    assert line.startswith(case["words"]), line
    assert len(line.splitlines()) == 1


def test_each_mistake_has_its_line() -> None:
    change = {
        "seeds": [-1],
        "training": {"toy": {"epochs": 0, "epoch": 3}},
        "variants": {"mine": {"flow": "maf"}},
    }
    places = [line.partition(":")[0] for line in refusal(change).splitlines()]
    assert sorted(places) == [
        "seeds.0",
        "training.toy.epoch",
        "training.toy.epochs",
        "variants.mine.atlas",
        "variants.mine.training",
    ]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"training": {"toy": {"device": "cuda"}}}, "training.toy.device"),
        ({"atlases": {"vq32": {"training": {"device": "cuda"}}}}, "atlases.vq32.training.device"),
        (
            {"benchmarks": {"b": {"variants": ["cfm"]}}, "models": {"cfm": {"device": "cuda"}}},
            "models.cfm.device",
        ),
    ],
)
def test_a_gpu_that_is_not_here_is_missed_at_the_start(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], place: str
) -> None:
    """But not where the jobs run elsewhere: a cluster's login node has none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refusal(change, here=True).startswith(f'{place}: is "cuda", but torch sees no GPU here')
    check(change)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check(change, here=True)


def test_samples_must_fit_the_memory_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 2**10, "SC_PHYS_PAGES": 2**20}.get)
    most = 2**30 // (3 * 8)
    check({"sampling": {"default": {"samples": most}}}, here=True)
    line = refusal({"sampling": {"default": {"samples": most + 1}}}, here=True)
    assert line.startswith(f"sampling.default.samples: is {most + 1}; allowed: at most {most}, as")
    check({"sampling": {"default": {"samples": most + 1}}})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), datetime.date(2020, 1, 1), {1: 2}])
def test_no_entry_holds_what_json_does_not(value: Any) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        Component.model_validate({"name": "x", "class": "a.B", "epsilon": value})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["helix", "vq32", "auto", "vqflow.atlases.VQAtlas", "1e-4"])
    | st.dates()
)
KEYS = st.text(max_size=8) | st.sampled_from(["class", "charts", "training"]) | st.integers(0, 3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Gives every place of a configuration at which something can stand."""
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    return [place, *(each for key, item in items for each in places(item, (*place, key)))]


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = changed(value[place[0]], place[1:], new)
    return copy


NAMED = {
    section: {name: BASE[section][name] for name in names}
    for section, names in {
        "datasets": ["helix", "digits"],
        "atlases": ["single", "vq32", "kmeans-auto"],
        "flows": ["realnvp", "realnvp-piecewise"],
        "embeddings": ["identity", "bent-frames"],
        "objectives": ["covering"],
        "training": ["toy"],
        "models": ["cfm"],
        "sampling": ["default"],
        "variants": ["realnvp", "vq-realnvp", "cfm"],
        "metrics": ["log_likelihood", "kde_log_likelihood", "fid_classifier"],
        "figures": ["toy_gallery", "density_slice"],
    }.items()
}
FEW = {**NAMED, "run": "small", "seeds": [0], "benchmarks": RUN["benchmarks"]}
PLACES = [place for place in places(FEW) if place]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    place=st.sampled_from(PLACES), value=VALUES, key=st.none() | st.sampled_from(["x", "epsilon"])
)
def test_what_is_accepted_reaches_a_job_as_it_is_written(
    place: tuple[Any, ...], value: Any, key: str | None
) -> None:
    """One value anywhere is another, or stands beside: refused by name, or carried faithfully."""
    old = FEW
    for part in place:
        old = old[part]
    raw = changed(FEW, place, {**old, key: value} if key and isinstance(old, dict) else value)
    try:
        config = parse_config(raw)
        plan_figures(config, stated_figures(config), across_training(config))
        gathers_trials(config), submitted_whole(config)
    except ConfigError as error:
        assert all(line.strip() for line in str(error).splitlines())
        return
    for section in SECTIONS:
        for name, entry in getattr(config, section).items():
            assert_carried(raw[section][name], json.loads(canonical(dump_unnamed(entry))))
            if isinstance(entry, Part):
                assert entry.arguments().keys() >= raw[section][name].keys() - {
                    *type(entry).model_fields
                }
    for setting in config.settings().values():
        assert load_setting(json.loads(canonical(dump(setting)))).of_model() == setting.of_model()


JOB = {"threads", "device", "mem_mb", "runtime"}


def assert_carried(written: Any, received: Any) -> None:
    """Sees that a value is there as it was written; whole numbers may be decimals."""
    if isinstance(written, dict):
        for key in written.keys() - JOB:  # of the job, and not of its result
            assert_carried(written[key], received[key])
    elif isinstance(written, list):
        assert len(written) == len(received)
        for one, other in zip(written, received, strict=True):
            assert_carried(one, other)
    else:
        assert written == received and isinstance(written, bool) == isinstance(received, bool)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=40) | st.text("{}[]:-,#&*!|>'\"%\n\t 012ae<", max_size=40))
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes | str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        read_files([file])
    except ConfigError as error:
        assert str(error).startswith(str(file))

"""What a run's metrics and figures ask is checked before any work."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch
from conftest import CATALOGUE
from matplotlib.figure import Figure
from small import metric, setting
from test_preflight import DIGITS

from vqflow.config.components import ConfigError
from vqflow.config.figures import Statement
from vqflow.config.values import dump
from vqflow.figures.base import Inputs, RunFigure
from vqflow.metrics.base import Metric, Quantity, Score
from vqflow.source import class_attributes
from vqflow.stages.evaluate import build_metric
from vqflow.stages.preflight import check


def test_preflight_knows_which_metric_needs_the_data_as_they_are() -> None:
    entry = dump(metric("manifold_log_likelihood")) | {"name": "mine"}
    chosen = dump(setting("vq-cef"))
    selection = {"settings": [chosen], "metrics": {"helix": [entry]}, "figures": {}}
    with pytest.raises(ConfigError, match="metrics.mine: needs datasets.helix.preprocess"):
        check(selection)
    chosen["dataset"]["preprocess"] = []
    assert "metrics.mine on helix" in check(selection)


@pytest.mark.parametrize("name", sorted(CATALOGUE["metrics"]))
def test_preflight_refuses_metrics_for_other_data(name: str) -> None:
    entry = metric(name)
    built = build_metric(entry)
    assert isinstance(built, Metric)
    chosen = dump(setting("vq-realnvp"))
    chosen["sampling"]["samples"] = chosen["training"]["snapshot_samples"] = 10_000
    if built.own_space:
        chosen["dataset"]["preprocess"] = []
    selection = {"settings": [chosen], "metrics": {"helix": [dump(entry)]}, "figures": {}}
    if "vector" in built.kinds:
        assert f"metrics.{name} on helix" in check(selection)
    else:
        with pytest.raises(ConfigError, match=f"metrics.{name}: scores image data"):
            check(selection)


class Rows(torch.nn.Module):
    """Features of images that are 8 pixels wide."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.mix(images.mean(dim=(1, 2)))
        return found


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("vqflow.datasets.images.Digits", None),
        ("vqflow.datasets.images.MNIST", r"features fail on images of shape \(1, 28, 28\)"),
        ("test_preflight.Images", None),
    ],
)
def test_preflight_tries_a_network_of_the_user_s(dataset: str, message: str | None) -> None:
    entry = {
        "name": "mine",
        "class": "vqflow.metrics.kernel.KernelDistance",
        "features": {"class": "test_checks.Rows"},
        "samples": 50,
    }
    changes = {"datasets": {"helix": {"class": dataset}}}
    chosen = dump(setting("kmeans-realnvp", **changes))
    selection = {"settings": [chosen], "metrics": {"helix": [entry]}, "figures": {}}
    if message is None:
        assert "metrics.mine on helix" in check(selection)
        return
    with pytest.raises(ConfigError, match=f"^metrics.mine on helix: {message}"):
        check(selection)


@pytest.mark.parametrize(
    ("distance", "refused"),
    [("kernel.KernelDistance", True), ("precision_recall.PrecisionRecall", False)],
)
def test_snapshots_must_suffice_for_metrics_that_score_them(distance: str, refused: bool) -> None:
    features = {"class": "test_checks.Rows"}
    entry = {"name": "mine", "class": f"vqflow.metrics.{distance}", "features": features}
    chosen = dump(setting("kmeans-realnvp", datasets={"helix": {"class": DIGITS}}))
    chosen["training"] |= {"snapshot_interval": 1, "snapshot_samples": 49}
    selection = {
        "settings": [chosen],
        "metrics": {"helix": [{**entry, "samples": 50}]},
        "figures": {},
    }
    if refused:
        with pytest.raises(
            ConfigError, match="metrics.mine.samples: 50 .*snapshot_samples.* is 49"
        ):
            check(selection)
    else:
        assert "metrics.mine on helix" in check(selection)


class Silent(Metric):
    """States no quantity."""

    def scores(self, run: Any, reference: Any) -> list[Score]:
        return []


class Leak(Silent):
    quantities = (Quantity("leak"),)


LIKELIHOOD = {"class": "vqflow.metrics.likelihood.LogLikelihood"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"a": {"class": "test_checks.Silent"}},
            "metrics.a.class: .* states no quantities",
        ),
        (
            {"a": {"class": "test_checks.Rows"}},
            "metrics.a.class: .* is not a vqflow.metrics",
        ),
        (
            {
                "charts": CATALOGUE["metrics"]["charts"],
                "leak": {"class": "test_checks.Leak"},
            },
            "metrics.leak: gives rows 'leak' as metrics.charts does; rename one",
        ),
        ({"log_likelihood": LIKELIHOOD, "valid": {**LIKELIHOOD, "splits": ["validation"]}}, None),
        (
            {"fine": LIKELIHOOD, "fine_all": {"class": "test_checks.Leak"}},
            "metrics.fine_all: gives rows 'fine_all' as metrics.fine does",
        ),
    ],
)
def test_preflight_refuses_rows_of_one_name(entries: Any, message: str | None) -> None:
    chosen = dump(setting("realnvp"))
    metrics = {"helix": [{"name": name, **entry} for name, entry in entries.items()]}
    selection = {"settings": [chosen], "metrics": metrics, "figures": {}}
    if message is None:
        assert {f"metrics.{name} on helix" for name in entries} <= set(check(selection))
        return
    with pytest.raises(ConfigError, match=f"^{message}.*$") as caught:
        check(selection)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metrics", "figures", "message"),
    [
        (["kde_log_likelihood"], [], "metrics.kde_log_likelihood.samples: 2500 are needed.* 60"),
        ([], ["sample_grid"], "^figures.sample_grid: draws image data, but datasets.helix is vec"),
    ],
)
def test_preflight_finds_what_would_fail_after_training(
    metrics: list[str], figures: list[str], message: str
) -> None:
    entries = [dump(metric(name)) for name in metrics]
    chosen = dump(setting("realnvp"))
    asked = {name: asked_figure(CATALOGUE["figures"][name], name) for name in figures}
    with pytest.raises(ConfigError, match=message):
        check({"settings": [chosen], "metrics": {"helix": entries}, "figures": asked})


def asked_figure(entry: dict[str, Any], name: str = "mine") -> dict[str, Any]:
    """Gives what the workflow tells the preflight of a figure of helix."""
    stated = class_attributes(entry["class"])
    fields = [field.name for field in dataclasses.fields(Statement)]
    read = json.loads(json.dumps({field: stated[field] for field in fields}))
    cells = [["helix", "realnvp"]]
    return {"entry": {**entry, "name": name}, "stated": read, "cells": cells}


SOURCE = "metrics"


class Computed(RunFigure):
    """States what it reads, but not as a literal."""

    reads = (SOURCE,)

    def draw(self, inputs: Inputs) -> Figure:
        raise AssertionError("the preflight draws nothing")


class Flat(Computed):
    reads = ("data",)
    features = (2,)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class": "vqflow.figures.DensitySlice", "depth": 10.0}, None),
        ({"class": "vqflow.figures.ToyGallery"}, None),
        ({"class": "vqflow.figures.DensitySlice", "deepth": 10}, "deepth.*: .*did you mean .depth"),
        ({"class": "vqflow.figures.DensitySlice", "depth": -1}, "depth: is -1; allowed: above 0"),
        ({"class": "vqflow.figures.GapClosed", "goal": 0.5}, None),
        ({"class": "vqflow.figures.GapClosed", "goal": 1.5}, "goal is 1.5; allowed: above 0, at"),
        (
            {"class": "vqflow.figures.GapClosed", "reference": "maf"},
            "reference is 'maf'; allowed: realnvp$",
        ),
        ({"class": "vqflow.figures.Likelihood", "metrics": "x"}, "metrics: .*did you mean .metric"),
        (
            {"class": "test_checks.Computed"},
            r"Computed.reads is \('metrics',\), but its source reads as \[\]; state it in the body",
        ),
        (
            {"class": "test_checks.Flat"},
            "draws data of 2 dimensions, but datasets.helix has 3",
        ),
    ],
    ids=str,
)
def test_preflight_builds_figures_and_checks_what_they_state(
    entry: dict[str, Any], message: str | None
) -> None:
    chosen = dump(setting("realnvp"))
    asked = {"settings": [chosen], "metrics": {}, "figures": {"mine": asked_figure(entry)}}
    if message is None:
        assert "figures.mine" in check(asked)
        return
    with pytest.raises(ConfigError, match=f"^figures.mine[:.].*{message}") as caught:
        check(asked)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("vqflow.figures.Nothing", "figures.mine.class: no 'Nothing' in module"),
        (
            "test_preflight.Vectors",
            "figures.mine.class: 'test_preflight.Vectors' is not a vqflow",
        ),
    ],
)
def test_preflight_refuses_what_is_no_figure(path: str, message: str) -> None:
    chosen = dump(setting("realnvp"))
    figure = {
        "entry": {"name": "mine", "class": path},
        "stated": {},
        "cells": [["helix", "realnvp"]],
    }
    with pytest.raises(ConfigError, match=message):
        check({"settings": [chosen], "metrics": {}, "figures": {"mine": figure}})

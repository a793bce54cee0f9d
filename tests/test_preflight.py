"""What a run selects is built once before any work, and mistakes name their place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CATALOGUE
from matplotlib.figure import Figure
from small import metric, setting
from test_stages import PLANES
from zuko.transforms import MonotonicAffineTransform

from vqflow.config.components import ConfigError
from vqflow.config.figures import Statement
from vqflow.config.values import dump
from vqflow.datasets.base import Data, Dataset
from vqflow.figures.base import Inputs, RunFigure
from vqflow.metrics.base import Metric, Quantity, Score
from vqflow.source import class_attributes
from vqflow.stages.evaluate import build_metric
from vqflow.stages.preflight import check

AFFINE = "zuko.transforms.MonotonicAffineTransform"
STANDARDISE = "vqflow.preprocessing.Standardise"
LOGIT = {"class": "vqflow.preprocessing.Logit", "alpha": 0.01}
DIGITS = "vqflow.datasets.images.Digits"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"flows": {"realnvp": {"transform": 3}}},
            "realnvp.transform: .* did you mean 'transforms'",
        ),
        ({"flows": {"realnvp": {"class": "zuko.flows.RealNVQ"}}}, "no 'RealNVQ' in module"),
        ({"atlases": {"vq32": {"chart": 3}}}, "atlases.vq32.chart: .* did you mean 'charts'"),
        ({"datasets": {"helix": {"noise": -1}}}, "datasets.helix.noise: is -1; allowed: above 0"),
        ({"datasets": {"helix": {"preprocess": [LOGIT]}}}, "datasets.helix.preprocess.0: Logit"),
        (
            {"datasets": {"helix": {"preprocess": [{"class": STANDARDISE, "minscale": 1}]}}},
            "datasets.helix.preprocess.0.minscale: .* did you mean 'min_scale'",
        ),
        (
            {"datasets": {"helix": {"preprocess": [{"class": "vqflow.flows.Gaussian"}]}}},
            "datasets.helix.preprocess.0.class: .* is not a vqflow.preprocessing.base.Bijection",
        ),
        ({"flows": {"realnvp": {"class": "torch.nn.Linear"}}}, "flows.realnvp"),
    ],
)
def test_preflight_names_the_place(changes: Any, message: str) -> None:
    chosen = dump(setting("vq-realnvp", **changes))
    with pytest.raises(ConfigError, match=message):
        check({"settings": [chosen], "metrics": {}, "figures": {}})


class Vectors(Dataset):
    """Data of a dimension that is not known before they are read."""

    kind = "vector"

    def load(self, name: str, data_root: Path) -> Data:
        raise AssertionError("the preflight reads no data")


class Images(Vectors):
    kind = "image"


def wide(dataset: str) -> dict[str, Any]:
    """A selection of planes of 100 dimensions on a data set."""
    changes: dict[str, Any] = {
        "embeddings": {"planes": {**PLANES, "latent_features": 100}},
        "variants": {"mine": {**CATALOGUE["variants"]["vq-realnvp"], "embedding": "planes"}},
        "atlases": {"vq32": {"hidden": [8, 8]}},
        "datasets": {"helix": {"class": dataset}},
    }
    chosen = dump(setting("mine", **changes))
    return {"settings": [chosen], "metrics": {}, "figures": {}}


@pytest.mark.parametrize("dataset", ["Vectors", "Images"])
def test_preflight_takes_any_planes_where_it_does_not_know_the_data(dataset: str) -> None:
    assert "variants.mine on helix" in check(wide(f"test_preflight.{dataset}"))


@pytest.mark.parametrize(
    ("dataset", "most"), [("toy3d.Helix", 2), ("images.Digits", 63), ("images.MNIST", None)]
)
def test_preflight_knows_planes_wider_than_the_data(dataset: str, most: int | None) -> None:
    selection = wide(f"vqflow.datasets.{dataset}")
    if most is None:
        assert "variants.mine on helix" in check(selection)
        return
    with pytest.raises(ConfigError, match=f"latent_features is 100; allowed: 1 to {most}"):
        check(selection)


@pytest.mark.parametrize(
    ("dataset", "scales", "message"),
    [
        ("images.MNIST", 3, None),
        ("images.MNIST", 4, r"\[28, 28\] cannot be halved 3 times"),
        ("images.Digits", 3, None),
        ("toy3d.Helix", 3, "takes images, but the data are vectors"),
    ],
)
def test_preflight_builds_flows_for_images_at_their_size(
    dataset: str, scales: int, message: str | None
) -> None:
    changes: dict[str, Any] = {
        "datasets": {"helix": {"class": f"vqflow.datasets.{dataset}"}},
        "flows": {"realnvp-image": {"scales": scales}},
        "variants": {"mine": {**CATALOGUE["variants"]["kmeans-realnvp"], "flow": "realnvp-image"}},
    }
    chosen = dump(setting("mine", **changes))
    selection = {"settings": [chosen], "metrics": {}, "figures": {}}
    if message is None:
        assert "variants.mine on helix" in check(selection)
        return
    with pytest.raises(ConfigError, match=f"flows.realnvp-image: .*{message}"):
        check(selection)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"univariate": {"class": AFFINE, "slope": 0.1}}, None),
        ({"univariate": {"class": AFFINE, "slop": 0.1}}, "TypeError: .*'slop'"),
        ({"univariate": {"class": AFFINE, "slope": 0}}, "ValueError: .*; given: .*'slope': 0}"),
        ({"univariate": AFFINE}, "TypeError: 'str' object is not callable; given: .*univariate"),
        ({"univariate": {"slope": 0.1}}, "TypeError: 'dict' object is not callable; given"),
        ({"univariate": {"class": "test_preflight.Lost"}}, "log p is not finite; given"),
    ],
    ids=str,
)
def test_preflight_tries_what_a_flow_calls_itself(
    arguments: dict[str, Any], message: str | None
) -> None:
    chosen = dump(setting("vq-maf", flows={"maf": arguments}))
    selection = {"settings": [chosen], "metrics": {}, "figures": {}}
    if message is None:
        assert "variants.vq-maf on helix" in check(selection)
        return
    with pytest.raises(ConfigError, match=f"^flows.maf: fails on points of 3 .*{message}"):
        check(selection)


class Lost(MonotonicAffineTransform):
    """Gives no numbers."""

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, torch.nan)


def test_preflight_knows_a_least_scale_that_hides_the_pixels() -> None:
    steps = [{"class": STANDARDISE, "min_scale": 1.0}]
    entry = {"class": DIGITS, "preprocess": steps}
    chosen = dump(setting("vq-maf", datasets={"helix": entry}))
    selection = {"settings": [chosen], "metrics": {}, "figures": {}}
    with pytest.raises(ConfigError, match=r"datasets.helix.preprocess.0: min_scale is 1.0.*0 to 0"):
        check(selection)
    chosen["dataset"]["preprocess"] = [LOGIT, *steps]
    assert "variants.vq-maf on helix" in check(selection)


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
        "features": {"class": "test_preflight.Rows"},
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
    features = {"class": "test_preflight.Rows"}
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
        ({"a": {"class": "test_preflight.Silent"}}, "metrics.a.class: .* states no quantities"),
        ({"a": {"class": "test_preflight.Rows"}}, "metrics.a.class: .* is not a vqflow.metrics"),
        (
            {"charts": CATALOGUE["metrics"]["charts"], "leak": {"class": "test_preflight.Leak"}},
            "metrics.leak: gives rows 'leak' as metrics.charts does; rename one",
        ),
        ({"log_likelihood": LIKELIHOOD, "valid": {**LIKELIHOOD, "splits": ["validation"]}}, None),
        (
            {"fine": LIKELIHOOD, "fine_all": {"class": "test_preflight.Leak"}},
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
            {"class": "test_preflight.Computed"},
            r"Computed.reads is \('metrics',\), but its source reads as \[\]; state it in the body",
        ),
        ({"class": "test_preflight.Flat"}, "draws data of 2 dimensions, but datasets.helix has 3"),
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
        ("test_preflight.Vectors", "figures.mine.class: 'test_preflight.Vectors' is not a vqflow"),
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

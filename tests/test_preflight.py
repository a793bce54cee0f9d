"""What a run selects is built once before any work, and mistakes name their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CATALOGUE
from small import setting
from test_stages import PLANES
from zuko.transforms import MonotonicAffineTransform

from vqflow.config.components import ConfigError
from vqflow.config.values import dump
from vqflow.datasets.base import Data, Dataset
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

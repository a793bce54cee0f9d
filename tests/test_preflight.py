"""What a run selects is built once before any work, and mistakes name their place."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import CATALOGUE
from test_stages import PLANES, setting

from vqflow.components import ConfigError
from vqflow.metrics.base import Metric
from vqflow.preflight import check
from vqflow.stages.evaluate import build_metric


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flows": {"realnvp": {"transform": 3}}}, "flows.realnvp: zuko.flows.RealNVP refuses"),
        ({"flows": {"realnvp": {"class": "zuko.flows.RealNVQ"}}}, "no 'RealNVQ' in module"),
        ({"atlases": {"vq32": {"chart": 3}}}, "atlases.vq32: vqflow.vqae.VQAtlas refuses"),
        ({"datasets": {"helix": {"noise": -1}}}, "datasets.helix: .*noise is -1"),
        ({"datasets": {"helix": {"preprocess": {"logit": 0.1}}}}, "datasets.helix.preprocess"),
        ({"flows": {"realnvp": {"class": "torch.nn.Linear"}}}, "flows.realnvp"),
    ],
)
def test_preflight_names_the_place(changes: Any, message: str) -> None:
    chosen = {"variant": "vq-realnvp", **setting("vq-realnvp", **changes)}
    with pytest.raises(ConfigError, match=message):
        check({"settings": [chosen], "metrics": {}, "figures": {}})


@pytest.mark.parametrize(("variant", "kind"), [("vq-realnvp", "vector"), ("kmeans-maf", "image")])
def test_preflight_takes_planes_wider_than_its_small_data(variant: str, kind: str) -> None:
    changes = {
        "embeddings": {"planes": {**PLANES, "latent_features": 100}},
        "variants": {"mine": {**CATALOGUE["variants"]["vq-realnvp"], "embedding": "planes"}},
        "atlases": {"vq32": {"hidden": [8, 8]}},
    }
    if kind == "image":
        changes["datasets"] = {"helix": {"class": "vqflow.datasets.images.Digits", "noise": None}}
    chosen = {"variant": "mine", **setting("mine", **changes)}
    chosen["dataset"] = {k: v for k, v in chosen["dataset"].items() if k != "noise"}
    assert "variants.mine on helix" in check({"settings": [chosen], "metrics": {}, "figures": {}})


def test_preflight_knows_which_metric_needs_the_data_as_they_are() -> None:
    entry = {"name": "mine", **CATALOGUE["metrics"]["manifold_log_likelihood"]}
    chosen = {"variant": "vq-cef", **setting("vq-cef")}
    selection = {"settings": [chosen], "metrics": {"helix": [entry]}, "figures": {}}
    with pytest.raises(ConfigError, match="metrics.mine: needs datasets.helix.preprocess"):
        check(selection)
    chosen["dataset"]["preprocess"]["standardise"] = False
    assert "metrics.mine on helix" in check(selection)


@pytest.mark.parametrize("name", sorted(CATALOGUE["metrics"]))
def test_preflight_refuses_metrics_for_other_data(name: str) -> None:
    entry = {"name": name, **CATALOGUE["metrics"][name]}
    metric = build_metric(entry)
    assert isinstance(metric, Metric)
    chosen = {"variant": "vq-realnvp", **setting("vq-realnvp")}
    chosen["training"]["samples"] = 10_000
    chosen["dataset"]["preprocess"]["standardise"] = not metric.own_space
    selection = {"settings": [chosen], "metrics": {"helix": [entry]}, "figures": {}}
    if "vector" in metric.kinds:
        assert f"metrics.{name} on helix" in check(selection)
    else:
        with pytest.raises(ConfigError, match=f"metrics.{name}: scores image data"):
            check(selection)


@pytest.mark.parametrize(
    ("metrics", "figures", "message"),
    [
        (["kde_log_likelihood"], {}, "metrics.kde_log_likelihood.samples: 2500 are needed.* 60"),
        ([], {"sample_grid": ["helix"]}, "figures: 'sample_grid' draws image data.*helix"),
    ],
)
def test_preflight_finds_what_would_fail_after_training(
    metrics: list[str], figures: dict[str, list[str]], message: str
) -> None:
    entries = [{"name": name, **CATALOGUE["metrics"][name]} for name in metrics]
    chosen = {"variant": "realnvp", **setting("realnvp")}
    with pytest.raises(ConfigError, match=message):
        check({"settings": [chosen], "metrics": {"helix": entries}, "figures": figures})

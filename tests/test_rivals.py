"""Rivals and controls of VQ: as large, as long, and different in what they say."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from conftest import CATALOGUE, ring
from small import merge

from vqflow.config.components import ConfigError
from vqflow.config.parsing import parse_config
from vqflow.config.setting import FlowSetting
from vqflow.models.build import build_atlas, build_model, count_numbers, count_parameters

RIVALS = ("gmm", "resampled", "piecewise", "wide")
FAMILIES = ("realnvp", "maf")


def setting(variant: str, **changes: Any) -> FlowSetting:
    """A variant of the catalogue as it is shipped, beside its baseline."""
    chosen = [variant, CATALOGUE["variants"][variant]["baseline"]]
    benchmark = {"datasets": ["helix"], "variants": chosen, "metrics": ["log_likelihood"]}
    run = {"run": "test", "seeds": [0], "benchmarks": {"b": benchmark}}
    found = parse_config(merge(merge(CATALOGUE, run), changes)).settings()["helix", variant]
    assert isinstance(found, FlowSetting)
    return found


@cache
def numbers(variant: str) -> int:
    """How many numbers are trained of model and atlas, in three dimensions."""
    data = ring(3)
    chosen = setting(variant)
    atlas = build_atlas(chosen.atlas, data.spec).eval()
    x = torch.as_tensor(data.points["train"][:40], dtype=torch.float32)
    centres = atlas.encode(x)[: getattr(atlas, "wanted_charts", 1)]
    atlas.set_charts(centres.detach(), x)
    assert atlas.charts == len(centres)
    return count_numbers(build_model(chosen, atlas, seed=0)) + count_parameters(atlas)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rival", RIVALS)
def test_rivals_have_the_parameters_of_vq_and_its_atlas(rival: str, family: str) -> None:
    assert numbers(f"{rival}-{family}") == pytest.approx(numbers(f"vq-{family}"), rel=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_rivals_have_the_data_and_the_steps_of_vq(family: str) -> None:
    ours = setting(f"vq-{family}")
    for rival in (*RIVALS, "kmeans"):
        theirs = setting(f"{rival}-{family}")
        assert theirs.training == ours.training and theirs.dataset == ours.dataset
    longer = setting(f"long-{family}").training
    changed = {"name": "toy-long", "epochs": longer.epochs}
    assert longer == ours.training.model_copy(update=changed)
    assert longer.epochs > 2 * ours.training.epochs


@pytest.mark.parametrize(
    ("variant", "field"),
    [("gmm-maf", "base"), ("gmm-maf", "flow"), ("long-maf", "training"), ("wide-maf", "flow")],
)
def test_what_differs_from_the_baseline_must_be_said(variant: str, field: str) -> None:
    said = CATALOGUE["variants"][variant]["differs"]
    assert field in said
    with pytest.raises(ConfigError) as caught:
        setting(variant, variants={variant: {"differs": [part for part in said if part != field]}})
    assert f"variants.{variant}.{field}: '" in str(caught.value)
    assert str(caught.value).endswith(f"or says differs: [{field}]")


def test_only_what_may_differ_can_be_said() -> None:
    with pytest.raises(ConfigError, match=r"variants.wide-maf.differs.0.*'flow'"):
        setting("wide-maf", variants={"wide-maf": {"differs": ["flows"]}})

"""The configuration: what is shipped is valid, and a mistake names its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import CATALOGUE, ROOT, RUNS
from small import merge

from vqflow.config.components import ConfigError, build
from vqflow.config.inputs import LEFT_OUT, plan
from vqflow.config.parsing import parse_config
from vqflow.config.schema import PATH, schema_text
from vqflow.config.setting import FlowSetting
from vqflow.config.values import canonical, data_root, dump, load
from vqflow.flows import build_flow


def demo(**changes: Any) -> dict[str, Any]:
    run = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    return merge(merge(CATALOGUE, run), changes)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_shipped_runs_are_valid_and_named_like_their_file(path: Path) -> None:
    config = parse_config(merge(CATALOGUE, yaml.safe_load(path.read_text())))
    assert config.run == path.stem
    assert config.settings()


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_flows_of_shipped_runs_can_be_built(path: Path) -> None:
    """With the run's own arguments, on images of 64 pixels."""
    config = parse_config(merge(CATALOGUE, yaml.safe_load(path.read_text())))
    entries = {
        setting.flow.name: setting.flow.arguments()
        for setting in config.settings().values()
        if isinstance(setting, FlowSetting)
    }
    for name, entry in entries.items():
        flow = build_flow(entry, name, 64, 2, seed=0, shape=(1, 8, 8))
        code = torch.zeros(2, 1, dtype=torch.long) if flow.by_chart else torch.zeros(2, 2)
        with torch.no_grad():
            assert flow.log_prob(torch.zeros(2, 64), code).isfinite().all()


def test_images_of_the_catalogue_are_standardised_with_a_least_scale() -> None:
    datasets = parse_config(demo()).datasets
    for name in ("digits", "mnist", "fashion_mnist"):
        logit, standardise = (step.arguments() for step in datasets[name].preprocess)
        assert logit["alpha"] == 0.01 and standardise["min_scale"] == 1.0


def test_data_are_standardised_where_nothing_is_said() -> None:
    (step,) = parse_config(demo()).datasets["helix"].preprocess
    assert dump(step) == {"class": "vqflow.preprocessing.Standardise"}


def test_reordering_keys_changes_no_parameter() -> None:
    raw = demo()
    reordered = {key: raw[key] for key in reversed(raw)}
    reordered["flows"] = {
        name: dict(reversed(entry.items())) for name, entry in reversed(raw["flows"].items())
    }
    first, second = parse_config(raw), parse_config(reordered)
    for cell, setting in first.settings().items():
        assert canonical(dump(setting)) == canonical(dump(second.settings()[cell]))


def test_substitution_swaps_names_for_base_and_variant_alike() -> None:
    settings = parse_config(demo()).settings()
    assert settings["digits", "maf"].training.name == "image"
    assert settings["digits", "vq-maf"].training.name == "image"
    assert settings["digits", "vq-maf"].atlas.name == "vq32-image"
    assert settings["helix", "framed-vq-maf"].atlas.name == "vq64"


def test_families_and_baselines() -> None:
    config = parse_config(demo())
    compared = {base: [f"framed-vq-{base}", f"vq-{base}"] for base in ("realnvp", "maf")}
    assert config.families() == {base: [base, *others] for base, others in compared.items()}
    assert config.baselines() == {name: base for base in compared for name in compared[base]}


def test_the_environment_overrides_the_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQFLOW_DATA", raising=False)
    assert data_root("data") == Path("data")
    monkeypatch.setenv("VQFLOW_DATA", "elsewhere")
    assert data_root("data") == Path("elsewhere")


def test_the_schema_is_fresh() -> None:
    assert PATH.read_text() == schema_text(), "run `make schema`"


def test_parsing_imports_nothing_heavy() -> None:
    program = (
        "import sys, vqflow.config.parsing\n"
        "heavy = {'torch', 'zuko', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'numpy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"class": "vqflow.atlases.Nothing"}, "atlases.mine.class: no 'Nothing' in module"),
        ({"class": "vqflow.nothing.Atlas"}, "atlases.mine.class: cannot import"),
        (
            {"class": "vqflow.datasets.toy3d.Helix", "nose": 1},
            "atlases.mine.nose: .* has no such argument; did you mean 'noise'",
        ),
    ],
)
def test_building_names_the_place(component: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(component, "atlases.mine")


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_what_a_run_selects_is_a_configuration_of_the_same_results(path: Path) -> None:
    config = parse_config(merge(CATALOGUE, yaml.safe_load(path.read_text())))
    again = parse_config(yaml.safe_load(yaml.safe_dump(config.selection())))
    assert again.selection() == config.selection()
    for cell, setting in config.settings().items():
        assert dump(again.settings()[cell]) == dump(setting)


def test_settings_come_back_from_their_text() -> None:
    for setting in parse_config(demo()).settings().values():
        again = load(type(setting), dump(setting))
        assert again == setting
        assert load(type(setting.of_model()), dump(setting.of_model())) == setting.of_model()
        assert load(type(setting.of_atlas()), dump(setting.of_atlas())) == setting.of_atlas()


def test_threads_and_device_are_no_part_of_what_a_result_depends_on() -> None:
    machine = {"training": {"toy": {"threads": 7, "device": "cuda"}}}
    one, other = (parse_config(demo(**changes)).settings() for changes in ({}, machine))
    assert other["helix", "maf"].training.threads == 7
    assert other["helix", "maf"].training.device == "cuda"
    for cell, setting in one.items():
        assert dump(setting) == dump(other[cell])


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "results" / "reference").glob("*/config.yaml")),
    ids=lambda p: p.parent.name,
)
def test_configurations_of_kept_results_are_those_of_the_shipped_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for metrics that need weights, which a run leaves out where they are not."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(LEFT_OUT, "")
    kept = parse_config(yaml.safe_load(path.read_text()))
    shipped = ROOT / "config" / f"{kept.run}.yaml"
    run = parse_config(merge(CATALOGUE, yaml.safe_load(shipped.read_text())))
    ours, theirs = (plan(each, main_process=True).selection() for each in (kept, run))
    assert set(theirs.pop("seeds")) <= set(ours.pop("seeds"))  # kept results may have more
    assert ours == theirs

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
from vqflow.config.files import check_files
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"variants": {"vq-maf": {"atlas": "vq23"}}},
            "variants.vq-maf.atlas: no atlas 'vq23'; did you mean 'vq32'?",
        ),
        (
            {"variants": {"maf": {"flow": "x"}}},
            "variants.maf.flow: no flow 'x'; allowed: realnvp, maf, nsf",
        ),
        (
            {"training": {"toy": {"learning_rate": "1e-4"}}},
            "training.toy.learning_rate: '1e-4' is a string, not a number; write 0.0001",
        ),
        (
            {"datasets": {"mnist": {"preprocess": {"min_scale": 1.0, "logit": 0.01}}}},
            "datasets.mnist.preprocess: is a list of bijections; write "
            "[{class: vqflow.preprocessing.Logit, alpha: 0.01}, "
            "{class: vqflow.preprocessing.Standardise, min_scale: 1.0}]",
        ),
        (
            {"datasets": {"helix": {"preprocess": {"standardise": False}}}},
            "datasets.helix.preprocess: is a list of bijections; write [] (given:",
        ),
        (
            {"datasets": {"helix": {"preprocess": [{"alpha": 0.1}]}}},
            "datasets.helix.preprocess.0.class: Field required",
        ),
        (
            {"flows": {"maf": {"univariate": {"class": "a.B", "slope": "1e-1"}}}},
            "flows.maf.univariate.slope: '1e-1' is a string, not a number; write 0.1",
        ),
        (
            {"flows": {"maf": {"slope": "1e-4"}}},
            "flows.maf.slope: '1e-4' is a string, not a number; write 0.0001",
        ),
        ({"trainings": {}}, "trainings: no such key here; config/README.md lists the keys"),
        ({"training": {"toy": {"epoch": 3}}}, "training.toy.epoch: no such key here"),
        ({"training": {"toy": {"epochs": 0}}}, "training.toy.epochs: Input should be greater"),
        (
            {"training": {"toy": {"objective": "elbo"}}},
            "training.toy.objective: no objective 'elbo'; allowed: sampled, covering",
        ),
        ({"seeds": [0, 0]}, "seeds: 0 is listed twice"),
        ({"seeds": []}, "seeds: List should have at least 1 item"),
        ({"flows": {"maf": {"class": "MAF"}}}, "flows.maf.class"),
        (
            {"benchmarks": {"toys": {"datasets": ["helicopter"]}}},
            "benchmarks.toys.datasets: no dataset 'helicopter'; allowed:",
        ),
        (
            {"benchmarks": {"toys": {"datasets": ["helix", "helix"]}}},
            "benchmarks.toys.datasets: 'helix' is listed twice",
        ),
        (
            {"variants": {"vq-maf": {"training": "image"}}},
            "variants.vq-maf.training: 'image' differs from 'toy' of its baseline 'maf'",
        ),
        (
            {"benchmarks": {"digits": {"datasets": ["helix"]}}},
            "benchmarks.digits: 'realnvp' on 'helix' differs from that of benchmarks.toys",
        ),
        (
            {"benchmarks": {"digits": {"substitute": {"training": {"toy": "imgae"}}}}},
            "benchmarks.digits.substitute.training: no entry 'imgae'; did you mean 'image'?",
        ),
        (
            {"training": {"toy": {"epochs": "3"}}},
            "training.toy.epochs: '3' is a string, not a number; write 3",
        ),
        (
            {"variants": {"vq-maf": {"baseline": "vq-maf"}}},
            "variants.vq-maf.baseline: 'vq-maf' has a baseline itself",
        ),
        (
            {"training": {"toy": {"snapshot_interval": 2}}},
            "training.toy: snapshot_interval needs snapshot_samples beside it",
        ),
        ({"flows": {"maf": {"name": "x"}}}, "flows.maf.name: no such key here"),
        (
            {"benchmarks": {"toys": {"sampling": "many"}}},
            "benchmarks.toys.sampling: no sampling 'many'; allowed: default, digits, images",
        ),
        ({"run": "a/b"}, "run: String should match pattern"),
    ],
)
def test_a_mistake_names_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(demo(**changes))
    assert message in str(caught.value)


def test_a_key_that_stands_twice_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("flows:\n  a: {class: x.Y, k: 1, k: 2}\nrun: r\nflows:\n  b: {class: x.Z}\n")
    with pytest.raises(ConfigError) as caught:
        check_files([file])
    assert str(caught.value).splitlines() == [
        f"{file}:2: flows.a.k is there already, in line 2; write it once",
        f"{file}:4: flows is there already, in line 1; write it once",
    ]
    check_files([*RUNS, ROOT / "config" / "config.yaml"])


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
    assert settings["helix", "vq-maf"].atlas.name == "vq32"


def test_families_and_baselines() -> None:
    config = parse_config(demo())
    assert config.families() == {"realnvp": ["realnvp", "vq-realnvp"], "maf": ["maf", "vq-maf"]}
    assert config.baselines() == {"vq-realnvp": "realnvp", "vq-maf": "maf"}


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
            "atlases.mine: vqflow.datasets.toy3d.Helix refuses its arguments",
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
def test_configurations_of_kept_results_are_those_of_the_shipped_runs(path: Path) -> None:
    kept = parse_config(yaml.safe_load(path.read_text()))
    shipped = ROOT / "config" / f"{kept.run}.yaml"
    run = parse_config(merge(CATALOGUE, yaml.safe_load(shipped.read_text())))
    assert kept.selection() == run.selection()

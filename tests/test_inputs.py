"""Files that entries need: the user's data by content, and weights that may not be there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CATALOGUE
from pytorch_fid import inception
from test_config import demo

from vqflow.config.components import ConfigError
from vqflow.config.inputs import (
    LEFT_OUT,
    absent_weights,
    check_data_files,
    data_digests,
    data_files,
    hub_file,
    plan,
)
from vqflow.config.parsing import parse_config
from vqflow.metrics.inception import InceptionFeatures

ARRAYS = {"class": "vqflow.datasets.arrays.Arrays", "path": "a.npy"}
USER = """
from vqflow.datasets.arrays import Arrays
from vqflow.datasets.base import Dataset

class Mine(Dataset):
    file_arguments = ("parts", "extra", "names")
    def __init__(self, *, parts, extra="extra.csv", names=None): ...

class Derived(Arrays):
    pass
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_sets.py").write_text(USER)


@pytest.mark.parametrize(
    ("entry", "files"),
    [
        (ARRAYS, {"path": ["a.npy"]}),
        ({**ARRAYS, "path": "/there/a.npy"}, {"path": ["/there/a.npy"]}),
        ({"class": "my_sets.Derived", "train": "t.csv"}, {"train": ["t.csv"]}),
        ({"class": "my_sets.Mine", "parts": ["a"]}, {"parts": ["a"], "extra": ["extra.csv"]}),
        (CATALOGUE["datasets"]["helix"], {}),
        (CATALOGUE["datasets"]["mnist"], {}),
        ({"class": "nowhere.Set", "path": "a.npy"}, {}),
    ],
    ids=str,
)
def test_the_files_of_a_data_set_are_those_its_class_states(
    user: None, entry: dict[str, Any], files: dict[str, Any]
) -> None:
    expected = {key: [Path("root") / name for name in names] for key, names in files.items()}
    assert data_files(entry, Path("root")) == expected


def test_files_are_known_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", np.arange(4.0))
    here = data_digests(ARRAYS, tmp_path / "here")
    assert here == data_digests(ARRAYS, tmp_path / "there")
    os.utime(tmp_path / "there" / "a.npy", ns=(0, 0))
    assert here == data_digests(ARRAYS, Path("there"))
    np.save(tmp_path / "there" / "a.npy", np.arange(4.0) + 1)
    os.utime(tmp_path / "there" / "a.npy", ns=(0, 0))
    assert here != data_digests(ARRAYS, tmp_path / "there")


def test_absent_files_of_selected_sets_are_named(tmp_path: Path) -> None:
    sets = {"mine": ARRAYS, "other": ARRAYS}
    benchmarks = {"toys": {"datasets": ["mine"], "figures": []}}
    config = parse_config(demo(datasets=sets, benchmarks=benchmarks))
    with pytest.raises(ConfigError, match=rf"^datasets.mine.path: no file '{tmp_path}/a.npy'$"):
        check_data_files(config, tmp_path)
    (tmp_path / "a.npy").touch()
    check_data_files(config, tmp_path)


@pytest.mark.parametrize(
    "variables", [{}, {"TORCH_HOME": "/t"}, {"XDG_CACHE_HOME": "~/x"}], ids=str
)
def test_weights_lie_where_torch_looks(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file = hub_file("https://somewhere/w.pth")
    assert file == Path(torch.hub.get_dir()) / "checkpoints" / "w.pth"


def test_the_address_of_the_weights_is_that_of_pytorch_fid() -> None:
    assert InceptionFeatures.weights_url == inception.FID_WEIGHTS_URL


def test_what_needs_absent_weights_is_left_out_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(LEFT_OUT, "")
    metrics = ["charts", "fid_inception"]
    config = parse_config(demo(benchmarks={"digits": {"metrics": metrics}}))
    assert plan(config, main_process=True).selected_metrics("digits") == ["charts"]
    [line] = capsys.readouterr().err.splitlines()
    assert "fetch them with python -m vqflow.metrics.inception and run again" in line
    # Of a job, elsewhere, where they are: the plan is that of the main process.
    [(path, _)] = absent_weights(CATALOGUE["metrics"]["fid_inception"])
    path.parent.mkdir(parents=True)
    path.touch()
    assert plan(config, main_process=False).selected_metrics("digits") == ["charts"]
    assert plan(config, main_process=True).selected_metrics("digits") == metrics
    assert capsys.readouterr().err == ""


def test_a_named_file_of_weights_is_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    entry = CATALOGUE["metrics"]["fid_inception"]
    named = {**entry, "features": {**entry["features"], "weights": str(file)}}
    address = InceptionFeatures.weights_url
    assert list(absent_weights(named)) == [(file, f"put {address} there")]


def test_nothing_to_score_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(LEFT_OUT, "")
    config = parse_config(demo(benchmarks={"digits": {"metrics": ["fid_inception"]}}))
    with pytest.raises(ConfigError, match=r"^benchmarks.digits.metrics: .*fid_inception"):
        plan(config, main_process=True)


def test_a_baseline_that_is_not_selected_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is no mistake: one may run a variant alone."""
    monkeypatch.setenv(LEFT_OUT, "")
    plan(parse_config(demo()), main_process=True)
    assert capsys.readouterr().err == ""
    alone = {"toys": {"variants": ["vq-maf"]}, "digits": {"variants": ["vq-maf"]}}
    plan(parse_config(demo(benchmarks=alone)), main_process=True)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("variants.vq-maf.baseline: 'maf' is not selected")

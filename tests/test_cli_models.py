"""``vqflow fit``, ``sample``, ``score`` and ``info``: files in, what the library gives out."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli import vqflow
from conftest import ring
from small import train

import vqflow as library

X = ring(2, 120).points["train"]
NAMES = ["east", "north"]
SUFFIXES = ("npy", "csv", "parquet")
QUICK = ("--charts", 2, "--epochs", 1)


def write(path: Path, values: np.ndarray, names: list[str] = NAMES) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
        return path
    frame = pd.DataFrame(values, columns=names)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".npy":
        return pd.DataFrame(np.load(path, allow_pickle=False))
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model that was fitted to a .csv file, and what was printed."""
    folder = tmp_path_factory.mktemp("models")
    data = write(folder / "ring.csv", X)
    return folder / "model.pt", vqflow("fit", data, "--out", folder / "model.pt", *QUICK)


@pytest.fixture(scope="module")
def fitted() -> library.FittedModel:
    return library.fit(X, charts=2, epochs=1, seed=3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_fit_to_a_file_is_the_librarys_to_its_points(
    tmp_path: Path, suffix: str, fitted: library.FittedModel
) -> None:
    data, out = write(tmp_path / f"ring.{suffix}", X), tmp_path / "model.pt"
    vqflow("fit", data, "--out", out, *QUICK, "--test", 0, "--seed", 3)
    np.testing.assert_array_equal(library.load(out).log_prob(X), fitted.log_prob(X))


def test_points_held_out_are_not_fitted_and_are_scored(made: tuple[Path, str]) -> None:
    path, printed = made
    model = library.load(path)
    assert model.facts["points"] + model.facts["validation_points"] == 108
    assert model.facts["test_points"] == 12
    value, error = map(float, re.findall(r"test: (\S+) ± (\S+) nats", printed)[0])
    assert value == pytest.approx(model.facts["test_log_likelihood"], abs=1e-3)
    assert error == pytest.approx(model.facts["test_standard_error"], abs=1e-3)
    known = library.fit(X[_known()], charts=2, epochs=1)
    scores = known.log_prob(np.delete(X, _known(), axis=0))
    assert model.facts["test_log_likelihood"] == pytest.approx(float(scores.mean()))
    assert f"vqflow sample {path} " in printed and f"vqflow score {path} " in printed


def _known() -> np.ndarray:
    from vqflow.cli.fit import _split

    kept, _ = _split(np.arange(len(X), dtype=float)[:, None], 0.1, 0)
    return kept[:, 0].astype(int)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_samples_are_the_librarys_under_the_datas_names(
    made: tuple[Path, str], tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"samples.{suffix}"
    vqflow("sample", made[0], "-n", 9, "--seed", 4, "--out", out)
    drawn = read(out)
    np.testing.assert_array_equal(drawn, library.load(made[0]).sample(9, seed=4))
    assert suffix == "npy" or list(drawn) == NAMES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scores_are_the_librarys_and_have_names(
    made: tuple[Path, str], tmp_path: Path, suffix: str
) -> None:
    data, out = write(tmp_path / f"new.{suffix}", X), tmp_path / f"scores.{suffix}"
    printed = vqflow("score", made[0], data, "--out", out)
    model, table = library.load(made[0]), read(out)
    log_prob, posterior = model.log_prob(X), model.posterior(X)
    np.testing.assert_array_equal(table, np.column_stack([log_prob, posterior]))
    assert suffix == "npy" or list(table) == ["log_density", "posterior_0", "posterior_1"]
    assert f"median          {np.median(log_prob):.4f} nats" in printed
    error = np.std(log_prob, ddof=1) / np.sqrt(len(X))
    assert f"mean            {log_prob.mean():.4f} nats" in printed
    assert f"standard error  {error:.4f} nats" in printed


def test_columns_are_read_by_the_names_that_were_fitted(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    turned = np.column_stack([X[:, 1], np.arange(len(X)), X[:, 0]])
    data = write(tmp_path / "turned.csv", turned, ["north", "time", "east"])
    vqflow("score", made[0], data, "--out", tmp_path / "scores.csv")
    table = read(tmp_path / "scores.csv")
    np.testing.assert_array_equal(table["log_density"], library.load(made[0]).log_prob(X))
    other = write(tmp_path / "other.csv", X, ["x", "y"])
    assert "no column" in vqflow("score", made[0], other, code=2)
    assert "3 columns" in vqflow("score", made[0], write(tmp_path / "w.npy", turned), code=2)


def test_confined_samples_stay_in_their_regions(made: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "samples.npy"
    vqflow("sample", made[0], "-n", 50, "--sampler", "confined", "--out", out)
    model = library.load(made[0])
    np.testing.assert_array_equal(np.load(out), model.sample(50, 0, support="confined"))
    with pytest.raises(ValueError, match="support is 'covering'; allowed: 'all', 'confined'"):
        model.sample(5, support="covering")  # type: ignore[arg-type]


def test_info_says_what_the_model_is(made: tuple[Path, str]) -> None:
    facts = json.loads(vqflow("info", made[0], "--json"))
    model = library.load(made[0])
    assert facts["dimensions"] == 2 and facts["data"]["columns"] == NAMES
    assert facts["data"]["name"] == "ring.csv" and len(facts["data"]["sha256"]) == 64
    assert facts["charts"]["number"] == model.charts
    assert facts["flow"]["class"] == "zuko.flows.MAF"
    assert facts["parameters"]["model"] > 10_000
    assert facts["training"]["epochs"] == facts["training"]["most_epochs"] == 1
    assert facts["log_likelihood"]["test"] == model.facts["test_log_likelihood"]
    assert {"python", "vqflow", "torch", "zuko"} <= set(facts["versions"])
    text = vqflow("info", made[0])
    assert "maf: zuko.flows.MAF(transforms=5, hidden_features=[64, 64])" in text
    assert [line.split()[0] for line in text.splitlines()][:3] == ["file", "data", "dimensions"]


@pytest.mark.parametrize("variant", ["kmeans-realnvp", "mixture-of-gaussians"])
def test_models_of_the_workflow_are_models_too(tmp_path: Path, variant: str) -> None:
    paths = train(tmp_path, variant)
    facts = json.loads(vqflow("info", paths["model"].parent, "--json"))
    assert facts["data"]["name"] == "helix" and facts["parameters"]["model"] > 0
    assert facts["versions"]["torch"] and facts["training"]["seed"] == 0
    data = write(tmp_path / "new.npy", ring(3, 20).points["train"])
    vqflow("score", tmp_path, data, "--out", tmp_path / "scores.csv")
    charts = facts.get("charts", {}).get("number", 0)
    assert read(tmp_path / "scores.csv").shape == (20, 1 + charts)
    vqflow("sample", tmp_path, "-n", 5, "--out", tmp_path / "samples.csv")
    assert list(read(tmp_path / "samples.csv")) == ["x0", "x1", "x2"]
    if not charts:
        line = vqflow("sample", tmp_path, "--sampler", "confined", "--out", "s.npy", code=2)
        assert "has no charts; allowed: plain" in line


def test_a_model_of_a_class_of_one_s_own_is_read_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "own_flow.py").write_text(
        "from zuko.flows import MAF\n\nclass Own(MAF):\n    pass\n"
    )
    data = write(tmp_path / "ring.csv", X)
    vqflow("fit", data, "--out", "own.pt", "--flow", "own_flow.Own", *QUICK)
    refused = vqflow("sample", "own.pt", "--out", "samples.npy", code=2)
    assert "--allow own_flow.Own" in refused and not Path("samples.npy").exists()
    allowed = ("--allow", "own_flow.Own")
    vqflow("sample", "own.pt", "-n", 5, "--out", "samples.npy", *allowed)
    assert "points          120" in vqflow("score", "own.pt", data, *allowed)
    assert "own_flow.Own" in vqflow("info", "own.pt", *allowed)

"""The library alone: arrays in, the same kind of array out, and one line where they do not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CATALOGUE, ROOT, ring
from small import train

import vqflow
from vqflow import choice
from vqflow.datasets.toy3d import Helix
from vqflow.files import save_json
from vqflow.library import settings
from vqflow.library.fitting import _fewer, _split

QUICK: dict[str, Any] = {"epochs": 2, "charts": 3}
X = ring(2, 150).points["train"]


@pytest.fixture(scope="module")
def model() -> vqflow.FittedModel:
    return vqflow.fit(X, **QUICK)


@pytest.fixture(scope="module")
def chosen() -> vqflow.FittedModel:
    return vqflow.fit(X, epochs=2)


def test_importing_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, vqflow\n"
        "assert {'fit', 'load', 'FittedModel'} <= set(dir(vqflow)) & set(vqflow.__all__)\n"
        "heavy = {'torch', 'zuko', 'sklearn', 'scipy', 'pandas', 'numpy', 'pydantic'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_numpy_gives_numpy_of_the_same_type(model: vqflow.FittedModel, dtype: str) -> None:
    x = X.astype(dtype)
    log_prob, posterior = model.log_prob(x), model.posterior(x)
    assert (log_prob.dtype, posterior.dtype) == (x.dtype, x.dtype)
    assert (log_prob.shape, posterior.shape) == ((len(x),), (len(x), model.charts))
    np.testing.assert_allclose(log_prob, model.log_prob(X), rtol=0.1, atol=0.1)
    np.testing.assert_allclose(posterior.sum(1), 1, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_torch_gives_torch_of_the_same_type(model: vqflow.FittedModel, dtype: torch.dtype) -> None:
    x = torch.as_tensor(X).to(dtype).requires_grad_()
    log_prob, posterior = model.log_prob(x), model.posterior(x)
    assert {log_prob.dtype, posterior.dtype} == {dtype}
    assert {log_prob.device, posterior.device} == {x.device}
    assert not log_prob.requires_grad
    expected = torch.as_tensor(model.log_prob(X)).to(dtype)
    torch.testing.assert_close(log_prob, expected, rtol=0.1, atol=0.3)


@pytest.mark.parametrize("x", [X.astype(np.float32), X[::-1], np.asfortranarray(X)])
def test_memory_layout_does_not_matter(model: vqflow.FittedModel, x: np.ndarray) -> None:
    np.testing.assert_array_equal(model.log_prob(x), model.log_prob(x.copy()))


def test_samples_are_of_the_kind_that_was_fitted(tmp_path: Path) -> None:
    fitted = vqflow.fit(torch.as_tensor(X).float(), epochs=1, charts=1)
    fitted.save(tmp_path / "model.pt")
    for each in (fitted, vqflow.load(tmp_path / "model.pt")):
        x = each.sample(7, seed=1)
        assert isinstance(x, torch.Tensor) and x.dtype == torch.float32 and x.shape == (7, 2)


def test_the_seed_gives_the_bits_and_leaves_torch_as_it_was(model: vqflow.FittedModel) -> None:
    torch.manual_seed(5)
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    again = vqflow.fit(X, **QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2
    other = vqflow.fit(X, **QUICK, seed=1)
    np.testing.assert_array_equal(again.log_prob(X), model.log_prob(X))
    assert not np.array_equal(other.log_prob(X), model.log_prob(X))
    np.testing.assert_array_equal(model.sample(9, seed=3), again.sample(9, seed=3))
    assert not np.array_equal(model.sample(9, seed=3), model.sample(9, seed=4))


def test_a_file_gives_the_same_bits(chosen: vqflow.FittedModel, tmp_path: Path) -> None:
    chosen.save(tmp_path / "model.pt")
    loaded = vqflow.load(str(tmp_path / "model.pt"))
    np.testing.assert_array_equal(loaded.log_prob(X), chosen.log_prob(X))
    np.testing.assert_array_equal(loaded.posterior(X), chosen.posterior(X))
    np.testing.assert_array_equal(loaded.sample(20, seed=0), chosen.sample(20, seed=0))
    assert repr(loaded) == repr(chosen)
    assert repr(vqflow.load(tmp_path)) == repr(chosen)


def test_its_repr_shows_what_was_chosen(chosen: vqflow.FittedModel) -> None:
    text = repr(chosen)
    assert f"K = {chosen.charts}" in text
    assert "of 10 candidates by validation" in text
    assert "120 points, and 30 for validation" in text
    assert "2 of at most 2 epochs" in text


def test_one_chart_is_the_plain_flow_on_whitened_points() -> None:
    fitted = vqflow.fit(X, charts=1, epochs=1)
    assert fitted.charts == 1 and fitted.model.atlas.code_dim == 0
    np.testing.assert_array_equal(fitted.posterior(X), np.ones((len(X), 1)))


def test_charts_suit_a_curve_that_one_flow_does_not() -> None:
    """A short training on few points of the helix, against the plain flow."""
    helix = Helix(n_train=600, n_validation=1, n_test=300).load("helix", Path()).points
    scores = {
        charts: vqflow.fit(helix["train"], charts=charts, epochs=5).log_prob(helix["test"]).mean()
        for charts in (None, 1)
    }
    assert scores[None] > scores[1] + 1


def test_few_points_have_few_charts() -> None:
    """What a chart needs bounds the candidates; one is always among them."""
    for features, points, most in [(13, 114, 4), (3, 5000, 128), (30, 20, 1), (784, 64, 4)]:
        charts = settings.atlas_setting(features, points, None).atlas.choice.charts
        assert charts[0] == 1 and charts[-1] == most


def test_charts_that_are_given_with_few_points_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"120 training points on 20 charts"):
        vqflow.fit(X, charts=20, epochs=1)
    assert choice.few_points(120, 12) is None
    assert choice.few_points(2, 1) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X.tolist()}, "x is a list; needed: a numpy array or torch tensor (N, D)"),
        ({"x": X[:, 0]}, "x is of shape (150,); needed: (N, D); for one column: x[:, None]"),
        ({"x": X[None]}, "x is of shape (1, 150, 2); needed: (N, D)"),
        ({"x": X[:0]}, "x is of shape (0, 2); needed: (N, D)"),
        ({"x": X.astype(int)}, "x is of int64; needed: floating-point numbers, such as"),
        ({"x": torch.ones(9, 2) > 0}, "x is of torch.bool; needed: floating-point numbers"),
        ({"x": np.where(X > 1, np.nan, X)}, "rows with NaN, or values beyond float32"),
        ({"x": 1e300 * X}, "x has 150 of 150 rows with NaN, or values beyond float32"),
        ({"x": X[:4]}, "x leaves 3 points to train on; needed for 2 dimensions: at least 4"),
        ({"x": X * [1, 0]}, "x[:, 1] is constant over the 120 points that are trained on"),
        ({"x": X + [0, 1e6]}, "x[:, 1] has mean 1e+06 and standard deviation"),
        ({"flow": "glow"}, "flow is 'glow'; allowed: realnvp, maf, nsf, gaussian, or {'class'"),
        ({"flow": {"transforms": 2}}, "flow is {'transforms': 2}; needed: a name"),
        ({"flow": {"class": "zuko.flows.X"}}, "flow.class: no 'X' in module 'zuko.flows'"),
        (
            {"flow": {"class": "zuko.flows.MAF", "depth": 1}},
            "flow.depth: zuko.flows.MAF has no such",
        ),
        ({"charts": 0}, "charts is 0; allowed: 1 to 120, the points to train on"),
        ({"charts": 121}, "charts is 121; allowed: 1 to 120, the points to train on"),
        ({"charts": 2.0}, "charts is 2.0; needed: a whole number, or None"),
        ({"epochs": 0}, "epochs is 0; needed: 1 or more"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; needed: a number above 0"),
        ({"validation": 1.0}, "validation is 1.0; needed: a share above 0 and below 1, or points"),
        ({"validation": X[:, :1]}, "validation is of shape (150, 1); needed: (N, 2)"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        vqflow.fit(**{"x": X, **change})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_training_that_diverges_is_said() -> None:
    with pytest.raises(RuntimeError, match="diverged in epoch 1; learning_rate is 1e.06: try a"):
        vqflow.fit(X, charts=1, epochs=2, learning_rate=1e6)


def test_points_of_another_dimension_are_refused(model: vqflow.FittedModel) -> None:
    with pytest.raises(ValueError, match=r"x is of shape \(150, 1\); needed: \(N, 2\)"):
        model.log_prob(X[:, :1])
    with pytest.raises(ValueError, match="n is 0; needed: 1 or more"):
        model.sample(0)


def test_models_of_the_workflow_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Here one with few points a chart, which its atlas' job says."""
    data = ring(3, 60, name="helix")
    train(tmp_path, "kmeans-realnvp", data)
    few = "atlases.kmeans32 on helix, seed 0: 60 training points on 8 charts are 7.5 a chart"
    assert f"warning: {few}" in capsys.readouterr().err
    assert few in caplog.text
    loaded = vqflow.load(tmp_path)
    x = data.points["test"]
    assert loaded.posterior(x).shape == (60, 8)
    assert loaded.log_prob(x).dtype == x.dtype
    assert loaded.sample(4).shape == (4, 3)
    assert "realnvp, 3 dimensions\n  charts: K = 8, m = 6" in repr(loaded)
    save_json(tmp_path / "status.json", {"status": "diverged"})
    with pytest.warns(UserWarning, match="diverged"):
        vqflow.load(tmp_path)


def test_what_is_no_model_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model at .*model\.pt; needed: a file that"):
        vqflow.load(tmp_path)
    (tmp_path / "other.pt").write_bytes(b"text")
    torch.save({"x": 1}, tmp_path / "tensors.pt")
    for name in ("other.pt", "tensors.pt"):
        with pytest.raises(ValueError, match=f"{name} holds no model"):
            vqflow.load(tmp_path / name)


def test_validation_points_may_be_given() -> None:
    held = ring(2, 40).points["validation"]
    data = _split(X, torch.as_tensor(held), seed=0)
    np.testing.assert_array_equal(data.points["train"], X)
    np.testing.assert_array_equal(data.points["validation"], held)
    share = _split(X, 0.1, seed=0).points
    assert (len(share["train"]), len(share["validation"])) == (135, 15)
    both = np.concatenate([share["train"], share["validation"]])
    np.testing.assert_array_equal(np.sort(both, 0), np.sort(X, 0))


def test_charts_are_chosen_by_a_bounded_number_of_points() -> None:
    many = np.random.default_rng(0).standard_normal((30_000, 2))
    assert len(_fewer(_split(many, None, seed=0)).points["train"]) == 10_000


@pytest.mark.parametrize("features", [1, 6, 70])
def test_it_takes_any_number_of_dimensions(features: int) -> None:
    x = np.random.default_rng(0).standard_normal((200, features))
    fitted = vqflow.fit(x, epochs=1, charts=2)
    assert np.isfinite(fitted.log_prob(x)).all()
    assert fitted.sample(3, seed=0).shape == (3, features)


@pytest.mark.parametrize("name", settings.FLOWS)
def test_names_are_those_of_the_catalogue(name: str) -> None:
    assert settings.FLOWS[name] == CATALOGUE["flows"][name]
    assert np.isfinite(vqflow.fit(X, flow=name, epochs=1, charts=2).log_prob(X)).all()


def test_frames_are_those_of_the_catalogue() -> None:
    """Where the reference results are from."""
    assert settings.frames(3).arguments() == CATALOGUE["embeddings"]["bent-frames"]
    training = settings.budget(4000, None, 6e-3)
    reference = CATALOGUE["training"]["frames"]
    for key in ("epochs", "batch_size", "schedule", "learning_rate"):
        assert getattr(training, key) == reference[key]

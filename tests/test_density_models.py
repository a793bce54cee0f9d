"""Models that are no flow on an atlas: their density, their files, and what refuses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CATALOGUE, PIXELS, images, ring
from printed import entries, example, lines
from scipy.stats import multivariate_normal
from small import metric, score, setting, train

import vqflow
from vqflow.config.components import ConfigError
from vqflow.config.values import dump
from vqflow.datasets.base import Data
from vqflow.files import load_weights
from vqflow.identity import Code
from vqflow.models import GaussianMixture
from vqflow.models.density import DensityModel
from vqflow.models.density_store import build_density, load_density

Kernels = example("Kernels")


def fitted(data: Data, **changes: Any) -> DensityModel:
    """A model of the catalogue's mixture, fitted to data."""
    chosen = setting("mixture-of-gaussians", **changes)
    model = build_density(chosen.of_model(), data.spec)
    model.fit(data, seed=0)
    return model


def mass(model: DensityModel, width: float = 4.0, steps: int = 400) -> float:
    """Integrates the density of two dimensions over a square, in data space."""
    edges = torch.linspace(-width, width, steps + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    x = torch.cartesian_prod(middle, middle)
    return float(model.log_prob(x).double().exp().sum() * (edges[1] - edges[0]) ** 2)


# Densities


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_the_density_integrates_to_one_in_the_data_s_own_space(scale: float) -> None:
    data = ring(2)
    for split in data.points:
        data.points[split] = data.points[split] * [1.0, scale]
    assert mass(fitted(data)) == pytest.approx(1, abs=1e-3)


def test_the_mixture_s_samples_do_not_depend_on_how_many_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixture, generator = GaussianMixture(3, [2]), np.random.default_rng(0)
    roots = generator.normal(size=(2, 3, 3))
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    means, weights = generator.normal(size=(2, 3)), np.array([0.3, 0.7])
    mixture.load_state({"weights": weights, "means": means, "covariances": covariances})
    whole = mixture.sample(500, seed=1)
    monkeypatch.setattr("vqflow.models.gaussian_mixture._NUMBERS", 100)
    assert np.array_equal(mixture.sample(500, seed=1), whole)
    assert mixture.sample(0, seed=1).shape == (0, 3)


def test_the_mixture_is_that_of_its_numbers() -> None:
    model = GaussianMixture(2, [3])
    points = ring(2).points
    model.fit(points["train"], points["validation"], 0)
    state = model.state()
    density = sum(
        weight * multivariate_normal(mean, covariance).pdf(points["test"])
        for weight, mean, covariance in zip(
            state["weights"], state["means"], state["covariances"], strict=True
        )
    )
    np.testing.assert_allclose(model.log_prob(points["test"]), np.log(density), rtol=1e-9)
    drawn = model.sample(40_000, seed=1)
    np.testing.assert_allclose(drawn.mean(0), state["weights"] @ state["means"], atol=0.02)
    halves = np.split(drawn, 2)
    np.testing.assert_allclose(np.cov(halves[0].T), np.cov(halves[1].T), atol=0.03)
    assert np.array_equal(drawn, model.sample(40_000, seed=1))


def test_k_is_chosen_by_the_validation_split() -> None:
    """A ring is no Gaussian: one component loses; with 8 points a mixture of 100 cannot be."""
    points = ring(2).points
    model = GaussianMixture(2, [1, 8, 10_000])
    model.fit(points["train"], points["validation"], 0)
    assert len(model.weights) == 8
    scores = []
    for number in (1, 8):
        single = GaussianMixture(2, [number])
        single.fit(points["train"], points["validation"], 0)
        scores.append(single.log_prob(points["validation"]).mean())
    assert scores[1] > scores[0] + 0.1
    with pytest.raises(ValueError, match=r"components \[100\] on 8 training points"):
        GaussianMixture(2, [100]).fit(points["train"][:8], points["validation"], 0)


def test_images_are_dequantised_and_their_pixels_come_back(tmp_path: Path) -> None:
    entry = {"class": "vqflow.datasets.images.Digits", "preprocess": PIXELS}
    changes = {
        "datasets": {"helix": entry},
        "models": {"mixture-of-gaussians": {"components": [1], "reg_covar": 0.01}},
    }
    paths = train(tmp_path, "mixture-of-gaussians", images(), **changes)
    with np.load(paths["samples"]) as samples:
        assert samples["final"].dtype == np.uint8 and samples["final"].max() <= 16
    table = score(tmp_path, "mixture-of-gaussians", {0: paths}, metric("log_likelihood"), **changes)
    rows = pd.read_csv(table)
    assert {"log_likelihood_all", "bits_per_dim"} <= set(rows["metric"])
    assert rows["value"].notna().all()


@pytest.mark.parametrize(
    "variant", sorted(name for name, entry in CATALOGUE["variants"].items() if "model" in entry)
)
def test_every_model_of_the_catalogue_is_fitted_drawn_and_scored(
    tmp_path: Path, variant: str
) -> None:
    paths = train(tmp_path, variant)
    with np.load(paths["samples"]) as samples:
        assert set(samples.files) == {"final"}
        assert samples["final"].shape == (60, 3) and samples["final"].dtype == np.float32
    assert json.loads(paths["status"].read_text()) == {"status": "ok", "reason": None}
    metrics = [metric("log_likelihood"), metric("ceiling"), metric("charts")]
    rows = pd.read_csv(score(tmp_path, variant, {0: paths}, *metrics))
    assert set(rows["metric"]) == {"log_likelihood_all", "log_likelihood_all_median"}
    assert rows["value"].notna().all() and set(rows["split"]) == {"test", "validation"}


# Files


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    paths = train(tmp_path, "mixture-of-gaussians")
    data = ring(3, name="helix")
    x = torch.as_tensor(data.points["test"]).float()
    model = fitted(data)
    loaded = load_density(paths["model"])
    assert torch.equal(loaded.log_prob(x), model.log_prob(x))
    draws = [m.sample(9, torch.Generator().manual_seed(1)) for m in (model, loaded)]
    assert torch.equal(*draws)
    content = load_weights(paths["model"])  # which refuses pickled code
    assert set(content["density"]) == {"weights", "means", "covariances"}
    assert pd.read_csv(paths["history"]).empty
    assert (tmp_path / "scratch" / "finished").exists()


def test_the_library_loads_it(tmp_path: Path) -> None:
    train(tmp_path, "mixture-of-gaussians")
    model = vqflow.load(tmp_path)
    x = ring(3).points["test"]
    assert model.log_prob(x).dtype == x.dtype and np.isfinite(model.log_prob(x)).all()
    assert model.sample(5, seed=0).shape == (5, 3)
    np.testing.assert_array_equal(model.sample(5, seed=0), model.sample(5, seed=0))
    with pytest.raises(TypeError, match="mixture-of-gaussians, 3 dimensions has no charts"):
        model.posterior(x)


class Forgetful(Kernels):
    """Keeps the points, and not how it was told to smooth them."""

    def fit(self, train: Any, validation: Any, seed: int) -> None:
        self.bandwidth *= 3
        super().fit(train, validation, seed)


class Whole(Kernels):
    def state(self) -> Any:
        return {"kernels": self.kernels}


class Column(Kernels):
    def log_prob(self, y: Any) -> Any:
        return super().log_prob(y)[:, None]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Forgetful", r"log p differs by .* nats after Forgetful.load_state: Forgetful.state must"),
        ("Whole", "state of Whole has 'kernels', of type gaussian_kde; allowed: numpy arrays"),
        ("Column", r"Column.log_prob gave the shape \(16, 1\), not \(16,\)"),
    ],
)
def test_a_class_that_does_not_keep_to_it_is_named(tmp_path: Path, name: str, message: str) -> None:
    entry = {"class": f"test_density_models.{name}", "bandwidth": 0.2}
    changes = {"models": {"mine": entry}, "variants": {"mine": {"model": "mine"}}}
    with pytest.raises((ConfigError, ValueError), match=f"^models.mine: {message}"):
        train(tmp_path, "mine", **changes)


class Slow(Kernels):
    """Is killed at the first try, after writing what it has."""

    def fit(self, train: Any, validation: Any, seed: int) -> None:
        assert self.scratch is not None
        half = self.scratch / "half.npy"
        if not half.exists():
            np.save(half, train[::2])
            raise KeyboardInterrupt
        super().fit(np.load(half), validation, seed)


def test_a_fit_that_was_killed_finds_what_it_kept(tmp_path: Path) -> None:
    entry = {"class": "test_density_models.Slow", "bandwidth": 0.2}
    changes = {"models": {"mine": entry}, "variants": {"mine": {"model": "mine"}}}
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "mine", **changes)
    paths = train(tmp_path, "mine", **changes)
    assert len(load_weights(paths["model"])["density"]["points"]) == 150
    assert (tmp_path / "scratch" / "finished").exists()


# The user's


def test_a_model_of_the_users_is_one_class_and_one_entry(tmp_path: Path) -> None:
    """That of docs/extend.md, as printed: at most 15 lines."""
    assert lines("Kernels") <= 15
    changes = entries(models=["kernels"], variants=["kernels"])
    changes["models"]["kernels"]["class"] = "test_density_models.Kernels"
    paths = train(tmp_path, "kernels", **changes)
    names = ["log_likelihood", "charts", "kde_log_likelihood"]
    metrics = [metric(name, **({"samples": 60} if "kde" in name else {})) for name in names]
    rows = pd.read_csv(score(tmp_path, "kernels", {0: paths}, *metrics, **changes))
    kde = {f"kde_log_likelihood{end}" for end in ("", "_floor", "_bandwidth")}
    likelihoods = {"log_likelihood_all", "log_likelihood_all_median"}
    assert set(rows["metric"]) == likelihoods | kde
    assert set(rows["atlas"]) == {"none"} and set(rows["flow"]) == {"kernels"}
    assert rows["value"].notna().all()
    assert set(rows["parameters"]) == {900} and set(rows["atlas_parameters"]) == {0}


def test_its_code_is_part_of_what_its_results_depend_on() -> None:
    changes = entries(models=["kernels"], variants=["kernels"])
    changes["models"]["kernels"]["class"] = "vqflow.models.GaussianMixture"
    value = dump(setting("kernels", **changes).of_model())
    reached = Code().reached(["vqflow.stages.model.fit_model"], value)
    assert "GaussianMixture" in reached["vqflow.models.gaussian_mixture"]
    assert "Density" in reached["vqflow.models.density"]
    assert not {"vqflow.training.optimiser", "vqflow.objectives.task"} & set(reached)

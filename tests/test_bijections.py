"""Bijections of the catalogue and a user's: inverses, log-determinants, what they are fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import images, ring
from printed import entries, example, lines
from small import setting, train

from vqflow.config.components import ConfigError
from vqflow.config.entries import Part
from vqflow.config.values import dump
from vqflow.models.build import build_preprocessing
from vqflow.models.store import load_model
from vqflow.preprocessing import Bijection, Preprocessing, Standardise, Whiten
from vqflow.stages.preflight import check

FEATURES = 3
OURS = "vqflow.preprocessing."
LISTS: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "logit": [{"class": OURS + "Logit", "alpha": 0.05}],
    "standardise": [{"class": OURS + "Standardise"}],
    "whiten": [{"class": OURS + "Whiten"}],
    "whiten with a least scale": [{"class": OURS + "Whiten", "min_scale": 0.2}],
    "arcsinh": [{"class": "test_bijections.Arcsinh"}],
    "logit, whiten": [{"class": OURS + "Logit", "alpha": 0.05}, {"class": OURS + "Whiten"}],
    "three": [
        {"class": "test_bijections.Arcsinh"},
        {"class": OURS + "Whiten"},
        {"class": "test_bijections.Arcsinh"},
    ],
}
Arcsinh = example("Arcsinh")


def points(n: int = 5000) -> np.ndarray:
    """Correlated points of very different scales."""
    generator = np.random.default_rng(0)
    root = np.array([[2.0, 0, 0], [0.5, 0.1, 0], [-30, 4, 0.7]])
    return generator.standard_normal((n, FEATURES)) @ root.T + [1, -5, 100]


def parts(steps: list[dict[str, Any]]) -> list[Part]:
    return [Part.model_validate(step) for step in steps]


def fitted(name: str) -> Preprocessing:
    pixels = "logit" in name
    data = images(n=300, size=2) if pixels else ring(FEATURES)
    built = build_preprocessing("x", parts(LISTS[name]), data.spec).double()
    generator = np.random.default_rng(0)
    few = generator.integers(0, 17, (300, 4)).astype(np.uint8)
    built.fit(few if pixels else points(), seed=0)
    return built


@pytest.mark.parametrize("name", LISTS)
def test_inverses_and_log_determinants(name: str) -> None:
    built = fitted(name)
    generator = torch.Generator().manual_seed(0)
    if "logit" in name:
        x = torch.rand(8, 4, generator=generator, dtype=torch.float64)
    else:
        x = torch.as_tensor(points()[:8])
    y, ladj = built(x)
    torch.testing.assert_close(built.inverse(y), x, rtol=1e-10, atol=1e-10)
    for point, value in zip(x, ladj, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: built(v[None])[0][0], point)
        torch.testing.assert_close(value, torch.linalg.slogdet(jacobian)[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", LISTS)
def test_what_is_fitted_is_kept_in_the_state(name: str) -> None:
    built = fitted(name)
    copy = build_preprocessing("x", parts(LISTS[name]), built.spec).double()
    copy.load_state_dict(built.state_dict())
    x = torch.rand(8, built.spec.features, dtype=torch.float64)
    for value, expected in zip(copy(x), built(x), strict=True):
        assert torch.equal(value, expected)


@pytest.mark.parametrize("last", ["Standardise", "Whiten"])
def test_each_is_fitted_as_those_before_it_leave_the_points(last: str) -> None:
    steps = [{"class": "test_bijections.Arcsinh"}, {"class": OURS + last}]
    built = build_preprocessing("x", parts(steps), ring(FEATURES).spec).double()
    built.fit(points(), seed=0)
    y, _ = built(torch.as_tensor(points()))
    torch.testing.assert_close(y.mean(0), torch.zeros(3).double(), rtol=0, atol=1e-6)
    covariance = torch.cov(y.T, correction=0)
    expected = torch.eye(3).double()
    if last == "Standardise":
        covariance = covariance.diagonal().diag_embed()
    torch.testing.assert_close(covariance, expected, rtol=0, atol=1e-6)


def test_directions_without_variance_are_left_as_they_are() -> None:
    """A constant coordinate, and one that is the sum of others: no axis is divided by nothing."""
    x = torch.as_tensor(points()).clone()
    x[:, 0], x[:, 2] = 7.0, 2 * x[:, 1]
    whiten = Whiten(FEATURES).double()
    whiten.fit(x)
    y, ladj = whiten(x)
    assert torch.isfinite(ladj).all()
    variances = torch.linalg.eigvalsh(torch.cov(y.T, correction=0))
    torch.testing.assert_close(variances, torch.tensor([0, 0, 1.0]).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(whiten.inverse(y), x, rtol=0, atol=1e-9)


def test_the_least_scale_of_whitening_holds_along_every_axis() -> None:
    least = 0.5
    whiten = Whiten(FEATURES, least).double()
    whiten.fit(torch.as_tensor(points()))
    scales = torch.linalg.svdvals(whiten.root)
    plain = torch.linalg.eigvalsh(torch.cov(torch.as_tensor(points()).T, correction=0)).sqrt()
    torch.testing.assert_close(scales, plain.flip(0).clamp_min(least), rtol=1e-6, atol=0)


class Log(Bijection):
    """A logarithm, which takes positive points alone."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.log(), -x.log().sum(1)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        return y.exp()


class Unequal(Log):
    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        return y.exp() + 1


class Unscaled(Standardise):
    """Forgets its log-determinant."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super().forward(x)[0], x.new_zeros(len(x))


class Shapeless(Log):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.log(), -x.log()


class Broken(Log):
    def fit(self, x: torch.Tensor) -> None:
        raise KeyError("lost")


def test_points_that_a_bijection_does_not_take_are_named() -> None:
    built = Preprocessing(ring(FEATURES).spec, [Standardise(FEATURES), Log(FEATURES)])
    message = r"datasets.ring.preprocess.1: Log gives values that are not finite on \d+ of 300"
    with pytest.raises(ValueError, match=message):
        built.fit(ring(FEATURES).points["train"], seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Log", None),
        ("Unequal", r"inverse\(forward\(x\)\) differs from x by"),
        ("Unscaled", r"forward gives the ladj .*, its Jacobian"),
        ("Shapeless", r"forward gives shapes \(64, 3\) and \(64, 3\), not \(64, 3\) and \(64,\)"),
        ("Broken", "KeyError: 'lost'"),
    ],
)
def test_the_preflight_tries_bijections(name: str, message: str | None) -> None:
    steps = [{"class": f"test_bijections.{name}"}]
    chosen = dump(setting("maf", datasets={"helix": {"preprocess": steps}}))
    selection = {"settings": [chosen], "metrics": {}, "figures": {}}
    if message is None:
        assert "variants.maf on helix" in check(selection)
        return
    with pytest.raises(ConfigError, match=f"^datasets.helix.preprocess.0: .*{message}"):
        check(selection)


def test_a_users_bijection_trains_draws_and_loads(tmp_path: Path) -> None:
    """The example of docs/extend.md, as printed: 15 lines and an entry."""
    assert lines("Arcsinh") <= 15
    (printed,) = entries(datasets=["heavy-tailed"])["datasets"].values()
    steps = [{**step} for step in printed["preprocess"]]
    assert steps[0].pop("class") == "my_things.Arcsinh"
    steps[0]["class"] = "test_bijections.Arcsinh"
    chosen = {"datasets": {"helix": {"preprocess": steps}}}
    outputs = train(tmp_path, "vq-maf", **chosen)
    model = load_model(outputs["model"], allow=["test_bijections.Arcsinh"])
    assert '"ok"' in outputs["status"].read_text()
    x = torch.as_tensor(ring(3).points["train"]).float()
    width = model.preprocessing.steps[0].width
    torch.testing.assert_close(width, x.abs().median(0).values)
    y, _ = model.preprocessing(x)
    torch.testing.assert_close(torch.cov(y.T, correction=0), torch.eye(3), rtol=0, atol=1e-4)
    drawn, _ = model.sample(200, generator=torch.Generator().manual_seed(0))
    assert model.log_prob(drawn).isfinite().all()

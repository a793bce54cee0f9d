"""The mathematics of the mixture over charts, for every flow of the catalogue, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import images, make_model, ring

from vqflow.atlases.covering import Covering
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.atlases.single import SingleChart
from vqflow.models.confinement import LeakError, estimate_confinement, leak, sample_confined
from vqflow.models.vqflow import VQFlow

EXACT = {"rtol": 0, "atol": 1e-8}


@pytest.fixture
def model(flow_name: str) -> VQFlow:
    return make_model(flow_name, ring())


def points(n: int = 20, features: int = 2) -> torch.Tensor:
    return torch.as_tensor(ring(features).points["test"][:n])


@torch.no_grad()
def test_round_trip(model: VQFlow) -> None:
    x = points()
    for chart in range(model.atlas.charts):
        charts = torch.full((len(x),), chart)
        y, _ = model.preprocessing(x)
        z = model.to_noise(y, charts)
        torch.testing.assert_close(model.to_data(z, charts), x, rtol=0, atol=1e-7)


def test_ladj_is_that_of_the_autograd_jacobian(model: VQFlow) -> None:
    for x in points(5):
        for chart in range(model.atlas.charts):
            charts = torch.tensor([chart])

            def to_noise(x: torch.Tensor, charts: torch.Tensor = charts) -> torch.Tensor:
                return model.to_noise(model.preprocessing(x[None])[0], charts)[0]

            jacobian = torch.autograd.functional.jacobian(to_noise, x)
            z = to_noise(x)
            expected = (
                torch.linalg.slogdet(jacobian).logabsdet
                - 0.5 * z.square().sum()
                - 0.5 * len(z) * math.log(2 * math.pi)
            )
            y, ladj = model.preprocessing(x[None])
            actual = model.chart_log_prob(y, charts) + ladj
            torch.testing.assert_close(actual[0], expected, **EXACT)


def reference_log_prob(model: VQFlow, x: torch.Tensor) -> torch.Tensor:
    """Equation 2 of the paper, written out: loops, and Jacobians from autograd."""
    values = []
    codes = model.atlas.codes
    for point in x:
        code = model.atlas.encode(point[None])[0]
        distances = [float((code - v).square().sum().sqrt()) for v in codes]
        limit = (1 + model.atlas.epsilon) * sorted(distances)[model.atlas.min_charts - 1]
        density = 0.0
        for chart, distance in enumerate(distances):
            if distance > limit:
                continue

            def to_noise(x: torch.Tensor, chart: int = chart) -> torch.Tensor:
                y = model.preprocessing(x[None])[0]
                context = model.atlas.standard_codes[chart][None]
                return model.flow.flow(context if context.shape[1] else None).transform(y)[0]

            z = to_noise(point).detach()
            jacobian = torch.autograd.functional.jacobian(to_noise, point)
            normal = float((-0.5 * z.square()).exp().prod()) / (2 * math.pi) ** (len(z) / 2)
            volume = float(torch.linalg.det(jacobian @ jacobian.T)) ** 0.5
            density += math.exp(float(model.atlas.log_prior[chart])) * volume * normal
        values.append(math.log(density))
    return torch.tensor(values, dtype=torch.float64)


def test_covering_is_equation_two(model: VQFlow) -> None:
    x = points(12)
    torch.testing.assert_close(
        model.log_prob(x, "covering").detach(), reference_log_prob(model, x), **EXACT
    )


def grid(half_width: float, steps: int) -> tuple[torch.Tensor, float]:
    axis = torch.linspace(-half_width, half_width, steps, dtype=torch.float64)
    width = float(axis[1] - axis[0])
    return torch.cartesian_prod(axis, axis), width**2


@torch.no_grad()
def test_densities_integrate_to_one(model: VQFlow) -> None:
    x, area = grid(9.0, 420)
    estimate_confinement(model, 20_000)
    total = float(model.log_prob(x, "all").exp().sum() * area)
    assert total == pytest.approx(1, abs=2e-3)
    confined = float(model.log_prob(x, "confined").exp().sum() * area)
    relative = model.confinement_error / model.log_confinement.exp()
    error = float((model.atlas.log_prior.exp() * relative).square().sum().sqrt())
    assert confined == pytest.approx(1, abs=4 * error + 4e-3)


@torch.no_grad()
def test_covering_is_a_lower_bound(model: VQFlow) -> None:
    x = points(200)
    estimate_confinement(model, 2000)
    covering = model.log_prob(x, "covering")
    assert (covering <= model.log_prob(x, "all") + 1e-12).all()
    assert (covering <= model.log_prob(x, "confined") + 1e-12).all()
    assert 0 < leak(model) < 1


def test_charts_that_are_rarely_hit_are_drawn_more_often(
    model: VQFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = torch.tensor([0.9, 0.02, 0.004, 0.0], dtype=torch.float64)
    drawn = torch.zeros(4, dtype=torch.float64)

    def hits(_: VQFlow, charts: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
        drawn[charts] += n
        chance = shares[charts, None].expand(-1, n)
        return torch.bernoulli(chance, generator=generator).sum(1)

    monkeypatch.setattr("vqflow.models.confinement._hits", hits)
    estimate_confinement(model, 100)
    assert (drawn[0], drawn[3]) == (100, 10_000)
    assert 200 <= drawn[1] < drawn[2] <= 10_000
    found = model.log_confinement.exp()
    assert found[3] == pytest.approx(0.5 / 10_000)
    errors = (found - shares).abs()[:3] / model.confinement_error[:3]
    assert (errors < 4).all()
    assert (model.confinement_error[1:3] < 0.5 * found[1:3]).all()


@torch.no_grad()
def test_one_chart_is_the_plain_flow(flow_name: str) -> None:
    data = ring()
    atlas = SingleChart(data.spec)
    atlas.fit(data, seed=0)
    model = make_model(flow_name, data, atlas)
    estimate_confinement(model, 10)
    x = points()
    y, ladj = model.preprocessing(x)
    plain = model.flow.flow().log_prob(y) + ladj
    for support in ("all", "covering", "confined"):
        torch.testing.assert_close(model.log_prob(x, support), plain, rtol=0, atol=1e-12)
    assert leak(model) == pytest.approx(0, abs=1e-12)


@torch.no_grad()
def test_permuting_the_charts_changes_nothing(model: VQFlow) -> None:
    x = points()
    estimate_confinement(model, 500)
    supports = ("all", "covering", "confined")
    before = [model.log_prob(x, support) for support in supports]
    order = torch.tensor([2, 0, 3, 1])
    for owner, name in [
        (model.atlas, "codes"),
        (model.atlas, "standard_codes"),
        (model.atlas, "log_prior"),
        (model, "log_confinement"),
    ]:
        setattr(owner, name, getattr(owner, name)[order])
    for support, expected in zip(supports, before, strict=True):
        torch.testing.assert_close(model.log_prob(x, support), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("support", ["all", "confined"])
@torch.no_grad()
def test_histogram_of_samples_agrees_with_the_density(model: VQFlow, support: str) -> None:
    estimate_confinement(model, 20_000)
    n = 40_000
    x, _ = (sample_confined if support == "confined" else VQFlow.sample)(
        model, n, torch.Generator().manual_seed(3)
    )
    cells = 8
    edges = np.linspace(-4, 4, cells + 1)
    observed, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=[edges, edges])
    centres = torch.linspace(-4 + 1 / 80, 4 - 1 / 80, 8 * 40, dtype=torch.float64)
    middle = torch.cartesian_prod(centres, centres)
    density = model.log_prob(middle, support).exp().view(cells, 40, cells, 40)
    expected = density.sum((1, 3)).numpy() / 40**2 * n
    error = 5 * np.sqrt(expected + 1) + 0.02 * expected
    assert (np.abs(observed - expected) <= error).all()


@torch.no_grad()
def test_confined_samples_lie_in_their_charts(model: VQFlow) -> None:
    x, charts = sample_confined(model, 2000, torch.Generator().manual_seed(0))
    covering = model.atlas.covering(x)
    assert covering.gather(1, charts[:, None]).all()
    plain, charts = model.sample(2000, torch.Generator().manual_seed(0))
    inside = model.atlas.covering(plain).gather(1, charts[:, None])
    estimate_confinement(model, 20_000)
    assert float(1 - inside.double().mean()) == pytest.approx(leak(model), abs=0.05)


@torch.no_grad()
def test_posterior_is_bayes_rule(model: VQFlow) -> None:
    x = points()
    y, ladj = model.preprocessing(x)
    for support in ("all", "covering"):
        posterior = model.posterior(x, support)
        torch.testing.assert_close(posterior.sum(1), torch.ones(len(x), dtype=x.dtype))
        for chart in range(model.atlas.charts):
            charts = torch.full((len(x),), chart)
            joint = model.chart_log_prob(y, charts) + ladj + model.atlas.log_prior[chart]
            expected = (joint - model.log_prob(x, support)).exp()
            if support == "covering":
                expected = expected * model.atlas.covering(x)[:, chart]
            torch.testing.assert_close(posterior[:, chart], expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_infer_noise(model: VQFlow) -> None:
    x = points()
    posterior = model.posterior(x, "all")
    y, _ = model.preprocessing(x)
    latents = torch.stack(
        [model.to_noise(y, torch.full((len(x),), k)) for k in range(model.atlas.charts)], dim=1
    )
    expected = (posterior[:, :, None] * latents).sum(1)
    torch.testing.assert_close(model.infer_noise(x, "expected"), expected, rtol=0, atol=1e-10)
    best = latents[torch.arange(len(x)), posterior.argmax(1)]
    torch.testing.assert_close(model.infer_noise(x, "most_probable"), best, rtol=0, atol=1e-12)
    drawn = model.infer_noise(x, "sampled", generator=torch.Generator().manual_seed(0))
    assert ((drawn[:, None] - latents).abs().sum(2).min(1).values < 1e-12).all()
    with pytest.raises(ValueError, match="'best'.*allowed"):
        model.infer_noise(x, "best")


@torch.no_grad()
def test_chunks_change_nothing(model: VQFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    x = points(50)
    whole = model.log_prob(x, "all"), model.log_prob(x, "covering"), model.posterior(x)
    monkeypatch.setattr("vqflow.models.chart_mixture._CHUNK_ELEMENTS", 7 * 64)
    parts = model.log_prob(x, "all"), model.log_prob(x, "covering"), model.posterior(x)
    for expected, actual in zip(whole, parts, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_gradients_reach_the_flow_and_not_the_atlas(model: VQFlow) -> None:
    model.log_prob(points(), "covering").sum().backward()
    assert all(parameter.grad is not None for parameter in model.flow.parameters())
    assert not any(parameter.requires_grad for parameter in model.atlas.parameters())


def test_confined_needs_the_estimate(model: VQFlow) -> None:
    with pytest.raises(RuntimeError, match="estimate_confinement"):
        model.log_prob(points(), "confined")


def test_sampling_gives_up_on_a_chart_that_leaks_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model("realnvp", ring())
    model.atlas.codes = model.atlas.codes.clone()
    model.atlas.codes[0] = 1e6
    monkeypatch.setattr("vqflow.models.confinement._MAX_TRIES", 3)
    with pytest.raises(LeakError, match=r"charts \[0\]"):
        sample_confined(model, 50)


@torch.no_grad()
def test_regions_of_images_ignore_the_dequantisation_noise() -> None:
    data = images()
    atlas = KMeansAtlas(data.spec, charts=3, epsilon=0.05)
    atlas.fit(data, seed=0)
    model = make_model("realnvp", data, atlas, logit=0.01)
    pixels = torch.as_tensor(data.points["test"])
    first = model.preprocessing.dequantise(pixels, torch.Generator().manual_seed(0))
    second = model.preprocessing.dequantise(pixels, torch.Generator().manual_seed(1))
    assert not torch.equal(first, second)
    assert torch.equal(atlas.covering(first), atlas.covering(second))
    x, _ = model.sample(20)
    assert x.shape == (20, 64)
    assert model.preprocessing.quantise(x).max() < 17


def test_log_joint_is_minus_infinity_off_the_mask(model: VQFlow) -> None:
    charts = torch.tensor([[0, 1], [2, 3]])
    mask = torch.tensor([[True, False], [True, True]])
    y, _ = model.preprocessing(points(2))
    joint = model.log_joint(y, Covering(charts, mask), model.chart_log_prob)
    assert torch.equal(joint == -torch.inf, ~mask)

"""Embeddings: left inverses, conformal, and ambient densities that are exactly normalised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import ring, standardised
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqflow.atlases.covering import Covering
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.atlases.single import SingleChart
from vqflow.config.components import ConfigError, build
from vqflow.embeddings import Conformal, Embedding, Identity
from vqflow.flows import build_flow
from vqflow.models.confinement import estimate_confinement, sample_confined
from vqflow.models.vqflow import VQFlow
from vqflow.preprocessing import Preprocessing

EXACT = {"rtol": 0, "atol": 1e-9}
KINDS: dict[str, dict[str, Any]] = {
    "similarity": {},
    "trained similarity": {"train": True},
    "moebius": {"bend": True, "train": True},
}


def make(kind: str, features: int, latent: int, charts: int = 3, seed: int = 0) -> Conformal:
    """An embedding with every number at random, and points bent as much as scaled."""
    torch.manual_seed(seed)
    embedding = Conformal(features, charts, latent, **KINDS[kind]).double()
    width = embedding.frame.shape[2]
    frame = torch.linalg.qr(torch.randn(charts, features, features, dtype=torch.float64)).Q
    with torch.no_grad():
        if KINDS[kind].get("train"):
            embedding.frame = frame[:, :, :width]
        else:
            embedding.frame.copy_(frame[:, :, :width])
        embedding.centre.data.copy_(torch.randn(charts, features))
        embedding.log_s.data.copy_(0.3 * torch.randn(charts))
        embedding.log_sigma.data.copy_(0.3 * torch.randn(charts) - 1)
        if embedding.bend:
            embedding.bending.data.copy_(0.4 * torch.randn(charts, width))
    return embedding


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(2, 9), st.data())
@torch.no_grad()
def test_project_is_a_left_inverse(kind: str, features: int, data: st.DataObject) -> None:
    latent = data.draw(st.integers(1, features - 1))
    embedding = make(kind, features, latent, seed=data.draw(st.integers(0, 99)))
    u = torch.randn(40, latent, dtype=torch.float64)
    charts = torch.randint(3, (40,))
    x = embedding.embed(u, charts)
    assert x.shape == (40, features)
    torch.testing.assert_close(embedding.project(x, charts), u, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("features", "latent"), [(3, 2), (5, 2), (6, 5)])
def test_maps_are_conformal(kind: str, features: int, latent: int) -> None:
    """JᵀJ = λ² I, and d log λ = ½ log det JᵀJ, with J from autograd."""
    embedding = make(kind, features, latent)
    for chart in range(3):
        u = torch.randn(latent, dtype=torch.float64)
        charts = torch.tensor([chart])
        jacobian = torch.autograd.functional.jacobian(
            lambda u, charts=charts: embedding.embed(u[None], charts)[0], u
        )
        log_scale = embedding.log_scale(u[None], charts)[0].detach()
        gram = jacobian.T @ jacobian
        identity = torch.eye(latent, dtype=torch.float64)
        torch.testing.assert_close(gram, (2 * log_scale).exp() * identity, **EXACT)
        torch.testing.assert_close(latent * log_scale, 0.5 * gram.logdet(), **EXACT)


def bijection(embedding: Conformal, chart: int) -> Callable[[Tensor], Tensor]:
    """Gives x -> (u, v), written out with a whole frame of R^D."""
    big = embedding.features
    frame = embedding.frame[chart].detach()
    whole = torch.linalg.qr(torch.cat([frame, torch.eye(big).double()], dim=1)).Q[:, :big]
    whole[:, : frame.shape[1]] = frame
    a = torch.zeros(big, dtype=torch.float64)
    a[: frame.shape[1]] = embedding.bending[chart].detach()
    scale, centre = embedding.log_s[chart].detach().exp(), embedding.centre[chart].detach()

    def inverse(x: Tensor) -> Tensor:
        y = whole.T @ (x - centre) / scale
        square = (y * y).sum()
        return (y + square * a) / (1 + 2 * (a @ y) + (a @ a) * square)

    return inverse


def reference_log_volume(embedding: Conformal, x: Tensor, chart: int) -> Tensor:
    """The same density, written out: the bijection of R^D with a whole frame, its Jacobian."""
    d = embedding.latent_features
    a = embedding.bending[chart].detach()
    s, sigma = embedding.log_s[chart].detach().exp(), embedding.log_sigma[chart].detach().exp()
    inverse = bijection(embedding, chart)
    w = inverse(x)
    u, v = w[:d], w[d:]
    scale = s / (1 - 2 * a[:d] @ u + a.square().sum() * u.square().sum())
    jacobian = torch.autograd.functional.jacobian(inverse, x)
    spread = sigma / scale
    normal = -0.5 * (v / spread).square().sum() - len(v) * (
        spread.log() + 0.5 * math.log(2 * math.pi)
    )
    return normal + torch.linalg.slogdet(jacobian).logabsdet


@pytest.mark.parametrize(("features", "latent"), [(3, 2), (4, 1), (7, 4)])
def test_log_volume_is_its_definition(kind: str, features: int, latent: int) -> None:
    embedding = make(kind, features, latent)
    x = torch.randn(6, features, dtype=torch.float64)
    for chart in range(3):
        u, log_volume = embedding.log_volume(x, torch.full((6,), chart))
        expected = torch.stack([reference_log_volume(embedding, point, chart) for point in x])
        torch.testing.assert_close(log_volume.detach(), expected, **EXACT)
        torch.testing.assert_close(u, embedding.project(x, torch.full((6,), chart)), **EXACT)


def model_of(kind: str, charts: int) -> VQFlow:
    data = ring(2)
    atlas: Any = SingleChart(data.spec)
    if charts > 1:
        atlas = KMeansAtlas(data.spec, charts=charts, min_charts=2, epsilon=0.3)
    atlas.fit(data, seed=0)
    embedding = make(kind, 2, 1, charts)
    flow = build_flow({"class": "zuko.flows.NSF", "transforms": 1}, "", 1, atlas.code_dim, seed=1)
    preprocessing = Preprocessing(data.spec)
    return VQFlow(preprocessing, atlas, embedding, flow).double().eval()


def _midpoints(low: float, high: float, cells: int) -> torch.Tensor:
    width = (high - low) / cells
    return low + width * (torch.arange(cells, dtype=torch.float64) + 0.5)


@pytest.mark.parametrize("charts", [1, 4])
@torch.no_grad()
def test_ambient_densities_integrate_to_one(kind: str, charts: int) -> None:
    """A bent chart has heavy tails, since infinity is the image of a point: hence the inversion."""
    model = model_of(kind, charts)
    radius, cells = 12.0, 1200 if charts == 1 else 400
    axis = _midpoints(-radius, radius, cells)
    area = (2 * radius / cells) ** 2
    total = float(model.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * area)
    grid = torch.cartesian_prod(_midpoints(0, 1, cells // 2), _midpoints(-1, 1, cells))
    area = (2 / cells) ** 2
    tail = 0.0
    for sign in (-1, 1):  # the outside of the square: x = 12 / t, y = x r, and the other way
        x = sign * radius / grid[:, 0]
        weight = radius**2 / grid[:, 0] ** 3 * area
        for points in (torch.stack([x, x * grid[:, 1]], 1), torch.stack([x * grid[:, 1], x], 1)):
            tail += float((model.log_prob(points).exp() * weight).sum())
    assert total + tail == pytest.approx(1, abs=1e-3)


@torch.no_grad()
def test_samples_agree_with_the_density(kind: str) -> None:
    model = model_of(kind, 4)
    n, cells, fine = 40_000, 8, 40
    x, _ = model.sample(n, torch.Generator().manual_seed(0))
    edges = torch.linspace(-3, 3, cells + 1, dtype=torch.float64)
    observed = torch.histogramdd(x, [edges, edges]).hist
    step = 6 / (cells * fine)
    axis = torch.linspace(-3 + step / 2, 3 - step / 2, cells * fine, dtype=torch.float64)
    density = model.log_prob(torch.cartesian_prod(axis, axis)).exp()
    expected = density.view(cells, fine, cells, fine).sum((1, 3)) * step**2 * n
    assert ((observed - expected).abs() <= 5 * (expected + 1).sqrt() + 0.02 * expected).all()


@pytest.mark.parametrize(("features", "latent"), [(4, 2), (5, 1)])
@torch.no_grad()
def test_samples_leave_the_chart_as_the_density_says(kind: str, features: int, latent: int) -> None:
    """Undone by the plainly written bijection, u is as given and v normal, σ / λ wide."""
    embedding = make(kind, features, latent)
    n = 20_000
    for chart in range(3):
        u = torch.randn(n, latent, dtype=torch.float64)
        charts = torch.full((n,), chart)
        x = embedding.sample(u, charts, torch.Generator().manual_seed(chart))
        w = torch.func.vmap(bijection(embedding, chart))(x)
        torch.testing.assert_close(w[:, :latent], u, rtol=1e-6, atol=1e-6)
        spread = (embedding.log_sigma[chart] - embedding.log_scale(u, charts)).exp()
        v = w[:, latent:] / spread[:, None]
        assert v.mean(0).abs().max() < 5 / n**0.5
        identity = torch.eye(features - latent, dtype=torch.float64)
        torch.testing.assert_close(torch.cov(v.T), identity, rtol=0, atol=8 / n**0.5)


@torch.no_grad()
def test_covering_is_a_lower_bound(kind: str) -> None:
    model = model_of(kind, 4)
    estimate_confinement(model, 2000)
    x = torch.as_tensor(ring(2).points["test"])
    covering = model.log_prob(x, "covering")
    assert (covering <= model.log_prob(x, "all") + 1e-12).all()
    assert (covering <= model.log_prob(x, "confined") + 1e-12).all()
    inside, charts = sample_confined(model, 500, torch.Generator().manual_seed(0))
    assert model.atlas.covering(inside).gather(1, charts[:, None]).all()


@torch.no_grad()
def test_beside_the_pole_of_a_bent_chart_numbers_stay_finite() -> None:
    embedding = Conformal(3, 1, 2, bend=True, train=True)
    embedding.bending.data.copy_(torch.tensor([[0.3, -0.2, 0.7]]))
    pole = -embedding.bending / embedding.bending.square().sum()
    offsets = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    for distance in (0.0, 1e-6, 1e-4, 3e-4, 1e-3):
        x = pole + distance * torch.nn.functional.normalize(offsets, dim=1)
        u, log_volume = embedding.log_volume(x, torch.zeros(5000, dtype=torch.long))
        assert not log_volume.isnan().any()
        assert not u.isnan().any()


def test_sigma_can_leave_its_floor() -> None:
    embedding = Conformal(3, 1, 2, train=True)
    y = torch.randn(100, 3) * torch.tensor([1.0, 1.0, 0.0])
    embedding.fit(
        y, Covering(torch.zeros(100, 1).long(), torch.ones(100, 1).bool()), torch.zeros(1)
    )
    embedding.log_sigma.data -= 2
    _, log_volume = embedding.log_volume(y + 0.1, torch.zeros(100, dtype=torch.long))
    log_volume.sum().backward()
    assert embedding.log_sigma.grad.item() > 0


@torch.no_grad()
def test_without_residual_samples_lie_on_the_images(kind: str) -> None:
    model = model_of(kind, 4)
    x, charts = model.sample(50, torch.Generator().manual_seed(0), residual=False)
    torch.testing.assert_close(model.reconstruct(x, charts), x, rtol=0, atol=1e-8)
    noisy, charts = model.sample(50, torch.Generator().manual_seed(0))
    assert (model.reconstruct(noisy, charts) - noisy).norm(dim=1).mean() > 0.05


@torch.no_grad()
def test_the_value_on_the_manifold_is_that_of_the_paper() -> None:
    model = model_of("moebius", 4)
    x = torch.as_tensor(ring(2).points["test"][:10])
    covering = model.atlas.covering(x)
    values = []
    for point, covers in zip(x, covering, strict=True):
        total = torch.zeros((), dtype=torch.float64)
        for chart in covers.nonzero()[:, 0]:
            code = model.atlas.standard_codes[chart][None]
            u = model.embedding.project(point[None], chart[None])
            log_scale = model.embedding.log_scale(u, chart[None])
            log_prob = model.flow.flow(code).log_prob(u) - log_scale
            total = total + (model.atlas.log_prior[chart] + log_prob[0]).exp()
        values.append(total.log())
    torch.testing.assert_close(model.manifold_log_prob(x), torch.stack(values), **EXACT)


def test_the_value_on_the_manifold_needs_the_data_s_own_space() -> None:
    model = model_of("similarity", 1)
    model.preprocessing = standardised(model.atlas.spec)
    with pytest.raises(ValueError, match=r"set preprocess: \[\]"):
        model.manifold_log_prob(torch.zeros(1, 2).double())


def test_training_keeps_the_frames_orthonormal() -> None:
    embedding = make("moebius", 5, 2)
    optimiser = torch.optim.Adam(embedding.parameters(), lr=0.1)
    x, charts = torch.randn(30, 5).double(), torch.randint(3, (30,))
    for _ in range(5):
        optimiser.zero_grad()
        u, log_volume = embedding.log_volume(x, charts)
        (u.square().sum(1) / 2 - log_volume).mean().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in embedding.parameters())
        optimiser.step()
    gram = embedding.frame.mT @ embedding.frame
    torch.testing.assert_close(gram, torch.eye(3).double().expand(3, 3, 3), **EXACT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_features": 3}, "latent_features is 3; allowed: 1 to 2"),
        ({"latent_features": 0}, "latent_features: is 0; allowed: 1 or more"),
        ({"latent_features": 2, "bend": True}, "bend is true, train false"),
    ],
)
def test_wrong_arguments_name_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    entry = {"class": "vqflow.embeddings.Conformal", **arguments}
    with pytest.raises(ConfigError, match=message):
        build(entry, "embeddings.mine", features=3, charts=2)


def test_identity() -> None:
    embedding: Embedding = Identity(4)
    u, charts = torch.randn(5, 4), torch.zeros(5, dtype=torch.long)
    assert torch.equal(embedding.project(embedding.embed(u, charts), charts), u)
    assert torch.equal(embedding.log_scale(u, charts), torch.zeros(5))
    assert torch.equal(embedding.log_volume(u, charts)[1], torch.zeros(5))
    assert torch.equal(embedding.sample(u, charts, None), u)

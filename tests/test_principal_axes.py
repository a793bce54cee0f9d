"""The closed-form start of the charts: means, axes and variances of what they cover."""

from __future__ import annotations

import pytest
import torch
from conftest import ring
from test_embeddings import EXACT, KINDS

from vqflow.atlases.covering import Covering
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.atlases.single import SingleChart
from vqflow.embeddings import Conformal


@pytest.mark.parametrize("kind", ["similarity", "moebius"])
@torch.no_grad()
def test_the_start_is_the_principal_axes(kind: str) -> None:
    """One chart: the mean, the axes and the variances of the data, as plainly computed."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(400, 5, generator=generator, dtype=torch.float64) @ mixing + 3
    embedding = Conformal(5, 1, 2, **KINDS[kind]).double()
    atlas = SingleChart(ring(5).spec)
    atlas.fit(ring(5), 0)
    embedding.fit(y, atlas.pairs(y.float()), torch.zeros(1))
    variances, axes = torch.linalg.eigh(torch.cov(y.T, correction=0))
    charts = torch.zeros(400, dtype=torch.long)
    u = embedding.project(y, charts)
    torch.testing.assert_close(embedding.centre[0].detach(), y.mean(0), **EXACT)
    projector = embedding.frame[0][:, :2] @ embedding.frame[0][:, :2].T
    torch.testing.assert_close(projector, axes[:, -2:] @ axes[:, -2:].T, rtol=0, atol=1e-7)
    torch.testing.assert_close(
        u.var(0, correction=0).mean(), torch.tensor(1.0).double(), rtol=0, atol=1e-7
    )
    unbiased = variances[:3].mean() * 400 / (400 - 1 - 2)
    sigma = embedding.log_sigma[0].detach().exp()
    torch.testing.assert_close(sigma.square(), unbiased, rtol=1e-6, atol=0)
    assert embedding.fitted_numbers == 5 + 2 + 5 * 2 + (5 + 3 if kind == "moebius" else 0)


@torch.no_grad()
def test_points_weigh_by_the_share_of_the_chart() -> None:
    """Where two charts cover a point, its weight for the first is p_1 / (p_1 + p_2)."""
    y = torch.randn(60, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    charts = torch.tensor([[0, 1]]).expand(60, -1)
    mask = torch.stack([torch.arange(60) < 40, torch.arange(60) >= 20], dim=1)
    embedding = Conformal(3, 2, 1).double()
    prior = torch.tensor([0.2, 0.8], dtype=torch.float64)
    embedding.fit(y, Covering(charts, mask), prior.log())
    weight = torch.where(torch.arange(40) < 20, 1.0, prior[0])
    expected = (weight[:, None] * y[:40]).sum(0) / weight.sum()
    torch.testing.assert_close(embedding.centre[0], expected, **EXACT)


@torch.no_grad()
def test_charts_without_prior_are_placed_too() -> None:
    """The consistent prior leaves some charts with p_k = 0."""
    data = ring(3)
    atlas = KMeansAtlas(data.spec, 64, min_charts=6, epsilon=0.1, prior="consistent")
    atlas.fit(data, 0)
    assert atlas.log_prior.isneginf().any()
    y = torch.as_tensor(data.points["train"]).float()
    embedding = Conformal(3, atlas.charts, 2)
    embedding.fit(y, atlas.pairs(y), atlas.log_prior)
    assert all(value.isfinite().all() for value in embedding.state_dict().values())


@torch.no_grad()
def test_few_points_do_not_make_a_chart_thin() -> None:
    """The residual's variance is corrected for the axes that were fitted to the same points."""
    features, latent, n = 40, 4, 12
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(40):
        y = 0.5 * torch.randn(n, features, generator=generator, dtype=torch.float64)
        y[:, :latent] *= 20
        embedding = Conformal(features, 1, latent).double()
        one = torch.zeros(n, 1, dtype=torch.long)
        embedding.fit(y, Covering(one, one == 0), torch.zeros(1))
        found.append(float((2 * embedding.log_sigma).exp()))
    assert sum(found) / len(found) == pytest.approx(0.25, rel=0.15)


@torch.no_grad()
def test_charts_of_few_points_take_the_mean_of_the_others() -> None:
    data = ring(4)
    atlas = KMeansAtlas(data.spec, charts=150, min_charts=1)
    atlas.fit(data, 0)
    y = torch.as_tensor(data.points["train"]).float()
    embedding = Conformal(4, atlas.charts, 3)
    embedding.fit(y, atlas.pairs(y), atlas.log_prior)
    counts = torch.bincount(atlas.pairs(y).pairs()[1])
    few = counts < 2 * (3 + 1)
    assert few.any()
    assert len(embedding.log_sigma[few].unique()) == 1
    assert embedding.log_sigma.isfinite().all() and embedding.log_s.isfinite().all()

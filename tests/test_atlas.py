"""Regions, priors and covering pairs."""

from __future__ import annotations

import pytest
import torch
from conftest import images, ring
from hypothesis import given, settings
from hypothesis import strategies as st

from vqflow.atlases.base import Atlas, as_data_space
from vqflow.atlases.covering import consistent_prior
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.atlases.single import SingleChart
from vqflow.datasets.base import DataSpec


def k_means(**arguments: object) -> KMeansAtlas:
    data = ring()
    atlas = KMeansAtlas(data.spec, **{"charts": 6, **arguments})
    atlas.fit(data, seed=0)
    return atlas


def x_of(split: str = "test") -> torch.Tensor:
    return as_data_space(ring(), split)


@settings(max_examples=20, deadline=None)
@given(
    min_charts=st.integers(1, 6),
    epsilon=st.floats(0, 2),
    prior=st.sampled_from(["coverage", "consistent"]),
)
def test_covering_is_its_definition(min_charts: int, epsilon: float, prior: str) -> None:
    atlas = k_means(min_charts=min_charts, epsilon=epsilon, prior=prior)
    x = x_of()
    covering = atlas.covering(x)
    distances = atlas.distances(x)
    threshold = distances.sort(1).values[:, min_charts - 1]
    assert torch.equal(covering, distances <= (1 + epsilon) * threshold[:, None])
    assert (covering.sum(1) >= min_charts).all()
    assert atlas.log_prior.exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_hard_charts_are_voronoi_cells() -> None:
    atlas = k_means(min_charts=1, epsilon=0.0)
    x = x_of()
    assert torch.equal(atlas.covering(x).float().argmax(1), atlas.nearest(x))
    assert (atlas.covering(x).sum(1) == 1).all()


@pytest.mark.parametrize(("min_charts", "epsilon"), [(1, 0.0), (1, 0.5), (3, 0.2), (6, 0.0)])
def test_pairs_are_the_covering(min_charts: int, epsilon: float) -> None:
    atlas = k_means(min_charts=min_charts, epsilon=epsilon)
    x = x_of()
    table = atlas.pairs(x)
    rows, charts = table.pairs()
    rebuilt = torch.zeros(len(x), atlas.charts, dtype=torch.bool)
    rebuilt[rows, charts] = True
    assert torch.equal(rebuilt, atlas.covering(x))
    assert len(rows) == int(rebuilt.sum())
    assert table[:5].charts.shape == (5, table.charts.shape[1])


@settings(max_examples=60, deadline=None)
@given(
    charts=st.integers(1, 700),
    min_charts=st.integers(1, 12),
    epsilon=st.sampled_from([0.0, 0.1, 3.0]),
    code_dim=st.sampled_from([1, 2, 6, 300]),
    offset=st.sampled_from([0.0, 1e3]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 100),
)
def test_pairs_are_the_covering_for_any_number_of_charts(
    charts: int,
    min_charts: int,
    epsilon: float,
    code_dim: int,
    offset: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    """Also far from the origin, where the product that chooses the candidates rounds.

    Two ways to compute a distance may differ by rounding, and so may the charts at the limit.
    """
    torch.manual_seed(seed)
    min_charts = min(min_charts, charts)
    atlas = KMeansAtlas(DataSpec("points", "vector", (code_dim,)), charts, min_charts, epsilon)
    atlas = atlas.to(dtype)
    atlas.codes = torch.randn(charts, code_dim, dtype=dtype) + offset
    x = torch.randn(50, code_dim, dtype=dtype) + offset
    distances = atlas.distances(x)
    limit = (1 + epsilon) * distances.sort(1).values[:, min_charts - 1 : min_charts]
    rows, columns = atlas.pairs(x).pairs()
    found = torch.zeros(len(x), charts, dtype=torch.bool)
    found[rows, columns] = True
    at_limit = (distances - limit).abs() <= 64 * torch.finfo(dtype).eps * limit
    assert torch.equal(found & ~at_limit, atlas.covering(x) & ~at_limit)
    assert (found.sum(1) >= min_charts).all()


def test_many_candidates_need_no_more_memory_than_all_distances() -> None:
    """In many dimensions distances are alike, and any overlap covers nearly all charts."""
    torch.manual_seed(0)
    atlas = KMeansAtlas(DataSpec("points", "vector", (784,)), charts=256, epsilon=0.1)
    atlas.codes = torch.randn(256, 784)
    table = atlas.pairs(x := torch.randn(40, 784))
    assert table.mask.sum(1).float().mean() > 100
    assert int((table.mask.sum(1) - atlas.covering(x).sum(1)).abs().max()) <= 1


def test_points_and_charts_may_be_of_different_precision() -> None:
    atlas = SingleChart(ring().spec).double()
    atlas.fit(ring(), 0)
    assert atlas.pairs(x_of().float()).mask.all()


def test_equal_centres_cover_together() -> None:
    atlas = KMeansAtlas(DataSpec("points", "vector", (2,)), charts=40)
    atlas.codes = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    table = atlas.pairs(torch.randn(30, 2, generator=torch.Generator().manual_seed(1)))
    assert table.mask.sum(1).tolist() == [2] * 30


def test_pairs_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    atlas = k_means(epsilon=0.5)
    whole = atlas.pairs(x_of())
    monkeypatch.setattr("vqflow.atlases.base._CHUNK", 17)
    parts = atlas.pairs(x_of())
    assert torch.equal(whole.mask, parts.mask)
    assert torch.equal(whole.charts[whole.mask], parts.charts[parts.mask])


def test_coverage_prior() -> None:
    atlas = k_means(epsilon=0.5)
    share = atlas.covering(x_of("train")).double().mean(0)
    torch.testing.assert_close(
        atlas.log_prior.exp().double(), share / share.sum(), atol=1e-6, rtol=0
    )


def test_consistent_prior_is_a_fixed_point() -> None:
    atlas = k_means(epsilon=0.5, prior="consistent")
    covering = atlas.covering(x_of("train")).double()
    prior = atlas.log_prior.exp().double()
    share = covering * prior / (covering @ prior)[:, None]
    torch.testing.assert_close(share.mean(0), prior, atol=1e-5, rtol=0)


def test_priors_agree_without_overlap() -> None:
    hard = k_means(epsilon=0.0)
    consistent = consistent_prior(hard.pairs(x_of("train")), torch.full((6,), 1 / 6).double())
    torch.testing.assert_close(consistent, hard.log_prior.exp().double(), atol=1e-6, rtol=0)


def test_charts_without_training_points_are_dropped() -> None:
    atlas = k_means()
    far = torch.cat([atlas.codes, torch.full((1, 2), 1e3)])
    before = atlas.covering(x_of())
    atlas.set_charts(far, x_of("train"))
    assert atlas.charts == 6
    assert torch.equal(atlas.covering(x_of()), before)


def test_codes_are_standardised() -> None:
    codes = k_means().standard_codes
    torch.testing.assert_close(codes.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(codes.std(0, correction=0), torch.ones(2), atol=1e-6, rtol=0)
    atlas = k_means()
    constant = torch.stack([torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0])])
    atlas.set_charts(constant, x_of("train"))
    assert torch.equal(atlas.standard_codes[:, 1], torch.zeros(2))


def test_single_chart_has_no_code() -> None:
    data = ring()
    atlas = SingleChart(data.spec)
    assert atlas.fit(data, seed=0) == []
    assert (atlas.charts, atlas.code_dim) == (1, 0)
    assert atlas.covering(x_of()).all()
    assert atlas.log_prior.item() == 0


def test_images_are_quantised_first() -> None:
    data = images()
    atlas = KMeansAtlas(data.spec, charts=3)
    x = as_data_space(data, "test")
    expected = torch.as_tensor(data.points["test"]).float() / 16
    torch.testing.assert_close(atlas.normalise(x), expected)
    torch.testing.assert_close(atlas.normalise((x * 17).floor() / 17 + 1e-4), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"charts": 2, "min_charts": 3}, "charts is 2.*min_charts = 3"),
        ({"charts": 4, "min_charts": 0}, "min_charts is 0"),
        ({"charts": 4, "epsilon": -0.1}, "epsilon is -0.1"),
        ({"charts": 4, "prior": "flat"}, "'flat'; allowed: 'coverage', 'consistent'"),
    ],
)
def test_wrong_arguments_name_what_is_allowed(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KMeansAtlas(ring().spec, **arguments)


def test_state_dict_round_trip_resizes() -> None:
    atlas = k_means(epsilon=0.5)
    other: Atlas = KMeansAtlas(ring().spec, charts=6, epsilon=0.5)
    other.load_state_dict(atlas.state_dict())
    assert torch.equal(other.covering(x_of()), atlas.covering(x_of()))
    assert torch.equal(other.log_prior, atlas.log_prior)

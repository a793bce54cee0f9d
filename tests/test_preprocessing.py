from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import standardised
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqflow.datasets.base import DataSpec
from vqflow.preprocessing import Logit, Preprocessing, Standardise

FEATURES = 4
VECTORS = DataSpec("vectors", "vector", (FEATURES,))
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
settings.register_profile("short", max_examples=40, deadline=None)
short = settings(settings.get_profile("short"))

seeds = st.integers(0, 2**31 - 1)
alphas = st.sampled_from([None, 1e-6, 1e-3, 0.05, 0.49])


def images(levels: int) -> DataSpec:
    return DataSpec("images", "image", (1, 2, 2), levels)


def pixels(levels: int, seed: int, n: int = 50) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, levels, (n, FEATURES)).astype(np.uint8)


def fitted(levels: int, alpha: float | None, seed: int) -> Preprocessing:
    preprocessing = standardised(images(levels), alpha).double()
    preprocessing.fit(pixels(levels, seed), seed)
    return preprocessing


def interior(seed: int, n: int = 8) -> Tensor:
    return torch.rand(n, FEATURES, generator=torch.Generator().manual_seed(seed)).double()


@short
@given(alpha=alphas, levels=st.sampled_from([17, 256]), seed=seeds)
def test_round_trip_and_ladj_of_images(alpha: float | None, levels: int, seed: int) -> None:
    preprocessing = fitted(levels, alpha, seed)
    x = interior(seed)
    y, ladj = preprocessing(x)
    torch.testing.assert_close(preprocessing.inverse(y), x, rtol=0, atol=1e-12)
    for point, value in zip(x, ladj, strict=True):
        jacobian = torch.func.jacrev(lambda v: preprocessing(v[None])[0][0])(point)
        torch.testing.assert_close(value, torch.linalg.slogdet(jacobian)[1], rtol=1e-10, atol=1e-9)


@short
@given(
    seed=seeds,
    magnitude=st.sampled_from([1e-3, 1.0, 1e4]),
    offset=st.sampled_from([0.0, 1.0, -1e4]),
)
def test_vectors_are_standardised(seed: int, magnitude: float, offset: float) -> None:
    generator = np.random.default_rng(seed)
    points = offset + magnitude * generator.standard_normal((9000, FEATURES))
    preprocessing = standardised(VECTORS).double()
    preprocessing.fit(points, seed)
    x = preprocessing.dequantise(torch.from_numpy(points))
    assert torch.equal(x, torch.from_numpy(points)) and preprocessing.quantise(x) is x
    y, ladj = preprocessing(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(FEATURES).double(), rtol=0, atol=1e-8)
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(FEATURES).double())
    torch.testing.assert_close(preprocessing.inverse(y), x, rtol=1e-12, atol=1e-12 * magnitude)
    expected = -np.log(points.std(axis=0)).sum()
    np.testing.assert_allclose(ladj.numpy(), np.full(9000, expected), rtol=1e-9, atol=1e-9)


@dtypes
@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("alpha", [None, 1e-6, 0.05])
def test_quantise_undoes_dequantise_at_every_level(
    dtype: torch.dtype, levels: int, alpha: float | None
) -> None:
    preprocessing = standardised(images(levels), alpha).to(dtype)
    values = torch.arange(levels, dtype=torch.uint8).repeat_interleave(5_000)[:, None]
    points = values.expand(-1, FEATURES)
    x = preprocessing.dequantise(points, torch.Generator().manual_seed(0))
    assert x.dtype == dtype and x.min() >= 0 and x.max() < 1
    assert torch.equal(preprocessing.quantise(x), points)
    y, ladj = preprocessing(x)
    assert torch.isfinite(y).all() and torch.isfinite(ladj).all()


@dtypes
@pytest.mark.parametrize("levels", [17, 256])
@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_extreme_noise_stays_in_its_level(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, levels: int, extreme: float
) -> None:
    """The largest draw of torch.rand, 1 - 2^-24, rounds (255 + u) / 256 to 1 in float32."""
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, extreme, dtype=dtype))
    preprocessing = Preprocessing(images(levels)).to(dtype)
    points = torch.arange(levels, dtype=torch.uint8)[:, None].expand(-1, FEATURES)
    x = preprocessing.dequantise(points)
    assert x.max() < 1 and torch.equal(preprocessing.quantise(x), points)


def test_dequantised_pixels_are_uniform_within_their_level() -> None:
    preprocessing = Preprocessing(images(17))
    points = torch.full((100_000, FEATURES), 5, dtype=torch.uint8)
    noise = preprocessing.dequantise(points, torch.Generator().manual_seed(1)) * 17 - 5
    counts = torch.histc(noise, bins=10, min=0, max=1)
    assert ((counts - 40_000).abs() < 5 * 36_000**0.5).all()
    assert torch.corrcoef(noise.T).fill_diagonal_(0).abs().max() < 0.02


def test_quantise_clamps_what_lies_outside() -> None:
    x = torch.tensor([[-0.3, 0.0, 1.0, 7.0]])
    assert Preprocessing(images(17)).quantise(x).tolist() == [[0, 0, 16, 16]]


def test_fit_uses_dequantised_logits_and_is_deterministic() -> None:
    points = pixels(256, 3, n=10_000)
    points[:, 0] = 0
    preprocessing = standardised(images(256), 1e-6).double()
    preprocessing.fit(points, seed=7)
    again = standardised(images(256), 1e-6).double()
    again.fit(points, seed=7)
    assert torch.equal(preprocessing.steps[-1].scale, again.steps[-1].scale)
    again.fit(points, seed=8)
    assert not torch.equal(preprocessing.steps[-1].scale, again.steps[-1].scale)
    x = preprocessing.dequantise(torch.from_numpy(points), torch.Generator().manual_seed(9))
    y = preprocessing(x)[0]
    torch.testing.assert_close(y.mean(0), torch.zeros(FEATURES).double(), rtol=0, atol=0.05)
    torch.testing.assert_close(y.std(0), torch.ones(FEATURES).double(), rtol=0, atol=0.05)


@dtypes
def test_constant_coordinates_get_scale_one(dtype: torch.dtype) -> None:
    points = np.random.default_rng(0).standard_normal((5000, FEATURES))
    points[:, 1] = 0.1
    preprocessing = standardised(VECTORS).to(dtype)
    preprocessing.fit(points, seed=0)
    assert preprocessing.steps[-1].scale[1] == 1
    y, ladj = preprocessing(preprocessing.dequantise(torch.from_numpy(points)))
    assert y[:, 1].abs().max() < 1e-6 and torch.isfinite(ladj).all()


@settings(max_examples=20, deadline=None)
@given(min_scale=st.floats(0, 3), seed=seeds)
def test_no_scale_is_less_than_the_least(min_scale: float, seed: int) -> None:
    """A stroke on a pixel that is nearly always black stays near, and the map a bijection."""
    points = pixels(256, seed, n=5000)
    points[:, 0] = 0
    points[0, 0] = 255
    plain = standardised(images(256), 0.01).double()
    floored = standardised(images(256), 0.01, min_scale).double()
    for preprocessing in (plain, floored):
        preprocessing.fit(points, seed=0)
    expected = floored.steps[-1].scale
    kept = plain.steps[-1].scale >= min_scale
    assert torch.equal(expected[kept], plain.steps[-1].scale[kept])
    assert (expected[~kept] == min_scale).all()
    x = floored.dequantise(torch.from_numpy(points), torch.Generator().manual_seed(seed))
    y, ladj = floored(x)
    torch.testing.assert_close(floored.inverse(y), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        ladj, plain(x)[1] - (expected / plain.steps[-1].scale).log().sum(), rtol=0, atol=1e-9
    )
    assert plain(x)[0][:, 0].max() > 50
    assert min_scale < 1 or y[:, 0].max() < 10


def test_least_scale_of_vectors_and_of_constant_coordinates() -> None:
    points = 0.1 * np.random.default_rng(0).standard_normal((500, FEATURES))
    points[:, 1] = 7
    plain, floored = standardised(VECTORS), standardised(VECTORS, min_scale=2)
    for preprocessing in (plain, floored):
        preprocessing.fit(points, seed=0)
    assert (plain.steps[-1].scale[[0, 2]] < 0.2).all()
    assert (floored.steps[-1].scale == 2).all()
    y = floored(floored.dequantise(torch.from_numpy(points)))[0]
    assert y.std(0).max() < 0.1 and y.mean(0).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_scale": -0.1}, "min_scale is -0.1, allowed: 0 or more"),
        ({"min_scale": 1.0}, "min_scale is 1.0 for pixels .* allowed without a logit before: 0 to"),
    ],
)
def test_wrong_least_scales_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        standardised(images(256), **arguments)
    standardised(images(256), 0.01, min_scale=1.0)
    standardised(images(256), min_scale=0.5)


def test_without_bijections_the_data_stay_as_they_are() -> None:
    preprocessing = Preprocessing(VECTORS)
    assert preprocessing.is_identity
    points = np.random.default_rng(0).standard_normal((10, FEATURES)) + 3
    preprocessing.fit(points, seed=0)
    x = preprocessing.dequantise(torch.from_numpy(points))
    y, ladj = preprocessing(x)
    assert torch.equal(y, x) and torch.equal(ladj, torch.zeros(10))


@dtypes
@pytest.mark.parametrize("alpha", [1e-6, 0.05])
def test_logit_is_finite_on_the_closed_interval_and_quiet_beyond(
    dtype: torch.dtype, alpha: float
) -> None:
    x = torch.tensor([[0.0, 1.0, 0.5, 1 - 2**-24]], dtype=dtype)
    y, ladj = Logit(FEATURES, alpha)(x)
    assert torch.isfinite(y).all() and torch.isfinite(ladj).all()
    edge = np.log(alpha / (1 - alpha))
    np.testing.assert_allclose(y[0, :3].numpy(), [edge, -edge, 0], rtol=1e-5, atol=1e-6)
    outside, ladj = Logit(FEATURES, alpha)(torch.tensor([[-3.0, 4.0, -1.0, 2.0]], dtype=dtype))
    assert torch.isfinite(outside).all() and torch.isfinite(ladj).all()


def test_logit_alone_in_float32_agrees_with_float64() -> None:
    x = interior(0, n=2000)
    x[:1000] = 1 - x[:1000] * 1e-5
    for single, double in zip(
        Logit(FEATURES, 1e-6)(x.float()), Logit(FEATURES, 1e-6)(x.float().double()), strict=True
    ):
        torch.testing.assert_close(single.double(), double, rtol=1e-6, atol=1e-5)


@given(alpha=st.one_of(st.floats(-1, 0.99e-6), st.floats(0.5, 2)))
def test_alpha_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="logit: alpha is .*, allowed"):
        Logit(FEATURES, alpha)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="vectors.preprocess.0: Logit .* of kind 'vector'"):
        standardised(VECTORS, 0.05)
    steps = [Standardise(FEATURES), Logit(FEATURES, 0.05)]
    with pytest.raises(ValueError, match=r"images.preprocess.1: Logit maps pixels .* goes first"):
        Preprocessing(images(17), steps)
    with pytest.raises(ValueError, match="expected pixels as torch.uint8"):
        Preprocessing(images(17)).dequantise(torch.zeros(2, FEATURES))


def test_state_round_trips() -> None:
    preprocessing = fitted(17, 0.05, seed=2)
    copy = standardised(images(17), 0.05).double()
    copy.load_state_dict(preprocessing.state_dict())
    x = interior(1)
    for value, expected in zip(copy(x), preprocessing(x), strict=True):
        assert torch.equal(value, expected)


def test_standardise_starts_as_the_identity() -> None:
    x = interior(4)
    y, ladj = Standardise(FEATURES).double()(x)
    assert torch.equal(y, x) and torch.equal(ladj, torch.zeros(8).double())

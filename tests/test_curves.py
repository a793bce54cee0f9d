from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0e, log_ndtr

from vqflow.datasets.curves import Curve, Floats, join

LINE = Curve(join(lambda t: t, np.zeros_like), start=0.0, stop=1.0, speed=1.0, acceleration=0.0)
CIRCLE = Curve(join(np.cos, np.sin), start=0.0, stop=2 * np.pi, speed=1.0, acceleration=1.0)

reach = st.sampled_from([1e-3, 0.1, 1.0, 3.0, 100.0, 1e5])
noises = st.sampled_from([1e-3, 1e-2, 0.1, 1.0, 10.0])


def gaussian(x: Floats, noise: float) -> Floats:
    return np.asarray(-(x**2) / (2 * noise**2) - np.log(2 * np.pi * noise**2) / 2)


def points(scale: float, seed: int) -> Floats:
    return scale * np.random.default_rng(seed).standard_normal((20, 2))


@settings(max_examples=60, deadline=None)
@given(scale=reach, noise=noises, seed=st.integers(0, 1000))
def test_circle_equals_the_closed_form_at_any_distance(
    scale: float, noise: float, seed: int
) -> None:
    x = points(scale, seed)
    radius = np.linalg.norm(x, axis=1)
    expected = (
        np.log(i0e(radius / noise**2))
        - (radius - 1) ** 2 / (2 * noise**2)
        - np.log(2 * np.pi * noise**2)
    )
    np.testing.assert_allclose(CIRCLE.log_density(x, noise), expected, rtol=1e-11, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(scale=reach, noise=noises, seed=st.integers(0, 1000))
def test_line_equals_the_closed_form_also_beyond_its_ends(
    scale: float, noise: float, seed: int
) -> None:
    x = points(scale, seed)
    outwards = np.abs(x[:, 0] - 0.5)
    upper, lower = log_ndtr((0.5 - outwards) / noise), log_ndtr((-0.5 - outwards) / noise)
    expected = upper + np.log(-np.expm1(lower - upper)) + gaussian(x[:, 1], noise)
    np.testing.assert_allclose(LINE.log_density(x, noise), expected, rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("curve", [LINE, CIRCLE])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e8, 1e20])
def test_far_points_stay_finite(curve: Curve, scale: float) -> None:
    x = points(scale, 0)
    value = curve.log_density(x, 0.01)
    assert np.isfinite(value).all()
    nearest = np.linalg.norm(x[:, None] - curve.position(np.linspace(0, 2 * np.pi, 9)), axis=2)
    assert (value < 10).all() and (value > -((nearest.max(axis=1) + 1) ** 2) / 1e-4).all()


def test_the_value_of_a_point_does_not_depend_on_its_batch() -> None:
    x = points(1.0, 3).repeat(40, axis=0)
    together = CIRCLE.log_density(x, 0.01)
    alone = np.concatenate([CIRCLE.log_density(row[None], 0.01) for row in x[::40]])
    np.testing.assert_allclose(together[::40], alone, rtol=1e-13)
    assert CIRCLE.log_density(np.empty((0, 2)), 0.01).shape == (0,)

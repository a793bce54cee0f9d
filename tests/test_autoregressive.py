"""The fast inverse of autoregressive transforms: equal to zuko's, and without its passes."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
import torch
from conftest import disturb, images, make_flow, make_model
from hypothesis import given, settings
from hypothesis import strategies as st
from masked import CASES, transform
from torch import Tensor, nn
from zuko.flows import BPF, NAF, SOSPF, UNAF
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.nn import MaskedLinear, MaskedMLP
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

from vqflow.flows import autoregressive, invert_autoregressive
from vqflow.flows.arrays import affine_slope
from vqflow.flows.autoregressive import _Plan, _warn_once

EXACT = {"rtol": 0, "atol": 1e-10}


@torch.no_grad()
def check(lazy: Any, features: int, context: int, n: int = 30, **tolerance: float) -> None:
    x = torch.randn(n, features, dtype=torch.float64)
    c = torch.randn(n, context, dtype=torch.float64) if context else None
    y = lazy(c)(x)
    _Plan(lazy)  # refuses what would be inverted by zuko itself
    fast = invert_autoregressive(lazy, y, c)
    torch.testing.assert_close(fast, lazy(c).inv(y), **(tolerance or EXACT))
    torch.testing.assert_close(fast, x, **(tolerance or EXACT))


@pytest.fixture
def no_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a whole pass of a masked network an error."""

    def refuse(self: Any, x: Tensor) -> Tensor:
        raise AssertionError("a whole network pass")

    monkeypatch.setattr(MaskedMLP, "forward", refuse)


@pytest.mark.parametrize(
    "arguments",
    CASES,
    ids=str,
)
@pytest.mark.parametrize("context", [0, 3])
def test_equal_to_the_inverse_of_zuko(arguments: dict[str, Any], context: int) -> None:
    if context == 0 and "adjacency" in arguments:
        arguments = {**arguments, "adjacency": arguments["adjacency"][:, :12]}
    check(transform(context=context, **arguments), 12, context)


@settings(max_examples=40, deadline=None)
@given(
    features=st.integers(2, 70),
    context=st.integers(0, 4),
    hidden=st.lists(st.integers(1, 150), max_size=3),
    n=st.integers(1, 5),
    seed=st.integers(0, 1000),
    residual=st.booleans(),
)
def test_any_shape(
    features: int, context: int, hidden: list[int], n: int, seed: int, residual: bool
) -> None:
    order = torch.randperm(features, generator=torch.Generator().manual_seed(seed))
    arguments = {"order": order, "hidden_features": hidden, "residual": residual and bool(hidden)}
    check(transform(features, context, seed, **arguments), features, context, n)


@pytest.mark.parametrize("name", ["SOSPF", "BPF"])
def test_univariates_that_are_inverted_by_bisection(name: str, no_passes: None) -> None:
    """These agree with zuko's only as far as its bisection goes."""
    flow = {"SOSPF": SOSPF, "BPF": BPF}[name](9, 2, transforms=1).double()
    lazy = flow.transform.transforms[0]
    y = torch.linspace(-2, 2, 45, dtype=torch.float64).view(5, 9)
    c = torch.ones(5, 2, dtype=torch.float64)
    x = invert_autoregressive(lazy, y, c)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MaskedMLP, "forward", nn.Sequential.forward)
        torch.testing.assert_close(lazy(c)(x), y, rtol=0, atol=1e-4)


@torch.no_grad()
def test_batch_dimensions_broadcast() -> None:
    lazy = transform()
    y = torch.randn(4, 1, 5, 12, dtype=torch.float64)
    for shape in ((3,), (5, 3), (2, 1, 3), (4, 1, 5, 3)):
        c = torch.randn(shape, dtype=torch.float64)
        expected = lazy(c).inv(y.expand(*torch.broadcast_shapes(y.shape[:-1], shape[:-1]), 12))
        torch.testing.assert_close(invert_autoregressive(lazy, y, c), expected, **EXACT)
    assert invert_autoregressive(lazy, y[:0], c[:0]).shape == (0, 1, 5, 12)


@torch.no_grad()
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = transform()
    y, c = (torch.randn(50, width, dtype=torch.float64) for width in (12, 3))
    whole = invert_autoregressive(lazy, y, c)
    monkeypatch.setitem(autoregressive._CHUNK, "cpu", 7)
    torch.testing.assert_close(invert_autoregressive(lazy, y, c), whole, **EXACT)


@torch.no_grad()
def test_it_sees_changed_weights_and_masks() -> None:
    first, second = (
        transform(order=torch.randperm(12, generator=torch.Generator().manual_seed(seed)))
        for seed in (0, 1)
    )
    check(first, 12, 3)
    first.load_state_dict(second.state_dict())
    check(first, 12, 3)


@torch.no_grad()
def test_round_trip_in_single_precision_at_the_size_of_images(no_passes: None) -> None:
    torch.manual_seed(0)
    lazy = MaskedAutoregressiveTransform(784, 8, hidden_features=[1024])
    x, c = torch.randn(20, 784), torch.randn(20, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MaskedMLP, "forward", nn.Sequential.forward)
        y = lazy(c)(x)
    torch.testing.assert_close(invert_autoregressive(lazy, y, c), x, rtol=0, atol=1e-5)


@torch.no_grad()
def test_no_random_numbers_are_drawn() -> None:
    lazy = transform()
    state = torch.get_rng_state()
    invert_autoregressive(lazy, torch.zeros(2, 12).double(), torch.zeros(2, 3).double())
    assert torch.equal(torch.get_rng_state(), state)


class Last(MaskedAutoregressiveTransform):
    def meta(self, c: Tensor, x: Tensor) -> Any:
        return super().meta(c, x)


class Squashed(MaskedMLP):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(super().forward(3 * x))


class Doubled(MaskedLinear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def changed(kind: type, layer: int | None = None) -> MaskedAutoregressiveTransform:
    """A transform whose network, or a layer of it, overrides what it does."""
    lazy = transform()
    (lazy.hyper if layer is None else lazy.hyper[layer]).__class__ = kind
    return lazy


@pytest.mark.parametrize(
    ("lazy", "reason"),
    [
        (transform(activation=partial(nn.Softmax, dim=-1)), "Softmax does not act on each unit"),
        (transform(activation=partial(nn.LayerNorm, 64)), "LayerNorm does not act on each unit"),
        (NAF(12, 3, transforms=1).double().transform.transforms[0], "differs between features"),
        (UNAF(12, 3, transforms=1).double().transform.transforms[0], "differs between features"),
        (Last(12, 3).double(), "no plain MaskedAutoregressiveTransform"),
        (changed(Squashed), "its network is a Squashed"),
        (changed(Doubled, 0), "Doubled does not act on each unit"),
        (changed(Doubled, -1), "its last layer is a Doubled"),
        (MaskedAutoregressiveTransform(1, 3).double(), "no plain MaskedAutoregressiveTransform"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else type(value).__name__,
)
@torch.no_grad()
def test_what_it_cannot_take_is_inverted_by_zuko(
    lazy: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    _warn_once.cache_clear()
    features = 1 if "ElementWise" in type(lazy).__name__ else 12
    y, c = torch.randn(5, features, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    with caplog.at_level(logging.WARNING, logger="vqflow"):
        for _ in range(2):
            assert torch.equal(invert_autoregressive(lazy, y, c), lazy(c).inv(y))
    assert [reason in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize(("features", "context"), [(11, 3), (12, 2), (12, 0)])
def test_wrong_widths_are_named(features: int, context: int) -> None:
    y = torch.zeros(2, features, dtype=torch.float64)
    c = torch.zeros(2, context, dtype=torch.float64) if context else None
    with pytest.raises(ValueError, match=f"y has {features} features and the context {context}"):
        invert_autoregressive(transform(), y, c)


@torch.no_grad()
def test_every_flow_of_the_catalogue_samples_without_a_network_pass(
    flow_name: str, no_passes: None
) -> None:
    model = make_model(flow_name, images(), logit=0.01)
    x, _ = model.sample(20, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(x).all()


def test_gradients_flow_where_they_are_asked_for(flow_name: str) -> None:
    flow = make_flow(flow_name, 16, 2, seed=0).double()
    disturb(flow)
    z = torch.randn(6, 16, dtype=torch.float64, requires_grad=True)
    code = torch.randn(6, 2, dtype=torch.float64)
    u = flow.to_latent(z, code)
    u.sum().backward()
    assert z.grad is not None and all(p.grad is not None for p in flow.parameters())
    with torch.no_grad():
        torch.testing.assert_close(flow.to_latent(z, code), u, rtol=0, atol=1e-9)


@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_the_way_without_numpy_gives_the_same(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("incremental", "autoregressive"):
        monkeypatch.setattr(f"vqflow.flows.{module}.as_array", lambda values: None)
    check(transform(context=3, **arguments), 12, 3)


def test_other_transformations_are_not_taken_for_the_affine_one() -> None:
    class Shifted(MonotonicAffineTransform):
        pass

    affine = MonotonicAffineTransform
    assert affine_slope(affine) == 1e-3
    assert affine_slope(partial(affine, slope=0.3)) == 0.3
    assert affine_slope(partial(affine, cache_size=1)) is None
    assert affine_slope(MonotonicRQSTransform) is affine_slope(Shifted) is None

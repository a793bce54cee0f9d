"""Frames: bijections chart by chart, placed in closed form, never thin by few points."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqflow.frames import Frame, build_frame, fit_mixture
from vqflow.frames.low_rank import LowRankFrame
from vqflow.frames.principal import monomials, terms

KINDS: dict[str, dict[str, Any]] = {
    "full": {"covariance": "full"},
    "bent": {"covariance": "full", "bend": True},
    "diagonal": {"covariance": "diagonal"},
    "low rank": {"covariance": "low_rank", "rank": 2},
}
EXACT = {"rtol": 0, "atol": 1e-9}


def make(kind: str, features: int, charts: int = 3, train: bool = False) -> Frame:
    """Frames with every number at random."""
    frame = build_frame(features=features, charts=charts, train=train, **KINDS[kind]).double()
    generator = torch.Generator().manual_seed(0)
    for name, value in frame.state_dict().items():
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        size = 0.05 if name == "bends" else 0.4  # quadratics of quadratics grow fast
        value.copy_(torch.linalg.qr(noise).Q if name == "axes" else size * noise)
    return frame


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(3, 7), st.integers(0, 20))
@torch.no_grad()
def test_round_trip(kind: str, features: int, points: int) -> None:
    frame = make(kind, features)
    u = torch.randn(points, features, dtype=torch.float64)
    charts = torch.randint(3, (points,))
    x = frame.outward(u, charts)
    assert x.shape == (points, features)
    torch.testing.assert_close(frame.inward(x, charts)[0], u, rtol=1e-8, atol=1e-8)


def test_ladj_is_that_of_the_jacobian(kind: str) -> None:
    frame = make(kind, 4)
    for chart in range(3):
        charts = torch.tensor([chart])
        x = torch.randn(4, dtype=torch.float64)
        _, ladj = frame.inward(x[None], charts)
        jacobian = torch.autograd.functional.jacobian(
            lambda x, charts=charts: frame.inward(x[None], charts)[0][0], x
        )
        torch.testing.assert_close(ladj[0], torch.linalg.slogdet(jacobian)[1], **EXACT)


def test_trained_frames_stay_bijections(kind: str) -> None:
    """After steps of an optimiser on a loss that any number may change."""
    frame = make(kind, 4, train=True)
    optimiser = torch.optim.Adam(frame.parameters(), lr=0.02)
    x = torch.randn(60, 4, dtype=torch.float64)
    charts = torch.arange(60) % 3
    before = {name: value.clone() for name, value in frame.named_parameters()}
    for _ in range(10):
        optimiser.zero_grad()
        u, ladj = frame.inward(x, charts)
        (0.5 * u.square().sum(1) - ladj).mean().backward()
        optimiser.step()
    assert all((value != before[name]).any() for name, value in frame.named_parameters())
    with torch.no_grad():
        u, ladj = frame.inward(x, charts)
        torch.testing.assert_close(frame.outward(u, charts), x, rtol=1e-8, atol=1e-8)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: frame.inward(x[None], charts[:1])[0][0], x[0]
    )
    torch.testing.assert_close(ladj[0], torch.linalg.slogdet(jacobian)[1], **EXACT)


@torch.no_grad()
def test_low_rank_is_low_rank_plus_diagonal() -> None:
    """L Lᵀ = diag(s) (I + Q diag(e^{2 l} - 1) Qᵀ) diag(s), written out."""
    frame = make("low rank", 6)
    assert isinstance(frame, LowRankFrame)
    for k in range(3):
        charts = torch.full((6,), k)
        root = (frame.outward(torch.eye(6).double(), charts) - frame.centre[k]).T
        scale, axes = frame.log_scale[k].exp().diag(), frame.axes[k]
        factors = axes @ torch.expm1(2 * frame.log_spread[k]).diag() @ axes.T
        expected = scale @ (torch.eye(6).double() + factors) @ scale
        torch.testing.assert_close(root @ root.T, expected, **EXACT)


def points_of_two_charts(features: int = 4, n: int = 4000) -> tuple[Tensor, Tensor]:
    """Two Gaussians far apart, with covariances of low rank plus diagonal."""
    generator = torch.Generator().manual_seed(0)
    loading = torch.tensor([[2.0, -1.0, 1.5, 0.5]], dtype=torch.float64)[:, :features]
    factor = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    noise = 0.5 * torch.randn(n, features, generator=generator, dtype=torch.float64)
    charts = torch.arange(n) % 2
    return factor * loading * (1 + charts[:, None]) + noise + 50.0 * charts[:, None], charts


@torch.no_grad()
def test_a_placed_frame_whitens_its_chart(kind: str) -> None:
    """Means 0 and variances 1 in all kinds; no correlation where the kind can describe it."""
    features = 4
    options = {**KINDS[kind], **({"rank": 1} if kind == "low rank" else {}), "shrinkage": 0.0}
    x, charts = points_of_two_charts(features)
    frame = build_frame(features=features, charts=2, **options).double()
    frame.place(x, charts, torch.ones(len(x), dtype=torch.float64))
    u, _ = frame.inward(x, charts)
    for k in range(2):
        covariance = torch.cov(u[charts == k].T, correction=0)
        torch.testing.assert_close(u[charts == k].mean(0), torch.zeros(features).double(), **EXACT)
        off = (covariance - covariance.diagonal().diag()).abs().max()
        tolerance = 0.1 if kind == "low rank" else 1e-6
        torch.testing.assert_close(
            covariance.diagonal(), torch.ones(features).double(), rtol=0, atol=tolerance
        )
        assert off > 0.5 if kind == "diagonal" else off < tolerance


@torch.no_grad()
def test_bends_follow_a_parabola() -> None:
    """Points around y = x²: bent frames straighten what flat ones leave curved."""
    generator = torch.Generator().manual_seed(0)
    t = torch.randn(3000, generator=generator, dtype=torch.float64)
    y = t.square() + 0.01 * torch.randn(3000, generator=generator, dtype=torch.float64)
    x = torch.stack([torch.cat([3 * t, -3 * t]), torch.cat([y, y])], dim=1)
    charts = torch.zeros(6000, dtype=torch.long)
    log_probs = {}
    for bend in (False, True):
        frame = build_frame("full", 2, 1, bend=bend, shrinkage=0.0).double()
        frame.place(x, charts, torch.ones(6000, dtype=torch.float64))
        u, ladj = frame.inward(x, charts)
        log_probs[bend] = float((ladj - 0.5 * u.square().sum(1)).mean())
    assert log_probs[True] - log_probs[False] == pytest.approx(math.log(2**0.5 / 0.01), abs=0.1)


@torch.no_grad()
def test_axes_have_one_sign() -> None:
    """Turned by half a circle, a chart bends in its own coordinates as it did."""
    generator = torch.Generator().manual_seed(0)
    t = torch.randn(500, generator=generator, dtype=torch.float64).abs()
    x = torch.stack([3 * t, t.square()], dim=1)
    x = torch.cat([x, -x])
    charts = torch.arange(1000) // 500
    frame = build_frame("full", 2, 2, shrinkage=0.0).double()
    frame.place(x, charts, torch.ones(1000, dtype=torch.float64))
    u, _ = frame.inward(x, charts)
    torch.testing.assert_close(u[:500], u[500:], **EXACT)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["full", "bent", "diagonal"])
def test_a_chart_of_few_points_is_not_thin(kind: str) -> None:
    """Its scales are near the other charts', though its own points lie on a point or a line."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1004, 4, generator=generator, dtype=torch.float64)
    x[1000:] = 7 + 1e-6 * x[1000:]
    charts = torch.cat([torch.arange(1000) % 2, torch.full((4,), 2)])
    frame = build_frame(features=4, charts=3, **KINDS[kind]).double()
    frame.place(x, charts, torch.ones(1004, dtype=torch.float64))
    ladj = frame.inward(x[-1:], charts[-1:])[1]
    assert abs(float(ladj)) < 1


@torch.no_grad()
def test_no_chart_is_thin_where_all_have_few_points(kind: str) -> None:
    """Fifty charts of four points in four dimensions: none describes new points absurdly."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=generator, dtype=torch.float64)
    charts = torch.arange(200) // 4
    frame = build_frame(features=4, charts=50, **KINDS[kind]).double()
    frame.place(x, charts, torch.ones(200, dtype=torch.float64))
    new = torch.randn(500, 4, generator=generator, dtype=torch.float64)
    u, ladj = frame.inward(new, torch.arange(500) % 50)
    assert float((ladj - 0.5 * u.square().sum(1)).median()) > -20


@torch.no_grad()
def test_charts_without_points_are_finite(kind: str) -> None:
    x = torch.randn(200, 4, dtype=torch.float64)
    charts = torch.arange(200) % 2
    frame = build_frame(features=4, charts=5, **KINDS[kind]).double()
    frame.place(x, charts, torch.ones(200, dtype=torch.float64))
    assert all(value.isfinite().all() for value in frame.state_dict().values())
    u, ladj = frame.inward(x, torch.arange(200) % 5)
    assert u.isfinite().all() and ladj.isfinite().all()


def overlapping() -> tuple[Tensor, Tensor, Tensor]:
    """Three Gaussians in a ring, each point covered by its own and the next: x, rows, charts."""
    generator = torch.Generator().manual_seed(0)
    own = torch.arange(600) % 3
    angle = own * 2 * math.pi / 3
    x = 0.5 * torch.randn(600, 2, generator=generator, dtype=torch.float64)
    x += 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
    rows = torch.arange(600).repeat_interleave(2)
    return x, rows, torch.stack([own, (own + 1) % 3], dim=1).flatten()


@torch.no_grad()
@pytest.mark.parametrize("kind", ["full", "bent", "diagonal"])
def test_rounds_only_raise_the_likelihood(kind: str) -> None:
    x, rows, charts = overlapping()
    start = torch.tensor([0.2, 0.5, 0.3]).log()
    found = []
    for rounds in (0, 1, 3, 10, 40):
        frame = build_frame(features=2, charts=3, shrinkage=0.0, **KINDS[kind]).double()
        log_weight = fit_mixture(frame, x[rows], rows, charts, start, rounds)
        torch.testing.assert_close(log_weight.exp().sum(), torch.tensor(1.0).double(), **EXACT)
        u, ladj = frame.inward(x[rows], charts)
        joint = (log_weight[charts] + ladj - 0.5 * u.square().sum(1)).view(-1, 2)
        found.append(float(joint.logsumexp(1).mean()))
    assert all(later >= earlier - 1e-9 for earlier, later in zip(found, found[1:], strict=False))
    assert found[-1] > found[0] + 1e-3


def test_a_placement_without_likelihood_is_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    x, rows, charts = overlapping()
    for likelihoods in ((math.nan, -3.0), (-3.0, math.nan)):
        placed = iter([(torch.tensor([value]), value) for value in likelihoods])
        monkeypatch.setattr("vqflow.frames.mixture._maximise", lambda *_, p=placed: next(p))
        frame = build_frame("full", 2, 3, bend=True)
        assert fit_mixture(frame, x[rows], rows, charts, torch.zeros(3), 2).item() == -3.0


@torch.no_grad()
def test_the_mixture_is_that_of_an_independent_implementation() -> None:
    """Where every chart covers every point, rounds end where scikit-learn's mixture does.

    Charts that cover all alike start alike, and two stay so: of two charts the second covers
    a few points less, so that they part.
    """
    from sklearn.mixture import GaussianMixture

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(800, 2, generator=generator, dtype=torch.float64)
    x[::2] += torch.tensor([6.0, 2.0])
    theirs = GaussianMixture(2, tol=1e-10, max_iter=1000, reg_covar=0, random_state=0).fit(x)
    rows = torch.arange(800).repeat_interleave(2)
    charts = torch.arange(1600) % 2
    left = (charts == 1) & (x[rows, 0] > 7)
    rows, charts = rows[~left], charts[~left]
    frame = build_frame("full", 2, 2, shrinkage=0.0).double()
    log_weight = fit_mixture(frame, x[rows], rows, charts, torch.full((2,), 0.5).log(), 300)
    all_charts = torch.arange(2).repeat(800)
    u, ladj = frame.inward(x.repeat_interleave(2, 0), all_charts)
    joint = log_weight[all_charts] + ladj - 0.5 * u.square().sum(1) - math.log(2 * math.pi)
    ours = joint.view(-1, 2).logsumexp(1)
    torch.testing.assert_close(ours, torch.as_tensor(theirs.score_samples(x)), rtol=0, atol=1e-5)


@torch.no_grad()
def test_pairs_are_read_by_parts_of_any_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, rows, charts = overlapping()
    x = torch.cat([x, x.flip(1).square()], dim=1)[rows]
    found = []
    for elements in (2**22, 40):
        monkeypatch.setattr("vqflow.frames.base._CHUNK_ELEMENTS", elements)
        frame = build_frame(features=4, charts=3, **KINDS[kind]).double()
        log_weight = fit_mixture(frame, x, rows, charts, torch.zeros(3), 4)
        found.append(torch.cat([log_weight, frame.inward(x, charts)[0].flatten()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"covariance": "round"}, "covariance is 'round'; allowed: 'full', 'diagonal'"),
        ({"covariance": "diagonal", "bend": True}, "covariance 'diagonal' has no bends"),
        ({"covariance": "low_rank"}, "rank is None with covariance 'low_rank'"),
        ({"covariance": "full", "rank": 2}, "rank is 2 with covariance 'full'"),
        ({"covariance": "low_rank", "rank": 4}, "rank is 4; allowed: 1 to 3"),
        ({"covariance": "full", "shrinkage": -1.0}, "shrinkage is -1.0; allowed: 0 or more"),
        ({"covariance": "full", "features": 784}, "at most 64 dimensions, and there are 784"),
        ({"covariance": "full", "features": 9, "bend": True}, "with bends is for at most 8"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_frame(**{"features": 4, "charts": 2, **arguments})


def test_numbers_are_counted_once() -> None:
    """A bent chart in 3-D: 3 + 3 + 9 of the frame, 1 + 3 + 6 of the bends, 3 widths."""
    assert build_frame("full", 3, 2, bend=True).fitted_numbers == 2 * (3 + 3 + 9 + 10 + 3)
    assert build_frame("diagonal", 3, 2).fitted_numbers == 2 * (3 + 3)


def test_monomials_of_the_first_come_first() -> None:
    v = torch.randn(5, 3, dtype=torch.float64)
    for i in range(4):
        torch.testing.assert_close(monomials(v)[:, : terms(i)], monomials(v[:, :i]))

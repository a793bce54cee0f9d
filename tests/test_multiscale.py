"""The convolutional RealNVP: exact, of every pixel, and reading what the paper says it reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import disturb
from torch import Tensor

from vqflow.config.components import ConfigError
from vqflow.flows import ConditionalFlow, build_flow
from vqflow.flows.multiscale import ConvolutionalCoupling, squeeze

SMALL = {"class": "vqflow.flows.MultiScaleRealNVP", "channels": 6, "blocks": 1}


def trained(shape: list[int], scales: int, context: int) -> ConditionalFlow:
    """A flow whose couplings are not the identity any more."""
    features = shape[0] * shape[1] * shape[2]
    entry = {**SMALL, "scales": scales}
    flow = build_flow(entry, "flows.x", features, context, seed=0, shape=shape).double()
    disturb(flow)
    return flow


def couplings(flow: ConditionalFlow) -> list[ConvolutionalCoupling]:
    return [part for part in flow.modules() if isinstance(part, ConvolutionalCoupling)]


@pytest.mark.parametrize(
    ("shape", "scales"), [([1, 4, 4], 1), ([1, 8, 4], 2), ([3, 4, 4], 2), ([1, 8, 8], 3)]
)
@pytest.mark.parametrize("context", [0, 3])
def test_log_determinant_is_that_of_autograd(shape: list[int], scales: int, context: int) -> None:
    flow = trained(shape, scales, context)
    features = shape[0] * shape[1] * shape[2]
    u = torch.randn(2, features, dtype=torch.float64)
    code = torch.randn(2, context, dtype=torch.float64)
    z = flow.to_noise(u, code)
    assert not torch.allclose(z, u, atol=1e-2)
    torch.testing.assert_close(flow.to_latent(z, code), u, rtol=0, atol=1e-10)
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    for row in range(2):
        at = code[row : row + 1]

        def noise(point: Tensor, at: Tensor = at) -> Tensor:
            return flow.to_noise(point[None], at)[0]

        jacobian = torch.autograd.functional.jacobian(noise, u[row])
        expected = torch.linalg.slogdet(jacobian).logabsdet + normal.log_prob(z[row]).sum()
        torch.testing.assert_close(
            flow.log_prob(u[row : row + 1], at)[0], expected, rtol=0, atol=1e-9
        )


def test_starts_as_the_identity_and_every_pixel_is_changed_later() -> None:
    flow = build_flow({**SMALL, "scales": 3}, "flows.x", 64, 3, seed=0, shape=[1, 8, 8]).double()
    u, code = torch.randn(4, 64).double(), torch.randn(4, 3).double()
    assert torch.equal(flow.to_noise(u, code), u)
    changed = torch.cat([part.changed for part in couplings(flow)])
    assert changed.unique().tolist() == list(range(64))


@pytest.mark.parametrize("slope", [0.1, 0.4])
@torch.no_grad()
def test_no_coupling_scales_a_pixel_by_more_than_its_slope(slope: float) -> None:
    entry = {**SMALL, "slope": slope}
    flow = build_flow(entry, "flows.x", 64, 3, seed=0, shape=[1, 8, 8]).double()
    disturb(flow)
    for parameter in flow.parameters():
        parameter.mul_(5)
    largest = []
    for part in couplings(flow):
        code = torch.randn(1, 3, dtype=torch.float64)
        jacobian = torch.func.jacrev(part(code))(torch.randn(1, 64, dtype=torch.float64))
        scales = jacobian.view(64, 64).diagonal().abs()
        assert scales.min() >= slope and scales.max() <= 1 / slope
        largest.append(scales.max())
    assert max(largest) > 0.5 / slope


def partitions() -> list[tuple[set[int], set[int]]]:
    """The couplings of an 8 x 8 image at 3 scales, as sets of pixels changed and read.

    By rows and columns of the image: a scale's grid has every pixel, then those of even row
    plus column, of which the next keeps every other one in turn.
    """
    grid = {(row, column): 8 * row + column for row in range(8) for column in range(8)}
    expected = []
    channels: list[dict[tuple[int, int], int]] = [grid]
    for scale in range(3):
        everything = {pixel for channel in channels for pixel in channel.values()}

        def parts(inside: Any, whole: set[int] = everything, of: Any = channels) -> Any:
            chosen = {p for channel in of for at, p in channel.items() if inside(*at)}
            return chosen, whole - chosen

        turns = [parts(lambda r, c, t=t: (r + c + t) % 2 == 0) for t in range(4)]
        if scale == 2:
            return expected + turns
        expected += turns[:3]
        expected += [parts(lambda r, c, t=t: r % 2 == t % 2) for t in range(3)]
        channels = [
            {(r // 2, c // 2): p for (r, c), p in channel.items() if (r % 2, c % 2) == corner}
            for corner in ((0, 0), (1, 1))
            for channel in channels
        ]
    return expected


@torch.no_grad()
def test_couplings_part_the_pixels_of_their_scale_as_the_paper_says() -> None:
    parts, expected = couplings(trained([1, 8, 8], 3, 3)), partitions()
    assert len(parts) == len(expected) == 16
    for number, (part, (changed, read)) in enumerate(zip(parts, expected, strict=True)):
        u = torch.randn(20, 64, dtype=torch.float64)
        code = torch.randn(20, 3, dtype=torch.float64)
        before = part(code)(u)
        assert set((before != u).nonzero()[:, 1].tolist()) == changed, number
        for pixel in range(64):
            moved = u.clone()
            moved[:, pixel] += 1
            others = (part(code)(moved) - before)[:, torch.arange(64) != pixel]
            assert bool(others.abs().max() > 1e-12) == (pixel in read), (number, pixel)
        assert not torch.allclose(part(code + 1)(u), before)


def test_masks_over_channels_repeat_no_checkerboard() -> None:
    chosen = [frozenset(part.changed.tolist()) for part in couplings(trained([1, 8, 8], 3, 0))]
    for scale in (0, 6):
        checkerboards, rows = set(chosen[scale : scale + 3]), set(chosen[scale + 3 : scale + 6])
        assert len(checkerboards) == len(rows) == 2
        assert not checkerboards & rows


def test_halves_are_checkerboards_of_the_finer_image() -> None:
    pixels = torch.arange(2 * 4 * 6).view(2, 4, 6)
    squeezed = squeeze(pixels)
    assert squeezed.shape == (8, 2, 3)
    assert sorted(squeezed.flatten().tolist()) == list(range(48))
    for values, parity in ((squeezed[:4], 0), (squeezed[4:], 1)):
        row, column = values % 24 // 6, values % 6
        assert ((row + column) % 2 == parity).all()


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ([1, 28, 28], {}, r"shape is \[1, 28, 28\]; allowed: channels, .* make 64"),
        ([8, 8], {}, r"shape is \[8, 8\]; allowed: channels, height and width that make 64"),
        ([1, 8, 8], {"scales": 5}, r"scales is 5; .*\[8, 8\] cannot be halved 4 times"),
        (
            [1, 8, 8],
            {"scales": 4},
            r"scales is 4; .* cannot be halved 3 times to more than a pixel",
        ),
        ([1, 8, 8], {"scales": 0}, r"is 0; allowed: 1 or more"),
        ([1, 8, 8], {"slope": 1.0}, "slope is 1.0; allowed: between 0 and 1"),
        (None, {}, "takes images, but the data are vectors"),
    ],
)
def test_wrong_arguments_are_named(
    shape: list[int] | None, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"flows.x(: |.scales: ).*{message}"):
        build_flow({**SMALL, **arguments}, "flows.x", 64, 0, seed=0, shape=shape)

"""The convolutional RealNVP: exact, of every pixel, and reading what the paper says it reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vqflow.components import ConfigError
from vqflow.flows import ConditionalFlow, build_flow
from vqflow.flows.multiscale import ConvolutionalCoupling, squeeze

SMALL = {"class": "vqflow.flows.MultiScaleRealNVP", "channels": 6, "blocks": 1}


def trained(shape: list[int], scales: int, context: int) -> ConditionalFlow:
    """A flow whose couplings are not the identity any more."""
    features = shape[0] * shape[1] * shape[2]
    entry = {**SMALL, "scales": scales}
    flow = build_flow(entry, "flows.x", features, context, seed=0, shape=shape).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return flow


def couplings(flow: ConditionalFlow) -> list[ConvolutionalCoupling]:
    return [part for part in flow.modules() if isinstance(part, ConvolutionalCoupling)]


@pytest.mark.parametrize(
    ("shape", "scales"), [([1, 4, 4], 1), ([1, 8, 4], 2), ([3, 4, 4], 3), ([1, 8, 8], 3)]
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
    changed = torch.stack([~part.mask for part in couplings(flow)])
    assert changed.any(0).all()


@torch.no_grad()
def test_a_coupling_changes_its_pixels_by_those_it_keeps_of_its_own_scale() -> None:
    for number, part in enumerate(couplings(trained([1, 8, 8], 3, 3))):
        u = torch.randn(1, 64, dtype=torch.float64)
        code = torch.randn(1, 3, dtype=torch.float64)
        before = part(code)(u)
        kept = part.mask.nonzero()[:, 0]
        assert torch.equal(before[:, kept], u[:, kept]), number
        own = set(part.mask.nonzero()[:, 0][part.places].tolist())
        for pixel in kept.tolist():
            moved = u.clone()
            moved[:, pixel] += 1
            after = part(code)(moved)
            after[:, pixel] -= 1
            same = torch.allclose(after, before, rtol=0, atol=1e-12)
            assert same == (pixel not in own), (number, pixel)
        assert not torch.allclose(part(code + 1)(u), before)


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
        ([1, 28, 28], {}, r"shape is \[1, 28, 28\]; allowed: channels, .* of 64 pixels"),
        ([8, 8], {}, r"shape is \[8, 8\]; allowed: channels, height and width of 64"),
        ([1, 8, 8], {"scales": 5}, r"scales is 5; .*\[8, 8\] cannot be halved 4 times"),
        ([1, 8, 8], {"scales": 0}, "scales, channels, blocks: got 0, 6, 1; allowed"),
        (None, {}, "takes images, but the data are vectors"),
    ],
)
def test_wrong_arguments_are_named(
    shape: list[int] | None, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"flows.x: .*{message}"):
        build_flow({**SMALL, **arguments}, "flows.x", 64, 0, seed=0, shape=shape)

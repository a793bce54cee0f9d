"""Calling zuko's layers directly gives what zuko gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zuko
from conftest import BY_CODE, disturb, make_flow
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.lazy import Flow, UnconditionalDistribution, UnconditionalTransform

from vqflow.flows import ConditionalFlow
from vqflow.flows.forward import call_and_ladj

EXACT = {"rtol": 0, "atol": 1e-10}


def mixed(features: int, context: int) -> Flow:
    """Couplings whose sides do not match, among layers of other kinds."""
    masks = [torch.arange(features) % 2 == 0, torch.arange(features) < 2]
    masks += [torch.arange(features) % 2 == 1, torch.randperm(features) < features // 2]
    layers = [GeneralCouplingTransform(features, context, mask) for mask in masks]
    layers.insert(1, UnconditionalTransform(zuko.transforms.SoftclipTransform, bound=9.0))
    layers.insert(3, zuko.flows.autoregressive.MaskedAutoregressiveTransform(features, context))
    base = UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
    )
    order = torch.randperm(features)
    layers.append(UnconditionalTransform(zuko.transforms.PermutationTransform, order, buffer=True))
    return Flow(layers, base)


FLOWS = {
    **{name: None for name in BY_CODE},
    "mixed": mixed,
    "random masks": lambda d, c: zuko.flows.NICE(d, c, transforms=4, randmask=True),
    "random orders": lambda d, c: zuko.flows.MAF(d, c, randperm=True),
    "residual": lambda d, c: zuko.flows.MAF(d, c, residual=True, hidden_features=[32, 32]),
    "naf": lambda d, c: zuko.flows.NAF(d, c, transforms=2),
    "sospf": lambda d, c: zuko.flows.SOSPF(d, c, transforms=2),
    "unaf": lambda d, c: zuko.flows.UNAF(d, c, transforms=2),
    "bpf": lambda d, c: zuko.flows.BPF(d, c, transforms=2),
    "gf": lambda d, c: zuko.flows.GF(d, c, transforms=2),
}


@pytest.fixture(params=FLOWS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def build(name: str, features: int, context: int) -> ConditionalFlow:
    torch.manual_seed(0)
    if FLOWS[name] is None:
        flow = make_flow(name, features, context, seed=0)
        disturb(flow)
        return flow.double()
    return ConditionalFlow(FLOWS[name](features, context)).double()


@pytest.mark.parametrize("features", [3, 16])
@pytest.mark.parametrize("context", [0, 3])
def test_equal_to_zuko(name: str, features: int, context: int) -> None:
    flow = build(name, features, context)
    u = torch.randn(20, features, dtype=torch.float64, requires_grad=True)
    code = torch.randn(20, context, dtype=torch.float64)
    c = code if context else None
    z, ladj = call_and_ladj(flow.flow.transform, u, c)
    expected = flow.flow.transform(c).call_and_ladj(u)
    torch.testing.assert_close(z, expected[0], **EXACT)
    torch.testing.assert_close(ladj, expected[1], **EXACT)
    torch.testing.assert_close(flow.to_noise(u, code), expected[0], **EXACT)
    log_prob, of_zuko = flow.log_prob(u, code), flow.flow(c).log_prob(u)
    torch.testing.assert_close(log_prob, of_zuko, **EXACT)
    own = torch.autograd.grad(log_prob.sum(), [u, *flow.parameters()], allow_unused=True)
    theirs = torch.autograd.grad(of_zuko.sum(), [u, *flow.parameters()], allow_unused=True)
    for first, second in zip(own, theirs, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-9)


@torch.no_grad()
def test_masks_that_are_loaded_are_seen() -> None:
    first, second = (
        torch.manual_seed(seed) and ConditionalFlow(zuko.flows.NICE(8, 0, randmask=True))
        for seed in (0, 1)
    )
    u, code = torch.randn(5, 8), torch.zeros(5, 0)
    first.log_prob(u, code)
    first.load_state_dict(second.state_dict())
    assert torch.equal(first.log_prob(u, code), second.log_prob(u, code))


@torch.no_grad()
def test_layers_that_override_their_network_are_left_to_zuko() -> None:
    class Doubled(GeneralCouplingTransform):
        def meta(self, c: Any, x: torch.Tensor) -> Any:
            return super().meta(c, 2 * x)

    lazy = Doubled(4, 0)
    u = torch.randn(5, 4)
    z, ladj = call_and_ladj(lazy, u, None)
    torch.testing.assert_close(z, lazy()(u))
    torch.testing.assert_close(ladj, lazy().log_abs_det_jacobian(u, z))


class Embedded(zuko.flows.MAF):
    """A flow that sees its context through a network of its own."""

    def __init__(self, features: int, context: int) -> None:
        super().__init__(features, context)
        self.network = torch.nn.Linear(context, context)

    def forward(self, c: Any = None) -> Any:
        return super().forward(self.network(c))


def test_flows_that_override_their_forward_are_called_through_it() -> None:
    flow = ConditionalFlow(Embedded(3, 2)).double()
    u, code = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    assert torch.equal(flow.log_prob(u, code), flow.flow(code).log_prob(u))
    flow.log_prob(u, code).sum().backward()
    assert flow.flow.network.weight.grad is not None
    with torch.no_grad():
        z = flow.to_noise(u, code)
        torch.testing.assert_close(flow.to_latent(z, code), u, rtol=0, atol=1e-9)


def test_inference_mode() -> None:
    with torch.inference_mode():
        flow = ConditionalFlow(zuko.flows.NICE(4, 0))
        u, code = torch.randn(5, 4), torch.zeros(5, 0)
        torch.testing.assert_close(flow.log_prob(u, code), flow.flow().log_prob(u))

"""Masked networks sorted by degree: equal to zuko's in values, gradients, steps and files."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from conftest import disturb
from masked import CASES, transform
from torch import Tensor, nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.nn import MaskedLinear

from vqflow.config.entries import Optimisation
from vqflow.flows import autoregressive, build_flow, invert_autoregressive, staircase
from vqflow.flows.autoregressive import sort_by_degree
from vqflow.flows.staircase import StaircaseLinear
from vqflow.models.build import count_parameters
from vqflow.training.optimiser import Optimiser

EXACT = {"rtol": 0, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts networks of any width into blocks of a few units."""
    monkeypatch.setattr(autoregressive, "WIDE", 0)
    monkeypatch.setattr(staircase, "BLOCK_UNITS", 7)


def pair(context: int, **arguments: Any) -> tuple[Any, Any]:
    """The transform as zuko makes it, and with its units sorted."""
    if context == 0 and "adjacency" in arguments:
        arguments["adjacency"] = arguments["adjacency"][:, :12]
    lazy = transform(context=context, **arguments)
    ours = copy.deepcopy(lazy)
    sort_by_degree(ours)
    assert any(isinstance(layer, StaircaseLinear) for layer in ours.modules())
    assert not any(isinstance(layer, MaskedLinear) for layer in ours.modules())
    return lazy, ours


def outputs_and_gradients(lazy: Any, x: Tensor, c: Tensor | None) -> list[Tensor]:
    x = x.clone().requires_grad_()
    c = None if c is None else c.clone().requires_grad_()
    y, ladj = lazy(c).call_and_ladj(x)
    (y.square().sum() + ladj.sin().sum()).backward()
    inputs = [x.grad, *([] if c is None else [c.grad])]
    gradients = {key: gradient_of(lazy.hyper, key) for key in weights(lazy.hyper)}
    return [y.detach(), ladj.detach(), *inputs, *gradients.values()]


def weights(network: nn.Module) -> list[str]:
    return [key for key in network.state_dict() if not key.endswith("mask")]


def gradient_of(network: nn.Module, key: str) -> Tensor:
    """The gradient by a weight of a state dictionary, in zuko's order."""
    path, _, name = key.rpartition(".")
    layer = network.get_submodule(path)
    if not isinstance(layer, StaircaseLinear):
        gradient = getattr(layer, name).grad
        return gradient * layer.mask if name == "weight" and hasattr(layer, "mask") else gradient
    with torch.no_grad():
        gradients = copy.deepcopy(layer)
        for parameter, own in zip(gradients.parameters(), layer.parameters(), strict=True):
            parameter.copy_(own.grad)
    return gradients.state_dict()[name]


@pytest.mark.parametrize("arguments", CASES, ids=str)
@pytest.mark.parametrize("context", [0, 3])
def test_equal_to_zuko_in_values_and_gradients(arguments: dict[str, Any], context: int) -> None:
    lazy, ours = pair(context, **arguments)
    x = torch.randn(20, 12, dtype=torch.float64)
    c = torch.randn(20, context, dtype=torch.float64) if context else None
    expected, found = (outputs_and_gradients(each, x, c) for each in (lazy, ours))
    torch.testing.assert_close(found, expected, **EXACT)
    with torch.no_grad():
        y = lazy(c)(x)
        torch.testing.assert_close(invert_autoregressive(ours, y, c), x, **EXACT)


@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_state_dictionaries_are_those_of_zuko(arguments: dict[str, Any]) -> None:
    lazy, ours = pair(3, **arguments)
    other = transform(context=3, seed=1, **arguments)
    assert list(ours.state_dict()) == list(lazy.state_dict())
    ours.load_state_dict(other.state_dict())
    x, c = torch.randn(9, 12, dtype=torch.float64), torch.randn(9, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(c)(x), other(c)(x), **EXACT)
    lazy.load_state_dict(ours.state_dict())
    torch.testing.assert_close(lazy(c)(x), other(c)(x), **EXACT)


def test_what_does_not_fit_is_refused_and_nothing_is_loaded() -> None:
    lazy, ours = pair(3)
    before = copy.deepcopy(ours.state_dict())
    weight = {"hyper.0.weight": torch.zeros(3, 3)}
    with pytest.raises(RuntimeError, match=r"hyper.0.weight has the shape \(3, 3\), .*\(64, 15\)"):
        ours.load_state_dict({**before, **weight})
    mask = {"hyper.0.mask": ~lazy.hyper[0].mask.bool()}
    with pytest.raises(RuntimeError, match="mask is another"):
        ours.load_state_dict({**before, **mask})
    with pytest.raises(RuntimeError, match="Missing key"):
        ours.load_state_dict({k: v for k, v in before.items() if k != "hyper.0.bias"})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        ours.load_state_dict({**before, "hyper.0.weight0": torch.zeros(1)})
    for key in ("hyper.2.weight", "hyper.2.bias"):
        assert torch.equal(ours.state_dict()[key], before[key])


def test_training_makes_the_steps_of_zuko() -> None:
    lazy, ours = pair(3, hidden_features=[40, 30])
    settings = Optimisation(epochs=1, batch_size=1, learning_rate=0.01, clip_norm=0.5)
    optimisers = {each: Optimiser(each, settings, 30) for each in (lazy, ours)}
    for step in range(30):
        x = torch.randn(16, 12, generator=torch.Generator().manual_seed(step)).double()
        c = x[:, :3].cos()
        norms = [
            optimiser.step(each(c).call_and_ladj(x)[0].square().sum())
            for each, optimiser in optimisers.items()
        ]
        torch.testing.assert_close(*norms, rtol=1e-9, atol=0)
    states = [each.state_dict() for each in (lazy, ours)]
    for key in weights(lazy):
        mask = states[0].get(key.replace("weight", "mask"), torch.ones(()))
        expected = states[0][key] * mask if key.endswith("weight") else states[0][key]
        torch.testing.assert_close(states[1][key], expected, **EXACT)


def test_zeros_are_neither_stored_nor_written_by_others() -> None:
    lazy, ours = pair(0, hidden_features=[120, 120])
    stored = sum(parameter.numel() for parameter in ours.parameters())
    assert stored < 0.65 * sum(parameter.numel() for parameter in lazy.parameters())
    disturb(ours)  # also what lies off the mask
    x = torch.randn(1, 12, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(lambda x: ours()(x)[0], x)[:, 0]
    assert bool((jacobian.triu(1) == 0).all())
    assert bool((jacobian.tril(-1) != 0).any())


def test_wide_networks_of_a_flow_are_sorted_and_narrow_ones_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds = []
    for width in (64, 65):
        monkeypatch.setattr(autoregressive, "WIDE", width)
        entry = {"class": "zuko.flows.MAF", "transforms": 1, "hidden_features": [64]}
        flow = build_flow(entry, "", features=2, context=0, seed=0)
        kinds.append({type(layer) for layer in flow.modules()})
    assert StaircaseLinear in kinds[0] and MaskedLinear not in kinds[0]
    assert MaskedLinear in kinds[1] and StaircaseLinear not in kinds[1]


def test_networks_that_cannot_be_sorted_stay_as_they_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lazy = MaskedAutoregressiveTransform(12, 0, activation=lambda: nn.Softmax(-1))
    before = list(lazy.hyper)
    sort_by_degree(lazy)
    assert list(lazy.hyper) == before
    assert "Softmax does not act on each unit by itself" in caplog.text


def test_a_residual_of_a_call_outlives_a_change_of_the_weights() -> None:
    _, ours = pair(0)
    x = torch.randn(4, 12, dtype=torch.float64)
    first = ours()(x).sum()
    ours()(2 * x)  # may tidy the weights, which the first call's graph still needs
    first.backward()
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_parameters_are_counted_as_those_of_zuko() -> None:
    lazy, ours = pair(3, hidden_features=[40, 30])
    assert count_parameters(ours) == count_parameters(lazy)
    assert count_parameters(lazy) == sum(parameter.numel() for parameter in lazy.parameters())


def test_columns_of_two_bytes_are_put_in_order_exactly() -> None:
    """As by indexing, for what bfloat16 can hold."""
    x = torch.randn(9, 40, generator=torch.Generator().manual_seed(0)).bfloat16()
    x[0, :3] = torch.tensor([torch.inf, -torch.inf, 3e38])
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(staircase._permuted(x, order), x[:, order])

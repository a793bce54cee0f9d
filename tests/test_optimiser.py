"""The optimiser makes the steps of torch's own Adam, flat or not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from conftest import make_model, ring
from torch import nn

from vqflow.config.entries import Optimisation
from vqflow.training.adam import Adam
from vqflow.training.optimiser import Optimiser


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("clip_norm", [0.1, 100.0])
@pytest.mark.parametrize("small", [0, 2**18])
def test_it_makes_the_steps_of_adam(
    schedule: str, clip_norm: float, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqflow.training.optimiser._SMALL", small)
    steps, rate = 12, 0.01
    settings = Optimisation(
        epochs=1, batch_size=1, learning_rate=rate, schedule=schedule, clip_norm=clip_norm
    )
    ours, theirs = (make_model("maf", ring(), dtype=torch.float64) for _ in range(2))
    optimiser = Optimiser(ours.flow, settings, steps)
    adam = torch.optim.Adam(theirs.flow.parameters(), lr=rate)
    schedules = {
        "constant": lambda: torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1.0),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps),
        "one_cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(adam, rate, steps + 1),
    }
    schedule_of_adam = schedules[schedule]()
    x = torch.as_tensor(ring().points["train"][:50])
    for _ in range(steps):
        assert optimiser.learning_rate == schedule_of_adam.get_last_lr()[0]
        norm = optimiser.step(-ours.log_prob(x, "covering").mean())
        adam.zero_grad()
        (-theirs.log_prob(x, "covering").mean()).backward()
        expected = nn.utils.clip_grad_norm_(theirs.flow.parameters(), clip_norm)
        adam.step()
        schedule_of_adam.step()
        torch.testing.assert_close(norm, expected, rtol=1e-10, atol=0)
    for own, other in zip(ours.flow.parameters(), theirs.flow.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-10)


def test_frozen_parameters_stay_as_they_are() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    optimiser = Optimiser(module, Optimisation(epochs=1, batch_size=1, learning_rate=0.1), 1)
    optimiser.step(module(torch.ones(1, 2)).sum())
    assert torch.equal(module[0].weight, before)
    assert module[0].weight.grad is None


def test_gradients_that_others_set_to_none_are_found_again() -> None:
    module = nn.Linear(2, 2)
    optimiser = Optimiser(module, Optimisation(epochs=1, batch_size=1, learning_rate=0.1), 2)
    module.zero_grad()
    before = module.weight.detach().clone()
    assert optimiser.step(module(torch.ones(1, 2)).sum()) > 0
    assert not torch.equal(module.weight, before)


@pytest.mark.parametrize("fused", [True, None])
def test_adam_is_torch_s_to_the_last_bit(fused: bool | None) -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    own = Adam(ours.parameters(), lr=0.1, fused=fused)
    other = torch.optim.Adam(theirs.parameters(), lr=0.1, fused=fused)
    for turn in range(6):
        x = torch.randn(5, 3)
        for module, adam in ((ours, own), (theirs, other)):
            adam.zero_grad()
            module(x).square().sum().backward()
            adam.step()
        if turn == 2:  # each goes on with the other's state
            mine, its = own.state_dict(), other.state_dict()
            own.load_state_dict(its)
            other.load_state_dict(mine)
    for one, another in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, another)


def test_a_training_imports_no_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from vqflow.config.entries import Optimisation\n"
        "from vqflow.training import Optimiser\n"
        "module = torch.nn.Linear(1, 1)\n"
        "entry = Optimisation(epochs=1, batch_size=1, learning_rate=0.1, schedule='one_cycle')\n"
        "optimiser = Optimiser(module, entry, 2)\n"
        "optimiser.step(module(torch.ones(1, 1)).sum())\n"
        "optimiser.load_state_dict(optimiser.state_dict())\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Steps compiled or replayed, in bfloat16 or not, are those of the code as written."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from conftest import make_model, ring
from torch import Tensor, nn

from vqflow.config.entries import Optimisation
from vqflow.flows import build_flow
from vqflow.flows.precision import has_bfloat16, set_precision
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask
from vqflow.objectives.batches import PairBatch
from vqflow.training import fit
from vqflow.training.optimiser import Optimiser
from vqflow.training.steps import Step

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
SETTINGS = Optimisation(epochs=2, batch_size=64, learning_rate=1e-3)


def flow_task(flow: str = "realnvp") -> FlowTask:
    model = make_model(flow, ring(), dtype=torch.float32)
    return FlowTask(model, ring(), Covering(), lambda epoch: None)


def batches(task: FlowTask, static: bool) -> list[PairBatch]:
    noise = torch.Generator(task.model.device).manual_seed(0)
    order = torch.arange(task.points, device=task.model.device)
    return list(task.batches(order, 64, noise, static))


def test_batches_of_one_shape_hold_the_same_pairs() -> None:
    task = flow_task()
    padded, plain = batches(task, static=True), batches(task, static=False)
    shapes = [tuple(part.shape for part in batch) for batch in padded[:-1]]
    assert len(set(shapes)) == 1
    assert len({batch.charts.shape for batch in plain}) > 1
    for own, other in zip(padded, plain, strict=True):
        values = task.loss(*own)
        torch.testing.assert_close(values, task.loss(*other), rtol=1e-6, atol=0)
        gradients = [
            torch.autograd.grad(task.loss(*b), task.module.parameters()) for b in (own, other)
        ]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


def test_a_batch_with_more_pairs_than_there_is_room_for_keeps_them_all() -> None:
    task = flow_task()
    task._most = 64
    for own, other in zip(batches(task, True), batches(task, False), strict=True):
        assert torch.equal(own.charts, other.charts)


def trained(task: FlowTask, **arguments: Any) -> list[float]:
    optimiser = Optimiser(task.module, SETTINGS, 100)
    step = Step(task.loss, optimiser, **arguments)
    losses = [float(step(batch)[0]) for _ in range(3) for batch in batches(task, step.static)]
    return losses


def test_compiled_steps_are_those_of_the_code_as_written() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = trained(flow_task(), compiled=True)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]
    assert compiled == pytest.approx(trained(flow_task()), abs=1e-5)


def test_without_a_compiler_steps_run_as_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        def call(*_: Any) -> Tensor:
            raise RuntimeError("no compiler\nfound")

        return call

    expected = trained(flow_task())
    monkeypatch.setattr(torch, "compile", refuse)
    assert trained(flow_task(), compiled=True) == pytest.approx(expected, rel=1e-6)
    assert "not compiled, runs as written: RuntimeError: no compiler" in caplog.text


def wide_model(width: int) -> VQFlow:
    entry = {"class": "zuko.flows.MAF", "transforms": 1, "hidden_features": [width]}
    model = make_model("maf", ring(), dtype=torch.float32)
    model.flow = build_flow(entry, "", 2, model.atlas.code_dim, seed=0)
    return model


def test_bfloat16_is_for_training_wide_networks_alone(caplog: pytest.LogCaptureFixture) -> None:
    x = torch.as_tensor(ring().points["test"][:20]).float()
    with caplog.at_level(logging.INFO):
        for width in (64, 512):
            model = wide_model(width)
            exact = model.eval().log_prob(x)
            chosen = set_precision(model.flow, "bfloat16", "cpu")
            assert chosen == ("bfloat16" if width == 512 else "float32")
            assert torch.equal(model.eval().log_prob(x), exact)
            rounded = model.train().log_prob(x)
            assert rounded.dtype == torch.float32
            assert torch.equal(rounded, exact) == (width == 64)
            torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0.02)
            rounded.mean().backward()
            assert all(p.grad.dtype == torch.float32 for p in model.flow.parameters())
            set_precision(model.flow, "float32", "cpu")
            assert torch.equal(model.train().log_prob(x), exact)
    assert "precision of training: float32 (it has no wide networks)" in caplog.text
    assert "precision of training: bfloat16 (1 wide networks)" in caplog.text


@pytest.mark.parametrize("there", [True, False])
def test_auto_follows_the_hardware(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = {"avx512_f": True, "avx512_bf16": there}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    chosen = set_precision(wide_model(512).flow, "auto", "cpu")
    assert chosen == ("bfloat16" if there else "float32")
    assert has_bfloat16("cpu") == there


@GPU
@pytest.mark.parametrize("flow", ["realnvp", "maf"])
def test_replayed_steps_on_a_gpu_are_those_of_the_code_as_written(flow: str) -> None:
    losses = {}
    for replayed in (False, True):
        task = flow_task(flow)
        task = FlowTask(task.model.cuda(), ring(), Covering(), lambda epoch: None)
        losses[replayed] = trained(task, replayed=replayed)
    assert losses[True] == pytest.approx(losses[False], abs=1e-4)


@GPU
@pytest.mark.parametrize("width", [64, 512])
def test_a_gpu_trains_as_the_cpu_does(width: int) -> None:
    histories = {}
    for device in ("cpu", "cuda"):
        model = wide_model(width).to(device)
        task = FlowTask(model, ring(), Covering(), lambda epoch: None)
        histories[device] = fit(task, SETTINGS, seed=0, batch_seed=0).history
    for own, other in zip(histories["cuda"], histories["cpu"], strict=True):
        assert own["validation_loss"] == pytest.approx(other["validation_loss"], abs=1e-3)


class Stateful:
    """A task whose loss changes something, so that it must not be recorded."""

    replayable = False
    points = 4

    def __init__(self) -> None:
        self.module = nn.Linear(1, 1)
        self.calls = 0

    def batches(self, order: Tensor, *_: Any) -> Any:
        yield (order.float(),)

    def loss(self, *batch: Tensor) -> Tensor:
        self.calls += 1
        value: Tensor = self.module(batch[0][:, None]).square().mean()
        return value

    def validate(self) -> dict[str, float]:
        return {"validation_loss": 0.0}

    def end_epoch(self, epoch: int) -> None:
        pass


def test_a_loss_is_called_once_a_batch() -> None:
    task = Stateful()
    fit(task, Optimisation(epochs=3, batch_size=4, learning_rate=1e-3), seed=0, batch_seed=0)
    assert task.calls == 3

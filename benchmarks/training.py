"""One training step: ours as written, rounded, compiled or replayed, against the peers'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import zuko
from torch import Tensor, nn

from benchmarks.machine import peak_bytes, peak_flops
from benchmarks.models import IMAGE, TOY, data, model
from benchmarks.peers import nflows_flow, normflows_flow
from benchmarks.timing import Row, compare
from vqflow.config.entries import Optimisation
from vqflow.datasets.base import Data
from vqflow.flows.precision import has_bfloat16, set_precision
from vqflow.objectives import Covering, FlowTask, Sampled
from vqflow.training.optimiser import Optimiser
from vqflow.training.steps import Batch, Step

CASES = (
    ("RealNVP", TOY, [64, 64], 128),
    ("MAF", TOY, [64, 64], 128),
    ("NSF", TOY, [64, 64], 128),
    ("RealNVP", IMAGE, [512, 512], 128),
    ("MAF", IMAGE, [1024], 128),
    ("MAF", IMAGE, [1024, 1024], 128),
)
PEERS = {"nflows": nflows_flow, "normflows": normflows_flow}


def run(device: str = "cpu") -> Iterator[list[Row]]:
    """Gives the rows, case by case."""
    for flow, sizes, hidden, batch in CASES:
        points = data(sizes["features"])
        case = f"{flow}, D = {sizes['features']}, hidden {_words(hidden)}, batch {batch}"
        steps = dict(_peers(flow, hidden, points, batch, device))
        for name, charts, arguments in _ours(sizes, device):
            steps[name] = training_step(
                flow, sizes, hidden, batch, charts, points, device, **arguments
            )
        rows = compare("training step", case, steps, repeats=60, budget=60)
        if sizes is IMAGE:
            rows += _roofline(case, flow, hidden, batch, device)
        yield rows


def _ours(sizes: Mapping[str, Any], device: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Gives names, numbers of charts and ways of the steps that are ours."""
    ways: dict[str, dict[str, Any]] = {"vqflow": {}}
    if device == "cuda":
        ways["vqflow, replayed"] = {"replayed": True}
    elif sizes is TOY:
        ways["vqflow, compiled"] = {"compiled": True}
    if sizes is IMAGE and has_bfloat16(device):
        ways |= {
            f"{name}, bfloat16": {**way, "precision": "bfloat16"} for name, way in ways.items()
        }
    for name, way in ways.items():
        yield name, 1, way
    yield "vqflow, VQ K = 32", 32, {}
    if sizes is TOY:
        for name, way in ways.items():
            yield f"{name}, VQ K = 32 by 'covering'", 32, {**way, "objective": Covering()}


def training_step(
    flow: str,
    sizes: Mapping[str, Any],
    hidden: list[int],
    batch: int,
    charts: int,
    points: Data,
    device: str,
    precision: Any = "float32",
    objective: Any = None,
    **way: bool,
) -> Callable[[], object]:
    """A step as the training loop makes it, on batches prepared by thousands."""
    chosen = model(points, hidden, sizes["code_dim"], charts, 4, flow).to(device)
    set_precision(chosen.flow, precision, device)
    task = FlowTask(chosen, points, objective or Sampled(), lambda epoch: None)
    task.module.train()
    settings = Optimisation(epochs=10_000, batch_size=batch, learning_rate=1e-3)
    step = Step(task.loss, Optimiser(task.module, settings, steps=10**6), **way)
    noise = torch.Generator(device).manual_seed(0)

    def batches() -> Iterator[Batch]:
        while True:
            order = torch.randperm(task.points)[: task.points // batch * batch].to(device)
            yield from task.batches(order, batch, noise, step.static)

    prepared = batches()
    return lambda: step(next(prepared))


def _peers(
    flow: str, hidden: list[int], points: Data, batch: int, device: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    features = points.spec.features
    made = getattr(zuko.flows, flow)(features, transforms=5, hidden_features=hidden).to(device)
    yield "zuko", _plain(made, lambda x: made().log_prob(x), points, batch, device)
    for name, build in PEERS.items():
        layers = build(flow, features, hidden)
        if layers is not None:
            density = _density(layers.to(device))
            yield name, _plain(layers, density, points, batch, device)


def _density(layers: nn.ModuleList) -> Callable[[Tensor], Tensor]:
    def log_prob(x: Tensor) -> Tensor:
        total = x.new_zeros(len(x))
        for i, layer in enumerate(layers):
            x, ladj = layer(x.flip(1) if i % 2 else x)
            total = total + ladj
        return total - 0.5 * x.square().sum(1)

    return log_prob


def _plain(
    module: nn.Module, log_prob: Callable[[Tensor], Any], points: Data, batch: int, device: str
) -> Callable[[], None]:
    """A step as a user of the library writes it: index, density, clip, fused Adam, schedule."""
    x = torch.as_tensor(points.points["train"]).float().to(device)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser)

    def step() -> None:
        loss = -log_prob(x[torch.randint(len(x), (batch,), device=device)]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        schedule.step()

    return step


def _roofline(case: str, flow: str, hidden: list[int], batch: int, device: str) -> list[Row]:
    """What a step needs at least: its products at the measured peak, or its bytes at theirs.

    Products: forward, by the weights and by the inputs, of the weights on the masks. Bytes: what
    Adam reads and writes of each weight, and the passes over weights and gradients, once each.
    """
    made = getattr(zuko.flows, flow)(784, transforms=5, hidden_features=hidden)
    weights = sum(
        int(layer.mask.sum()) if hasattr(layer, "mask") else layer.weight.numel()
        for layer in made.modules()
        if isinstance(layer, nn.Linear) or hasattr(layer, "in_features")
        if hasattr(layer, "weight")
    )
    flops, moved = 6.0 * weights * batch, 4.0 * weights * (7 + 4)
    rows = []
    for dtype in (torch.float32, *([torch.bfloat16] if has_bfloat16(device) else [])):
        arithmetic = 1e3 * flops / peak_flops(device, dtype, batch)
        memory = 1e3 * moved / peak_bytes(device)
        note = f"{flops / 1e9:.3g} GFLOP, {moved / 1e6:.3g} MB of weights and Adam"
        for name, value in (("arithmetic", arithmetic), ("memory", memory)):
            label = f"floor of {name}, {str(dtype).removeprefix('torch.')}"
            rows.append(Row("training step", case, label, [value], float("nan"), note))
    return rows


def _words(hidden: list[int]) -> str:
    return "-".join(map(str, hidden))

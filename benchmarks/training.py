"""One training step: VQ against base, and our layers against the peers'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import zuko
from torch import nn

from benchmarks.models import IMAGE, TOY, data, model
from benchmarks.timing import Row, compare
from vqflow.config.entries import Optimisation
from vqflow.objectives import FlowTask, Sampled
from vqflow.training.optimiser import Optimiser
from vqflow.training.steps import Batch, Step


def run() -> Iterator[list[Row]]:
    """Gives the rows, case by case."""
    for sizes, batch in ((TOY, 128), (TOY, 512), (IMAGE, 128)):
        points = data(sizes["features"])
        for flow in ("RealNVP", "MAF"):
            hidden = sizes["hidden"] if flow == "RealNVP" or sizes is TOY else [1024]
            steps = {}
            for name, charts in (("base", 1), ("VQ, K = 32", 32)):
                chosen = model(points, hidden, sizes["code_dim"], charts, 4, flow)
                task = FlowTask(chosen, points, Sampled(), lambda epoch: None)
                steps[f"{name}, objective 'sampled'"] = _ours(task, batch)
            net = getattr(zuko.flows, flow)(sizes["features"], transforms=5, hidden_features=hidden)
            steps["base, zuko"] = _plain(net, lambda x, net=net: net().log_prob(x), points, batch)
            if flow == "MAF" and len(hidden) == 2:
                for peer in ("nflows", "normflows"):
                    steps[f"base, {peer}"] = _peer(peer, sizes["features"], hidden, points, batch)
            case = f"{flow}, D = {sizes['features']}, hidden {'-'.join(map(str, hidden))}"
            yield compare("training step", f"{case}, batch {batch}", steps, repeats=60, budget=40)


def _ours(task: FlowTask, batch: int, compiled: bool = False) -> Callable[[], object]:
    """A step as the training loop makes it, on batches prepared an epoch at a time."""
    settings = Optimisation(epochs=10_000, batch_size=batch, learning_rate=1e-3)
    optimiser = Optimiser(task.module, settings, steps=10**6)
    step = Step(task.loss, optimiser, compiled=compiled)
    noise = torch.Generator().manual_seed(0)

    def batches() -> Iterator[Batch]:
        while True:
            order = torch.randperm(task.points)[: task.points // batch * batch]
            yield from task.batches(order, batch, noise, step.static)

    prepared = batches()
    return lambda: step(next(prepared))


def _plain(
    module: nn.Module, log_prob: Callable[[torch.Tensor], Any], points: Any, batch: int
) -> Callable[[], None]:
    """A step as a user of the library writes it: index, density, clip, fused Adam, schedule."""
    x = torch.as_tensor(points.points["train"]).float()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser)

    def step() -> None:
        loss = -log_prob(x[torch.randint(len(x), (batch,))]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        schedule.step()

    return step


def _peer(
    name: str, features: int, hidden: list[int], points: Any, batch: int
) -> Callable[[], None]:
    if name == "nflows":
        from nflows.transforms.autoregressive import (
            MaskedAffineAutoregressiveTransform as Layer,
        )
    else:
        from normflows.flows import MaskedAffineAutoregressive as Layer
    layers = nn.ModuleList(
        Layer(features, hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False)
        for _ in range(5)
    )

    def log_prob(x: torch.Tensor) -> torch.Tensor:
        total = x.new_zeros(len(x))
        for i, layer in enumerate(layers):
            x, ladj = layer(x.flip(1) if i % 2 else x)
            total = total + ladj
        return total - 0.5 * x.square().sum(1)

    return _plain(layers, log_prob, points, batch)

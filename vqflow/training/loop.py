"""One training loop for auto-encoders and flows: budget, early stop, resume, divergence."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vqflow.config.entries import Budget
from vqflow.seeding import derive_seed
from vqflow.training.checkpoint import Checkpoint, Rolling
from vqflow.training.optimiser import Optimiser
from vqflow.training.outcome import Outcome
from vqflow.training.steps import Batch, Step

log = logging.getLogger(__name__)


class Task(Protocol):
    """What the loop trains."""

    module: nn.Module
    """Holds everything that is trained, checkpointed and restored."""

    @property
    def points(self) -> int:
        """Number of training points."""

    replayable: bool
    """Whether :meth:`loss` depends on its batch and the weights alone, and changes nothing."""

    def batches(
        self, order: Tensor, batch_size: int, noise: torch.Generator, static: bool
    ) -> Iterator[Batch]:
        """Gives the tensors that each batch of the training points ``order`` (N,) consists of.

        Draws from ``noise`` alone.

        Args:
            order: The training points, in the order of the epoch.
            batch_size: Points of a batch; the last may have fewer.
            noise: Source of random numbers, on the device.
            static: Whether to give batches of equal shapes, as far as that is possible.
        """

    def loss(self, *batch: Tensor) -> Tensor:
        """Gives the mean loss of a batch, with the weights as they are."""

    def validate(self) -> dict[str, float]:
        """Gives ``validation_loss``, which is minimised, and further columns of the history."""

    def end_epoch(self, epoch: int) -> None:
        """Is called after each epoch, the first being 1, before the checkpoint is written."""


@dataclass
class _State:
    optimiser: Optimiser
    step: Step
    batches: torch.Generator
    noise: torch.Generator
    best_loss: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)


def fit(
    task: Task,
    settings: Budget,
    seed: int,
    batch_seed: int,
    checkpoint: Checkpoint | None = None,
    name: str = "training",
    compiled: bool = False,
) -> Outcome:
    """Trains ``task.module`` and leaves it with the weights of its best validation.

    Same machine, same arguments: bit-equal on the CPU, also when killed and resumed.

    Args:
        task: What to train.
        settings: Budget, learning rate and so on.
        seed: Seed of the noise in the loss and of torch's own draws.
        batch_seed: Seed of the order of the points, shared by what is compared.
        checkpoint: Resumed from where its file exists, is whole and the fingerprint matches.
        name: Title of the progress bar.
        compiled: Whether the loss is compiled; see :class:`vqflow.training.steps.Step`.

    Returns:
        The outcome; a non-finite loss ends training with status ``"diverged"``, and a training
        that ends far above where it began has it too: see :class:`Outcome`.
    """
    rolling = Rolling(checkpoint)
    with torch.random.fork_rng(), rolling.on_sigterm():
        torch.manual_seed(derive_seed("training", seed))
        return _fit(task, settings, seed, batch_seed, rolling, name, compiled)


def _fit(
    task: Task,
    settings: Budget,
    seed: int,
    batch_seed: int,
    rolling: Rolling,
    name: str,
    compiled: bool,
) -> Outcome:
    device = next(task.module.parameters()).device
    steps = math.ceil(task.points / settings.batch_size)
    state = _start(task, settings, steps, seed, batch_seed, device, compiled)
    content = rolling.load()
    outcome = Outcome() if content is None else _resume(content, task, state)
    bar = tqdm(
        total=settings.epochs,
        initial=len(outcome.history),
        desc=name,
        unit="epoch",
        disable=None,
        leave=False,
    )
    while not _finished(outcome, settings):
        started = time.monotonic()
        row = _epoch(task, settings, state, outcome)
        outcome.history.append(row)
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["validation_loss"])):
            outcome.diverge(f"a loss that is not finite, in epoch {row['epoch']}")
        elif row["validation_loss"] < state.best_loss:
            outcome.best_epoch, state.best_loss = row["epoch"], row["validation_loss"]
            state.best = copy.deepcopy(task.module.state_dict())
        if outcome.status == "ok":
            task.end_epoch(row["epoch"])
        outcome.seconds += time.monotonic() - started
        log.info("%s %s", name, " ".join(f"{key}={value:.6g}" for key, value in row.items()))
        bar.update()
        bar.set_postfix(validation=f"{row['validation_loss']:.4f}")
        rolling.keep(outcome.ended, partial(_content, task, state, outcome))
    bar.close()
    rolling.flush()
    if state.best:
        task.module.load_state_dict(state.best)
    outcome.judge(state.best_loss)
    return outcome


def _start(
    task: Task,
    settings: Budget,
    steps: int,
    seed: int,
    batch_seed: int,
    device: torch.device,
    compiled: bool,
) -> _State:
    optimiser = Optimiser(task.module, settings, steps * settings.epochs)
    replayed = task.replayable and device.type == "cuda"
    return _State(
        optimiser=optimiser,
        step=Step(task.loss, optimiser, compiled=compiled, replayed=replayed),
        batches=torch.Generator().manual_seed(derive_seed("batches", batch_seed)),
        noise=torch.Generator(device).manual_seed(derive_seed("noise", seed)),
    )


def _epoch(task: Task, settings: Budget, state: _State, outcome: Outcome) -> dict[str, Any]:
    module = task.module
    module.train()
    order = torch.randperm(task.points, generator=state.batches).to(state.noise.device)
    losses, norms = [], []
    for batch in task.batches(order, settings.batch_size, state.noise, state.step.static):
        loss, norm = state.step(batch)
        losses.append(loss)
        norms.append(norm)
    module.eval()
    with torch.no_grad():
        validation = task.validate()
    sizes = torch.full((len(losses),), settings.batch_size, dtype=torch.float64)
    sizes[-1] = task.points - settings.batch_size * (len(losses) - 1)
    epoch = len(outcome.history) + 1
    if epoch == 1:
        outcome.first_loss = float(losses[0])
    return {
        "epoch": epoch,
        "train_loss": float(torch.stack(losses).cpu().double() @ sizes) / task.points,
        "learning_rate": state.optimiser.learning_rate,
        "gradient_norm": float(torch.stack(norms).mean()),
        **validation,
    }


def _finished(outcome: Outcome, settings: Budget) -> bool:
    epoch = len(outcome.history)
    if outcome.status == "diverged" or epoch >= settings.epochs:
        return True
    return settings.patience is not None and epoch - outcome.best_epoch >= settings.patience


def _content(task: Task, state: _State, outcome: Outcome, copied: bool) -> dict[str, Any]:
    """Gives what a training goes on from; a copy where it goes on before that is written."""
    changing = {"module": task.module.state_dict(), "optimiser": state.optimiser.state_dict()}
    return {
        **(copy.deepcopy(changing) if copied else changing),
        "best": state.best,
        "best_loss": state.best_loss,
        "batches": state.batches.get_state(),
        "noise": state.noise.get_state(),
        "torch": torch.get_rng_state(),
        "outcome": {**vars(outcome), "history": list(outcome.history)},
    }


def _resume(content: Mapping[str, Any], task: Task, state: _State) -> Outcome:
    task.module.load_state_dict(content["module"])
    state.best, state.best_loss = content["best"], content["best_loss"]
    state.optimiser.load_state_dict(content["optimiser"])
    state.batches.set_state(content["batches"])
    state.noise.set_state(content["noise"])
    torch.set_rng_state(content["torch"])
    return Outcome(**content["outcome"])

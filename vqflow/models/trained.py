"""Densities that are a network: fitted by the training loop, saved as its parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqflow.config.entries import Budget
from vqflow.models.density import Density, Points, State
from vqflow.seeding import derive_seed
from vqflow.training.loop import Checkpoint, fit

_VALIDATION_DRAWS = 4
_SEED = "seed"


class TrainedDensity(Density):
    """A density of the catalogue whose network is trained point by point, with random numbers.

    A subclass gives :meth:`build`, :meth:`noise` and :meth:`losses`, and from the trained
    ``network`` its ``log_prob`` and ``sample``. The weights kept are those of the best
    validation: the mean loss of the validation split, with 4 draws of noise for each point that
    stay the same at every epoch. Networks run on the CPU.

    Args:
        features: D.
        training: Budget and optimiser, see :class:`vqflow.config.entries.Budget`.
        draws: Draws of noise for each point of a training batch.

    Attributes:
        network: The network, in evaluation mode but while it is trained.

    Raises:
        ValueError: If an argument is out of range.
    """

    dtype: torch.dtype = torch.float32
    """What the trained network is evaluated in; it is trained in single precision."""

    def __init__(self, features: int, training: Mapping[str, Any], draws: int) -> None:
        super().__init__(features)
        check_counts(draws=draws)
        self.draws = draws
        self.training = Budget.model_validate(training)
        self._build(0)

    @abstractmethod
    def build(self, seed: int) -> nn.Module:
        """Builds the network; its initial weights depend on the seed alone."""

    @abstractmethod
    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws what the losses of n points depend on besides: (n, F)."""

    @abstractmethod
    def losses(self, y: Tensor, noise: Tensor) -> Tensor:
        """Gives the loss (N,) of each of the points y (N, D), with noise (N, F)."""

    def fit(self, train: Points, validation: Points, seed: int) -> None:
        """Trains the network; resumes where ``scratch`` holds a checkpoint of this seed."""
        self._build(seed)
        self.network.to(torch.float32)
        checkpoint = None
        if self.scratch is not None:
            name = f"{type(self).__name__} {seed}"
            checkpoint = Checkpoint(Path(self.scratch) / "checkpoint.pt", name)
        self.outcome = fit(
            _Task(self, _single(train), _single(validation), derive_seed("validation", seed)),
            self.training,
            seed=seed,
            batch_seed=derive_seed("order", seed),
            checkpoint=checkpoint,
            name=type(self).__name__,
        )
        self.network.to(self.dtype)

    def state(self) -> State:
        """Gives the parameters by their names, and the seed that the network was built with."""
        parameters = {
            name: parameter.detach().cpu().numpy().astype(np.float32)
            for name, parameter in self.network.named_parameters()
        }
        return {_SEED: self._seed, **parameters}

    def load_state(self, state: State) -> None:
        """Builds the network anew, and takes the parameters over."""
        self._build(int(state[_SEED]))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(torch.as_tensor(state[name]))

    def _build(self, seed: int) -> None:
        self._seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("weights", seed))
            self.network = self.build(seed).to(self.dtype).eval()


class _Task:
    """The mean loss over points, as a task of the training loop."""

    replayable = True

    def __init__(
        self, density: TrainedDensity, train: Tensor, validation: Tensor, seed: int
    ) -> None:
        self.module = density.network
        self._density = density
        self._train, self._validation = train, validation
        generator = torch.Generator().manual_seed(seed)
        self._noise = [density.noise(len(validation), generator) for _ in range(_VALIDATION_DRAWS)]

    @property
    def points(self) -> int:
        return len(self._train)

    def batches(
        self, order: Tensor, batch_size: int, noise: torch.Generator, static: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for points in order.split(batch_size):
            rows = points.repeat_interleave(self._density.draws)
            yield self._train[rows], self._density.noise(len(rows), noise)

    def loss(self, *batch: Tensor) -> Tensor:
        return self._density.losses(*batch).mean()

    def validate(self) -> dict[str, float]:
        losses = [self._density.losses(self._validation, noise).mean() for noise in self._noise]
        return {"validation_loss": float(torch.stack(losses).double().mean())}

    def end_epoch(self, epoch: int) -> None:
        pass


def check_counts(**given: int) -> None:
    """Refuses what is no whole number from 1.

    Raises:
        ValueError: Names the argument, and what it is.
    """
    for name, value in given.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}; needed: a whole number from 1")


def check_widths(hidden_features: Sequence[int]) -> None:
    """Refuses what is no list of whole numbers from 1.

    Raises:
        ValueError: Says what it is.
    """
    listed = isinstance(hidden_features, Sequence)
    if not listed or not all(isinstance(each, int) and each >= 1 for each in hidden_features):
        raise ValueError(
            f"hidden_features is {hidden_features!r}; needed: a list of whole numbers from 1"
        )


def _single(points: Points) -> Tensor:
    return torch.as_tensor(points, dtype=torch.float32)

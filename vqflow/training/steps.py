"""How one gradient is computed: as written, compiled, or replayed as a CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from vqflow.training.optimiser import Optimiser

log = logging.getLogger(__name__)

Batch = Sequence[Tensor]
Loss = Callable[..., Tensor]

_WARM_UP = 3


class Step:
    """Updates the weights by the loss of one batch after the other.

    Batches of the first one's shapes are compiled or replayed where that is asked for; others,
    such as the last of an epoch, run as written.

    Args:
        loss: Gives the mean loss of a batch, which depends on its tensors and on the weights.
        optimiser: Holds the weights.
        compiled: Whether the loss is compiled (``torch.compile``). Where that fails, as without
            a C++ compiler, it runs as written and the log says why.
        replayed: Whether gradients on a GPU are recorded once as a CUDA graph and replayed, so
            that the many small calls of a step cost one.
    """

    def __init__(
        self, loss: Loss, optimiser: Optimiser, compiled: bool = False, replayed: bool = False
    ) -> None:
        self._loss = loss
        self._fast = torch.compile(loss, dynamic=False) if compiled else loss
        self._compiled, self._replayed = compiled, replayed
        self._optimiser = optimiser
        self._shapes: list[torch.Size] | None = None
        self._graph: _Graph | None = None

    @property
    def static(self) -> bool:
        """Whether batches of equal shapes are faster than others."""
        return self._compiled or self._replayed

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Makes one step; gives the loss, and the gradient's norm before clipping."""
        shapes = [part.shape for part in batch]
        if self.static and self._shapes is None:
            self._shapes = shapes
            self._prepare(batch)
        if not self.static or shapes != self._shapes:
            result = self._gradient(self._loss, batch)
        elif self._graph is not None:
            result = self._graph.replay(batch)
        else:
            result = self._gradient(self._fast, batch)
        self._optimiser.update()
        return result

    def _gradient(self, loss: Loss, batch: Batch) -> tuple[Tensor, Tensor]:
        value = loss(*batch)
        return value.detach(), self._optimiser.gradient(value)

    def _prepare(self, batch: Batch) -> None:
        if self._compiled:
            try:
                self._gradient(self._fast, batch)
            except Exception as error:  # whatever a compiler meets
                reason = str(error).strip().splitlines() or [""]
                kind = type(error).__name__
                log.warning("not compiled, runs as written: %s: %s", kind, reason[0])
                self._compiled, self._fast = False, self._loss
        if self._replayed:
            self._graph = _Graph(self._optimiser, partial(self._gradient, self._fast), batch)


class _Graph:
    """A CUDA graph of loss and gradient, over tensors that hold the batch."""

    def __init__(
        self,
        optimiser: Optimiser,
        gradient: Callable[[Batch], tuple[Tensor, Tensor]],
        batch: Batch,
    ) -> None:
        self._optimiser = optimiser
        self._held = [part.clone() for part in batch]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                gradient(self._held)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = gradient(self._held)
        self._gradients = optimiser.gradients()

    def replay(self, batch: Batch) -> tuple[Tensor, Tensor]:
        for held, part in zip(self._held, batch, strict=True):
            held.copy_(part)
        self._graph.replay()
        self._optimiser.set_gradients(self._gradients)  # other batches have had their own
        value, norm = self._result
        return value.clone(), norm.clone()

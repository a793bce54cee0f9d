"""One gradient step after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vqflow.config.entries import Budget
from vqflow.training.adam import Adam

_SMALL = 2**18
_CLIP_EPS = 1e-6


class Optimiser:
    """Adam, with clipped gradients and a schedule of the learning rate.

    The parameters of a small module and their gradients become views of one flat parameter,
    so that clipping and updating are a few operations, however many layers there are. (In a
    large one, adding gradients to such a view costs more than it saves.)

    Args:
        module: What is trained: its parameters that require gradients, all of one type.
        settings: Learning rate, schedule and largest norm of the gradient.
        steps: Number of steps of the whole training.
    """

    def __init__(self, module: nn.Module, settings: Budget, steps: int) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._views: list[tuple[nn.Parameter, Tensor | None]] = []
        if sum(p.numel() for p in self._parameters) <= _SMALL:
            flat, self._flat_gradient, self._views = _flatten(self._parameters)
            self._parameters = [flat]
        self._adam = Adam(self._parameters, lr=settings.learning_rate, fused=True)
        self._schedule = _schedule(self._adam, settings, steps)
        self._clip_norm = settings.clip_norm

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def step(self, loss: Tensor) -> Tensor:
        """Updates the parameters by the gradient of a loss; gives its norm before clipping."""
        norm = self.gradient(loss)
        self.update()
        return norm

    def gradient(self, loss: Tensor) -> Tensor:
        """Computes the clipped gradient of a loss; gives its norm before clipping."""
        if self._views:
            self._flat_gradient.zero_()
            if self._views[0][0].grad is not self._views[0][1]:
                for parameter, gradient in self._views:  # something else has set them to None
                    parameter.grad = gradient
        else:
            for parameter in self._parameters:
                parameter.grad = None
        loss.backward()
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        within = not norm.is_cuda and norm + _CLIP_EPS < self._clip_norm  # as clipping itself asks
        if not within:
            nn.utils.clip_grads_with_norm_(self._parameters, self._clip_norm, norm)
        return norm

    def gradients(self) -> list[Tensor | None]:
        """Gives the tensors that hold the gradient now."""
        return [parameter.grad for parameter in self._parameters]

    def set_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Takes the gradient from what :meth:`gradients` gave, or others of these shapes."""
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient

    def update(self) -> None:
        """Updates the parameters by the gradient."""
        self._adam.step()
        self._schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Gives what a resumed training needs, but for the parameters."""
        return {"adam": self._adam.state_dict(), "schedule": self._schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        self._adam.load_state_dict(state["adam"])
        self._schedule.load_state_dict(state["schedule"])


def _flatten(
    parameters: list[nn.Parameter],
) -> tuple[nn.Parameter, Tensor, list[tuple[nn.Parameter, Tensor | None]]]:
    """Gives the flat parameter, its gradient, and each parameter with its view of that."""
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    flat.grad = gradient = torch.zeros_like(flat)
    sizes = [parameter.numel() for parameter in parameters]
    values, gradients = flat.detach().split(sizes), gradient.split(sizes)
    for parameter, value, part in zip(parameters, values, gradients, strict=True):
        parameter.data = value.view_as(parameter)
        parameter.grad = part.view_as(parameter)
    return flat, gradient, [(parameter, parameter.grad) for parameter in parameters]


def _schedule(
    optimiser: torch.optim.Optimizer, settings: Budget, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    schedulers = torch.optim.lr_scheduler
    if settings.schedule == "one_cycle":
        return schedulers.OneCycleLR(optimiser, settings.learning_rate, total_steps=steps + 1)
    if settings.schedule == "cosine":
        return schedulers.CosineAnnealingLR(optimiser, T_max=steps)
    return schedulers.ConstantLR(optimiser, factor=1.0, total_iters=0)

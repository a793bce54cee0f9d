"""Adam, without the two seconds that the first optimiser of a process otherwise takes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap

import torch


class Adam(torch.optim.Adam):
    """Torch's Adam, whose methods do without the wrappers that hide them from ``torch.compile``.

    The first call of any such wrapper imports the compiler, which takes longer than a short job's
    other imports, and nothing here compiles an optimiser. What the methods do is unchanged.
    """

    _update = unwrap(torch.optim.Adam.step)
    add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = unwrap(torch.optim.Optimizer.zero_grad)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates the parameters by their gradients.

        Args:
            closure: Computes the loss anew, with its gradients.

        Returns:
            What the closure gave.
        """
        loss: float | None = self._update(closure)
        return loss

"""How a training ended, and what counts as divergence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "diverged"]

RISE = 1e6
"""A training whose validation loss never is below so many times its first loss has diverged."""


class DivergedError(RuntimeError):
    """What was to be fitted diverged: a result, which is recorded, and no fault of the job.

    Args:
        reason: What was met, and when.
        history: What is known of the training, one row per epoch.
    """

    def __init__(self, reason: str, history: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(reason)
        self.history = history


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        history: One row per epoch.
        status: ``"diverged"`` where a loss was not finite, or every epoch's validation loss was
            beyond :data:`RISE` times the first loss (or 1, where that is larger): the loss of
            the first batch, under the initial weights.
        reason: Which of them it was; ``None`` where the status is ``"ok"``.
        first_loss: The first loss.
        best_epoch: The epoch whose weights the module holds now (0: the initial ones).
        seconds: Time spent in epochs, over all resumed parts.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    status: Status = "ok"
    reason: str | None = None
    first_loss: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        """How many epochs ended with losses that are finite: the others have no snapshot."""
        if not self.history:
            return 0
        last = self.history[-1]
        finite = math.isfinite(last["train_loss"]) and math.isfinite(last["validation_loss"])
        return len(self.history) - (not finite)

    def diverge(self, met: str) -> None:
        """Records that training met something that no model can be made of."""
        self.status, self.reason = "diverged", f"training met {met}"

    def judge(self, best_loss: float) -> None:
        """Records divergence where a training that is over never was near its first loss.

        Args:
            best_loss: The lowest validation loss of all epochs.
        """
        if self.status == "ok" and best_loss > RISE * max(1.0, abs(self.first_loss)):
            self.diverge(
                f"validation losses of {best_loss:.3g} and more, after a first loss of "
                f"{self.first_loss:.3g}"
            )

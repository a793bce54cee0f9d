"""The training loop, its optimiser and its checkpoints."""

from vqflow.training.loop import Checkpoint, Task, fit
from vqflow.training.optimiser import Optimiser
from vqflow.training.outcome import DivergedError, Outcome

__all__ = ["Checkpoint", "DivergedError", "Optimiser", "Outcome", "Task", "fit"]

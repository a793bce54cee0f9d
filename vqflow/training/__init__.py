"""The training loop, its optimiser and its checkpoints."""

from vqflow.training.loop import Checkpoint, Outcome, Task, fit
from vqflow.training.optimiser import Optimiser

__all__ = ["Checkpoint", "Optimiser", "Outcome", "Task", "fit"]

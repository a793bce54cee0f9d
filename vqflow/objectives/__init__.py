"""What training a flow minimises (paper, section 3.3)."""

from vqflow.objectives.task import FlowTask

__all__ = ["FlowTask"]

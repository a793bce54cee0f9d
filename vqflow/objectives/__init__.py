"""What training a flow maximises, over the pairs of points and charts that cover them."""

from vqflow.objectives.base import Objective
from vqflow.objectives.covering import Covering
from vqflow.objectives.sampled import Sampled
from vqflow.objectives.task import FlowTask

__all__ = ["Covering", "FlowTask", "Objective", "Sampled"]

"""Conditional flows: any of zuko's, and the fast inverse of autoregressive ones.

The only package that imports zuko, because importing it switches the argument
validation of ``torch.distributions`` off for the whole process.
"""

from vqflow.flows.autoregressive import invert_autoregressive
from vqflow.flows.build import build_flow
from vqflow.flows.conditional import ConditionalFlow
from vqflow.flows.gaussian import Gaussian, unchanged
from vqflow.flows.indexed import IndexedFlow
from vqflow.flows.multiscale import MultiScaleRealNVP
from vqflow.flows.per_chart import PerChart

__all__ = [
    "ConditionalFlow",
    "Gaussian",
    "IndexedFlow",
    "MultiScaleRealNVP",
    "PerChart",
    "build_flow",
    "invert_autoregressive",
    "unchanged",
]

"""Densities: VQ-Flows put together from their parts, models that are no flow, and their files."""

from vqflow.models.continuously_indexed import ContinuouslyIndexedFlow
from vqflow.models.density import Density
from vqflow.models.flow_matching import FlowMatching
from vqflow.models.gaussian_mixture import GaussianMixture
from vqflow.models.vqflow import VQFlow

__all__ = ["ContinuouslyIndexedFlow", "Density", "FlowMatching", "GaussianMixture", "VQFlow"]

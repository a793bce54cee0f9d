"""Densities: VQ-Flows put together from their parts, models that are no flow, and their files."""

from vqflow.models.density import Density
from vqflow.models.gaussian_mixture import GaussianMixture
from vqflow.models.vqflow import VQFlow

__all__ = ["Density", "GaussianMixture", "VQFlow"]

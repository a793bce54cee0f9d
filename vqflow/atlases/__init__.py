"""Atlases: where the charts are, and which of them cover a point (paper, section 3.1)."""

from vqflow.atlases.base import Atlas
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.atlases.single import SingleChart
from vqflow.atlases.vqae import VQAtlas

__all__ = ["Atlas", "KMeansAtlas", "SingleChart", "VQAtlas"]

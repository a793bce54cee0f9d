"""What the flow's noise is distributed as, chart by chart."""

from vqflow.bases.base import Base, NoNoiseError
from vqflow.bases.chart_normal import ChartNormal
from vqflow.bases.mixture import Mixture
from vqflow.bases.resampled import Resampled

__all__ = ["Base", "ChartNormal", "Mixture", "NoNoiseError", "Resampled"]

"""What the flow's noise is distributed as, chart by chart."""

from vqflow.bases.base import Base, NoNoiseError
from vqflow.bases.chart_normal import ChartNormal

__all__ = ["Base", "ChartNormal", "NoNoiseError"]

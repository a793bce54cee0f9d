"""Figures: one file per figure, a class that says what it reads and draws it."""

from vqflow.figures.ablation import Ablation
from vqflow.figures.atlas import ChartAtlas
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.density_slice import DensitySlice
from vqflow.figures.gap_closed import GapClosed
from vqflow.figures.kde_bandwidth import KDEBandwidth
from vqflow.figures.likelihood import Likelihood
from vqflow.figures.metric_curves import MetricCurves
from vqflow.figures.sample_grid import SampleGrid
from vqflow.figures.sample_matrix import SampleMatrix
from vqflow.figures.sweep import Sweep
from vqflow.figures.toy_gallery import ToyGallery
from vqflow.figures.training_curves import TrainingCurves

__all__ = [
    "Ablation",
    "ChartAtlas",
    "DensitySlice",
    "GapClosed",
    "Inputs",
    "KDEBandwidth",
    "Likelihood",
    "MetricCurves",
    "RunFigure",
    "SampleGrid",
    "SampleMatrix",
    "Sweep",
    "ToyGallery",
    "TrainingCurves",
]

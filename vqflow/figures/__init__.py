"""Figures: one file per figure, a class that says what it reads and draws it."""

from vqflow.figures.ablation import Ablation
from vqflow.figures.atlas import ChartAtlas
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.density_slice import DensitySlice
from vqflow.figures.likelihood import Likelihood
from vqflow.figures.metric_curves import MetricCurves
from vqflow.figures.sample_grid import SampleGrid
from vqflow.figures.sweep import Sweep
from vqflow.figures.toy_gallery import ToyGallery
from vqflow.figures.training_curves import TrainingCurves

__all__ = [
    "Ablation",
    "ChartAtlas",
    "DensitySlice",
    "Inputs",
    "Likelihood",
    "MetricCurves",
    "RunFigure",
    "SampleGrid",
    "Sweep",
    "ToyGallery",
    "TrainingCurves",
]

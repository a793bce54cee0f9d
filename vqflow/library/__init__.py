"""The library alone: a density fitted to an array, without the workflow."""

from vqflow.library.fitted import FittedDensity, FittedModel, load
from vqflow.library.fitting import fit

__all__ = ["FittedDensity", "FittedModel", "fit", "load"]

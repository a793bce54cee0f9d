"""The library alone: a density fitted to an array, without the workflow."""

from vqflow.library.fitted import FittedModel, load
from vqflow.library.fitting import fit

__all__ = ["FittedModel", "fit", "load"]

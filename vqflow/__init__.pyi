"""What type checkers see of the names that ``__init__.py`` imports when they are used."""

from vqflow.library import FittedDensity as FittedDensity
from vqflow.library import FittedModel as FittedModel
from vqflow.library import fit as fit
from vqflow.library import load as load

__version__: str

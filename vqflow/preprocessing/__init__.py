"""The bijection between the space of the data and the space that charts and flows see."""

from vqflow.preprocessing.base import Preprocessing, quantise
from vqflow.preprocessing.bijections import MIN_ALPHA, Logit, Standardise

__all__ = ["MIN_ALPHA", "Logit", "Preprocessing", "Standardise", "quantise"]

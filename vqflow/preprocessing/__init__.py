"""The bijections between the space of the data and the space that charts and flows see."""

from vqflow.preprocessing.base import Bijection
from vqflow.preprocessing.bijections import MIN_ALPHA, Logit, Standardise, Whiten
from vqflow.preprocessing.preprocessing import Preprocessing, quantise

__all__ = [
    "MIN_ALPHA",
    "Bijection",
    "Logit",
    "Preprocessing",
    "Standardise",
    "Whiten",
    "quantise",
]

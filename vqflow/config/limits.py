"""Numbers with the range that they are allowed: types of keys, and of arguments of classes.

A class of the catalogue that annotates its arguments with these has them checked before it is
built, see :mod:`vqflow.config.arguments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

LARGEST_SEED = 2**32 - 1
"""What torch, numpy and scikit-learn all take."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Count = Annotated[int, Field(ge=1)]
NumberOrZero = Annotated[int, Field(ge=0)]
Threads = Annotated[int, Field(ge=1, le=512)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
GridSize = Annotated[int, Field(ge=1, le=1000)]
"""Number of values that are tried, one after the other."""
Width = Annotated[float, Field(gt=0, le=1e6)]
"""Standard deviation of a set of unit size."""
Widths = Annotated[Sequence[Count], Field(min_length=1)]
"""Widths of hidden layers, of which there is one at least."""

"""What the flow's noise is distributed as, chart by chart, where it is not standard normal."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class NoNoiseError(NotImplementedError):
    """A base without a map to standard normal noise was asked for it."""


class Base(nn.Module, ABC):
    """A distribution q_k(w) on R^d for each chart, in place of the flow's standard normal.

    An entry of ``bases``. A subclass takes ``features`` (d), ``charts`` (K) and the further
    arguments of its entry, and gives :meth:`log_prob` and :meth:`sample`: with these a model
    trains, has a density and draws. Its parameters are trained with the flow; what is fitted
    before goes into :meth:`fit`.

    The noise z that is inferred from a point is what is left of w once the base is known, and
    standard normal if the model is right: it needs :meth:`to_noise`, and the way back
    :meth:`from_noise`.
    """

    @abstractmethod
    def log_prob(self, w: Tensor, charts: Tensor) -> Tensor:
        """Gives log q_k(w) (P,), in nats, of w (P, d) on charts (P,)."""

    @abstractmethod
    def sample(self, charts: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws w (P, d) for charts (P,), in the dtype and on the device of the parameters.

        Args:
            charts: The charts.
            generator: Source of random numbers. ``torch.distributions`` takes none:
                ``with vqflow.seeding.seeded_by(generator)`` makes it repeatable.
        """

    def to_noise(self, w: Tensor, charts: Tensor) -> Tensor:
        """Maps w (P, d) to z (P, d)."""
        raise NoNoiseError(self._missing("to_noise"))

    def from_noise(self, z: Tensor, charts: Tensor) -> Tensor:
        """Maps z (P, d) to w (P, d); z ~ N(0, I) gives samples of q_k."""
        raise NoNoiseError(self._missing("from_noise"))

    def _missing(self, method: str) -> str:
        return (
            f"the base {type(self).__name__} has no {method}, which noise z needs; densities and "
            "samples do not"
        )

    def fit(self, w: Tensor, rows: Tensor, charts: Tensor, log_prior: Tensor) -> Tensor | None:
        """Starts the base from the untrained flow's w (P, d); nothing to do by default.

        Args:
            w: Where the flow puts each covering pair.
            rows: The pairs' training points (P,).
            charts: Their charts (P,).
            log_prior: log p_k (K,).

        Returns:
            The logarithms of the charts' weights (K,), where the start has some of its own
            that are to take the prior's place.
        """
        return None

    def normalise(self, draws: int, generator: torch.Generator) -> None:
        """Estimates what normalises the density at the weights as they are, if it is not known.

        Nothing by default. Called before each validation, and with many more draws once the
        training is over.

        Args:
            draws: Number of draws.
            generator: Source of random numbers, on the device of the parameters.
        """
        return

    @property
    def normalisation_error(self) -> float:
        """Standard error of the logarithm of the density's constant, in nats; 0: it is exact."""
        return 0.0

    @property
    def fitted_numbers(self) -> int:
        """How many numbers are fitted to the data, trained or not."""
        return 0

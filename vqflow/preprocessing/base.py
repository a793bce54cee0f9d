"""What every bijection is that data go through before charts and flow."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Bijection(nn.Module, ABC):
    """A map y = f(x) of R^D onto its image, invertible, with its log-determinant.

    An entry of a data set's list ``preprocess``. A subclass takes ``features`` and the further
    arguments of its entry, and gives :meth:`forward` and :meth:`inverse`; what is fitted to
    data goes into :meth:`fit` and is kept in buffers of a size that the arguments fix, so that
    a saved model has it. Both maps work in the dtype of their points or of the buffers.

    Args:
        features: D, the number of coordinates.
    """

    unit_interval: bool = False
    """Whether points must lie in [0, 1], as pixels do before any other bijection."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def fit(self, x: Tensor) -> None:
        """Sets the buffers from the training split; nothing to do by default.

        Args:
            x: All training points (N, D) float64, after the bijections before this one;
                images dequantised. Not to be changed in place.
        """
        return

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (N, D) to y (N, D) and log |det df/dx| (N,), in nats."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Maps y (N, D) back to x (N, D); also what flows draw beyond the training points."""

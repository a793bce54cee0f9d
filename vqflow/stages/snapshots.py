"""Samples of a flow in training, kept one file per epoch until the training is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vqflow.datasets.base import Array
from vqflow.files import DamagedError, load_arrays, save_arrays


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of one training.

    Attributes:
        folder: Where they lie.
        interval: Epochs from one to the next; ``None``: there are none.
    """

    folder: Path
    interval: int | None

    def due(self, epoch: int) -> bool:
        """Says whether there is one of an epoch."""
        return self.interval is not None and epoch % self.interval == 0

    def save(self, epoch: int, arrays: Mapping[str, Array]) -> None:
        """Writes the one of an epoch; without arrays where samples were not finite."""
        save_arrays(self._path(epoch), arrays)

    def lacking(self, epochs: int) -> str | None:
        """Says which of the first epochs' snapshots is missing or damaged, if one is."""
        try:
            self.gather(epochs)
        except (FileNotFoundError, DamagedError) as error:
            return str(error)
        return None

    def gather(self, epochs: int) -> dict[str, Array]:
        """Reads the snapshots of the first epochs: nothing else that lies in the folder.

        Raises:
            FileNotFoundError: If one is missing.
            DamagedError: If one is damaged.
        """
        gathered: dict[str, Array] = {}
        for epoch in filter(self.due, range(1, epochs + 1)):
            if not self._path(epoch).exists():
                raise FileNotFoundError(
                    f"{self._path(epoch)} is missing; run the same command again"
                )
            gathered |= load_arrays(self._path(epoch))
        return gathered

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch_{epoch}.npz"

"""What every data set is: three disjoint splits of one shape, checked before use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vqflow.files import load_arrays

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)

Array = NDArray[np.generic]


@dataclass(frozen=True)
class DataSpec:
    """What a model has to know of its data.

    Attributes:
        name: The data set's name in the catalogue.
        kind: ``"vector"`` (real numbers) or ``"image"`` (quantised pixels).
        shape: Shape of one point: (D,) for vectors, (channels, height, width) for images.
        levels: Number of values that a pixel can take; ``None`` for vectors.
    """

    name: str
    kind: Literal["vector", "image"]
    shape: tuple[int, ...]
    levels: int | None = None

    @property
    def features(self) -> int:
        """D, the number of coordinates of one point."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Data:
    """The splits of a data set.

    Attributes:
        spec: Name, kind, shape and levels.
        points: Per split, (N, D) float64 for vectors, (N, D) uint8 quantised pixels
            for images (flattened in channel, row, column order).
        labels: Per split, (N,) int64 class labels; empty where there are none.
        log_density: Per split, (N,) the exact log-density in nats of each point,
            for data sets that know it; empty otherwise.
    """

    spec: DataSpec
    points: dict[str, Array]
    labels: dict[str, Array] = field(default_factory=dict)
    log_density: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dtype = np.uint8 if self.spec.kind == "image" else np.float64
        for split in SPLITS:
            points = self.points.get(split)
            place = f"data set '{self.spec.name}', split '{split}'"
            if points is None or len(points) == 0:
                raise ValueError(f"{place}: no points")
            if points.dtype != dtype or points.shape != (len(points), self.spec.features):
                raise ValueError(
                    f"{place}: got {points.dtype} of shape {points.shape}, "
                    f"expected {np.dtype(dtype)} of shape (N, {self.spec.features})"
                )
            if not np.isfinite(points).all():
                bad = int((~np.isfinite(points)).any(axis=1).sum())
                raise ValueError(f"{place}: {bad} of {len(points)} points are not finite")
            if self.spec.levels is not None and int(points.max()) >= self.spec.levels:
                raise ValueError(
                    f"{place}: pixel value {int(points.max())} with {self.spec.levels} levels "
                    f"(allowed: 0 to {self.spec.levels - 1})"
                )
            for name, extra in (("labels", self.labels), ("log_density", self.log_density)):
                if extra and (split not in extra or extra[split].shape != (len(points),)):
                    given = extra[split].shape if split in extra else None
                    raise ValueError(f"{place}: {name} of shape {given}, expected ({len(points)},)")

    def save(self, path: Path) -> None:
        """Writes the splits to one ``.npz`` file (no pickled objects)."""
        arrays = {
            f"{group}/{split}": array
            for group in ("points", "labels", "log_density")
            for split, array in getattr(self, group).items()
        }
        spec = asdict(self.spec)
        arrays["spec"] = np.array(
            [
                spec["name"],
                spec["kind"],
                ",".join(map(str, self.spec.shape)),
                str(spec["levels"] or ""),
            ]
        )
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Data:
        """Reads what :meth:`save` wrote.

        Raises:
            vqflow.files.DamagedError: If the file is not what was written.
        """
        groups: dict[str, dict[str, Array]] = {"points": {}, "labels": {}, "log_density": {}}
        arrays = load_arrays(path)
        name, kind, shape, levels = (str(value) for value in arrays.pop("spec"))
        for key, array in arrays.items():
            group, split = key.split("/")
            groups[group][split] = array
        spec = DataSpec(
            name=name,
            kind="image" if kind == "image" else "vector",
            shape=tuple(int(size) for size in shape.split(",")),
            levels=int(levels) if levels else None,
        )
        return cls(spec=spec, **groups)


class Dataset(ABC):
    """A data set of the catalogue. Subclasses take their configuration as keyword arguments.

    Building one must be cheap and read no file: the preflight job builds every
    selected data set to check its arguments, and then its files by :meth:`check`.
    """

    kind: Literal["vector", "image"]
    """What the points are; see :class:`DataSpec`."""

    shape: tuple[int, ...] | None = None
    """The shape of a point, where it is known: models are checked against it."""

    sizes: Mapping[str, int | None] = MappingProxyType({})
    """The number of points of each split, where it is known: charts are checked against it."""

    most_points: ClassVar[int | None] = None
    """Training points where no argument ``n_train`` says how many, as a literal: the workflow
    estimates from it what jobs take."""

    file_arguments: ClassVar[tuple[str, ...]] = ()
    """The arguments that name files below the data root, as a literal. The workflow sees a change
    of what is in them; whoever reads other files must repeat ``prepare_data`` himself."""

    def check(self, name: str, data_root: Path) -> None:
        """Refuses, before any job starts, files that :meth:`load` cannot read; by default none.

        May set ``shape`` and ``sizes``. Arguments as for :meth:`load`.

        Raises:
            ValueError: If a file is not what it should be.
        """
        return

    def log_density(self, x: Array) -> Array | None:
        """Gives the exact log-density (N,), in nats, of points x (N, D).

        Returns:
            ``None`` where it is not known.
        """
        return None

    @abstractmethod
    def load(self, name: str, data_root: Path) -> Data:
        """Makes or reads the splits; always the same ones for the same arguments.

        Args:
            name: The data set's name in the catalogue, for :class:`DataSpec`.
            data_root: Folder of downloaded or user-provided files.
        """

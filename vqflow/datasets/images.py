"""Images as quantised pixels: scikit-learn's digits, MNIST and Fashion-MNIST."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from vqflow.config.limits import Count, Seed
from vqflow.datasets.base import SPLITS, Array, Data, Dataset, DataSpec
from vqflow.datasets.idx import read_files
from vqflow.seeding import derive_seed

NETWORK_TIMEOUT = 15.0
"""Longest wait for one answer of a server, in seconds."""

RAW_FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
"""Name and shape of the four files of an MNIST-like set."""


class ImageSet(Dataset):
    """A data set of images.

    Args:
        n_train: Number of training images; all that are left if ``None``.
        n_validation: Number of validation images; all of the split if ``None``.
        n_test: Number of test images; all of the split if ``None``.
        seed: Seed of the split; not the seed of a trial.

    Raises:
        ValueError: If a number is out of its range.
    """

    kind = "image"
    shape: tuple[int, ...]

    def __init__(
        self,
        *,
        n_train: Count | None = None,
        n_validation: Count | None = None,
        n_test: Count | None = None,
        seed: Seed = 0,
    ) -> None:
        self.sizes = dict(zip(SPLITS, (n_train, n_validation, n_test), strict=True))
        self.seed = seed

    def _check_sizes(self, available: dict[str, int]) -> None:
        for split, size in self.sizes.items():
            whole = isinstance(size, int) and 1 <= size <= available[split]
            if size is not None and not whole:
                raise ValueError(
                    f"{type(self).__name__}: n_{split} is {size}, "
                    f"allowed: an integer from 1 to {available[split]}"
                )


class Digits(ImageSet):
    """The 1,797 handwritten digits of scikit-learn, 8x8 pixels of 17 levels; no download.

    The split is random, with the same share of every digit in each part.

    Args:
        n_train: Number of training images; all that are left if ``None``.
        n_validation: Number of validation images.
        n_test: Number of test images.
        seed: Seed of the split; not the seed of a trial.

    Raises:
        ValueError: If a number is out of its range.
    """

    IMAGES = 1797
    shape = (1, 8, 8)
    most_points = 1297

    def __init__(
        self,
        *,
        n_train: Count | None = None,
        n_validation: Count = 250,
        n_test: Count = 250,
        seed: Seed = 0,
    ) -> None:
        super().__init__(n_train=n_train, n_validation=n_validation, n_test=n_test, seed=seed)
        self._check_sizes(dict.fromkeys(SPLITS, self.IMAGES - 2))
        total = (n_train or 1) + n_validation + n_test
        if total > self.IMAGES:
            raise ValueError(
                f"Digits: n_train + n_validation + n_test is at least {total}, "
                f"allowed: at most {self.IMAGES}"
            )

    def load(self, name: str, data_root: Path) -> Data:
        """Reads the digits that come with scikit-learn; ``data_root`` is not used."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        order = _stratified_order(digits.target, derive_seed("digits", self.seed))
        indices = {}
        for split in ("test", "validation", "train"):
            indices[split], order = np.split(order, [self.sizes[split] or len(order)])
        return Data(
            spec=DataSpec(name=name, kind="image", shape=self.shape, levels=17),
            points={split: digits.data[indices[split]].astype(np.uint8) for split in SPLITS},
            labels={split: digits.target[indices[split]].astype(np.int64) for split in SPLITS},
        )


class MNIST(ImageSet):
    """MNIST: 28x28 pixels of 256 levels, 50,000 / 10,000 / 10,000 images.

    The validation split is the last 10,000 of a seeded permutation of the 60,000 training
    images, the test split is the official one. Files are read from
    ``<data_root>/MNIST/raw``, as they are or from the ``.gz`` archives that they come in, and
    downloaded through torchvision where both are absent or damaged.

    Args:
        n_train: Cap on the number of training images.
        n_validation: Cap on the number of validation images.
        n_test: Cap on the number of test images.
        seed: Seed of the split; not the seed of a trial.

    Raises:
        ValueError: If a number is out of its range.
    """

    shape = (1, 28, 28)
    most_points = 50_000
    # With the sums, what is read is known without a file: the code's identity holds the data's.
    MD5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 50_000, "validation": 10_000, "test": 10_000}

    def __init__(
        self,
        *,
        n_train: Count | None = None,
        n_validation: Count | None = None,
        n_test: Count | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(n_train=n_train, n_validation=n_validation, n_test=n_test, seed=seed)
        self._check_sizes(self.SPLIT_SIZES)

    def load(self, name: str, data_root: Path) -> Data:
        """Reads the images from ``data_root``, downloading them first if need be.

        Raises:
            FileNotFoundError: If the files are neither there nor can be downloaded.
        """
        folder = data_root / type(self).__name__ / "raw"
        arrays, faults = read_files(folder, RAW_FILES, self.MD5)
        if faults:
            self._download(data_root, folder)
            arrays, _ = read_files(folder, RAW_FILES, self.MD5)
        train, test = (
            [arrays[f"{part}-{kind}"] for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
            for part in ("train", "t10k")
        )
        seed = derive_seed(type(self).__name__, self.seed)
        order = np.random.default_rng(seed).permutation(len(train[0]))
        chosen = {
            "train": (train, order[: self.SPLIT_SIZES["train"]]),
            "validation": (train, order[self.SPLIT_SIZES["train"] :]),
            "test": (test, np.arange(len(test[0]))),
        }
        points: dict[str, Array] = {}
        labels: dict[str, Array] = {}
        for split, ((images, classes), indices) in chosen.items():
            kept = indices[: self.sizes[split]]
            points[split] = images[kept].reshape(len(kept), -1)
            labels[split] = classes[kept].astype(np.int64)
        spec = DataSpec(name=name, kind="image", shape=self.shape, levels=256)
        return Data(spec=spec, points=points, labels=labels)

    def _download(self, data_root: Path, folder: Path) -> None:
        """Fetches the files beside ``folder`` and moves them in only once they are whole."""
        name = type(self).__name__
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=data_root, prefix=f".{name}-") as root:
                fetched = Path(root) / name / "raw"
                fetched.mkdir(parents=True)
                for archive in folder.glob("*.gz"):
                    shutil.copy(archive, fetched)
                self._fetch(root)
                if faults := read_files(fetched, RAW_FILES, self.MD5)[1]:
                    raise RuntimeError("; ".join(faults))
                for file in RAW_FILES:
                    (fetched / file).replace(folder / file)
        except (OSError, EOFError, RuntimeError, http.client.HTTPException) as error:
            raise FileNotFoundError(self._advice(folder, error)) from error

    def _fetch(self, root: str) -> None:
        """Downloads through torchvision, which checks the MD5 sum of every archive."""
        import torchvision

        with _network_timeout(NETWORK_TIMEOUT):
            getattr(torchvision.datasets, type(self).__name__)(root, download=True)

    def _advice(self, folder: Path, error: Exception) -> str:
        name, faults = type(self).__name__, "; ".join(read_files(folder, RAW_FILES, self.MD5)[1])
        reason = " ".join(str(error).split()) or type(error).__name__
        return (
            f"{name}: in '{folder.absolute()}' {faults}; and the download failed ({reason}). "
            f"Put the four files {', '.join(RAW_FILES)} (or their .gz archives) there, or name "
            f"the folder that holds {name}/raw by the environment variable VQFLOW_DATA or the "
            "configuration key data_root"
        )


class FashionMNIST(MNIST):
    """Fashion-MNIST: ten kinds of clothes in MNIST's format, read and split as MNIST is."""

    MD5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }


def _stratified_order(labels: Array, seed: int) -> Array:
    """Orders points at random so that any run of them holds each class in its share."""
    generator = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        steps = np.arange(len(members)) + generator.uniform(size=len(members))
        place[members] = steps / len(members)
    return np.argsort(place)


@contextlib.contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

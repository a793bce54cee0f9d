"""The weights of a classifier of MNIST that come with the package, so that distances compare.

A classifier that is trained anew on each machine gives other features on each, and distances that
compare on one machine alone. ``python -m vqflow.metrics.train_classifier`` made the file; what it
was made from, and how well it does, is in ``weights/mnist-classifier.json``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqflow.datasets.base import Array, Data, DataSpec
from vqflow.files import digest
from vqflow.metrics.base import Reference

FILE = Path(__file__).parent / "weights" / "mnist-classifier.npz"

SHA256 = "e836b1c567b91eddf020759c89bde88f686145ee615cc970ad95ed801b1d2e79"
"""That of the file. It stands in the code so that other weights are other code, which makes the
results that rest on them again (:mod:`vqflow.identity`)."""

SHAPE = (1, 28, 28)
LEVELS = 256

_TRAINED_ON = "trained_on"


def may_fit(spec: DataSpec) -> bool:
    """Says whether images of this shape may be MNIST's."""
    return spec.shape == SHAPE and spec.levels == LEVELS


def check_file() -> None:
    """Checks that the file is the one that the code was written for.

    Raises:
        ValueError: If it is not.
    """
    found = digest(FILE) if FILE.is_file() else None
    if found != SHA256:
        given = f"has the SHA-256 {found[:8]}..." if found else "is absent"
        raise ValueError(
            f"the classifier's weights: {FILE} {given}, expected {SHA256[:8]}...; "
            "install vqflow anew"
        )


def load_for(data: Data) -> Reference | None:
    """Gives the weights where the data are those that they were trained on.

    The data are known by their content: each image of the training split, with its label, must
    be one of the 50,000 of MNIST that the classifier was trained on. Any part of these in any
    order therefore has the same features; another split of MNIST, which would hold back images
    that the classifier has seen, has none.

    Args:
        data: A data set with labels.

    Returns:
        ``weights/<name>`` (float32) and ``classes``; ``None`` for other data.

    Raises:
        ValueError: If the file is not the one that the code was written for.
    """
    if not may_fit(data.spec):
        return None
    check_file()
    with np.load(FILE, allow_pickle=False) as file:
        content = {key: file[key] for key in file.files}
    checksums = image_checksums(data.points["train"], data.labels["train"])
    return unpack(content) if np.isin(checksums, content[_TRAINED_ON]).all() else None


def pack(weights: Reference, data: Data) -> dict[str, Array]:
    """Gives what the file holds, of weights and of the data that they were trained on.

    Args:
        weights: ``weights/<name>`` and ``classes``.
        data: The data set; its training split is what they were trained on.

    Returns:
        Weights as float16, which moves no prediction that matters and halves the file, and a
        checksum of each training image.
    """
    checksums = image_checksums(data.points["train"], data.labels["train"])
    return {**_as_type(weights, np.float32, np.float16), _TRAINED_ON: np.sort(checksums)}


def unpack(content: Mapping[str, Array]) -> Reference:
    """Gives ``weights/<name>`` (float32) and ``classes`` of what :func:`pack` gave."""
    kept = {key: value for key, value in content.items() if key != _TRAINED_ON}
    return _as_type(kept, np.float16, np.float32)


def image_checksums(points: Array, labels: Array) -> NDArray[np.uint32]:
    """Gives the CRC-32 (n,) of each image (n, D) of uint8 pixels with its label (n,)."""
    seeds = labels.astype(np.uint8)
    found = [
        zlib.crc32(row.tobytes(), zlib.crc32(seed.tobytes()))
        for row, seed in zip(points, seeds, strict=True)
    ]
    return np.array(found, dtype=np.uint32)


def _as_type(weights: Reference, given: type, wanted: type) -> dict[str, Array]:
    return {
        key: value.astype(wanted) if value.dtype == given else value
        for key, value in weights.items()
    }

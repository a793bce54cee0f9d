"""Files of MNIST's format, IDX, known by their MD5 sums."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vqflow.datasets.base import Array


def _header(shape: tuple[int, ...]) -> bytes:
    """Gives the first bytes of an IDX file of uint8 (type 0x08) of this shape."""
    return bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">i4").tobytes()


def read_files(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], md5: Mapping[str, str]
) -> tuple[dict[str, Array], list[str]]:
    """Reads the files of a set, plain or else from their ``.gz`` archives.

    Args:
        folder: Where they are.
        shapes: The shape of each, by its name.
        md5: The MD5 sum of each, unpacked.

    Returns:
        The arrays by name, and, where some could not be read, what is wrong with them.
    """
    arrays: dict[str, Array] = {}
    faults = []
    for file, shape in shapes.items():
        found = [path for path in (folder / file, folder / f"{file}.gz") if path.is_file()]
        if not found:
            faults.append(f"{file} is absent")
        for path in found:
            try:
                content = _content(path, shape, md5[file])
            except (OSError, EOFError, ValueError, zlib.error) as error:
                faults.append(f"{path.name} {error}")
            else:
                arrays[file] = content
                break
    return arrays, [] if len(arrays) == len(shapes) else faults


def _content(path: Path, shape: tuple[int, ...], md5: str) -> Array:
    """Reads one IDX file of uint8, plain or as an archive.

    Raises:
        ValueError: If its size, header or MD5 sum is not the expected one.
        OSError, EOFError, zlib.error: If the archive is damaged.
    """
    header = _header(shape)
    size = len(header) + int(np.prod(shape))
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read(size + 1)
    if len(content) != size:
        given = len(content) if len(content) < size else f"more than {size}"
        raise ValueError(f"has {given} bytes, expected {size}")
    if not content.startswith(header):
        raise ValueError(f"is no IDX file of shape {shape}")
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(f"is damaged (MD5 sum {found}, expected {md5})")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)

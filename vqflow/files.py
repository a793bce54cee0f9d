"""Files that are whole or absent, weights without pickled code, and digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` that is renamed to it on success.

    A failure or a kill leaves ``path`` as it was. The suffix is kept, since
    writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically, keys in the given order."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def digest(path: str | Path) -> str:
    """Gives the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_weights(path: str | Path, content: Mapping[str, Any]) -> None:
    """Saves tensors and plain values, atomically; readable without running any code of the file."""
    import torch

    # A file object, since torch.save writes a path's random temporary name into the archive.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(content), file)


def load_weights(path: str | Path) -> dict[str, Any]:
    """Loads what :func:`save_weights` wrote, onto the CPU, refusing pickled code."""
    import torch

    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content

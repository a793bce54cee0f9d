"""Files that are whole or absent, whose damage is seen on reading, and that hold no code.

Weights and arrays are zip archives, whose parts carry a CRC-32 each; all of them are checked
before anything is taken from the file. A text that a later job trusts has its SHA-256 beside it,
in the hidden file ``.<name>.sha256``; without that (a copy, a file of the user's) it is read as it
is.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_END = b"PK\x05\x06"
_END_SIZE, _ENTRIES = 22, slice(-12, -10)  # of a zip archive's last record, without a comment
_NO_ARCHIVE = (
    BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)


class DamagedError(ValueError):
    """A file is not what was written; the message names it and says what to do."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path} is damaged ({reason}); delete it and run the same command again")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` that is renamed to it on success.

    A failure, a kill or a power cut leaves ``path`` as it was, or new and whole. The suffix is
    kept, since writers choose the format by it.

    Raises:
        OSError: If the disk is full; names the file.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _flush(temporary)
        temporary.replace(path)
        with suppress(OSError):  # some file systems cannot, and need not
            _flush(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(path: str | Path) -> str:
    """Gives the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically, for people: no checksum beside it."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def save_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically, and its checksum beside it."""
    path = Path(path)
    beside = checksum_file(path)
    beside.unlink(missing_ok=True)  # first: a kill in between leaves no checksum of another text
    write_text(path, text)
    write_text(beside, f"{hashlib.sha256(text.encode()).hexdigest()}  {path.name}\n")


def load_text(path: str | Path) -> str:
    """Reads a text file, seeing that it is what was written where its checksum is there.

    Raises:
        DamagedError: If it is not.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        written = checksum_file(path).read_bytes()
    except FileNotFoundError:
        written = None
    if written is not None and written[:64] != hashlib.sha256(content).hexdigest().encode():
        raise DamagedError(path, "its bytes are not those that were written")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DamagedError(path, "it is no text") from error


def checksum_file(path: Path) -> Path:
    """Gives where the checksum of a text is: hidden beside it, as ``sha256sum --check`` reads."""
    return path.with_name(f".{path.name}.sha256")


def open_text(path: str | Path) -> io.StringIO:
    """Opens what :func:`load_text` reads, for readers of tables.

    Raises:
        DamagedError: See :func:`load_text`.
    """
    return io.StringIO(load_text(path))


def save_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically, keys in the given order, and its checksum beside it."""
    save_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def load_json(path: str | Path) -> dict[str, Any]:
    """Reads what :func:`save_json` wrote.

    Raises:
        DamagedError: If it is not what was written.
    """
    try:
        content: dict[str, Any] = json.loads(load_text(path))
    except json.JSONDecodeError as error:
        raise DamagedError(path, f"it is no JSON: {error}") from error
    return content


def save_arrays(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], compressed: bool = False
) -> None:
    """Writes arrays by their names to one ``.npz`` file, atomically; no pickled objects."""
    import numpy as np

    write = np.savez_compressed if compressed else np.savez
    with atomic_path(path) as temporary:
        write(temporary, allow_pickle=False, **arrays)


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Reads what :func:`save_arrays` wrote.

    Raises:
        DamagedError: If it is not what was written.
    """
    import numpy as np

    with _checked_archive(path) as content, np.load(content, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def save_weights(path: str | Path, content: Mapping[str, Any]) -> None:
    """Saves tensors and plain values, atomically; readable without running any code of the file."""
    import torch

    # A file object, since torch.save writes a path's random temporary name into the archive.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(content), file)


def load_weights(path: str | Path) -> dict[str, Any]:
    """Loads what :func:`save_weights` wrote, onto the CPU, refusing pickled code.

    Raises:
        DamagedError: If it is not what was written.
    """
    import torch

    with _checked_archive(path) as content:
        try:
            found: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
        except RuntimeError as error:
            raise DamagedError(path, "torch cannot read it") from error
    return found


def _checked_archive(path: str | Path) -> io.BytesIO:
    """Gives a zip archive of all parts of a file, each compared with its checksum.

    Made anew, so that nobody reads a directory of the parts that says other than what was checked.
    """
    content = Path(path).read_bytes()
    checked = io.BytesIO()
    try:
        with ZipFile(io.BytesIO(content)) as archive, ZipFile(checked, "w") as copy:
            parts = archive.infolist()
            for part in parts:
                copy.writestr(part.filename, archive.read(part))
    except _NO_ARCHIVE as error:
        raise DamagedError(path, f"no whole zip archive: {error}") from error
    end = content[-_END_SIZE:]
    if not end.startswith(_END) or int.from_bytes(end[_ENTRIES], "little") != len(parts):
        raise DamagedError(path, "no whole zip archive: parts are missing")
    checked.seek(0)
    return checked

"""Values worked out from files, kept on disk until the file changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vqflow.files import write_text

FOLDER = Path(".snakemake")
"""Snakemake's own folder in the working directory; without it, nothing is kept on disk."""


class Memo:
    """Values by file, each kept while the file's times and size are what they were.

    A memo that is absent, damaged, or cannot be written costs time and nothing else.

    Args:
        name: Of the memo's file in ``.snakemake``.
        version: What the values depend on besides the files: those of others are not used.
    """

    def __init__(self, name: str, version: str) -> None:
        self._path = FOLDER.absolute() / "vqflow" / f"{name}.json"
        self._version = version
        self._changed = False
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            known = content["files"] if content["version"] == version else {}
            self._known: dict[str, list[Any]] = dict(known)
        except (OSError, ValueError, KeyError, TypeError):
            self._known = {}

    def get(self, path: Path, compute: Callable[[Path], Any]) -> Any:
        """Gives the value of a file, a plain one, as ``compute`` gave or gives it.

        Raises:
            OSError: If the file cannot be read.
        """
        state = path.stat()
        # The time of the last change of state is beyond what a copied file's old date can hide.
        stamp = [state.st_mtime_ns, state.st_ctime_ns, state.st_size]
        kept = self._known.get(str(path))
        if not (isinstance(kept, list) and len(kept) == 2 and kept[0] == stamp):
            kept = self._known[str(path)] = [stamp, compute(path)]
            self._changed = True
        return kept[1]

    def save(self) -> None:
        """Writes what is new to disk, where Snakemake's folder is."""
        if not self._changed or not self._path.parent.parent.is_dir():
            return
        try:
            write_text(self._path, json.dumps({"version": self._version, "files": self._known}))
            self._changed = False
        except OSError:
            pass

"""Files that stand in for an atlas or a model whose training diverged, and say why."""

from __future__ import annotations

from pathlib import Path

from vqflow.files import load_weights, save_weights

_REASON = "diverged"


def save_divergence(path: Path, reason: str) -> None:
    """Writes, in place of what could not be fitted, why."""
    save_weights(path, {_REASON: reason})


def read_divergence(path: Path) -> str | None:
    """Gives what :func:`save_divergence` wrote; ``None`` of a file that holds what was fitted."""
    reason: str | None = load_weights(path).get(_REASON)
    return reason

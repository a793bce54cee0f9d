"""Seeds derived from names, so that every random stream is independent and repeatable."""

from __future__ import annotations

import hashlib


def derive_seed(*names: object) -> int:
    """Derives a seed from the names of what it is for.

    The same names give the same seed on every machine; any other name gives an
    independent one. ``derive_seed("batches", "helix", 0)`` is thus shared by
    all variants of one trial, as a fair comparison needs.

    Args:
        names: Anything with a stable ``str``: stage, dataset, flow, trial seed.

    Returns:
        An integer in [0, 2**31).
    """
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

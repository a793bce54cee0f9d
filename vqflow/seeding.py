"""Seeds derived from names, so that every random stream is independent and repeatable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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


@contextmanager
def seeded_by(generator: torch.Generator | None) -> Iterator[None]:
    """Makes what draws from torch's global random numbers repeatable by a generator.

    For ``torch.distributions``, whose ``sample`` takes none. One number of the generator seeds
    the draws within; the global state is as before afterwards.

    Args:
        generator: The generator; ``None`` leaves the global state as it is.
    """
    if generator is None:
        yield
        return
    import torch  # parsing a configuration needs seeds, and no torch

    bound = torch.iinfo(torch.int64).max
    seed = torch.randint(bound, (), generator=generator, device=generator.device)
    with torch.random.fork_rng():
        torch.manual_seed(int(seed))
        yield

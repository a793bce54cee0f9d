"""The pairs of points and charts, cut into batches of tensors that a step reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from vqflow.atlases.covering import Covering as Pairs

_SPREAD = 6.0
_PAIRS = 128
_COLUMNS = 16


class PairBatch(NamedTuple):
    """P pairs of B points and the at most L charts of each.

    Attributes:
        points: (P, D) the pairs' points, preprocessed; (0,) where they are not read.
        latent: (P, d) their u, where that does not depend on the weights; else (0,).
        log_volume: (P,) the log-volumes that belong to u; else (0,).
        charts: (P,) the pairs' charts.
        places: (P,) where each stands in the table (B, L), read row by row; B L for pairs that
            are there to make up the number. (0,) where L is 1.
        log_weight: (B, L) the logarithms of the charts' weights, -inf where there is no pair.
        ladj: (B,) the log-determinants of the preprocessing.
    """

    points: Tensor
    latent: Tensor
    log_volume: Tensor
    charts: Tensor
    places: Tensor
    log_weight: Tensor
    ladj: Tensor

    def as_table(self, values: Tensor) -> Tensor:
        """Puts the values of pairs (P,) in their places (B, L), and 0 elsewhere."""
        if self.log_weight.shape[1] == 1:
            return values[:, None]
        table = values.new_zeros(self.log_weight.numel() + 1).index_copy(0, self.places, values)
        return table[:-1].view(self.log_weight.shape)


class Cut(NamedTuple):
    """One batch of a table of pairs: its points, its pairs, and the places of these."""

    points: slice
    pairs: slice | Tensor
    places: Tensor


def cut(mask: Tensor, batch_size: int, most: int | None = None) -> Iterator[Cut]:
    """Cuts a table of pairs into batches.

    Args:
        mask: (N, L), true where there is a pair; pairs are numbered row by row.
        batch_size: Points of a batch; the last may have fewer.
        most: The number of pairs that full batches are filled up to, with copies of the first
            pair, where they do not have more; ``None`` leaves them as they are.
    """
    width = mask.shape[1]
    starts = range(0, len(mask), batch_size)
    if width == 1:
        for start in starts:
            rows = slice(start, min(start + batch_size, len(mask)))
            yield Cut(rows, rows, torch.zeros(0, dtype=torch.long, device=mask.device))
        return
    places = mask.flatten().nonzero()[:, 0]
    counts = torch.stack([part.sum() for part in mask.split(batch_size)]).tolist()
    begin = 0
    for start, count in zip(starts, counts, strict=True):
        rows = slice(start, min(start + batch_size, len(mask)))
        chosen = slice(begin, begin + count)
        place = places[chosen] - start * width
        begin += count
        if most is None or count > most or rows.stop - rows.start < batch_size:
            yield Cut(rows, chosen, place)
            continue
        missing = most - count
        numbers = torch.arange(chosen.start, chosen.stop, device=mask.device)
        filled = torch.cat([numbers, numbers[:1].expand(missing)])
        yield Cut(rows, filled, torch.cat([place, place.new_full((missing,), batch_size * width)]))


def most_pairs(mask: Tensor, batch_size: int) -> int:
    """Gives a number of pairs that hardly any batch of random points of a table exceeds."""
    counts = mask.sum(1).double()
    spread = _SPREAD * math.sqrt(batch_size * float(counts.var(correction=0)))
    most = min(batch_size * float(counts.mean()) + spread, batch_size * mask.shape[1])
    return math.ceil(most / _PAIRS) * _PAIRS


def widen(pairs: Pairs, log_weight: Tensor) -> tuple[Pairs, Tensor]:
    """Fills up a table's columns, as :func:`most_pairs` its rows' pairs, to round numbers.

    Tables of several atlases then have one shape, for which a step is compiled once.

    Args:
        pairs: A table (N, L) of charts, and its mask.
        log_weight: The logarithms of their weights (N, L).
    """
    width = pairs.mask.shape[1]
    more = (0, -width % _COLUMNS if width > 1 else 0)
    wide = Pairs(pad(pairs.charts, more), pad(pairs.mask, more))
    return wide, pad(log_weight, more, value=-torch.inf)

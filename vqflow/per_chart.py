"""Matrix products in which each point has its own chart's matrix."""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_MATRIX = 64
_LARGEST_BLOCK = 64


def per_chart(x: Tensor, matrices: Tensor, charts: Tensor) -> Tensor:
    """Multiplies each point by its own chart's matrix: x (P, m), (K, m, n), (P,) -> (P, n).

    Points are sorted by chart into blocks of one chart each, so that the work is a batch
    of matrix products, and no matrix is copied for every point.
    """
    count, rows, columns = matrices.shape
    if count == 1:
        return x @ matrices[0]
    if rows * columns <= _SMALL_MATRIX:
        return (x[:, :, None] * matrices[charts]).sum(1)
    order = charts.argsort(stable=True)
    numbers = torch.bincount(charts, minlength=count)
    size = min(_LARGEST_BLOCK, 1 << (max(1, len(x)) // count).bit_length())
    blocks = (numbers + size - 1) // size
    ends = blocks.cumsum(0)
    first_row = (ends - blocks) * size - (numbers.cumsum(0) - numbers)
    slots = torch.arange(len(x), device=x.device) + first_row[charts[order]]
    most = len(x) // size + min(
        count, len(x)
    )  # never fewer than there are, and known without asking
    owner = torch.searchsorted(ends, torch.arange(most, device=x.device), right=True)
    padded = x.new_zeros(most * size, rows).index_copy(0, slots, x[order])
    products = padded.view(most, size, rows) @ matrices[owner.clamp(max=count - 1)]
    return x.new_zeros(len(x), columns).index_copy(0, order, products.flatten(0, 1)[slots])

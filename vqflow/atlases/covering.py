"""Which charts cover which points, and the prior that fits them (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_PRIOR_TOLERANCE = 1e-12
_PRIOR_ITERATIONS = 2000


@dataclass(frozen=True)
class Covering:
    """The pairs (point, chart that covers it), as rows padded to one width M.

    Attributes:
        charts: (N, M) chart numbers, nearest first; anything where ``mask`` is false.
        mask: (N, M), true where ``charts`` holds a covering chart.
    """

    charts: Tensor
    mask: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Covering:
        return Covering(self.charts[rows], self.mask[rows])

    def __len__(self) -> int:
        return len(self.charts)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Gives the pairs as flat indices: rows (P,) and charts (P,)."""
        rows, columns = self.mask.nonzero(as_tuple=True)
        return rows, self.charts[rows, columns]

    def counts(self, charts: int) -> Tensor:
        """Gives how many of the points each of K charts covers, (K,)."""
        return torch.bincount(self.pairs()[1], minlength=charts)

    def to(self, device: torch.device) -> Covering:
        """Moves both tables to a device."""
        return Covering(self.charts.to(device), self.mask.to(device))

    @staticmethod
    def join(tables: Sequence[Covering]) -> Covering:
        """Puts the rows of several tables, of any widths, one after the other."""
        width = max(int(table.mask.sum(1).max()) for table in tables)
        return Covering(
            torch.cat([_fit_width(table.charts, width) for table in tables]),
            torch.cat([_fit_width(table.mask, width) for table in tables]),
        )


def consistent_prior(covering: Covering, prior: Tensor) -> Tensor:
    """Iterates p_k <- mean over points of p̃_x(k) to its fixed point.

    Args:
        covering: The covering pairs of the training points.
        prior: Where to start, (K,) float64.

    Returns:
        The fixed point (K,); it maximises the mean of log Σ_{k covers x} p_k, so that
        the iteration (an EM algorithm) always converges.
    """
    rows, charts = covering.pairs()
    for _ in range(_PRIOR_ITERATIONS):
        joint = prior[charts]
        total = joint.new_zeros(len(covering)).index_add_(0, rows, joint)
        update = torch.zeros_like(prior).index_add_(0, charts, joint / total[rows])
        update /= len(covering)
        change = (update - prior).abs().max()
        prior = update
        if change < _PRIOR_TOLERANCE:
            break
    return prior


def _fit_width(table: Tensor, width: int) -> Tensor:
    return nn.functional.pad(table, (0, width - table.shape[1]))  # a negative number cuts

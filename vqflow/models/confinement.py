"""How far the charts' maps keep to their regions: Z_k, the leak, and samples that do not leave.

Nothing here is needed to train a model, so that a change repeats no training.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.models.vqflow import VQFlow
from vqflow.seeding import derive_seed

_MAX_TRIES = 1000
_HITS = 10
_MOST = 100


class LeakError(RuntimeError):
    """A chart's map leaves its region so often that confined sampling gave up."""


@torch.no_grad()
def estimate_confinement(model: VQFlow, n: int, seed: int = 0) -> None:
    """Estimates Z_k = P(g_k(z) in U_k) with its standard error, from n draws a chart or more.

    A chart with fewer than 10 hits is drawn again, twice as often each time, up to 100 n draws.
    Without a single hit until then it counts as half a one, so that Z_k > 0. The model keeps
    both.
    """
    generator = torch.Generator(model.device)
    generator.manual_seed(derive_seed("confinement", seed))
    charts = torch.arange(model.atlas.charts, device=model.device)
    hits = torch.zeros(len(charts), dtype=torch.float64, device=model.device)
    draws = torch.zeros_like(hits)
    rare, more = charts, n
    while len(rare) and more:
        hits[rare] += _hits(model, rare, more, generator)
        draws[rare] += more
        rare = rare[hits[rare] < _HITS]
        more = min(int(draws.max()), _MOST * n - int(draws.max()))
    share = (hits / draws).maximum(0.5 / draws)
    model.log_confinement.copy_(share.log())
    model.confinement_error.copy_((share * (1 - share) / draws).sqrt())


def _hits(model: VQFlow, charts: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Counts (C,), of n draws from each of charts (C,), those inside the chart's region."""
    drawn = charts.repeat_interleave(n)
    hits = [
        inside(model, model.draw(part, generator), part)
        for part in drawn.split(model.draws_per_chunk)
    ]
    return torch.cat(hits).view(-1, n).double().sum(1)


def leak(model: VQFlow) -> float:
    """Gives 1 - Σ_k p_k Z_k, the share of plain samples outside their chart's region.

    Raises:
        RuntimeError: If Z_k is not known.
    """
    model.check_confinement()
    return float(1 - (model.atlas.log_prior + model.log_confinement).double().exp().sum())


@torch.no_grad()
def sample_confined(
    model: VQFlow, n: int, generator: torch.Generator | None = None, residual: bool = True
) -> tuple[Tensor, Tensor]:
    """Draws points x (n, D) inside their charts' regions, and the charts k (n,).

    As :meth:`vqflow.models.VQFlow.sample`, but draws outside U_k are drawn again.

    Raises:
        LeakError: If a chart's draws stay outside its region.
    """
    x, charts = model.sample(n, generator, residual)
    outside = torch.arange(n, device=model.device)
    for _ in range(_MAX_TRIES):
        outside = outside[~inside(model, x[outside], charts[outside])]
        if len(outside) == 0:
            return x, charts
        x[outside] = model.draw(charts[outside], generator, residual)
    lost = charts[outside].unique().tolist()
    raise LeakError(
        f"no sample inside its region after {_MAX_TRIES} tries on charts {lost}: "
        "their maps leak almost everything; train longer, or sample from all of space"
    )


def inside(model: VQFlow, x: Tensor, charts: Tensor) -> Tensor:
    """Says of points x (P, D) whether they lie in the regions of charts (P,): bool (P,)."""
    size = model.pairs_per_chunk
    return torch.cat(
        [
            model.atlas.covering(points).gather(1, chart[:, None])[:, 0]
            for points, chart in zip(x.split(size), charts.split(size), strict=True)
        ]
    )

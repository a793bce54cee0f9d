"""Placing frames as the mixture of Gaussians that they are, by expectation maximisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vqflow.frames.base import Frame, chunks

_BENT_ROUNDS = 3


@torch.no_grad()
def fit_mixture(
    frame: Frame, x: Tensor, rows: Tensor, charts: Tensor, log_prior: Tensor, rounds: int
) -> Tensor:
    """Places frames on pairs of points and covering charts, and weighs the charts.

    The first weights are p̃_x(k) = p_k / Σ_{j covers x} p_j, which part a point evenly among
    the charts that cover it, so that overlapping frames are too wide. Each round parts it by
    how well the frames describe it: expectation maximisation for a mixture of Gaussians,
    among the covering charts alone. Where charts do not overlap there is nothing to part.

    Frames that can bend are placed twice, bent in all rounds, and flat in them with a few bent
    ones after, and the better is kept by the likelihood of the same points: charts that bend
    while they are still wide follow a curve well and may lose themselves on a surface.

    Args:
        frame: The frames, placed here.
        x: Points (P, D), one for each pair.
        rows: Which point of the data each pair belongs to (P,).
        charts: Its chart (P,).
        log_prior: log p_k (K,), where to start.
        rounds: Number of rounds after the first placement.

    Returns:
        The logarithms of the charts' weights in the mixture (K,), float64.
    """
    pairs = _Pairs(x, rows, charts, int(rows.max()) + 1)
    if len(rows) == pairs.points:
        log_weight, _ = _maximise(frame, pairs, log_prior.double(), [True])
        return log_weight
    schedules = [[True] * (rounds + 1)]
    if frame.bend:
        schedules.append([False] * rounds + [True] * (_BENT_ROUNDS + 1))
    found = []
    for schedule in schedules:
        log_weight, likelihood = _maximise(frame, pairs, log_prior.double(), schedule)
        state = {name: value.clone() for name, value in frame.state_dict().items()}
        found.append((likelihood, log_weight, state))
    _, log_weight, state = max(
        found, key=lambda each: -math.inf if math.isnan(each[0]) else each[0]
    )
    frame.load_state_dict(state)
    return log_weight


@dataclass(frozen=True)
class _Pairs:
    """Points (P, D) with their rows and charts (P,), and the number of rows."""

    x: Tensor
    rows: Tensor
    charts: Tensor
    points: int

    def parts(self, log_joint: Tensor) -> tuple[Tensor, Tensor]:
        """Gives p(k | x) (P,) from log p(x, k) (P,), among a point's pairs, and log p(x) (N,).

        Where no chart of a point has any weight, all have the same.
        """
        lowest = log_joint.new_full((self.points,), -torch.inf)
        highest = lowest.scatter_reduce(0, self.rows, log_joint, "amax")
        lost = highest.isneginf()
        relative = (log_joint - highest.masked_fill(lost, 0)[self.rows]).exp()
        joint = torch.where(lost[self.rows], 1.0, relative)
        total = joint.new_zeros(self.points).index_add(0, self.rows, joint)
        return joint / total[self.rows], total.log() + highest


def _maximise(
    frame: Frame, pairs: _Pairs, log_prior: Tensor, schedule: Sequence[bool]
) -> tuple[Tensor, float]:
    """Places the frames once for each entry of the schedule, which says whether they bend.

    Returns:
        The charts' log-weights (K,), and the mean log-likelihood of the points.
    """
    weight, _ = pairs.parts(log_prior[pairs.charts])
    for bend in schedule:
        frame.place(pairs.x, pairs.charts, weight, bend)
        mass = weight.new_zeros(len(log_prior)).index_add(0, pairs.charts, weight)
        log_weight = (mass / mass.sum()).log()
        log_joint = log_weight[pairs.charts] + _log_prob(frame, pairs)
        weight, log_prob = pairs.parts(log_joint)
    return log_weight, float(log_prob.mean())


def _log_prob(frame: Frame, pairs: _Pairs) -> Tensor:
    """Gives the log-density (P,) float64 of each pair's point on its chart, by parts."""
    found = []
    for x, charts, _ in chunks(pairs.x, pairs.charts, pairs.rows):
        u, ladj = frame.inward(x.to(frame.centre), charts)
        found.append(standard_normal(u).double() + ladj.double())
    return torch.cat(found)


def standard_normal(u: Tensor) -> Tensor:
    """Gives the standard normal's log-density (P,), in nats, of u (P, d)."""
    return -0.5 * u.square().sum(1) - 0.5 * u.shape[1] * math.log(2 * math.pi)

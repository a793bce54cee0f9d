"""K flows that share nothing, one a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints
from zuko.distributions import DiagNormal
from zuko.lazy import Flow, LazyTransform, UnconditionalDistribution

from vqflow.flows.conditional import ConditionalFlow


class PerChart(Flow):
    """A flow of its own for each chart, with weights of its own: nothing is shared.

    Each point runs through its chart's flow alone, so that the cost follows the number of
    pairs of points and charts; K adds what calling a small network K times does.

    Args:
        features: d, the dimension of the latent space.
        charts: K.
        flow: Gives one chart's flow from ``features`` and ``context`` (0): in an entry
            ``{"class": import path, **arguments}``.

    Raises:
        ValueError: If what it gives is no zuko flow over the standard normal.
    """

    def __init__(self, features: int, charts: int, flow: Callable[..., Flow]) -> None:
        members = []
        for _ in range(charts):
            member = flow(features=features, context=0)
            if not isinstance(member, Flow):
                raise ValueError(f"flow gives {type(member).__name__}, which is no zuko flow")
            members.append(ConditionalFlow(member))
            if not members[-1].standard:
                name = members[-1].base_name
                raise ValueError(f"flow has the base {name}; allowed: the standard normal")
        base = UnconditionalDistribution(
            DiagNormal, torch.zeros(features), torch.ones(features), buffer=True
        )
        super().__init__(_LazyByChart(members), base)


class _LazyByChart(LazyTransform):
    def __init__(self, members: Sequence[ConditionalFlow]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, c: Tensor | None = None) -> Transform:
        assert c is not None, "the context is the number of each point's chart, (P, 1)"
        return _ByChart(self.members, c[:, 0])


class _ByChart(Transform):
    """Points (P, d) through the flows of their charts (P,), sorted so that each runs once."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, members: nn.ModuleList, charts: Tensor) -> None:
        super().__init__()
        self.members = cast("Sequence[ConditionalFlow]", members)
        self.order = charts.argsort(stable=True)
        self.back = self.order.argsort()
        self.counts = torch.bincount(charts, minlength=len(members)).tolist()

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if len(x) == 0:
            return x, x.new_zeros(0)
        pairs = [flow.call_and_ladj(part, code) for flow, part, code in self._groups(x)]
        y, ladj = (torch.cat(parts)[self.back] for parts in zip(*pairs, strict=True))
        return y, ladj

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.call_and_ladj(x)[1]

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        if len(y) == 0:
            return y
        parts = [flow.to_latent(part, code) for flow, part, code in self._groups(y)]
        return torch.cat(parts)[self.back]

    def _groups(self, x: Tensor) -> Iterator[tuple[ConditionalFlow, Tensor, Tensor]]:
        """Gives the flow of each chart that has points, these, and their codes of width 0."""
        for flow, part in zip(self.members, x[self.order].split(self.counts), strict=True):
            if len(part):
                yield flow, part, part[:, :0]

"""The density of a VQ-Flow: a sum over charts, exact on any manifold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from vqflow.atlases.base import Atlas
from vqflow.atlases.covering import Covering
from vqflow.bases import Base
from vqflow.embeddings import Embedding
from vqflow.flows import ConditionalFlow
from vqflow.preprocessing import Preprocessing

Support = Literal["all", "covering", "confined"]
ChartLogProb = Callable[[Tensor, Tensor], Tensor]


_CHUNK_ELEMENTS = 2**20
_DRAWS_ON_GPU = 16  # times as many: an inverse is thousands of small calls, whatever the number
_POINTS_A_CHART = 4  # times as many, where all charts are read at each chunk of points
_PLACED = 8192


class ChartMixture(nn.Module):
    """A mixture of K chart maps that are one conditional flow (paper, equations 1 and 2).

    Points x (N, D) are in data space (vectors, or dequantised pixels in [0, 1)), and
    log-densities in nats with respect to its Lebesgue measure. ``support`` says which
    charts the sum over p_k p(x|k) runs over:

    - ``"all"``: all K; a normalised density.
    - ``"covering"``: those that cover x (paper, equation 2); a lower bound of the above,
      because the chart maps are not confined to their regions.
    - ``"confined"``: those that cover x, each p(x|k) divided by Z_k, its mass in U_k;
      normalised. Needs :func:`vqflow.models.confinement.estimate_confinement`.

    Args:
        preprocessing: Bijection from data space to the space of the flow.
        atlas: A fitted atlas of K charts with codes of width C.
        embedding: Map from latent space (d) to preprocessed space (D), chart by chart.
        flow: The conditional flow, context C.
        base: What the flow's noise is distributed as, chart by chart, in place of a standard
            normal; ``None`` for the flow's own.
    """

    log_confinement: Tensor
    confinement_error: Tensor

    def __init__(
        self,
        preprocessing: Preprocessing,
        atlas: Atlas,
        embedding: Embedding,
        flow: ConditionalFlow,
        base: Base | None = None,
    ) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.atlas = atlas.requires_grad_(False)
        self.embedding = embedding
        self.flow = flow
        self.base = base
        self.register_buffer("log_confinement", torch.full((atlas.charts,), torch.nan))
        self.register_buffer("confinement_error", torch.full((atlas.charts,), torch.nan))

    @property
    def raises_dimension(self) -> bool:
        """Whether the latent space has fewer dimensions than the data."""
        return self.embedding.latent_features < self.embedding.features

    @torch.no_grad()
    def place_charts(self, x: Tensor, covering: Covering) -> None:
        """Starts embedding and base in closed form, and with them the charts' weights.

        Args:
            x: Training points (N, D) as the flow sees them: images dequantised.
            covering: Their covering pairs.
        """
        y, _ = self.preprocessing(x)
        log_weight = self.embedding.fit(y, covering, self.atlas.log_prior)
        self._set_prior(log_weight)
        if self.base is not None:
            rows, charts = covering.pairs()
            pairs = zip(rows.split(_PLACED), charts.split(_PLACED), strict=True)
            w = torch.cat([self._to_base(y[row], chart) for row, chart in pairs])
            self._set_prior(self.base.fit(w, rows, charts, self.atlas.log_prior))

    def _set_prior(self, log_weight: Tensor | None) -> None:
        if log_weight is not None:
            self.atlas.log_prior.copy_(log_weight)

    def reconstruct(self, y: Tensor, charts: Tensor) -> Tensor:
        """Gives the nearest points (P, D), as far as charts tell, on the images of charts (P,)."""
        return self.embedding.embed(self.embedding.project(y, charts), charts)

    @property
    def device(self) -> torch.device:
        """The device of the atlas' prior, and so of the whole model."""
        return self.atlas.log_prior.device

    def chart_log_prob(self, y: Tensor, charts: Tensor) -> Tensor:
        """Gives log p(y|k) (P,), in R^D, of preprocessed points y (P, D) on charts k (P,)."""
        return self.latent_log_prob(*self.embedding.log_volume(y, charts), charts)

    def latent_log_prob(self, u: Tensor, log_volume: Tensor, charts: Tensor) -> Tensor:
        """Gives log p(y|k) (P,) from what :meth:`Embedding.log_volume` gave of y."""
        return self._flow_log_prob(u, charts) + log_volume

    def _flow_log_prob(self, u: Tensor, charts: Tensor) -> Tensor:
        code = self.code_of(charts)
        if self.base is None:
            return self.flow.log_prob(u, code)
        w, ladj = self.flow.call_and_ladj(u, code)
        return self.base.log_prob(w, charts) + ladj

    def chart_manifold_log_prob(self, y: Tensor, charts: Tensor) -> Tensor:
        """Gives the density (P,) of the projections of y (P, D) on the charts' images.

        The flow's log-density of u less d log λ (paper, section 3.3), with respect to the
        image's own volume.
        """
        u = self.embedding.project(y, charts)
        log_prob = self._flow_log_prob(u, charts)
        return log_prob - u.shape[1] * self.embedding.log_scale(u, charts)

    def log_joint(self, y: Tensor, covering: Covering, of_charts: ChartLogProb) -> Tensor:
        """Gives log p_k + log p(y|k) of preprocessed y (N, D): (N, M), -inf off the mask.

        Args:
            y: The points.
            covering: The pairs of points and charts.
            of_charts: Gives log p(y|k); :meth:`chart_log_prob`, but for the manifold's density.
        """
        rows, charts = covering.pairs()
        values = of_charts(y[rows], charts) + self.atlas.log_prior[charts]
        joint = values.new_full(covering.mask.shape, -torch.inf)
        return joint.masked_scatter(covering.mask, values)

    def log_prob(self, x: Tensor, support: Support = "all") -> Tensor:
        """Gives log p(x) (N,), in nats, of points x (N, D).

        Memory is bounded by chunks where gradients are off (``torch.no_grad()``).

        Raises:
            RuntimeError: For ``"confined"`` before Z_k is estimated.
        """
        return torch.cat(
            [joint.logsumexp(1) + ladj for joint, _, ladj in self._joint_chunks(x, support)]
        )

    def manifold_log_prob(self, x: Tensor) -> Tensor:
        """Gives the paper's density on the manifold (N,), in nats, of points x (N, D).

        Equation 2 with the factor λ^-d of the raising map, over the charts that cover x,
        each seeing its own projection of x. The images are different sets, so this sum is a
        density under no one measure, and rewards charts that fit badly: it never decides.

        Raises:
            ValueError: If the preprocessing is not the identity, which would bend volumes.
        """
        if not self.preprocessing.is_identity:
            raise ValueError(
                "the density on the manifold is that of the data's own space: set preprocess: []"
            )
        joints = self._joint_chunks(x, "covering", self.chart_manifold_log_prob)
        return torch.cat([joint.logsumexp(1) for joint, _, _ in joints])

    def posterior(self, x: Tensor, support: Support = "all") -> Tensor:
        """Gives p(k|x) (N, K) of points x (N, D), zero off the support."""
        parts = []
        for joint, charts, _ in self._joint_chunks(x, support):
            part = joint.new_zeros(len(joint), self.atlas.charts)
            parts.append(part.scatter_add(1, charts, joint.softmax(1)))
        return torch.cat(parts)

    def code_of(self, charts: Tensor) -> Tensor:
        """Gives what the flow is told of charts (P,): their codes (P, C), or numbers (P, 1)."""
        return charts[:, None] if self.flow.by_chart else self.atlas.standard_codes[charts]

    @property
    def pairs_per_chunk(self) -> int:
        """How many pairs of points and charts are worked on at once, to bound memory."""
        return max(1, _CHUNK_ELEMENTS // max(64, self.atlas.spec.features))

    @property
    def draws_per_chunk(self) -> int:
        """How many points are drawn at once."""
        return self.pairs_per_chunk * (_DRAWS_ON_GPU if self.device.type == "cuda" else 1)

    def _joint_chunks(
        self, x: Tensor, support: Support, of_charts: ChartLogProb | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        if support not in ("all", "covering", "confined"):
            raise ValueError(f"support is '{support}'; allowed: 'all', 'covering', 'confined'")
        if support == "confined":
            self.check_confinement()
        covering = None if support == "all" else self.atlas.pairs(x)
        width = self.atlas.charts if covering is None else covering.charts.shape[1]
        pairs = self.pairs_per_chunk * (_POINTS_A_CHART if covering is None else 1)
        size = max(1, pairs // width)
        for start in range(0, len(x), size):
            part = x[start : start + size]
            table = self._all(len(part)) if covering is None else covering[start : start + size]
            y, ladj = self.preprocessing(part)
            joint = self.log_joint(y, table, of_charts or self.chart_log_prob)
            if support == "confined":
                joint = joint - self.log_confinement[table.charts]
            yield joint, table.charts, ladj

    def _all(self, n: int) -> Covering:
        charts = torch.arange(self.atlas.charts, device=self.device).expand(n, -1)
        return Covering(charts, torch.ones_like(charts, dtype=torch.bool))

    def _to_base(self, y: Tensor, charts: Tensor) -> Tensor:
        u = self.embedding.project(y, charts)
        return self.flow.to_noise(u, self.code_of(charts))

    def check_confinement(self) -> None:
        """Refuses a model whose Z_k is not known.

        Raises:
            RuntimeError: If so.
        """
        if self.log_confinement.isnan().any():
            raise RuntimeError("Z_k is not known yet: call estimate_confinement first")

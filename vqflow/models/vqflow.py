"""VQFlow: atlas, embedding and flow together, an exact density on any manifold."""

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
from vqflow.seeding import derive_seed

Support = Literal["all", "covering", "confined"]
ChartLogProb = Callable[[Tensor, Tensor], Tensor]
ChartChoice = Literal["sampled", "expected", "most_probable"]


class LeakError(RuntimeError):
    """A chart's map leaves its region so often that confined sampling gave up."""


class NotFiniteError(RuntimeError):
    """A model gave samples that are not finite: its run counts as diverged."""


_CHUNK_ELEMENTS = 2**20
_POINTS_A_CHART = 4  # times as many, where all charts are read at each chunk of points
_MAX_TRIES = 1000
_PLACED = 8192


class VQFlow(nn.Module):
    """A mixture of K chart maps that are one conditional flow (paper, equations 1 to 4).

    Points x (N, D) are in data space (vectors, or dequantised pixels in [0, 1)), and
    log-densities in nats with respect to its Lebesgue measure. ``support`` says which
    charts the sum over p_k p(x|k) runs over:

    - ``"all"``: all K; a normalised density.
    - ``"covering"``: those that cover x (paper, equation 2); a lower bound of the above,
      because the chart maps are not confined to their regions.
    - ``"confined"``: those that cover x, each p(x|k) divided by Z_k, its mass in U_k;
      normalised. Needs :meth:`estimate_confinement`.

    Args:
        preprocessing: Bijection from data space to the space of the flow.
        atlas: A fitted atlas of K charts with codes of width C.
        embedding: Map from latent space (d) to preprocessed space (D), chart by chart.
        flow: The conditional flow, context C.
        base: What the flow's noise is distributed as, chart by chart; ``None`` for the
            flow's own, the standard normal.
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
        code = self.atlas.standard_codes[charts]
        if self.base is None:
            return self.flow.log_prob(u, code)
        w, ladj = self.flow.call_and_ladj(u, code)
        return self.base.log_prob(w, charts) + ladj

    def chart_manifold_log_prob(self, y: Tensor, charts: Tensor) -> Tensor:
        """Gives the density (P,) of the projections of y (P, D) on the charts' images.

        log q(f_k(u)) - d log λ (paper, section 3.3), with respect to the image's own volume.
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
            RuntimeError: For ``"confined"`` before :meth:`estimate_confinement`.
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
        if self.preprocessing.logit is not None or self.preprocessing.fits:
            raise ValueError(
                "the density on the manifold is that of the data's own space: "
                "set preprocess: {standardise: false, logit: null}"
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

    def to_noise(self, y: Tensor, charts: Tensor) -> Tensor:
        """Maps preprocessed points y (P, D) on charts k (P,) to noise z (P, d)."""
        w = self._to_base(y, charts)
        return w if self.base is None else self.base.to_noise(w, charts)

    def infer_noise(
        self,
        x: Tensor,
        chart: ChartChoice = "most_probable",
        support: Support = "all",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Infers the noise z (N, d) of points x (N, D) (paper, section 3.4).

        Args:
            x: Points of data space.
            chart: ``"sampled"``: z = f_k(x) with k ~ p(k|x); ``"most_probable"``: with the
                most probable k; ``"expected"``: z = Σ_k p(k|x) f_k(x).
            support: The charts that may be chosen.
            generator: For ``"sampled"``.
        """
        if chart not in ("sampled", "expected", "most_probable"):
            raise ValueError(f"chart is '{chart}'; allowed: 'sampled', 'expected', 'most_probable'")
        size = max(1, self._pairs_per_chunk // self.atlas.charts)
        return torch.cat([self._infer(part, chart, support, generator) for part in x.split(size)])

    def _infer(
        self, x: Tensor, chart: ChartChoice, support: Support, generator: torch.Generator | None
    ) -> Tensor:
        posterior = self.posterior(x, support)
        y, _ = self.preprocessing(x)
        if chart == "expected":
            rows, charts = (posterior > 0).nonzero(as_tuple=True)
            weighted = posterior[rows, charts, None] * self.to_noise(y[rows], charts)
            return weighted.new_zeros(len(x), weighted.shape[1]).index_add(0, rows, weighted)
        if chart == "sampled":
            return self.to_noise(y, torch.multinomial(posterior, 1, generator=generator)[:, 0])
        return self.to_noise(y, posterior.argmax(1))

    def to_data(self, z: Tensor, charts: Tensor) -> Tensor:
        """Maps noise z (P, d) through charts k (P,): x = g_k(z) (P, D)."""
        u = self._to_latent(z, charts)
        return self.preprocessing.inverse(self.embedding.embed(u, charts))

    def _to_latent(self, z: Tensor, charts: Tensor) -> Tensor:
        w = z if self.base is None else self.base.from_noise(z, charts)
        return self.flow.to_latent(w, self.atlas.standard_codes[charts])

    @torch.no_grad()
    def sample(
        self,
        n: int,
        support: Literal["all", "confined"] = "all",
        generator: torch.Generator | None = None,
        residual: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Draws points x (n, D) and the charts k (n,) that they came from.

        Args:
            n: Number of points.
            support: ``"all"``: x = g_k(z), k ~ p_k, z ~ N(0, I); ``"confined"``: draws
                outside U_k are drawn again.
            generator: Random numbers, on the model's device.
            residual: Whether points scatter around the charts' images, as the density says
                where an embedding raises the dimension, or lie on them.

        Raises:
            LeakError: If a chart's draws stay outside its region.
        """
        charts = torch.multinomial(
            self.atlas.log_prior.exp(), n, replacement=True, generator=generator
        )
        if support == "all":
            return self._draw(charts, generator, residual), charts
        if support != "confined":
            raise ValueError(f"support is '{support}'; allowed: 'all', 'confined'")
        x = self._draw(charts, generator, residual)
        outside = torch.arange(n, device=self.device)
        for _ in range(_MAX_TRIES):
            outside = outside[~self._inside(x[outside], charts[outside])]
            if len(outside) == 0:
                return x, charts
            x[outside] = self._draw(charts[outside], generator, residual)
        lost = charts[outside].unique().tolist()
        raise LeakError(
            f"no sample inside its region after {_MAX_TRIES} tries on charts {lost}: "
            "their maps leak almost everything; train longer, or sample with support='all'"
        )

    @torch.no_grad()
    def estimate_confinement(self, n: int, seed: int = 0) -> None:
        """Estimates Z_k = P(g_k(z) in U_k) with its standard error, from n draws a chart.

        A chart without a single hit counts as half a one, so that Z_k > 0.
        """
        generator = torch.Generator(self.device)
        generator.manual_seed(derive_seed("confinement", seed))
        charts = torch.arange(self.atlas.charts, device=self.device).repeat_interleave(n)
        hits = torch.cat(
            [
                self._inside(self._draw(part, generator), part)
                for part in charts.split(self._pairs_per_chunk)
            ]
        )
        share = hits.view(-1, n).double().mean(1).clamp(min=0.5 / n)
        self.log_confinement.copy_(share.log())
        self.confinement_error.copy_((share * (1 - share) / n).sqrt())

    def leak(self) -> float:
        """Gives 1 - Σ_k p_k Z_k, the share of plain samples outside their chart's region."""
        self._check_confinement()
        return float(1 - (self.atlas.log_prior + self.log_confinement).double().exp().sum())

    @property
    def _pairs_per_chunk(self) -> int:
        return max(1, _CHUNK_ELEMENTS // max(64, self.atlas.spec.features))

    def _joint_chunks(
        self, x: Tensor, support: Support, of_charts: ChartLogProb | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        if support not in ("all", "covering", "confined"):
            raise ValueError(f"support is '{support}'; allowed: 'all', 'covering', 'confined'")
        if support == "confined":
            self._check_confinement()
        covering = None if support == "all" else self.atlas.pairs(x)
        width = self.atlas.charts if covering is None else covering.charts.shape[1]
        pairs = self._pairs_per_chunk * (_POINTS_A_CHART if covering is None else 1)
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
        return self.flow.to_noise(u, self.atlas.standard_codes[charts])

    def _draw(
        self, charts: Tensor, generator: torch.Generator | None, residual: bool = True
    ) -> Tensor:
        parts = []
        for part in charts.split(self._pairs_per_chunk):
            z = torch.randn(
                len(part),
                self.embedding.latent_features,
                generator=generator,
                dtype=self.atlas.log_prior.dtype,
                device=self.device,
            )
            u = self._to_latent(z, part)
            if residual:
                y = self.embedding.sample(u, part, generator)
            else:
                y = self.embedding.embed(u, part)
            parts.append(self.preprocessing.inverse(y))
        return torch.cat(parts)

    def _inside(self, x: Tensor, charts: Tensor) -> Tensor:
        return torch.cat(
            [
                self.atlas.covering(points).gather(1, chart[:, None])[:, 0]
                for points, chart in zip(
                    x.split(self._pairs_per_chunk), charts.split(self._pairs_per_chunk), strict=True
                )
            ]
        )

    def _check_confinement(self) -> None:
        if self.log_confinement.isnan().any():
            raise RuntimeError("Z_k is not known yet: call estimate_confinement first")

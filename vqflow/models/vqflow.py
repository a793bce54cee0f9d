"""VQFlow: a density on charts with its ways between noise and data."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vqflow.bases import NoNoiseError
from vqflow.models.chart_mixture import ChartMixture, Support

ChartChoice = Literal["sampled", "expected", "most_probable"]


class VQFlow(ChartMixture):
    """A VQ-Flow (paper, equations 1 to 4): its density, its noise, and draws from it.

    Built from its parts, which :class:`vqflow.models.chart_mixture.ChartMixture` describes, as it
    does the density.
    """

    def to_noise(self, y: Tensor, charts: Tensor) -> Tensor:
        """Maps preprocessed points y (P, D) on charts k (P,) to noise z (P, d).

        Raises:
            NoNoiseError: If the base has no map to noise.
        """
        if self.base is not None:
            return self.base.to_noise(self._to_base(y, charts), charts)
        self._check_noise()
        return self._to_base(y, charts)

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

        Raises:
            NoNoiseError: If the base has no map to noise.
        """
        if chart not in ("sampled", "expected", "most_probable"):
            raise ValueError(f"chart is '{chart}'; allowed: 'sampled', 'expected', 'most_probable'")
        size = max(1, self.pairs_per_chunk // self.atlas.charts)
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
        """Maps noise z (P, d) through charts k (P,): x = g_k(z) (P, D).

        Raises:
            NoNoiseError: If the base has no map from noise.
        """
        if self.base is None:
            self._check_noise()
        w = z if self.base is None else self.base.from_noise(z, charts)
        u = self.flow.to_latent(w, self.code_of(charts))
        return self.preprocessing.inverse(self.embedding.embed(u, charts))

    def through_noise(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives u (P, d) mapped to the flow's noise and back: itself where the flow inverts."""
        code = self.code_of(charts)
        return self.flow.to_latent(self.flow.to_noise(u, code), code)

    def _check_noise(self) -> None:
        if not self.flow.standard:
            raise NoNoiseError(
                f"the flow's own base {self.flow.base_name} has no map to the standard normal, "
                "which noise z needs; densities and samples do not"
            )

    @torch.no_grad()
    def sample(
        self, n: int, generator: torch.Generator | None = None, residual: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Draws points x (n, D) and the charts k (n,) that they came from.

        k ~ p_k, and x through chart k from its base;
        :func:`vqflow.models.confinement.sample_confined` keeps to the charts' regions.

        Args:
            n: Number of points.
            generator: Random numbers, on the model's device.
            residual: Whether points scatter around the charts' images, as the density says
                where an embedding raises the dimension, or lie on them.
        """
        weights = self.atlas.log_prior.exp()
        charts = torch.multinomial(weights, n, replacement=True, generator=generator)
        return self.draw(charts, generator, residual), charts

    @torch.no_grad()
    def draw(
        self, charts: Tensor, generator: torch.Generator | None, residual: bool = True
    ) -> Tensor:
        """Draws one point of each of the charts (P,): (P, D)."""
        parts = []
        for part in charts.split(self.draws_per_chunk):
            u = self.flow.to_latent(self._draw_base(part, generator), self.code_of(part))
            if residual:
                y = self.embedding.sample(u, part, generator)
            else:
                y = self.embedding.embed(u, part)
            parts.append(self.preprocessing.inverse(y))
        return torch.cat(parts)

    def _draw_base(self, charts: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.base is not None:
            return self.base.sample(charts, generator)
        if not self.flow.standard:
            return self.flow.sample_noise(self.code_of(charts), generator)
        shape, dtype = (len(charts), self.embedding.latent_features), self.atlas.log_prior.dtype
        return torch.randn(shape, generator=generator, dtype=dtype, device=self.device)

"""Frames at the data's end: the flow sees each chart's own coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.atlases.covering import Covering
from vqflow.config.limits import Count, NotNegative, NumberOrZero
from vqflow.embeddings.base import Embedding
from vqflow.frames import Covariance, build_frame, fit_mixture


class Frames(Embedding):
    """c_k(u), a bijection of R^D for each chart in which its points look standard normal.

    d = D. At its start the model is a mixture of Gaussians (bent ones, with ``bend``), fitted
    in closed form to the points that the charts cover; the flow only bends what is left. With
    one chart it whitens the data. Beyond the paper, whose conditional flow must learn from the
    code alone where each chart lies and how wide it is.

    Args:
        features: D.
        charts: K.
        covariance: ``"full"``, for few dimensions (:class:`~vqflow.frames.PrincipalFrame`);
            ``"diagonal"`` (:class:`~vqflow.frames.DiagonalFrame`) or ``"low_rank"``
            (:class:`~vqflow.frames.LowRankFrame`), for images.
        bend: Whether the charts of a full covariance are curved.
        rank: Of a low-rank covariance.
        shrinkage: Points that what all charts share counts for; ``None``: 4 for a full
            covariance, 100 else.
        rounds: Rounds that part each point among its charts, see
            :func:`~vqflow.frames.fit_mixture`.
        train: Whether centres, scales and bends are trained with the flow.
        noise: Standard deviation of normal noise that training adds to u, drawn anew at every
            step: what the flow learns is smooth at this share of a chart's width, in each
            direction by the chart's own (Rothfuss et al. 2019, noise regularisation). With
            one chart, whose width is the data's, there is none.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        features: int,
        charts: int = 1,
        covariance: Covariance = "full",
        bend: bool = False,
        rank: Count | None = None,
        shrinkage: NotNegative | None = None,
        rounds: NumberOrZero = 10,
        train: bool = False,
        noise: NotNegative = 0.0,
    ) -> None:
        super().__init__()
        if rounds < 0:
            raise ValueError(f"rounds is {rounds}; allowed: 0 or more")
        if noise < 0:
            raise ValueError(f"noise is {noise}; allowed: 0 or more")
        self.features = features
        self.latent_features = features
        self.rounds = rounds
        self.noise = noise if charts > 1 else 0.0
        self.frame = build_frame(
            covariance,
            features,
            charts,
            bend=bend,
            rank=rank,
            shrinkage=shrinkage,
            train=train,
        )

    @property
    def fitted_numbers(self) -> int:
        """All numbers of the frames."""
        return self.frame.fitted_numbers

    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, D) to x (P, D)."""
        return self.frame.outward(u, charts)

    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Maps x (P, D) to u (P, D)."""
        u, _ = self.frame.inward(x, charts)
        return u

    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives the D-th part of the map's log-determinant at u (P, D): (P,)."""
        _, ladj = self.frame.inward(self.frame.outward(u, charts), charts)
        return -ladj / self.features

    def log_volume(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Gives u (P, D) and the ladj (P,); in training with noise on u."""
        u, ladj = self.frame.inward(x, charts)
        if self.training and self.noise:
            u = u + self.noise * torch.randn_like(u)
        return u, ladj

    @torch.no_grad()
    def fit(self, y: Tensor, covering: Covering, log_prior: Tensor) -> Tensor:
        """Places the frames by the training points y (N, D); gives the mixture's weights."""
        rows, charts = covering.pairs()
        return fit_mixture(self.frame, y[rows], rows, charts, log_prior, self.rounds)

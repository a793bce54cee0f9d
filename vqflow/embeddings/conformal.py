"""Conformal embeddings: planes in the data's space, flat or bent into spheres."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from vqflow.atlases.covering import Covering
from vqflow.config.limits import Count
from vqflow.embeddings.base import Embedding
from vqflow.embeddings.principal_axes import principal_axes
from vqflow.per_chart import per_chart

_NEXT_TO_POLE = 1e-12


class Conformal(Embedding):
    """c_k(u) = b_k + s_k R_k κ_a([u; 0]), one for each chart.

    R_k has orthonormal columns, and κ_a(w) = (w - |w|² a) / (1 - 2 a·w + |a|²|w|²) is a
    special conformal map of R^D (``bend``), or the identity. The component of a off the
    plane bends it into a sphere; by a turn of R_k it lies along one axis, so that d + 1
    columns of R_k and numbers of a suffice.

    Off the image, the ambient point is s_k R_k κ_a([u; v]) + b_k with v given u normal of
    standard deviation σ_k / λ_k(u): near the image an isotropic N(0, σ_k²) around it.

    Args:
        features: D.
        charts: K.
        latent_features: d, from 1 to D - 1.
        bend: Whether charts bend: a is learned, from 0. Needs ``train``.
        train: Whether b, s, R, a and σ are trained with the flow, from the closed form
            that :meth:`fit` gives.

    Raises:
        ValueError: If an argument is out of range.
    """

    centre: Tensor
    log_s: Tensor
    log_sigma: Tensor
    log_floor: Tensor
    bending: Tensor
    frame: Tensor

    def __init__(
        self,
        features: int,
        charts: int,
        latent_features: Count,
        bend: bool = False,
        train: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= latent_features < features:
            raise ValueError(
                f"latent_features is {latent_features}; allowed: 1 to {features - 1}, "
                "less than the data's dimension"
            )
        if bend and not train:
            raise ValueError("bend is true, train false: how charts bend is learned")
        self.features = features
        self.latent_features = latent_features
        width = latent_features + bend
        frame = torch.eye(features, width).repeat(charts, 1, 1)
        values = {
            "centre": torch.zeros(charts, features),
            "log_s": torch.zeros(charts),
            "log_sigma": torch.zeros(charts),
            "frame": frame,
        }
        if bend:
            values["bending"] = torch.zeros(charts, width)
        for name, value in values.items():
            if train:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)
        self.register_buffer("log_floor", torch.tensor(-torch.inf))
        if not bend:
            self.register_buffer("bending", torch.zeros(charts, width), persistent=False)
        self.bend = bend
        if train:
            parametrizations.orthogonal(
                self, "frame", orthogonal_map="householder", use_trivialization=False
            )

    @property
    def fitted_numbers(self) -> int:
        """K (D + D W + 2), and W more a chart where it bends; W columns of R_k."""
        numbers = self.features * (1 + self._width) + 2 + (self._width if self.bend else 0)
        return len(self.log_s) * numbers

    @property
    def _width(self) -> int:
        return self.latent_features + self.bend

    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, d) to x (P, D)."""
        w = nn.functional.pad(u, (0, self._width - u.shape[1]))
        return self._outward(w, None, charts, self.frame)

    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Maps x (P, D) to u (P, d)."""
        u, _ = self.log_volume(x, charts)
        return u

    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives log s_k - log(1 - 2 a·u + |a|²|u|²), (P,)."""
        a = self.bending[charts]
        square = u.square().sum(1)
        along = (a[:, : u.shape[1]] * u).sum(1)
        return self.log_s[charts] - _denominator(a, -along, square).log()

    def log_volume(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Gives u (P, d) and log p(x|k) - log p(u|k) (P,)."""
        d = self.latent_features
        frame, a, log_s = self.frame, self.bending[charts], self.log_s[charts]
        relative = (x - self.centre[charts]) * (-log_s).exp()[:, None]
        inside = per_chart(relative, frame, charts)
        outside = relative - per_chart(inside, frame.mT, charts)
        square = inside.square().sum(1) + outside.square().sum(1)
        shrink = _denominator(a, (a * inside).sum(1), square)
        w = (inside + square[:, None] * a) / shrink[:, None]
        u = w[:, :d]
        off = w[:, d:].square().sum(1) + outside.square().sum(1) / shrink.square()
        log_scale = self.log_scale(u, charts)
        log_sigma = self._log_sigma()[charts]
        normals = self.features - d
        log_residual = -normals * (0.5 * math.log(2 * math.pi) + log_sigma - log_scale)
        log_residual = log_residual - 0.5 * off * (2 * (log_scale - log_sigma)).exp()
        return u, log_residual - self.features * (log_s + shrink.log())

    def sample(self, u: Tensor, charts: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws x (P, D): the image of u (P, d), and the residual around it."""
        spread = (self._log_sigma()[charts] - self.log_scale(u, charts)).exp()[:, None]
        shape = (len(u), self.features + self.bend)
        noise = torch.randn(shape, generator=generator, dtype=u.dtype, device=u.device) * spread
        around, along = noise[:, : self.features], noise[:, self.features :]
        frame = self.frame
        inside = per_chart(around, frame, charts)
        outside = around - per_chart(inside, frame.mT, charts)
        return self._outward(torch.cat([u, along], dim=1), outside, charts, frame)

    def _outward(self, w: Tensor, outside: Tensor | None, charts: Tensor, frame: Tensor) -> Tensor:
        a = self.bending[charts]
        square = w.square().sum(1)
        if outside is not None:
            square = square + outside.square().sum(1)
        shrink = _denominator(a, -(a * w).sum(1), square)[:, None]
        x = per_chart((w - square[:, None] * a) / shrink, frame.mT, charts)
        if outside is not None:
            x = x + outside / shrink
        return self.centre[charts] + self.log_s[charts].exp()[:, None] * x

    def _log_sigma(self) -> Tensor:
        """Gives log of the root of σ² + floor², smooth so that σ can leave the floor again."""
        return 0.5 * torch.logaddexp(2 * self.log_sigma, 2 * self.log_floor)

    @torch.no_grad()
    def fit(self, y: Tensor, covering: Covering, log_prior: Tensor) -> None:
        """Places each chart by the mean and principal axes of its covering points.

        s_k makes the mean of the d latent variances 1, and σ_k² is the mean variance of the
        other D - d directions: see :func:`~vqflow.embeddings.principal_axes.principal_axes`.

        Args:
            y: Training points (N, D), preprocessed.
            covering: Their covering pairs.
            log_prior: log p_k (K,).
        """
        start = principal_axes(y, covering, log_prior, self.latent_features, self._width)
        frame = start.frame.to(self.log_s)
        if parametrize.is_parametrized(self, "frame"):
            self.frame = frame
        else:
            self.frame.copy_(frame)
        self.centre.data.copy_(start.centre)
        self.log_s.data.copy_(0.5 * start.latent_variance.log())
        self.log_sigma.data.copy_(0.5 * start.residual_variance.log())
        self.log_floor.copy_(0.5 * start.floor.log())


def _denominator(a: Tensor, along: Tensor, square: Tensor) -> Tensor:
    """Gives 1 + 2 a·w + |a|²|w|² (P,) from a (P, W), a·w (P,) and |w|² (P,).

    As a sum of squares, which rounding leaves above 0 also beside the pole w = -a / |a|²,
    and kept so far above that what it divides stays finite in float32.
    """
    across = (a.square().sum(1) * square - along.square()).clamp(min=0)
    return ((1 + along).square() + across).clamp(min=_NEXT_TO_POLE)

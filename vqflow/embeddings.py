"""Maps from a chart's latent space into the space of the data (paper, section 3.3).

Every embedding extends to a bijection w = (u, v) -> x of the whole space, v being what
leads off the chart, so that its density is one of the ambient space R^D, exactly
normalised. Points are those that the preprocessing gives.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from vqflow.atlas import Covering

_FLOOR = 1e-3
_BLOCK = 64


class Embedding(nn.Module, ABC):
    """Charts' maps c_k from R^d into R^D, with a left inverse and a density off the image.

    Attributes:
        features: D, the dimension of the (preprocessed) data.
        latent_features: d.
    """

    features: int
    latent_features: int

    @abstractmethod
    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps latent points u (P, d) of the charts (P,) onto their images, (P, D)."""

    @abstractmethod
    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Maps points x (P, D) to latent space (P, d), chart by chart; left inverse of embed."""

    @abstractmethod
    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives log λ (P,) of the conformal map at u (P, d)."""

    @abstractmethod
    def log_volume(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Splits points x (P, D) into u and the way off the chart.

        Returns:
            u (P, d), and log p(x|k) - log p(u|k) (P,), in nats: the density of the
            residual less the log-determinant of the bijection (u, v) -> x.
        """

    def fit(self, y: Tensor, covering: Covering, log_prior: Tensor) -> None:
        """Places the charts by the training points y (N, D); nothing to do by default."""

    def sample(self, u: Tensor, charts: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws x (P, D) given u (P, d): the image, and the residual around it."""
        return self.embed(u, charts)


class Identity(Embedding):
    """The embedding of charts as wide as the data: u = x.

    Args:
        features: D, the dimension of the (preprocessed) data.
        charts: K; not needed.
    """

    def __init__(self, features: int, charts: int = 1) -> None:
        super().__init__()
        self.features = features
        self.latent_features = features

    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives u."""
        return u

    def project(self, x: Tensor, charts: Tensor) -> Tensor:
        """Gives x."""
        return x

    def log_scale(self, u: Tensor, charts: Tensor) -> Tensor:
        """Gives zeros."""
        return u.new_zeros(u.shape[:-1])

    def log_volume(self, x: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Gives x and zeros."""
        return x, x.new_zeros(x.shape[:-1])


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
        latent_features: int,
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
            parametrizations.orthogonal(self, "frame")

    @property
    def _width(self) -> int:
        return self.latent_features + self.bend

    def embed(self, u: Tensor, charts: Tensor) -> Tensor:
        """Maps u (P, d) to x (P, D)."""
        w = nn.functional.pad(u, (0, self._width - u.shape[1]))
        return self._outward(w, None, charts)

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
        inside = per_chart(around, self.frame, charts)
        outside = around - per_chart(inside, self.frame.mT, charts)
        return self._outward(torch.cat([u, along], dim=1), outside, charts)

    def _outward(self, w: Tensor, outside: Tensor | None, charts: Tensor) -> Tensor:
        a = self.bending[charts]
        square = w.square().sum(1)
        if outside is not None:
            square = square + outside.square().sum(1)
        shrink = _denominator(a, -(a * w).sum(1), square)[:, None]
        x = per_chart((w - square[:, None] * a) / shrink, self.frame.mT, charts)
        if outside is not None:
            x = x + outside / shrink
        return self.centre[charts] + self.log_s[charts].exp()[:, None] * x

    def _log_sigma(self) -> Tensor:
        return self.log_sigma.clamp(min=float(self.log_floor))

    @torch.no_grad()
    def fit(self, y: Tensor, covering: Covering, log_prior: Tensor) -> None:
        """Places each chart by the weighted mean and principal axes of its covering points.

        The weight of a point y for chart k is p̃_y(k) = p_k / Σ_{j covers y} p_j. s_k makes
        the mean of the d latent variances 1, and σ_k² is the mean variance of the other
        D - d directions, with a floor of 10⁻⁶ of the data's own. A chart that d + 1 points
        or fewer cover takes its axes and variances from the mean over charts.

        Args:
            y: Training points (N, D), preprocessed.
            covering: Their covering pairs.
            log_prior: log p_k (K,).
        """
        d, width = self.latent_features, self._width
        rows, charts = covering.pairs()
        weight = log_prior[charts].double().exp()
        total = weight.new_zeros(len(covering)).index_add(0, rows, weight)
        weight = weight / total[rows]
        mass = weight.new_zeros(len(self.centre)).index_add(0, charts, weight)
        counts = torch.bincount(charts, minlength=len(mass))
        y = y.double()
        spreads = []
        for chart in range(len(mass)):
            chosen = charts == chart
            points, share = y[rows[chosen]], (weight[chosen] / mass[chart])[:, None]
            mean = (share * points).sum(0)
            self.centre.data[chart] = mean
            centred = points - mean
            spreads.append(centred.T @ (share * centred))
        spread = torch.stack(spreads)
        pooled = (mass[:, None, None] * spread).sum(0) / mass.sum()
        spread[counts < d + 2] = pooled
        variances, axes = torch.linalg.eigh(spread)
        floor = _FLOOR**2 * y.var(0, correction=0).mean()
        latent = variances[:, -d:].mean(1).clamp(min=float(floor))
        residual = variances[:, :-d].mean(1).clamp(min=float(floor))
        frame = axes.flip(2)[:, :, :width].to(self.log_s)
        if parametrize.is_parametrized(self, "frame"):
            self.frame = frame
        else:
            self.frame.copy_(frame)
        self.log_s.data.copy_(0.5 * latent.log())
        self.log_sigma.data.copy_(0.5 * residual.log())
        self.log_floor.copy_(0.5 * floor.log())


def _denominator(a: Tensor, along: Tensor, square: Tensor) -> Tensor:
    """Gives 1 + 2 a·w + |a|²|w|² (P,) from a (P, W), a·w (P,) and |w|² (P,)."""
    return 1 + 2 * along + a.square().sum(1) * square


def per_chart(x: Tensor, matrices: Tensor, charts: Tensor) -> Tensor:
    """Multiplies each point by its own chart's matrix: x (P, m), (K, m, n), (P,) -> (P, n).

    Points are sorted by chart into blocks of one chart each, so that the work is a batch
    of matrix products, and no matrix is copied for every point.
    """
    count, rows, columns = matrices.shape
    if count == 1:
        return x @ matrices[0]
    if rows * columns <= _BLOCK:
        return (x[:, :, None] * matrices[charts]).sum(1)
    order = charts.argsort(stable=True)
    numbers = torch.bincount(charts, minlength=count)
    blocks = (numbers + _BLOCK - 1) // _BLOCK
    ends = blocks.cumsum(0)
    first_row = (ends - blocks) * _BLOCK - (numbers.cumsum(0) - numbers)
    slots = torch.arange(len(x), device=x.device) + first_row[charts[order]]
    most = len(x) // _BLOCK + count  # never fewer than there are, and known without asking
    owner = torch.searchsorted(ends, torch.arange(most, device=x.device), right=True)
    padded = x.new_zeros(most * _BLOCK, rows).index_copy(0, slots, x[order])
    products = padded.view(most, _BLOCK, rows) @ matrices[owner.clamp(max=count - 1)]
    return x.new_zeros(len(x), columns).index_copy(0, order, products.flatten(0, 1)[slots])

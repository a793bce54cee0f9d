"""Maps from a chart's latent space into the space of the data (paper, section 3.3).

Every embedding extends to a bijection w = (u, v) -> x of the whole space, v being what
leads off the chart, so that its density is one of the ambient space R^D, exactly
normalised. Points are those that the preprocessing gives.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from vqflow.atlas import Covering

_FLOOR = 1e-3
_NEXT_TO_POLE = 1e-12
_SMALL_MATRIX = 64
_LARGEST_BLOCK = 64


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

    @property
    def fitted_numbers(self) -> int:
        """How many numbers are fitted to the data, trained or not."""
        return 0


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
        """Places each chart by the weighted mean and principal axes of its covering points.

        The weight of a point y for chart k is p̃_y(k) = p_k / Σ_{j covers y} p_j (equal
        weights where p_k is 0). s_k makes the mean of the d latent variances 1, and σ_k² is
        the mean variance of the other D - d directions, corrected for the d axes and the mean
        that were fitted to the same points, with a floor of 10⁻⁶ of the data's own. A chart
        of fewer than 2 (d + 1) points takes its axes and variances from the mean over charts.

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
        order = charts.argsort(stable=True)
        sizes = torch.bincount(charts, minlength=len(self.log_s)).tolist()
        spreads = [
            _spread(y[row].double(), share)
            for row, share in zip(rows[order].split(sizes), weight[order].split(sizes), strict=True)
        ]
        mass = sum(spread.mass for spread in spreads)
        pooled = _Spread(
            torch.zeros(self.features, dtype=torch.float64),
            sum((s.mass / mass * s.covariance for s in spreads), torch.zeros(())),
            mass,
            float("inf"),
        )
        floor = _FLOOR**2 * float(y.double().var(0, correction=0).mean())
        frames, latent, residual = [], [], []
        pooled_axes = torch.linalg.eigh(pooled.covariance)
        for spread in spreads:
            few = spread.points < 2 * (d + 1)
            variances, axes = pooled_axes if few else torch.linalg.eigh(spread.covariance)
            freedom = 1.0 if few else spread.points / (spread.points - 1 - d)
            frames.append(axes.flip(1)[:, :width].to(self.log_s))
            latent.append(max(floor, float(variances[-d:].mean())))
            residual.append(max(floor, freedom * float(variances[:-d].mean())))
        frame = torch.stack(frames)
        if parametrize.is_parametrized(self, "frame"):
            self.frame = frame
        else:
            self.frame.copy_(frame)
        self.centre.data.copy_(torch.stack([spread.mean for spread in spreads]))
        self.log_s.data.copy_(0.5 * torch.tensor(latent, dtype=torch.float64).log())
        self.log_sigma.data.copy_(0.5 * torch.tensor(residual, dtype=torch.float64).log())
        self.log_floor.fill_(0.5 * math.log(floor) if floor > 0 else -torch.inf)


@dataclass
class _Spread:
    """Mean (D,), covariance (D, D), total weight and effective number of weighted points."""

    mean: Tensor
    covariance: Tensor
    mass: float
    points: float


def _spread(y: Tensor, weight: Tensor) -> _Spread:
    mass = float(weight.sum())
    share = weight / mass if mass > 0 else torch.full_like(weight, 1 / max(1, len(weight)))
    mean = share @ y
    centred = y - mean
    points = 1 / float(share.square().sum()) if len(y) else 0.0
    return _Spread(mean, centred.T @ (share[:, None] * centred), mass, points)


def _denominator(a: Tensor, along: Tensor, square: Tensor) -> Tensor:
    """Gives 1 + 2 a·w + |a|²|w|² (P,) from a (P, W), a·w (P,) and |w|² (P,).

    As a sum of squares, which rounding leaves above 0 also beside the pole w = -a / |a|²,
    and kept so far above that what it divides stays finite in float32.
    """
    across = (a.square().sum(1) * square - along.square()).clamp(min=0)
    return ((1 + along).square() + across).clamp(min=_NEXT_TO_POLE)


def per_chart(x: Tensor, matrices: Tensor, charts: Tensor) -> Tensor:
    """Multiplies each point by its own chart's matrix: x (P, m), (K, m, n), (P,) -> (P, n).

    Points are sorted by chart into blocks of one chart each, so that the work is a batch
    of matrix products, and no matrix is copied for every point.
    """
    count, rows, columns = matrices.shape
    if count == 1:
        return x @ matrices[0]
    if rows * columns <= _SMALL_MATRIX:
        return (x[:, :, None] * matrices[charts]).sum(1)
    order = charts.argsort(stable=True)
    numbers = torch.bincount(charts, minlength=count)
    size = min(_LARGEST_BLOCK, 1 << (max(1, len(x)) // count).bit_length())
    blocks = (numbers + size - 1) // size
    ends = blocks.cumsum(0)
    first_row = (ends - blocks) * size - (numbers.cumsum(0) - numbers)
    slots = torch.arange(len(x), device=x.device) + first_row[charts[order]]
    most = len(x) // size + min(
        count, len(x)
    )  # never fewer than there are, and known without asking
    owner = torch.searchsorted(ends, torch.arange(most, device=x.device), right=True)
    padded = x.new_zeros(most * size, rows).index_copy(0, slots, x[order])
    products = padded.view(most, size, rows) @ matrices[owner.clamp(max=count - 1)]
    return x.new_zeros(len(x), columns).index_copy(0, order, products.flatten(0, 1)[slots])

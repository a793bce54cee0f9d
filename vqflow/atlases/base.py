"""Charts: their centres, regions U_k, prior p_k and covering pairs (paper, section 3.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vqflow.atlases.covering import Covering, consistent_prior
from vqflow.config.entries import AtlasEntry
from vqflow.config.limits import Count, NotNegative
from vqflow.datasets.base import Data, DataSpec
from vqflow.preprocessing import quantise
from vqflow.training.loop import Checkpoint

Prior = Literal["coverage", "consistent"]

_CHUNK = 8192
_SEARCH = 512
_MORE_CANDIDATES = 4
_SEARCH_ELEMENTS = 2**20
_ROUNDING = 32
_COARSE_EPSILON = 2**-10  # of products in TF32, or in halves of float32


def check_enough(points: int, charts: int) -> None:
    """Refuses to place more charts than there are training points.

    Raises:
        RuntimeError: If there are too few.
    """
    if points < charts:
        raise RuntimeError(
            f"{points} training points for {charts} charts; allowed: as many at most"
        )


class Atlas(nn.Module, ABC):
    """K overlapping charts, each the region around one code vector.

    With d_k(x) = ‖E(x) - v_k‖ and d̃_m(x) the m-th smallest of them, chart k covers
    U_k = {x : d_k(x) ≤ (1 + ε) d̃_m(x)}. Points are given in data space; pixels
    are quantised first, so that the region of an image does not depend on its
    dequantisation noise.

    Args:
        spec: What the data look like.
        min_charts: m, the least number of charts that cover a point.
        epsilon: ε ≥ 0, the overlap.
        prior: ``"coverage"``, the paper's p_k = r_k / Σ_j r_j with r_k the share of
            training points in U_k; or ``"consistent"``, the fixed point of
            p_k = mean over training points of p_k 1[x in U_k] / Σ_{j: x in U_j} p_j,
            the mixture weight that fits the sampled objective under overlap.

    Raises:
        ValueError: If an argument is out of range.
    """

    entry: AtlasEntry | None
    """The entry of the catalogue that it was built from, if it was."""

    codes: Tensor
    standard_codes: Tensor
    log_prior: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        spec: DataSpec,
        min_charts: Count = 1,
        epsilon: NotNegative = 0.0,
        prior: Prior = "coverage",
    ) -> None:
        super().__init__()
        if min_charts < 1:
            raise ValueError(f"min_charts is {min_charts}; it must be at least 1")
        if epsilon < 0:
            raise ValueError(f"epsilon is {epsilon}; it must be 0 or more")
        if prior not in ("coverage", "consistent"):
            raise ValueError(f"prior is '{prior}'; allowed: 'coverage', 'consistent'")
        self.entry = None
        self.spec = spec
        self.min_charts = min_charts
        self.epsilon = epsilon
        self.prior: Prior = prior
        for name in ("codes", "standard_codes"):
            self.register_buffer(name, torch.zeros(0, 0))
        self.register_buffer("log_prior", torch.zeros(0))
        self.register_buffer("shift", torch.zeros(spec.features))
        self.register_buffer("scale", torch.ones(spec.features))

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Gives the code space coordinates E(x) (N, C) of points x (N, D)."""

    @abstractmethod
    def fit(
        self, data: Data, seed: int, checkpoint: Checkpoint | None = None
    ) -> list[dict[str, Any]]:
        """Places the charts; gives the history, one row per epoch (empty if there are none).

        Args:
            data: The data set; centres and prior depend on its training split alone.
            seed: The trial's seed.
            checkpoint: Where a training in progress is kept, to be resumed from.
        """

    @property
    def charts(self) -> int:
        """K, the number of charts that are kept."""
        return len(self.codes)

    @property
    def code_dim(self) -> int:
        """C, the width of the code."""
        return self.codes.shape[1]

    def normalise(self, x: Tensor) -> Tensor:
        """Brings points x (N, D) of data space to the scale of the encoder's input."""
        if self.spec.levels is not None:
            return quantise(x, self.spec.levels).to(self.shift.dtype) / (self.spec.levels - 1)
        return (x.to(self.shift.dtype) - self.shift) / self.scale

    def distances(self, x: Tensor) -> Tensor:
        """Gives d_k(x) = ‖E(x) - v_k‖ (N, K) for points x (N, D)."""
        return self._code_distances(self.encode(x))

    def _code_distances(self, code: Tensor) -> Tensor:
        return torch.cdist(code, self.codes, compute_mode="donot_use_mm_for_euclid_dist")

    def covering(self, x: Tensor) -> Tensor:
        """Says which charts cover points x (N, D): bool (N, K), at least m true in a row."""
        return self._within(self.distances(x))

    def nearest(self, x: Tensor) -> Tensor:
        """Gives the chart (N,) with the nearest centre for points x (N, D)."""
        return torch.cat([self.distances(part).argmin(1) for part in x.split(_CHUNK)])

    @torch.no_grad()
    def pairs(self, x: Tensor) -> Covering:
        """Gives the covering pairs of points x (N, D), the encoder run once per point."""
        fewest = self.min_charts + _MORE_CANDIDATES
        rows = max(1, min(_SEARCH, _SEARCH_ELEMENTS // (fewest * max(1, self.code_dim))))
        tables = []
        for part in x.split(_CHUNK):
            for code in self.encode(part).to(self.codes).split(rows):
                candidates, table = fewest, None
                while table is None and 2 * candidates < self.charts:
                    table = self._among_candidates(code, candidates)
                    candidates *= 2
                tables.append(table or self._among_all(code))
        return Covering.join(tables)

    def _among_all(self, code: Tensor) -> Covering:
        """Gives the charts that cover points with codes (N, C), from all distances."""
        distances, charts = self._code_distances(code).sort(dim=1, stable=True)
        return Covering(charts, self._within(distances))

    def _among_candidates(self, code: Tensor, count: int) -> Covering | None:
        """The same from the distances to a few charts, where no other may cover a point.

        Candidates are the least of ‖v‖² - 2 v·E(x), one matrix product; what counts are
        their exact distances. ``None`` where a chart that is no candidate may cover a point.
        """
        size = self.codes.square().sum(1)
        ranks = torch.addmm(size, code, self.codes.T, alpha=-2)
        ranked, charts = ranks.topk(count, dim=1, largest=False)
        distances = (code[:, None] - self.codes[charts]).square().sum(2).sqrt()
        distances, order = distances.sort(dim=1, stable=True)
        limit = (1 + self.epsilon) * distances[:, self.min_charts - 1]
        exact = torch.get_float32_matmul_precision() == "highest"
        epsilon = torch.finfo(code.dtype).eps if exact else _COARSE_EPSILON
        norm = code.square().sum(1)
        rounding = _ROUNDING * epsilon * (norm + size.max())
        if bool((ranked[:, -1] + norm - rounding <= limit.square()).any()):
            return None
        return Covering(charts.gather(1, order), distances <= limit[:, None])

    def _within(self, distances: Tensor) -> Tensor:
        threshold = distances.kthvalue(self.min_charts, dim=1, keepdim=True).values
        return distances <= (1 + self.epsilon) * threshold

    def fit_scale(self, x: Tensor) -> None:
        """Sets the scale of the encoder's input from training points x (N, D)."""
        if self.spec.levels is None:
            spread = x.std(0)
            self.shift.copy_(x.mean(0))
            self.scale.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))

    @torch.no_grad()
    def set_charts(self, codes: Tensor, x: Tensor) -> None:
        """Sets the centres and the prior; drops charts that cover no training point.

        Args:
            codes: v (K, C), the chart centres in code space.
            x: Training points (N, D).

        Raises:
            ValueError: If fewer than m centres are given.
        """
        if len(codes) < self.min_charts:
            raise ValueError(f"min_charts is {self.min_charts}, with {len(codes)} charts")
        self.codes = codes.to(self.shift)
        counts = self.pairs(x).counts(len(codes))
        self.codes = self.codes[counts > 0]
        self._set_prior(x)

    def place_prior(self, data: Data) -> None:
        """Sets the prior anew for the overlap as it is, and drops charts that cover nothing."""
        self.set_charts(self.codes, as_data_space(data, "train"))

    def _set_prior(self, x: Tensor) -> None:
        covering = self.pairs(x)
        coverage = covering.counts(self.charts).double()
        prior = coverage / coverage.sum()
        if self.prior == "consistent":
            prior = consistent_prior(covering, prior)
        self.log_prior = prior.log().to(self.codes.dtype)
        centred = self.codes - self.codes.mean(0)
        spread = centred.square().mean(0).sqrt()
        self.standard_codes = centred / torch.where(spread > 0, spread, torch.ones_like(spread))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in ("codes", "standard_codes", "log_prior"):
            if prefix + name in state_dict:
                shape = state_dict[prefix + name].shape
                setattr(self, name, getattr(self, name).new_zeros(shape))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def as_data_space(data: Data, split: str) -> Tensor:
    """Gives the points of a split in data space (N, D) float32: vectors, or pixels at mid-level."""
    points = torch.as_tensor(data.points[split])
    if data.spec.levels is None:
        return points.float()
    return (points.float() + 0.5) / data.spec.levels

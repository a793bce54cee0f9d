"""The quantiser of the auto-encoder: any that chooses the nearest of its centres, by its entry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from vqflow.config.arguments import mistaken_value
from vqflow.config.components import build
from vqflow.config.limits import Count, NotNegative

DEFAULT: dict[str, Any] = {
    "class": "vector_quantize_pytorch.VectorQuantize",
    "kmeans_init": True,
    "kmeans_iters": 20,
    "decay": 0.9,
    "commitment_weight": 1.0,
    "threshold_ema_dead_code": 1.0,
}

_TYPES: dict[str, Any] = {
    "kmeans_init": bool,
    "kmeans_iters": Count,
    "decay": Annotated[float, Field(ge=0, le=1)],
    "commitment_weight": NotNegative,
    "threshold_ema_dead_code": NotNegative,
    "use_cosine_sim": bool,
    "preserve_symmetry": bool,
    "levels": Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)],
}
"""Of the arguments that the library takes as they come."""

_AGREE = 0.999
_STRETCH = 1e-3  # by which FSQ widens a coordinate's range


class CodeSpace(nn.Module):
    """The map from what the encoder gives to the space in which charts are the nearest centre.

    Known from the entry alone, so that a fitted atlas needs no quantiser.
    """

    def forward(self, code: Tensor) -> Tensor:
        """Maps codes (N, C); as they are by default."""
        return code


class _Sphere(CodeSpace):
    """For cosine similarity: of unit vectors, the most similar is the nearest."""

    def forward(self, code: Tensor) -> Tensor:
        return nn.functional.normalize(code, dim=-1, eps=1e-6)


class _Grid(CodeSpace):
    """For FSQ: each coordinate bounded (Mentzer et al. 2024, equation 1), and not yet rounded."""

    levels: Tensor

    def __init__(self, levels: list[int], preserve_symmetry: bool) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.preserve_symmetry = preserve_symmetry

    def forward(self, code: Tensor) -> Tensor:
        if self.preserve_symmetry:
            return code.tanh()
        half = ((self.levels - 1) * (1 + _STRETCH) / 2).to(code.dtype)
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0).to(code.dtype)
        bounded = (code + (offset / half).atanh()).tanh() * half - offset
        return bounded / (self.levels // 2)


def code_space(entry: Mapping[str, Any]) -> CodeSpace:
    """Gives the space in which a quantiser's choice is the nearest of its centres."""
    if entry.get("use_cosine_sim"):
        return _Sphere()
    if "levels" in entry:
        return _Grid(list(entry["levels"]), bool(entry.get("preserve_symmetry")))
    return CodeSpace()


def codebook_size(entry: Mapping[str, Any], charts: int | None, code_dim: int) -> int:
    """Gives K: the number of charts asked for, or what the quantiser's levels make.

    Raises:
        ValueError: If the entry has no class, or K or the width of the code contradict it.
    """
    if "class" not in entry:
        raise ValueError(f"quantiser is {dict(entry)}; it needs a class, the import path")
    for name, value in entry.items():
        for mistake in mistaken_value(value, _TYPES.get(name, Any), f"quantiser.{name}"):
            raise ValueError(mistake)
    levels = entry.get("levels")
    if levels is None:
        if charts is None:
            raise ValueError("charts is missing: the size of the codebook")
        return charts
    size = math.prod(levels)
    if charts is not None:
        raise ValueError(f"charts is {charts}, but quantiser.levels make {size}: leave charts out")
    if len(levels) != code_dim:
        raise ValueError(
            f"code_dim is {code_dim}, but quantiser.levels has {len(levels)} numbers; "
            "they must be equal"
        )
    return size


class Quantiser(nn.Module):
    """A quantiser of vector-quantize-pytorch, with one codebook of centres in code space.

    Args:
        entry: ``{"class": import path, **arguments}``.
        place: Where the entry stands in the configuration.
        code_dim: C, supplied as ``dim``.
        charts: K, supplied as ``codebook_size`` but where the entry has ``levels``.

    Raises:
        ConfigError: If the class refuses its arguments.
        ValueError: If it has no codebook of K centres in C dimensions.
    """

    def __init__(self, entry: Mapping[str, Any], place: str, code_dim: int, charts: int) -> None:
        super().__init__()
        size = {} if "levels" in entry else {"codebook_size": charts}
        self.place = place
        self.layer = build(entry, place, dim=code_dim, **size)
        shape = getattr(self._centres(), "shape", None)
        if shape != (charts, code_dim) or getattr(self.layer, "has_projections", False):
            raise ValueError(
                f"{place}: {entry['class']} has no single codebook of {charts} centres in the "
                f"{code_dim} dimensions of the code: no heads, codebook_dim or residuals here"
            )
        self.space = code_space(entry)

    def _centres(self) -> Any:
        name = "codebook" if hasattr(self.layer, "codebook") else "implicit_codebook"
        return getattr(self.layer, name, None)

    @property
    def centres(self) -> Tensor:
        """The centres (K, C), in the space that :func:`code_space` gives."""
        centres: Tensor = self._centres().detach()
        return centres

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps codes (N, C) to quantised ones (N, C), charts (N,) and the quantiser's loss ()."""
        quantised, charts, *losses = self.layer(code[:, None])
        loss = losses[0].sum() if losses else code.new_zeros(())
        return quantised[:, 0], charts[:, 0], loss

    @torch.no_grad()
    def check(self, code: Tensor) -> None:
        """Sees that the quantiser's choices for codes (N, C) are the nearest centres.

        Raises:
            ValueError: If not: regions around its centres would be another atlas.
        """
        _, charts, _ = self(code)
        nearest = torch.cdist(self.space(code), self.centres).argmin(1)
        agree = float((nearest == charts).float().mean())
        if agree < _AGREE:
            raise ValueError(
                f"{self.place}: {type(self.layer).__name__} chooses the nearest of its centres "
                f"for {agree:.0%} of the points alone, so that they make no charts"
            )

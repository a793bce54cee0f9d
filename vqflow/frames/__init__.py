"""Frames: each chart's own coordinates, in closed form from the points that it covers.

A frame stands at either end of the flow: at the data's as an embedding
(:class:`vqflow.embeddings.Frames`), at the noise's as the chart's base distribution
(:class:`vqflow.bases.ChartNormal`).
"""

from __future__ import annotations

from typing import Literal

from vqflow.frames.base import Frame
from vqflow.frames.diagonal import DiagonalFrame
from vqflow.frames.low_rank import LowRankFrame
from vqflow.frames.mixture import fit_mixture
from vqflow.frames.principal import PrincipalFrame

__all__ = [
    "Covariance",
    "DiagonalFrame",
    "Frame",
    "LowRankFrame",
    "PrincipalFrame",
    "build_frame",
    "fit_mixture",
]

Covariance = Literal["full", "diagonal", "low_rank"]


def build_frame(
    covariance: Covariance,
    features: int,
    charts: int,
    *,
    bend: bool = False,
    rank: int | None = None,
    shrinkage: float | None = None,
    train: bool = False,
) -> Frame:
    """Builds frames of one kind, not fitted yet: the identity.

    Args:
        covariance: ``"full"``: :class:`PrincipalFrame`; ``"diagonal"``:
            :class:`DiagonalFrame`; ``"low_rank"``: :class:`LowRankFrame`.
        features: D.
        charts: K.
        bend: For ``"full"``, see there.
        rank: For ``"low_rank"``, see there.
        shrinkage: Weight of what all charts share, in points; ``None`` for the class' own.
        train: Whether the frames are trained with the flow.

    Raises:
        ValueError: If an argument does not suit the covariance or is out of range.
    """
    if covariance not in ("full", "diagonal", "low_rank"):
        raise ValueError(f"covariance is '{covariance}'; allowed: 'full', 'diagonal', 'low_rank'")
    if shrinkage is not None and shrinkage < 0:
        raise ValueError(f"shrinkage is {shrinkage}; allowed: 0 or more points")
    if bend and covariance != "full":
        raise ValueError(f"bend is true; covariance '{covariance}' has no bends, 'full' has")
    if (rank is None) == (covariance == "low_rank"):
        raise ValueError(f"rank is {rank} with covariance '{covariance}'; 'low_rank' alone has one")
    common = {} if shrinkage is None else {"shrinkage": shrinkage}
    if covariance == "full":
        return PrincipalFrame(features, charts, bend=bend, train=train, **common)
    if rank is not None:
        return LowRankFrame(features, charts, rank=rank, train=train, **common)
    return DiagonalFrame(features, charts, train=train, **common)

"""What ``vqflow.fit`` chooses where nothing is said: flows, charts, frames and budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vqflow.choice import LEAST_POINTS
from vqflow.config.entries import AtlasEntry, Component, DatasetEntry, Training
from vqflow.config.setting import AtlasSetting

FLOWS: dict[str, dict[str, Any]] = {
    "realnvp": {"class": "zuko.flows.RealNVP", "transforms": 5, "hidden_features": [64, 64]},
    "maf": {"class": "zuko.flows.MAF", "transforms": 5, "hidden_features": [64, 64]},
    "nsf": {"class": "zuko.flows.NSF", "transforms": 3, "hidden_features": [64, 64], "bins": 8},
    "gaussian": {"class": "vqflow.flows.Gaussian", "hidden_features": [64, 64]},
}
"""The flows that have a name, as in the workflow's catalogue."""

DATASET = DatasetEntry.model_validate({"name": "x", "class": "vqflow.datasets.arrays.Arrays"})
"""The points' entry, with the catalogue's preprocessing: standardised."""

OBJECTIVE = Component.model_validate({"name": "covering", "class": "vqflow.objectives.Covering"})
"""What training maximises, and validation chooses by."""

SINGLE = AtlasSetting(
    atlas=AtlasEntry.model_validate({"name": "single", "class": "vqflow.atlases.SingleChart"})
)

_CHARTS = (1, 2, 4, 8, 16, 32, 64, 128)
_MIN_CHARTS = (1, 2, 4, 8)
_EPSILON = 0.1
_BENT = 4  # dimensions: beyond, bends have too many numbers for the points of a chart
_FULL = 64
_RANK = 8
_NOISE = 0.4
_STEPS = 800
_LEAST_EPOCHS = 10
_MOST_BATCH, _LEAST_BATCH = 256, 16
_PATIENCE = 0.3


def flow_entry(flow: str | Mapping[str, Any]) -> Component:
    """Gives the flow's entry of the catalogue.

    Raises:
        ValueError: If there is no flow of this name, or the entry has no class.
    """
    if isinstance(flow, str):
        if flow not in FLOWS:
            raise ValueError(
                f"flow is '{flow}'; allowed: {', '.join(FLOWS)}, or "
                "{'class': 'zuko.flows.NAF', **arguments}"
            )
        return Component.model_validate({"name": flow, **FLOWS[flow]})
    if not isinstance(flow, Mapping) or "." not in str(flow.get("class")):
        raise ValueError(
            f"flow is {flow!r}; needed: a name ({', '.join(FLOWS)}), or "
            "{'class': 'zuko.flows.NAF', **arguments}"
        )
    name = str(flow["class"]).rpartition(".")[2].lower()
    return Component.model_validate({"name": name, **flow})


def frames(features: int) -> Component:
    """Gives the embedding's entry for D dimensions: full covariance where it is affordable."""
    entry: dict[str, Any] = {"name": "frames", "class": "vqflow.embeddings.Frames"}
    if features > _FULL:
        entry |= {"covariance": "low_rank", "rank": _RANK}
    else:
        entry |= {"bend": features <= _BENT}
    return Component.model_validate({**entry, "noise": _NOISE})


def least_points(features: int) -> int:
    """Gives how many points a chart needs: with fewer its frame spans no volume."""
    return min(features, _RANK if features > _FULL else features) + 2


def atlas_setting(features: int, points: int, charts: int | None) -> AtlasSetting:
    """Gives the atlas' entry, which leaves K, m and ε to the validation split.

    Args:
        features: D.
        points: N, the training points.
        charts: K, where it is given. Otherwise all that have enough points on the mean.
    """
    embedding = frames(features)
    most = max(1, points // max(LEAST_POINTS, least_points(features)))
    choice = {
        "charts": [k for k in _CHARTS if k <= most] if charts is None else [charts],
        "min_charts": list(_MIN_CHARTS),
        "epsilon": [_EPSILON],
        "embedding": embedding.name,
    }
    entry = {
        "name": "kmeans",
        "class": "vqflow.atlases.KMeansAtlas",
        "charts": "auto",
        "choice": choice,
        "prior": "coverage",
    }
    return AtlasSetting(
        atlas=AtlasEntry.model_validate(entry), embedding=embedding, preprocess=DATASET.preprocess
    )


def budget(points: int, epochs: int | None, learning_rate: float) -> Training:
    """Gives objective, batch, epochs and patience for N training points.

    Raises:
        ValueError: If an argument is out of range.
    """
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs is {epochs}; needed: 1 or more")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate is {learning_rate}; needed: a number above 0")
    batch = min(_MOST_BATCH, max(_LEAST_BATCH, 2 ** math.floor(math.log2(points / 8))))
    if epochs is None:
        epochs = max(_LEAST_EPOCHS, math.ceil(_STEPS / math.ceil(points / batch)))
    return Training.model_validate(
        {
            "name": "fit",
            "objective": "covering",
            "epochs": epochs,
            "batch_size": batch,
            "learning_rate": learning_rate,
            "schedule": "one_cycle",
            "patience": math.ceil(_PATIENCE * epochs),
        }
    )

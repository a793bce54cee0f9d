"""Choosing the number of charts and their overlap, on validation data and without a flow."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from tqdm import tqdm

from vqflow.atlases.base import Atlas
from vqflow.config.entries import AtlasEntry
from vqflow.config.setting import AtlasSetting
from vqflow.datasets.base import Data
from vqflow.flows import unchanged
from vqflow.models.build import build_atlas, build_embedding, build_preprocessing, place_charts
from vqflow.models.vqflow import VQFlow
from vqflow.seeding import derive_seed
from vqflow.training.loop import Checkpoint
from vqflow.training.outcome import DivergedError

log = logging.getLogger(__name__)

Numbers = tuple[int, int, float]

LEAST_POINTS = 10
"""Points per chart below which a chart's share p_k is known to no better than a third."""

COLUMNS = ("charts", "min_charts", "epsilon", "kept_charts", "validation_log_likelihood", "chosen")


def candidates(entry: AtlasEntry) -> Iterator[AtlasEntry]:
    """Gives an atlas' entries with K, m and ε for each that may be chosen; itself if none.

    Those of equal K follow one another, the widest overlap first: charts that cover no point
    then cover none of the others either, and dropping them loses nothing.
    """
    for _, group in _by_charts(entry):
        yield from (candidate for _, candidate in group)


def _by_charts(entry: AtlasEntry) -> Iterator[tuple[int, list[tuple[Numbers, AtlasEntry]]]]:
    """Gives the candidates with their numbers, those of equal K together."""
    choice = entry.choice
    if choice is None:
        yield 0, [((0, 0, 0.0), entry)]
        return
    overlaps = sorted(itertools.product(choice.min_charts, choice.epsilon), reverse=True)
    for charts in choice.charts:
        numbers = [(charts, least, epsilon) for least, epsilon in overlaps if least <= charts]
        yield charts, [(each, entry.with_charts(*each)) for each in numbers]


def enough(charts: Sequence[int], points: int) -> list[int]:
    """Gives those numbers of charts that have enough of the points; the least if none has.

    Args:
        charts: Numbers K of charts.
        points: Number of training points.
    """
    return [k for k in charts if few_points(points, k) is None] or [min(charts)]


def few_points(points: int, charts: int) -> str | None:
    """Says that charts have few of the training points; ``None`` where they have enough.

    Their shares, regions and codes then follow single points, and the flow leaves them: 114
    points on 32 charts, in 13 dimensions, leak half of the density.
    """
    if charts == 1 or points >= LEAST_POINTS * charts:
        return None
    return (
        f"{points} training points on {charts} charts are {points / charts:.1f} a chart, of the "
        f"{LEAST_POINTS} or more that a chart needs; use fewer charts"
    )


@dataclass(frozen=True)
class FittedAtlas:
    """A fitted atlas, and how it came about.

    Attributes:
        atlas: The atlas.
        history: Its training, one row per epoch.
        scores: What it was chosen among, one row of ``COLUMNS`` each; empty without a choice.
    """

    atlas: Atlas
    history: list[dict[str, Any]]
    scores: list[dict[str, Any]]


def fit_atlas(
    setting: AtlasSetting, data: Data, seed: int, checkpoint: Checkpoint | None = None
) -> FittedAtlas:
    """Fits an atlas, after choosing its charts where the entry leaves that open.

    Each candidate is scored by the mean log-likelihood of the validation split, over the
    covering charts, under the embedding's closed-form start with a standard normal in place
    of the flow. Centres are placed once for each K; no flow is trained. More charts than have
    enough points are left out.

    Args:
        setting: The atlas' entry, and with a choice what it is scored by.
        data: The data set; the test split is not read.
        seed: The trial's seed.
        checkpoint: Where a training in progress is kept.

    Raises:
        DivergedError: If what places the charts diverged, for every number of them, or no
            candidate has a finite likelihood.
    """
    entry = setting.atlas
    if entry.choice is None:
        atlas = build_atlas(entry, data.spec)
        history = atlas.fit(data, seed, checkpoint)
        return FittedAtlas(atlas.eval(), history, [])
    best: FittedAtlas | None = None
    highest, chosen = -math.inf, 0
    scores: list[dict[str, Any]] = []
    failed: DivergedError | None = None
    kept = enough(entry.choice.charts, len(data.points["train"]))
    if left_out := [k for k in entry.choice.charts if k not in kept]:
        log.info("%s: %s charts are left out: too few points for them", entry.name, left_out)
    by_charts = [(charts, group) for charts, group in _by_charts(entry) if charts in kept]
    groups = tqdm(by_charts, desc="choosing charts", unit="K", disable=None, leave=False)
    for charts, group in groups:
        fitted, history = None, []
        for numbers, candidate in group:
            atlas = build_atlas(candidate, data.spec)
            if fitted is None:
                try:
                    history = atlas.fit(data, seed, _apart(checkpoint, charts))
                except DivergedError as error:
                    log.warning("%s, %d charts: diverged: %s", entry.name, charts, error)
                    failed = error
                    break
                fitted = atlas.eval()
            else:
                atlas = _with_overlap(fitted, candidate, data)
            score = _score(setting, atlas, data)
            row = dict(zip(COLUMNS, (*numbers, atlas.charts, score, False), strict=True))
            log.info("%s: %s", entry.name, row)
            if score > highest:
                best, highest, chosen = FittedAtlas(atlas, history, scores), score, len(scores)
            scores.append(row)
    if best is None:
        raise failed or DivergedError("no candidate for the charts has a finite likelihood")
    scores[chosen]["chosen"] = True
    return best


def _apart(checkpoint: Checkpoint | None, charts: int) -> Checkpoint | None:
    """Gives the trainings of different K checkpoints of their own."""
    if checkpoint is None:
        return None
    path = checkpoint.path.with_name(f"{checkpoint.path.stem}-{charts}{checkpoint.path.suffix}")
    return replace(checkpoint, path=path, fingerprint=f"{checkpoint.fingerprint}-{charts}")


def _with_overlap(fitted: Atlas, entry: AtlasEntry, data: Data) -> Atlas:
    """Gives the same centres with another m and ε."""
    atlas = build_atlas(entry, data.spec)
    atlas.load_state_dict(fitted.state_dict())
    atlas.eval().requires_grad_(False)
    atlas.place_prior(data)
    return atlas


@torch.no_grad()
def _score(setting: AtlasSetting, atlas: Atlas, data: Data) -> float:
    """Gives the mean log p of the validation split, in nats, without a flow."""
    assert setting.embedding is not None
    assert setting.preprocess is not None
    name = data.spec.name
    own_prior = atlas.log_prior
    preprocessing = build_preprocessing(name, setting.preprocess, data.spec)
    preprocessing.fit(data.points["train"], seed=derive_seed("preprocessing", name))
    embedding = build_embedding(setting.embedding, atlas)
    flow = unchanged(embedding.latent_features)
    model = VQFlow(preprocessing, atlas, embedding, flow).eval()
    atlas.log_prior = own_prior.clone()
    place_charts(model, data)
    generator = torch.Generator().manual_seed(derive_seed("dequantise", name, "validation"))
    points = torch.as_tensor(data.points["validation"])
    x = preprocessing.dequantise(points, generator)
    score = model.log_prob(x, "covering").double().mean()
    atlas.log_prior = own_prior
    return float(score)

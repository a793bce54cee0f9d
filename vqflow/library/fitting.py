"""Fitting a model to an array: split, charts, frames, flow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from vqflow.atlases import Atlas
from vqflow.choice import few_points, fit_atlas
from vqflow.config.entries import Training
from vqflow.config.setting import ModelSetting
from vqflow.datasets.base import Array, Data, DataSpec
from vqflow.flows import build_flow
from vqflow.library.fitted import FittedModel
from vqflow.library.points import Kind, check_spread, read_points
from vqflow.library.settings import (
    DATASET,
    OBJECTIVE,
    SINGLE,
    atlas_setting,
    budget,
    flow_entry,
    frames,
    least_points,
)
from vqflow.models.build import build_model, count_parameters, place_charts
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask
from vqflow.provenance import versions
from vqflow.seeding import derive_seed
from vqflow.training import Outcome
from vqflow.training import fit as run_training

_VALIDATION = 0.2
_MOST_VALIDATION = 10_000
_MOST_PLACED = 10_000
_MOST_PLACED_NUMBERS = 2**18
_SMALL = 2**20  # parameters, up to which a second thread costs more than it saves


def fit(
    x: NDArray[Any] | Tensor,
    *,
    flow: str | Mapping[str, Any] = "maf",
    charts: int | None = None,
    validation: float | NDArray[Any] | Tensor | None = None,
    epochs: int | None = None,
    learning_rate: float = 6e-3,
    seed: int = 0,
) -> FittedModel:
    """Fits a density to points: standardises, chooses charts, trains, keeps the best validation.

    Charts are those of k-means, each with a frame of its own
    (:class:`vqflow.embeddings.Frames`). How many, and how they overlap, is chosen on the
    validation points, before the flow is trained. torch's threads and random numbers are as
    before afterwards.

    Args:
        x: Points (N, D), numpy or torch, of any floating-point type. Points on a GPU are
            fitted there.
        flow: ``"maf"``, ``"realnvp"``, ``"nsf"`` or ``"gaussian"``, or a class with its
            arguments: ``{"class": "zuko.flows.NAF", "transforms": 2}``.
        charts: K, the number of charts; 1 is the plain flow. ``None`` chooses it.
        validation: The share of x that is held out, or points (M, D). ``None``: a fifth, at
            most 10,000.
        epochs: Most epochs to train; ``None`` for a number that suits N.
        learning_rate: Peak learning rate of Adam.
        seed: The same gives the same bits on the same machine.

    Raises:
        TypeError: If x is no array of floating-point numbers.
        ValueError: If an argument is out of range, or x has another shape, values that are not
            finite, constant columns or too few points.
        RuntimeError: If training diverged.

    Example:
        >>> import numpy as np
        >>> import vqflow
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> model = vqflow.fit(x, charts=1, epochs=2)
        >>> model.log_prob(x).shape, model.sample(5, seed=0).dtype
        ((200,), dtype('float64'))
    """
    data = _split(x, validation, seed)
    features, points = data.spec.features, len(data.points["train"])
    _check_points(data, charts)
    entry = flow_entry(flow)
    build_flow(entry.arguments(), "flow", features, context=features, seed=0)  # or it says why not
    training = budget(points, epochs, learning_rate)
    with torch.random.fork_rng(), _threads(1):
        torch.manual_seed(derive_seed("fit", seed))
        placed = _fewer(data)
        atlas, candidates = _fit_atlas(placed, charts, seed)
        setting = ModelSetting(
            dataset=DATASET,
            flow=entry,
            atlas=atlas.entry or SINGLE.atlas,
            embedding=frames(features),
            base=None,
            training=training,
            objective=OBJECTIVE,
        )
        model = build_model(setting, atlas, seed)
        model.preprocessing.fit(data.points["train"], seed=0)
        model.to(x.device if isinstance(x, Tensor) and x.is_cuda else "cpu")
        place_charts(model, placed)
    outcome = _train(model, data, training, seed)
    best = outcome.history[outcome.best_epoch - 1]
    facts = {
        "seed": seed,
        "candidates": candidates,
        "points": points,
        "validation_points": len(data.points["validation"]),
        "validation_log_likelihood": -best["validation_loss"],
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch,
        "kind": asdict(Kind.of(x)),
        "versions": versions(),
    }
    return FittedModel(model.eval(), setting, facts, outcome.history)


def _train(model: VQFlow, data: Data, training: Training, seed: int) -> Outcome:
    """Trains the flow, and leaves the model with the weights of its best validation."""
    small = count_parameters(model.flow) <= _SMALL
    with torch.random.fork_rng(), _threads(1 if small else torch.get_num_threads()):
        outcome = run_training(
            FlowTask(model, data, Covering(), lambda epoch: None),
            training,
            seed=derive_seed("flow", seed),
            batch_seed=derive_seed("order", seed),
            name=f"{model.atlas.charts} charts",
        )
    if outcome.status == "diverged":
        raise RuntimeError(
            f"training diverged in epoch {len(outcome.history)}; learning_rate is "
            f"{training.learning_rate:g}: try a tenth of it"
        )
    return outcome


def _split(
    x: NDArray[Any] | Tensor, validation: float | NDArray[Any] | Tensor | None, seed: int
) -> Data:
    """Gives the points that are trained on, and those that charts and epoch are chosen by."""
    points = _to_numpy(read_points(x, "x"))
    if isinstance(validation, (np.ndarray, Tensor)):
        train = points
        held = _to_numpy(read_points(validation, "validation", points.shape[1]))
    else:
        held_out = _held_out(len(points), validation)
        order = np.random.default_rng(derive_seed("validation", seed)).permutation(len(points))
        held, train = points[order[:held_out]], points[order[held_out:]]
    splits: dict[str, Array] = {"train": train, "validation": held, "test": held}
    return Data(DataSpec(DATASET.name, "vector", (points.shape[1],)), splits)


def _held_out(points: int, share: float | None) -> int:
    if share is None:
        return max(1, min(_MOST_VALIDATION, round(_VALIDATION * points)))
    if not isinstance(share, float) or not 0 < share < 1:
        raise ValueError(f"validation is {share!r}; needed: a share above 0 and below 1, or points")
    return max(1, round(share * points))


def _to_numpy(points: Tensor) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = points.double().cpu().numpy()
    return numbers


def _check_points(data: Data, charts: int | None) -> None:
    """Refuses points that cannot be fitted, or not on so many charts."""
    points, needed = len(data.points["train"]), least_points(data.spec.features)
    if points < needed:
        raise ValueError(
            f"x leaves {points} points to train on; needed for {data.spec.features} dimensions: "
            f"at least {needed}, besides those for validation"
        )
    check_spread(data.points["train"], "x")
    if charts is None:
        return
    if not isinstance(charts, int) or isinstance(charts, bool):
        raise ValueError(f"charts is {charts!r}; needed: a whole number, or None")
    if not 1 <= charts <= points:
        raise ValueError(f"charts is {charts}; allowed: 1 to {points}, the points to train on")
    few = few_points(points, charts)
    if few is not None:
        warnings.warn(few, stacklevel=3)


def _fewer(data: Data) -> Data:
    """Gives as many points as charts are chosen and placed by; they come in random order."""
    most = min(_MOST_PLACED, max(1, _MOST_PLACED_NUMBERS // data.spec.features))
    return Data(data.spec, {split: points[:most] for split, points in data.points.items()})


def _fit_atlas(data: Data, charts: int | None, seed: int) -> tuple[Atlas, int]:
    """Gives the atlas, and the number of candidates that it was chosen from."""
    candidates = 1
    if charts != 1:
        points = len(data.points["train"])
        found = fit_atlas(atlas_setting(data.spec.features, points, charts), data, seed)
        candidates = len(found.scores)
        if found.atlas.charts > 1:
            return found.atlas, candidates
    return fit_atlas(SINGLE, data, seed).atlas, candidates


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Runs torch, and the k-means of scikit-learn, on so many threads."""
    before = torch.get_num_threads()
    try:
        with threadpool_limits(count):
            torch.set_num_threads(count)
            yield
    finally:
        torch.set_num_threads(before)

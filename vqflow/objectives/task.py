"""Training a flow by an objective (paper, section 3.3), as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from vqflow.atlases.base import as_data_space
from vqflow.atlases.covering import Covering as Pairs
from vqflow.datasets.base import Array, Data
from vqflow.models.vqflow import VQFlow
from vqflow.objectives.base import Objective
from vqflow.objectives.covering import Covering
from vqflow.seeding import derive_seed

Snapshot = Callable[[int], None]

_CHUNK = 8192
_PROJECTED = 8192
_VALIDATION_BATCH = 1024
_ROUND_TRIP = 0.01


class FlowTask:
    """Trains the flow of a :class:`VQFlow`; its atlas stays as it is.

    The encoder is run once per image or point, before training; data stay on the
    model's device; what does not depend on the weights (also the projections of an embedding
    that is not trained) is computed for thousands of points at once, so that a step runs
    the flow and little else. ``module`` holds what is trained. The loss is minus the mean of
    the objective; validation is by the log-likelihood over the covering charts, whatever the
    objective. Where an embedding raises the dimension, ``reconstruction`` times the squared
    distance of a point to its reconstruction may be added, under the same charts.

    Args:
        model: The model, on its device.
        data: The data set; only its training and validation splits are read.
        objective: What is maximised.
        end_epoch: Called after each epoch with its number.
        reconstruction: Weight of the reconstruction error in the training loss.
        pairs: The covering pairs of the training split, where they are known already.

    Raises:
        ValueError: If the flow has a base of its own and points lie where it is not one to one.
    """

    def __init__(
        self,
        model: VQFlow,
        data: Data,
        objective: Objective,
        end_epoch: Snapshot,
        reconstruction: float = 0.0,
        pairs: Pairs | None = None,
    ) -> None:
        self.model = model
        parts = [model.flow, model.embedding, model.base]
        self.module: nn.Module = nn.ModuleList([part for part in parts if part is not None])
        self.end_epoch = end_epoch
        self._weight = reconstruction
        trained = any(parameter.requires_grad for parameter in model.embedding.parameters())
        self._project_first = model.embedding.moves and not trained
        self._objective, self._likelihood = objective, Covering()
        self._train = self._on_device(data.points["train"])
        self._train_pairs = pairs or self._pairs(data, "train")
        self._fixed = None if data.spec.levels else self._preprocess(self._train, None)
        generator = torch.Generator(model.device)
        generator.manual_seed(derive_seed("dequantise", data.spec.name, "validation"))
        validation = self._on_device(data.points["validation"])
        self._validation = self._preprocess(validation, generator)
        self._validation_pairs = self._pairs(data, "validation")
        if not model.flow.standard:
            self._check_domain()

    @property
    def points(self) -> int:
        """Number of training points."""
        return len(self._train)

    def losses(self, order: Tensor, batch_size: int, noise: torch.Generator) -> Iterator[Tensor]:
        """Gives the mean loss, in nats, of each batch of the training points ``order`` (N,)."""
        for rows in order.split(batch_size * max(1, _CHUNK // batch_size)):
            if self._fixed is None:
                y, ladj = self._preprocess(self._train[rows], noise)
            else:
                y, ladj = (part[rows] for part in self._fixed)
            pairs = self._train_pairs[rows]
            values = self._values(y, pairs, batch_size, self._objective, noise, self._weight)
            for value, part in zip(values, ladj.split(batch_size), strict=True):
                yield -(value + part).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Gives minus the mean of log p over the covering charts, in nats."""
        y, ladj = self._validation
        total = ladj.double().sum()
        pairs = self._validation_pairs
        for log_prob in self._values(y, pairs, _VALIDATION_BATCH, self._likelihood):
            total += log_prob.double().sum()
        return {"validation_loss": -float(total) / len(y)}

    def _values(
        self,
        y: Tensor,
        pairs: Pairs,
        batch_size: int,
        objective: Objective,
        noise: torch.Generator | None = None,
        weight: float = 0.0,
    ) -> Iterator[Tensor]:
        """Gives what the objective maximises (B,), of each batch of points y (N, D).

        Less ``weight`` times the reconstruction error, averaged over the chosen charts.
        """
        pairs, log_weight = objective.choose(pairs, self.model.atlas.log_prior, noise)
        masks = pairs.mask.split(batch_size)
        rows: Tensor | None = None
        counts: int | list[int] = batch_size
        if pairs.charts.shape[1] == 1:
            charts = pairs.charts[:, 0]
        else:
            rows, charts = pairs.pairs()
            counts = torch.stack([mask.sum() for mask in masks]).tolist()
        log_probs = self._chart_log_probs(y, rows, charts, counts)
        if rows is None:
            rows = torch.arange(len(y), device=y.device)
        parts = (table.split(counts) for table in (rows, charts))
        weights = log_weight.split(batch_size)
        for mask, row, chart, of_pairs, shares in zip(
            masks, *parts, log_probs, weights, strict=True
        ):
            value = objective.combine(_as_table(of_pairs, mask), shares)
            if weight:
                errors = _as_table(self._error(y[row], chart), mask)
                value = value - weight * (shares.softmax(1) * errors).sum(1)
            yield value

    def _chart_log_probs(
        self, y: Tensor, rows: Tensor | None, charts: Tensor, counts: int | list[int]
    ) -> Iterator[Tensor]:
        """Gives log p(y|k) of consecutive parts of the pairs of points and charts.

        Args:
            y: Points (N, D).
            rows: The pairs' points (P,); ``None`` for each point once.
            charts: The pairs' charts (P,).
            counts: Lengths of the parts.
        """
        if self._project_first:
            projected = (*self._projected(y, rows, charts), charts)
            for latent in zip(*(table.split(counts) for table in projected), strict=True):
                yield self.model.latent_log_prob(*latent)
            return
        parts = y.split(counts) if rows is None else (y[row] for row in rows.split(counts))
        for part, chart in zip(parts, charts.split(counts), strict=True):
            yield self.model.chart_log_prob(part, chart)

    @torch.no_grad()
    def _projected(self, y: Tensor, rows: Tensor | None, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Gives u (P, d) and the log-volumes (P,) of all pairs, some thousand at a time."""
        points = y.split(_PROJECTED) if rows is None else (y[r] for r in rows.split(_PROJECTED))
        parts = zip(points, charts.split(_PROJECTED), strict=True)
        latent, log_volume = zip(*(self.model.embedding.log_volume(*p) for p in parts), strict=True)
        return torch.cat(latent), torch.cat(log_volume)

    def _error(self, y: Tensor, charts: Tensor) -> Tensor:
        return (y - self.model.reconstruct(y, charts)).square().sum(1)

    @torch.no_grad()
    def _preprocess(self, points: Tensor, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
        y, ladj = self.model.preprocessing(self.model.preprocessing.dequantise(points, noise))
        return y, ladj

    @torch.no_grad()
    def _check_domain(self) -> None:
        """Flows on a box, such as those of angles, map what lies outside like points inside."""
        outside = 0
        noise = torch.Generator(self.model.device).manual_seed(0)
        for rows in torch.arange(self.points, device=self.model.device).split(_CHUNK):
            y, _ = self._preprocess(self._train[rows], noise)
            charts = self._train_pairs.charts[rows, 0]
            u = self.model.embedding.project(y, charts)
            error = (self.model.through_noise(u, charts) - u).abs()
            outside += int((error > _ROUND_TRIP * (1 + u.abs())).any(1).sum())
        if outside:
            spec = self.model.atlas.spec
            raise ValueError(
                f"{type(self.model.flow.flow).__name__} is not one to one at {outside} of "
                f"{self.points} training points: bring them into its domain by "
                f"datasets.{spec.name}.preprocess"
            )

    def _pairs(self, data: Data, split: str) -> Pairs:
        return self.model.atlas.pairs(as_data_space(data, split).to(self.model.device))

    def _on_device(self, points: Array) -> Tensor:
        return torch.as_tensor(points).to(self.model.device)


def _as_table(values: Tensor, mask: Tensor) -> Tensor:
    """Puts the values of pairs (P,) where the mask (B, L) is true, and 0 elsewhere."""
    if mask.shape[1] == 1:
        return values[:, None]
    return values.new_zeros(mask.shape).masked_scatter(mask, values)

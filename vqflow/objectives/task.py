"""Training a flow by an objective (paper, section 3.3), as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from vqflow.atlases.base import as_data_space
from vqflow.atlases.covering import Covering as Pairs
from vqflow.datasets.base import Array, Data
from vqflow.models.vqflow import VQFlow
from vqflow.objectives.base import Objective, prior_of
from vqflow.objectives.batches import PairBatch, cut, most_pairs, widen
from vqflow.objectives.covering import Covering
from vqflow.seeding import derive_seed

Snapshot = Callable[[int], None]

_CHUNK = 8192
_PROJECTED = 8192
_VALIDATION_BATCH = 1024
_ROUND_TRIP = 0.01
_DRAWS = 2**14


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
        self._most: int | None = None
        trained = any(parameter.requires_grad for parameter in model.embedding.parameters())
        self._project_first = model.embedding.moves and not trained
        self._reads_points = not self._project_first or bool(reconstruction)
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

    replayable = True

    @property
    def points(self) -> int:
        """Number of training points."""
        return len(self._train)

    def batches(
        self, order: Tensor, batch_size: int, noise: torch.Generator, static: bool = False
    ) -> Iterator[PairBatch]:
        """Gives the batches of the training points ``order`` (N,), prepared by thousands."""
        for rows in order.split(batch_size * max(1, _CHUNK // batch_size)):
            if self._fixed is None:
                y, ladj = self._preprocess(self._train[rows], noise)
            else:
                y, ladj = (part[rows] for part in self._fixed)
            pairs = self._train_pairs[rows]
            pairs, log_weight = self._objective.choose(pairs, self.model.atlas.log_prior, noise)
            if static:
                pairs, log_weight = widen(pairs, log_weight)
                self._most = self._most or most_pairs(pairs.mask, batch_size)
            yield from self._cut(y, ladj, pairs, log_weight, batch_size, self._most)

    def loss(self, *batch: Tensor) -> Tensor:
        """Gives the mean loss, in nats, of a :class:`~vqflow.objectives.batches.PairBatch`."""
        pairs = PairBatch(*batch)
        value = self._objective.combine(self._log_probs(pairs), pairs.log_weight)
        if self._weight:
            reconstructed = self.model.reconstruct(pairs.points, pairs.charts)
            errors = pairs.as_table((pairs.points - reconstructed).square().sum(1))
            value = value - self._weight * (pairs.log_weight.softmax(1) * errors).sum(1)
        return -(value + pairs.ladj).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Gives minus the mean of log p over the covering charts, in nats."""
        if self.model.base is not None:  # the same draws each time, so that epochs compare
            generator = torch.Generator(self.model.device).manual_seed(0)
            self.model.base.normalise(_DRAWS, generator)
        y, ladj = self._validation
        pairs = self._validation_pairs
        total = ladj.double().sum()
        weights = prior_of(pairs, self.model.atlas.log_prior)
        for batch in self._cut(y, ladj, pairs, weights, _VALIDATION_BATCH, None):
            log_prob = self._likelihood.combine(self._log_probs(batch), batch.log_weight)
            total += log_prob.double().sum()
        return {"validation_loss": -float(total) / len(y)}

    def _log_probs(self, pairs: PairBatch) -> Tensor:
        """Gives log p(y|k) of the pairs, as a table (B, L)."""
        if self._project_first:
            values = self.model.latent_log_prob(pairs.latent, pairs.log_volume, pairs.charts)
        else:
            values = self.model.chart_log_prob(pairs.points, pairs.charts)
        return pairs.as_table(values)

    def _cut(
        self,
        y: Tensor,
        ladj: Tensor,
        pairs: Pairs,
        log_weight: Tensor,
        batch_size: int,
        most: int | None,
    ) -> Iterator[PairBatch]:
        """Gives the batches of points y (N, D) with their pairs, chosen and weighted (N, L)."""
        rows, charts = pairs.pairs()
        projected = self._projected(y, rows, charts) if self._project_first else None
        nothing = y.new_zeros(0)
        for part in cut(pairs.mask, batch_size, most):
            latents = (nothing, nothing)
            if projected is not None:
                latents = (projected[0][part.pairs], projected[1][part.pairs])
            yield PairBatch(
                y[rows[part.pairs]] if self._reads_points else nothing,
                *latents,
                charts[part.pairs],
                part.places,
                log_weight[part.points],
                ladj[part.points],
            )

    @torch.no_grad()
    def _projected(self, y: Tensor, rows: Tensor, charts: Tensor) -> tuple[Tensor, Tensor]:
        """Gives u (P, d) and the log-volumes (P,) of all pairs, some thousand at a time."""
        parts = zip(rows.split(_PROJECTED), charts.split(_PROJECTED), strict=True)
        found = (self.model.embedding.log_volume(y[row], chart) for row, chart in parts)
        latent, log_volume = zip(*found, strict=True)
        return torch.cat(latent), torch.cat(log_volume)

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

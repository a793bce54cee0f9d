"""What training a flow minimises (paper, section 3.3), as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from vqflow.atlases.base import as_data_space
from vqflow.atlases.covering import Covering
from vqflow.datasets.base import Array, Data
from vqflow.models.vqflow import VQFlow
from vqflow.seeding import derive_seed

Objective = Literal["sampled", "covering"]
Snapshot = Callable[[int], None]

_CHUNK = 8192
_PROJECTED = 8192
_VALIDATION_BATCH = 1024


class FlowTask:
    """Trains the flow of a :class:`VQFlow`; its atlas stays as it is.

    The encoder is run once per image or point, before training; data stay on the
    model's device; what does not depend on the weights (also the projections of an embedding
    that is not trained) is computed for thousands of points at once, so that a step runs
    the flow and little else. ``module`` holds what is trained. With
    P(x) = Σ_{k covers x} p_k and p̃_x(k) = p_k / P(x), the loss is

    - ``"sampled"``: -(log p(x|k) + log P(x)), k ~ p̃_x drawn anew at every step;
    - ``"covering"``: -log Σ_{k covers x} p_k p(x|k).

    By Jensen's inequality the first is an upper bound of the second; validation is
    by the second in both. Where an embedding raises the dimension, ``reconstruction`` times
    the squared distance of a point to its reconstruction may be added, under the same charts.

    Args:
        model: The model, on its device.
        data: The data set; only its training and validation splits are read.
        objective: The loss.
        end_epoch: Called after each epoch with its number.
        reconstruction: Weight of the reconstruction error in the training loss.
        pairs: The covering pairs of the training split, where they are known already.
    """

    def __init__(
        self,
        model: VQFlow,
        data: Data,
        objective: Objective,
        end_epoch: Snapshot,
        reconstruction: float = 0.0,
        pairs: Covering | None = None,
    ) -> None:
        self.model = model
        parts = [model.flow, model.embedding, model.base]
        self.module: nn.Module = nn.ModuleList([part for part in parts if part is not None])
        self.end_epoch = end_epoch
        self._weight = reconstruction
        trained = any(parameter.requires_grad for parameter in model.embedding.parameters())
        self._project_first = model.embedding.moves and not trained
        self._log_probs = {"sampled": self._sampled, "covering": self._covering}[objective]
        self._train = self._on_device(data.points["train"])
        self._train_pairs = pairs or self._pairs(data, "train")
        self._fixed = None if data.spec.levels else self._preprocess(self._train, None)
        generator = torch.Generator(model.device)
        generator.manual_seed(derive_seed("dequantise", data.spec.name, "validation"))
        validation = self._on_device(data.points["validation"])
        self._validation = self._preprocess(validation, generator)
        self._validation_pairs = self._pairs(data, "validation")

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
            log_probs = self._log_probs(y, pairs, batch_size, noise, self._weight)
            for log_prob, part in zip(log_probs, ladj.split(batch_size), strict=True):
                yield -(log_prob + part).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Gives minus the mean of log p over the covering charts, in nats."""
        y, ladj = self._validation
        total = ladj.double().sum()
        for log_prob in self._covering(y, self._validation_pairs, _VALIDATION_BATCH, None, 0.0):
            total += log_prob.double().sum()
        return {"validation_loss": -float(total) / len(y)}

    def _covering(
        self,
        y: Tensor,
        pairs: Covering,
        batch_size: int,
        noise: torch.Generator | None,
        weight: float,
    ) -> Iterator[Tensor]:
        """Gives log Σ_{k covers y} p_k p(y|k) (B,) of each batch of points y (N, D).

        Less ``weight`` times the reconstruction error, averaged over p̃_y.
        """
        if pairs.charts.shape[1] == 1:
            charts = pairs.charts[:, 0]
            constants = self.model.atlas.log_prior[charts]
            yield from self._on_charts(y, charts, constants, batch_size, weight)
            return
        rows, charts = pairs.pairs()
        masks = pairs.mask.split(batch_size)
        counts = torch.stack([mask.sum() for mask in masks]).tolist()
        parts = (table.split(counts) for table in (rows, charts))
        log_probs = self._chart_log_probs(y, rows, charts, counts)
        for mask, row, chart, log_prob in zip(masks, *parts, log_probs, strict=True):
            prior = self.model.atlas.log_prior[chart]
            values = log_prob + prior
            joint = values.new_full(mask.shape, -torch.inf).masked_scatter(mask, values)
            if not weight:
                yield joint.logsumexp(1)
                continue
            priors = joint.detach().masked_scatter(mask, prior).softmax(1)
            errors = torch.zeros_like(joint).masked_scatter(mask, self._error(y[row], chart))
            yield joint.logsumexp(1) - weight * (priors * errors).sum(1)

    def _sampled(
        self,
        y: Tensor,
        pairs: Covering,
        batch_size: int,
        noise: torch.Generator | None,
        weight: float,
    ) -> Iterator[Tensor]:
        """Gives log p(y|k) + log P(y) (B,), k drawn, of each batch of points y (N, D).

        Less ``weight`` times the reconstruction error on chart k.
        """
        log_prior = self.model.atlas.log_prior[pairs.charts]
        weights = log_prior.masked_fill(~pairs.mask, -torch.inf)
        column = torch.multinomial(weights.exp(), 1, generator=noise)
        charts = pairs.charts.gather(1, column)[:, 0]
        yield from self._on_charts(y, charts, weights.logsumexp(1), batch_size, weight)

    def _on_charts(
        self,
        y: Tensor,
        charts: Tensor,
        constants: Tensor,
        batch_size: int,
        weight: float,
    ) -> Iterator[Tensor]:
        parts = (table.split(batch_size) for table in (y, charts, constants))
        log_probs = self._chart_log_probs(y, None, charts, batch_size)
        for points, chart, constant, of_chart in zip(*parts, log_probs, strict=True):
            log_prob = of_chart + constant
            if weight:
                log_prob = log_prob - weight * self._error(points, chart)
            yield log_prob

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

    def _pairs(self, data: Data, split: str) -> Covering:
        return self.model.atlas.pairs(as_data_space(data, split).to(self.model.device))

    def _on_device(self, points: Array) -> Tensor:
        return torch.as_tensor(points).to(self.model.device)

"""What training a flow minimises (paper, section 3.3), as a task of the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from vqflow.atlas import Covering, as_data_space
from vqflow.datasets.base import Array, Data
from vqflow.model import VQFlow
from vqflow.seeding import derive_seed

Objective = Literal["sampled", "covering"]
Snapshot = Callable[[int], None]

_CHUNK = 4096


class FlowTask:
    """Trains the flow of a :class:`VQFlow`; its atlas stays as it is.

    The encoder is run once per image or point, before training; data stay on the
    model's device; ``module`` holds what is trained. With P(x) = Σ_{k covers x} p_k and
    p̃_x(k) = p_k / P(x), the loss is

    - ``"sampled"``: -(log p(x|k) + log P(x)), k ~ p̃_x drawn anew at every step;
    - ``"covering"``: -log Σ_{k covers x} p_k p(x|k).

    By Jensen's inequality the first is an upper bound of the second; validation is
    by the second in both.

    Args:
        model: The model, on its device.
        data: The data set; only its training and validation splits are read.
        objective: The loss.
        end_epoch: Called after each epoch with its number.
    """

    def __init__(
        self, model: VQFlow, data: Data, objective: Objective, end_epoch: Snapshot
    ) -> None:
        self.model = model
        self.module: nn.Module = nn.ModuleList([model.flow, model.embedding])
        self.end_epoch = end_epoch
        self._loss = {"sampled": self._sampled, "covering": self._covering}[objective]
        self._train = self._on_device(data.points["train"])
        self._train_pairs = self._pairs(data, "train")
        generator = torch.Generator(model.device)
        generator.manual_seed(derive_seed("dequantise", data.spec.name, "validation"))
        self._validation = model.preprocessing.dequantise(
            self._on_device(data.points["validation"]), generator
        )
        self._validation_pairs = self._pairs(data, "validation")

    @property
    def points(self) -> int:
        """Number of training points."""
        return len(self._train)

    def loss(self, rows: Tensor, noise: torch.Generator) -> Tensor:
        """Gives the mean loss, in nats, over training points ``rows`` (B,)."""
        x = self.model.preprocessing.dequantise(self._train[rows], noise)
        y, ladj = self.model.preprocessing(x)
        log_prob = self._loss(y, self._train_pairs[rows], noise)
        return -(log_prob + ladj).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Gives minus the mean of log p over the covering charts, in nats."""
        total = torch.zeros((), dtype=torch.float64, device=self.model.device)
        for start in range(0, len(self._validation), _CHUNK):
            part = slice(start, start + _CHUNK)
            y, ladj = self.model.preprocessing(self._validation[part])
            log_prob = self._covering(y, self._validation_pairs[part], None)
            total += (log_prob + ladj).double().sum()
        return {"validation_loss": -float(total) / len(self._validation)}

    def _covering(self, y: Tensor, pairs: Covering, noise: torch.Generator | None) -> Tensor:
        return self.model.log_joint(y, pairs).logsumexp(1)

    def _sampled(self, y: Tensor, pairs: Covering, noise: torch.Generator | None) -> Tensor:
        log_prior = self.model.atlas.log_prior[pairs.charts]
        weights = log_prior.masked_fill(~pairs.mask, -torch.inf)
        column = torch.multinomial(weights.exp(), 1, generator=noise)
        charts = pairs.charts.gather(1, column)[:, 0]
        return self.model.chart_log_prob(y, charts) + weights.logsumexp(1)

    def _pairs(self, data: Data, split: str) -> Covering:
        return self.model.atlas.pairs(as_data_space(data, split).to(self.model.device))

    def _on_device(self, points: Array) -> Tensor:
        return torch.as_tensor(points).to(self.model.device)

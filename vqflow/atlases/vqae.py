"""The vector-quantised auto-encoder, and the atlas that it learns (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vqflow.atlases.base import Atlas, Prior, as_data_space, check_enough
from vqflow.atlases.networks import decoder_network, encoder_network
from vqflow.atlases.quantiser import DEFAULT, Quantiser, code_space, codebook_size
from vqflow.config.entries import Optimisation
from vqflow.config.limits import Count, NotNegative, Widths
from vqflow.datasets.base import Data, DataSpec
from vqflow.seeding import derive_seed
from vqflow.training.loop import Checkpoint, fit
from vqflow.training.outcome import DivergedError

_KMEANS_POINTS = 8192


class VQAtlas(Atlas):
    """Charts around the codebook of a vector-quantised auto-encoder.

    Args:
        spec: What the data look like.
        charts: K, the size of the codebook; to be left out where the quantiser has ``levels``,
            whose product it then is.
        code_dim: C, the width of the code.
        training: Budget and optimiser of the auto-encoder (see ``Optimisation``).
        hidden: Widths of the encoder's hidden layers, mirrored by the decoder; for
            images its two numbers of channels.
        min_charts: m, see :class:`~vqflow.atlases.Atlas`.
        epsilon: ε, see :class:`~vqflow.atlases.Atlas`.
        prior: See :class:`~vqflow.atlases.Atlas`.
        quantiser: Entry of the quantiser, a class of vector-quantize-pytorch and its arguments:
            ``VectorQuantize``, also with ``use_cosine_sim``, ``FSQ`` with ``levels``, or another
            that chooses the nearest of one codebook's centres. ``dim`` and ``codebook_size`` are
            supplied. ``None`` for ``quantiser.DEFAULT``, which an entry replaces in whole.

    Distances are those of the quantiser: between E(x) and the centres; with cosine similarity
    between unit vectors; with FSQ between grid points and the bounded E(x).

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        charts: Count | None = None,
        code_dim: Count,
        training: Mapping[str, Any],
        hidden: Widths = (64, 64),
        min_charts: Count = 1,
        epsilon: NotNegative = 0.0,
        prior: Prior = "coverage",
        quantiser: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, min_charts, epsilon, prior)
        self.quantiser = dict(quantiser or DEFAULT)
        self.wanted_charts = codebook_size(self.quantiser, charts, code_dim)
        if self.wanted_charts < min_charts:
            raise ValueError(
                f"charts is {self.wanted_charts}; it must be at least min_charts = {min_charts}"
            )
        if code_dim < 1:
            raise ValueError(f"code_dim is {code_dim}; it must be at least 1")
        if spec.kind == "image" and len(hidden) != 2:
            raise ValueError(f"hidden is {list(hidden)}; images need two numbers of channels")
        self.wanted_code_dim = code_dim
        self.training_settings = Optimisation.model_validate(training)
        self.encoder = encoder_network(spec, code_dim, hidden)
        self.decoder = decoder_network(spec, code_dim, hidden)
        self.space = code_space(self.quantiser)

    def encode(self, x: Tensor) -> Tensor:
        """Gives E(x) (N, C) of points x (N, D), where the quantiser measures distances."""
        code: Tensor = self.space(self.encoder(self.normalise(x)))
        return code

    @property
    def quantiser_place(self) -> str:
        """Where the quantiser stands in the configuration."""
        name = type(self).__name__ if self.entry is None else self.entry.name
        return f"atlases.{name}.quantiser"

    def build_quantiser(self) -> Quantiser:
        """Builds the quantiser, which only fitting needs.

        Raises:
            ConfigError: If its class refuses its arguments.
            ValueError: If it has no codebook of K centres.
        """
        return Quantiser(
            self.quantiser, self.quantiser_place, self.wanted_code_dim, self.wanted_charts
        )

    def fit(
        self, data: Data, seed: int, checkpoint: Checkpoint | None = None
    ) -> list[dict[str, Any]]:
        """Trains the auto-encoder and places the charts at its codebook.

        Raises:
            DivergedError: If training diverged.
            RuntimeError: If there are fewer points than charts.
            ValueError: If the quantiser does not choose the nearest of its centres.
        """
        x = as_data_space(data, "train")
        check_enough(len(x), self.wanted_charts)
        device = torch.device(self.training_settings.device)
        self.fit_scale(x)
        self.to(device)
        trial = derive_seed("vqae", data.spec.name, seed)
        self._initialise(trial)
        inputs = self.normalise(x.to(device))
        validation = self.normalise(as_data_space(data, "validation").to(device))
        task = _AutoEncoding(self, inputs, validation, trial)
        outcome = fit(
            task,
            self.training_settings,
            seed=trial,
            batch_seed=trial,
            checkpoint=checkpoint,
            name=f"VQ-AE {data.spec.name} seed {seed}",
        )
        if outcome.status == "diverged":
            raise DivergedError(f"the auto-encoder's {outcome.reason}", outcome.history)
        self.eval().requires_grad_(False)
        task.codebook.eval()  # or looking at points would move the centres
        task.codebook.check(self.encoder(inputs[:_KMEANS_POINTS]))
        self.set_charts(task.codebook.centres, x.to(device))
        self.cpu()
        return outcome.history

    def _initialise(self, seed: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Conv2d)):
                    module.reset_parameters()


class _AutoEncoding:
    """L(D(Q(E(x))), x) with L the mean squared error, plus the quantiser's loss."""

    def __init__(self, atlas: VQAtlas, inputs: Tensor, validation: Tensor, seed: int) -> None:
        self.inputs = inputs
        self.validation = validation
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(derive_seed("codebook", seed))
            self.codebook = atlas.build_quantiser().to(inputs.device)
            self.codebook(atlas.encoder(inputs[:_KMEANS_POINTS]))
        self.encoder, self.decoder = atlas.encoder, atlas.decoder
        self.module: nn.Module = nn.ModuleList([self.encoder, self.decoder, self.codebook])

    @property
    def points(self) -> int:
        return len(self.inputs)

    replayable = False  # the quantiser moves its centres

    def batches(
        self, order: Tensor, batch_size: int, noise: torch.Generator, static: bool
    ) -> Iterator[tuple[Tensor]]:
        for rows in order.split(batch_size):
            yield (self.inputs[rows],)

    def loss(self, *batch: Tensor) -> Tensor:
        (x,) = batch
        quantised, _, commitment = self.codebook(self.encoder(x))
        error: Tensor = nn.functional.mse_loss(self.decoder(quantised), x)
        return error + commitment

    def validate(self) -> dict[str, float]:
        losses, counts = [], torch.zeros(len(self.codebook.centres), device=self.inputs.device)
        for x in self.validation.split(_KMEANS_POINTS):
            quantised, chart, _ = self.codebook(self.encoder(x))
            error = (self.decoder(quantised) - x).square().mean(1)
            losses.append(error)
            counts += torch.bincount(chart, minlength=len(counts))
        share = counts / counts.sum()
        return {
            "validation_loss": float(torch.cat(losses).mean()),
            "usage": float((counts > 0).float().mean()),
            "perplexity": float(torch.exp(torch.special.entr(share).sum())),
        }

    def end_epoch(self, epoch: int) -> None:
        pass

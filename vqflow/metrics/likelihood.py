"""Log-likelihood of the data under the model, and how far it stays below the exact density."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqflow.datasets.base import SPLITS, Split
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.models.chart_mixture import Support
from vqflow.models.density import DensityModel
from vqflow.seeding import derive_seed

_STANDARD_ERRORS = 4.0

logger = logging.getLogger(__name__)


def points_of(run: TrainedRun, split: str) -> Tensor:
    """Gives the points (N, D) of a split in data space.

    The dequantisation noise of images depends on the data set and the split
    alone, so that every model is scored on the same points.
    """
    generator = torch.Generator().manual_seed(derive_seed("dequantise", run.data.spec.name, split))
    return run.model.preprocessing.dequantise(
        torch.from_numpy(run.data.points[split]), generator=generator
    )


def log_densities(run: TrainedRun, support: Support, split: str) -> NDArray[np.float64]:
    """Gives log q(x) (N,) in nats for every point of a split, computed once per run.

    Args:
        run: The trained run.
        support: The charts that are summed over, see ``VQFlow.log_prob``.
        split: The split of the data.
    """
    key = (support, split)
    if key not in run.densities:
        with torch.no_grad():
            values = run.model.log_prob(points_of(run, split), support=support)
        run.densities[key] = values.double().cpu().numpy()
        bad = int((~np.isfinite(run.densities[key])).sum())
        if bad:
            place = f"data set '{run.data.spec.name}', {support} charts, split '{split}'"
            logger.warning("%s: %d of %d log-densities are not finite", place, bad, len(values))
    return run.densities[key]


def finite_mean(values: NDArray[np.float64]) -> float:
    """Gives the mean, or NaN if any value is not finite: no such model is to be ranked."""
    return float(values.mean()) if bool(np.isfinite(values).all()) else math.nan


class LogLikelihood(Metric):
    """Mean log-density of held-out points, per support of the mixture.

    From the support ``all`` also the median, as few points can dominate the mean, and for
    images bits/dim = -mean / (D ln 2) + log2(levels) (Theis et al. 2016, for pixels scaled to
    [0, 1)).
    """

    name = "log_likelihood"

    def __init__(
        self,
        supports: Sequence[str] = ("all", "covering", "confined"),
        splits: Sequence[str] = ("test", "validation"),
    ) -> None:
        """Checks the names.

        Args:
            supports: Supports to score; rows are named ``log_likelihood_<support>``.
            splits: Splits to score.

        Raises:
            ValueError: If a support or a split is unknown, or none is given.
        """
        self.supports = cast(tuple[Support, ...], _known("supports", supports, get_args(Support)))
        self.splits = cast(tuple[Split, ...], _known("splits", splits, SPLITS))
        self.quantities = [
            Quantity(
                f"log_likelihood_{support}",
                f"log-likelihood, {support} charts",
                "nats",
                "higher",
                headline=10 + 2 * get_args(Support).index(support),
                of_density=True,
            )
            for support in self.supports
        ]
        if "all" in self.supports:
            self.quantities += [
                Quantity(
                    "log_likelihood_all_median",
                    "median log-density, all charts",
                    "nats",
                    "higher",
                    headline=11,
                    of_density=True,
                ),
                Quantity(
                    "bits_per_dim",
                    "bits per dimension",
                    "bits/dim",
                    "lower",
                    decimals=3,
                    headline=30,
                    of_density=True,
                ),
            ]

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives one row per support and split, and the images' further rows.

        Without charts there is one support, ``all``.
        """
        whole = isinstance(run.model, DensityModel)
        supports = [support for support in self.supports if support == "all" or not whole]
        for split in self.splits:
            for support in supports:
                values = log_densities(run, support, split)
                mean, n = finite_mean(values), len(values)
                yield Score(f"log_likelihood_{support}", mean, n, split, values=values)
                if support != "all":
                    continue
                median = float(np.median(values)) if math.isfinite(mean) else math.nan
                yield Score("log_likelihood_all_median", median, n, split)
                levels = run.data.spec.levels
                if levels is not None:
                    bits = bits_per_dim(mean, run.data.spec.features, levels)
                    yield Score("bits_per_dim", bits, n, split)


class ManifoldLogLikelihood(Metric):
    """The paper's value on the manifold, ``manifold_log_likelihood``; it ranks nothing.

    See :meth:`vqflow.models.VQFlow.manifold_log_prob` for why it decides nothing. Needs
    preprocessing that is the identity.
    """

    own_space = True
    needs_charts = True
    name = "manifold_log_likelihood"
    quantities = (Quantity(name, "log-likelihood on the manifold", "nats", headline=None),)

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the mean over the test split."""
        with torch.no_grad():
            values = run.flow.manifold_log_prob(points_of(run, "test")).double().cpu().numpy()
        yield Score(self.name, finite_mean(values), len(values), "test", values=values)


class Ceiling(Metric):
    """The exact log-density of the data, which no model can beat but by chance.

    ``ceiling`` is the mean of log p* over the test split, ``ceiling_gap`` that of
    log p* - log q with q the model's density over all charts; both in nats.
    Data sets that do not know their density get no rows.
    """

    name = "ceiling"
    quantities = (
        Quantity("ceiling", "mean exact log-density", "nats", headline=None),
        Quantity(
            "ceiling_gap", "gap to the ceiling", "nats", "lower", headline=None, of_density=True
        ),
    )

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the ceiling and the gap.

        Raises:
            RuntimeError: If the model lies above the ceiling by more than 4 standard
                errors: its density is then not normalised.
        """
        if not run.data.log_density:
            return
        exact = run.data.log_density["test"].astype(np.float64)
        gaps = exact - log_densities(run, "all", "test")
        n = len(gaps)
        gap = finite_mean(gaps)
        error = math.inf
        if n > 1:
            error = float(gaps.std(ddof=1)) / math.sqrt(n) if math.isfinite(gap) else math.nan
        if gap < -_STANDARD_ERRORS * error:
            raise RuntimeError(
                f"data set '{run.data.spec.name}', metric 'ceiling_gap': the model's mean "
                f"log-density is {-gap:.4f} nats above the ceiling, {-gap / error:.1f} standard "
                f"errors (allowed: {_STANDARD_ERRORS:.0f}): a bug"
            )
        yield Score("ceiling", float(exact.mean()), n, "test", values=exact)
        yield Score("ceiling_gap", gap, n, "test", values=gaps)


def bits_per_dim(log_likelihood: float, features: int, levels: int) -> float:
    """Converts nats on pixels scaled to [0, 1) to bits per dimension of the quantised pixels.

    Args:
        log_likelihood: Mean log-density in nats.
        features: D, the number of pixels times channels.
        levels: Number of values that a pixel can take.
    """
    return -log_likelihood / (features * math.log(2)) + math.log2(levels)


def _known(argument: str, given: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in given if name not in allowed]
    if isinstance(given, str) or unknown or not given or len(set(given)) != len(given):
        raise ValueError(f"{argument}: got {given!r}, allowed: a list out of {', '.join(allowed)}")
    return tuple(given)

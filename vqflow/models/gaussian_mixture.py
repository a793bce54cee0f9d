"""A mixture of Gaussians by expectation maximisation: the rival that needs no flow."""

from __future__ import annotations

import logging

import numpy as np

from vqflow.config.limits import Count, NotNegative, Widths
from vqflow.models.density import Density, Points, State

log = logging.getLogger(__name__)

_NUMBERS = 2**24
"""The most numbers of the covariances' roots that are gathered at once."""


class GaussianMixture(Density):
    """scikit-learn's mixture of Gaussians with full covariances, K chosen on validation points.

    Args:
        features: D.
        components: Values of K to choose from; those above the number of training points are
            passed over.
        reg_covar: What is added to the variances, in the preprocessed space.
        max_iter: Most rounds of expectation maximisation.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        features: int,
        components: Widths,
        reg_covar: NotNegative = 1e-6,
        max_iter: Count = 200,
    ) -> None:
        super().__init__(features)
        if isinstance(components, (int, str)) or not components or min(components) < 1:
            raise ValueError(f"components is {components!r}; needed: a list of numbers from 1")
        if reg_covar < 0 or max_iter < 1:
            raise ValueError(
                f"reg_covar is {reg_covar}, max_iter {max_iter}; allowed: 0 or more, 1 or more"
            )
        self.components = list(components)
        self.reg_covar = reg_covar
        self.max_iter = max_iter

    def fit(self, train: Points, validation: Points, seed: int) -> None:
        """Fits a mixture for each K, and keeps the likeliest of the validation split."""
        from sklearn.mixture import GaussianMixture as Mixture  # slow to import

        best, state = -np.inf, {}
        for number in self.components:
            if number > len(train):
                continue
            mixture = Mixture(
                number, reg_covar=self.reg_covar, max_iter=self.max_iter, random_state=seed
            ).fit(train)
            score = mixture.score(validation)
            log.info("%d components: %.4f nats on the validation split", number, score)
            if score > best:
                best = score
                state = {
                    "weights": mixture.weights_,
                    "means": mixture.means_,
                    "covariances": mixture.covariances_,
                }
        if not state:
            raise ValueError(
                f"components {self.components} on {len(train)} training points: no mixture of so "
                "few points has a finite likelihood of the validation split"
            )
        self.load_state(state)

    def log_prob(self, y: Points) -> Points:
        """Gives log Σ_k w_k N(y; m_k, C_k) (N,) of points y (N, D)."""
        parts = [self._component(y, k) for k in range(len(self.weights))]
        return np.asarray(np.logaddexp.reduce(parts, axis=0))

    def _component(self, y: Points, k: int) -> Points:
        z = (y - self.means[k]) @ self._whiten[k].T
        volume = np.log(np.diag(self._whiten[k])).sum() - self.features / 2 * np.log(2 * np.pi)
        return np.asarray(np.log(self.weights[k]) + volume - np.square(z).sum(1) / 2)

    def sample(self, n: int, seed: int) -> Points:
        """Draws points (n, D): k by the weights, and y by its normal."""
        generator = np.random.default_rng(seed)
        chosen = generator.choice(len(self.weights), n, p=self.weights)
        z = generator.standard_normal((n, self.features))
        rows = max(1, _NUMBERS // self.features**2)
        starts = range(0, max(n, 1), rows)
        parts = [(chosen[i : i + rows], z[i : i + rows]) for i in starts]
        moved = [np.einsum("nde,ne->nd", self._roots[k], part) for k, part in parts]
        return np.asarray(self.means[chosen] + np.concatenate(moved))

    def state(self) -> State:
        """Gives the weights (K,), the means (K, D) and the covariances (K, D, D)."""
        return {"weights": self.weights, "means": self.means, "covariances": self.covariances}

    def load_state(self, state: State) -> None:
        """Takes them over, with the covariances' roots."""
        self.weights = state["weights"] / state["weights"].sum()
        self.means, self.covariances = state["means"], state["covariances"]
        self._roots = np.linalg.cholesky(self.covariances)
        self._whiten = np.linalg.inv(self._roots)

"""The paper's claims about vectors: tables 1 and 2, and the ablation of figure 6."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

from vqflow.claims.roles import FAMILIES, KMEANS, VQ, Roles
from vqflow.claims.scores import Cell, Scores, share
from vqflow.claims.statement import Claim, Statement, gain, judged, undecided
from vqflow.published import datasets, difference, find

_LIKELIHOOD = "log_likelihood_all"
_KDE = "kde_log_likelihood"
_ABLATED = "helix"
_PAPER_CHARTS = 32
_ENOUGH_CHARTS = 16
_SATURATED = 0.1


def likelihood(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim of table 1, a statement for each data set and flow."""
    return Claim(
        "paper-1",
        "VQ flows have a higher test log-likelihood than their plain flow, on all six toy sets, "
        "for RealNVP, MAF and CEF",
        "table 1",
        "Gain in nats. The paper's sets have another noise and scale, which it does not state: "
        "compare signs and rough sizes. Its values of CEF are densities on a manifold; ours are "
        "densities of the whole space.",
        list(_gains(scores, roles, "log_likelihood", _LIKELIHOOD)),
    )


def samples(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim of table 2, a statement for each data set and flow."""
    return Claim(
        "paper-2",
        "Samples of VQ flows lie nearer to the data's manifold than those of their plain flow",
        "table 2",
        "Gain in nats of the samples' log-likelihood under a kernel density of the training data. "
        "Its size depends on the kernel's bandwidth, which the paper does not state: compare "
        "signs.",
        list(_gains(scores, roles, "kde_log_likelihood", _KDE)),
    )


def _gains(scores: Scores, roles: Roles, quantity: str, metric: str) -> Iterator[Statement]:
    for family, dataset in product(FAMILIES, datasets(quantity)):
        vq, base = (find(quantity, dataset, name) for name in (f"vq-{family}", family))
        paper = difference(vq, base)
        pairs = roles.paper_pairs(dataset, family)
        if not pairs:
            yield Statement(dataset, f"vq-{family}", family, metric, published=paper)
        alike = [pair for pair in pairs if roles.charts(dataset, pair[0]) == _PAPER_CHARTS]
        for pair in pairs:
            ours, theirs = (scores.cell(dataset, name, metric) for name in pair)
            known = paper if alike == [pair] else None
            yield gain(scores, "higher", ours, theirs, published=known)


def ablation(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim of figure 6: of each pair of atlases, and of each sweep over K."""
    atlases: list[Statement] = []
    plain: list[Statement] = []
    saturation: list[Statement] = []
    for dataset, metric in product(roles.datasets, (_LIKELIHOOD, _KDE)):
        twins = [pair for pair in roles.twins(dataset) if roles.family(dataset, pair[0])]
        of_kmeans = [pair for name in FAMILIES for pair in roles.paper_pairs(dataset, name, KMEANS)]
        for found, pairs in ((atlases, twins), (plain, of_kmeans)):
            for pair in pairs:
                ours, theirs = (_cell(scores, dataset, name, metric) for name in pair)
                found.append(gain(scores, "higher", ours, theirs))
        saturation += _saturation(scores, roles, dataset, metric)
    untested = [
        ("vq-realnvp", "kmeans-realnvp"),
        ("kmeans-realnvp", "realnvp"),
        (f"K over {_ENOUGH_CHARTS}", f"K = {_ENOUGH_CHARTS}"),
    ]
    statements = [
        found or [Statement(_ABLATED, *pair, _LIKELIHOOD)]
        for found, pair in zip((atlases, plain, saturation), untested, strict=True)
    ]
    return Claim(
        "paper-5",
        "Charts by VQ-AE beat charts by k-means at every K, even these beat the plain flow, and "
        f"K of {_ENOUGH_CHARTS} or more saturates",
        "figure 6, whose numbers are not known",
        "Gain in nats between flows that differ in their charts alone, on the validation split "
        "as in the paper, and of samples under the kernel density. Saturation, as a share: what "
        f"more charts than {_ENOUGH_CHARTS} gain, of what {_ENOUGH_CHARTS} gain over the fewest; "
        f"it holds below {_SATURATED:g}.",
        [statement for part in statements for statement in part],
    )


def _saturation(scores: Scores, roles: Roles, dataset: str, metric: str) -> Iterator[Statement]:
    for name in roles.variants(dataset):
        if roles.charts(dataset, name) != _ENOUGH_CHARTS or roles.family(dataset, name) is None:
            continue
        sweep = roles.sweep(dataset, name) if roles.atlas(dataset, name) == VQ else {}
        fewest = sweep.get(min(sweep, default=0), name)
        for charts in (charts for charts in sweep if charts > _ENOUGH_CHARTS > min(sweep)):
            names = (sweep[charts], name, fewest)
            more, middle, least = (_cell(scores, dataset, n, metric) for n in names)
            gained = (scores.values(middle) - scores.values(least)).dropna()
            statement = Statement(
                dataset,
                more.variant,
                middle.variant,
                metric,
                "share",
                share((scores.values(more) - scores.values(middle)).dropna(), gained),
                split=more.split,
                rests_on=(more, middle, least),
            )
            decided = judged(statement, scores, inside=(-math.inf, _SATURATED))
            if gained.mean() <= 0:
                note = f"{_ENOUGH_CHARTS} charts gain nothing over the fewest"
                decided = undecided(decided, note)
            yield decided


def _cell(scores: Scores, dataset: str, variant: str, metric: str) -> Cell:
    return scores.cell(dataset, variant, metric, first="validation")

"""What this project claims beyond the paper, as the tables of a run decide it."""

from __future__ import annotations

import math
from dataclasses import replace

from vqflow.claims.roles import FAMILIES, VQ, Roles
from vqflow.claims.scores import Scores, share
from vqflow.claims.statement import (
    BETTER,
    WORSE,
    Claim,
    Statement,
    amount,
    gain,
    judged,
)
from vqflow.published import datasets

_WORDS = (BETTER, WORSE)
_LIKELIHOOD = "log_likelihood_all"
_CONFINED_LIKELIHOOD = "log_likelihood_confined"
_GAP = "ceiling_gap"
_LEAK = "leak"
_OF_SAMPLES = {
    "two_sample_accuracy": "lower",
    "strays": "lower",
    "wasserstein": "lower",
    "fid_classifier": "lower",
    "fid_inception": "lower",
    "kde_log_likelihood": "higher",
}
"""Measures of samples and which values are better; of each data set the first that it has."""

_FLOOR = "_floor"
"""What the rows end in that give the value of true samples, as in :mod:`vqflow.metrics.samples`."""

_CAPPED = "Samples that score better than true ones count as good as these."
_GOAL = 0.9


def confinement(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim about confined charts, of each VQ flow with each measure."""
    found: list[Statement] = []
    for dataset in roles.datasets:
        for name in roles.variants(dataset):
            if roles.atlas(dataset, name) != VQ:
                continue
            leak = scores.cell(dataset, name, _LEAK)
            found.append(amount(scores, leak, "confined"))
            found.append(_confined(scores, dataset, name, _CONFINED_LIKELIHOOD, _LIKELIHOOD))
            metric = _of_samples(scores, dataset)
            confined = f"{metric}_confined"
            if scores.has(dataset, confined):
                found.append(_confined(scores, dataset, name, confined, metric))
    return Claim(
        "confined",
        "Charts that are confined to their regions, which leak nothing, are better than plain ones "
        "in likelihood and samples",
        "ours; the paper leaves it to future work",
        "The leak is the share of a plain sample's probability that falls outside of its chart; "
        "confined charts have none by construction, so that nothing is decided by it. Then the "
        "gains of confined over plain in test log-likelihood (nats) and in a measure of samples; "
        "better is confined.",
        found,
    )


def _confined(scores: Scores, dataset: str, variant: str, confined: str, plain: str) -> Statement:
    better = _OF_SAMPLES.get(plain, "higher")
    ours, theirs = (scores.cell(dataset, variant, metric) for metric in (confined, plain))
    return replace(gain(scores, better, ours, theirs, _WORDS), against="plain")


def ceiling(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim about the gap to the exact density, of each VQ flow with a baseline."""
    found = []
    for dataset in roles.datasets:
        for vq, base in roles.pairs(dataset, VQ):
            cells = [scores.cell(dataset, name, _GAP) for name in (vq, base)]
            ours, theirs = (scores.values(cell) for cell in cells)
            closed = share((theirs - ours).dropna(), theirs)
            statement = Statement(
                dataset, vq, base, _GAP, "share", closed, split=cells[0].split, rests_on=cells
            )
            found.append(judged(statement, scores, inside=(_GOAL, math.inf)))
    return Claim(
        "ceiling",
        f"VQ flows close at least {100 * _GOAL:.0f} % of their plain flow's gap to the ceiling, "
        "the mean exact log-density of the test points",
        "ours, a goal",
        f"Share of the plain flow's gap that is closed; holds above {_GOAL:g}.",
        found,
    )


def plain_flows(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim about likelihoods and samples of pairs that the paper does not have."""
    found = []
    for dataset in roles.datasets:
        for vq, base in roles.pairs(dataset, VQ):
            of_paper = any((vq, base) in roles.paper_pairs(dataset, name) for name in FAMILIES)
            if dataset not in datasets("log_likelihood") or not of_paper:
                found += _against(scores, dataset, vq, base)
    return Claim(
        "plain",
        "VQ flows are ahead of their plain flow, with other flows and other data than the paper's",
        "ours",
        "Gains over the plain flow in test log-likelihood (nats) and in a measure of samples, of "
        f"pairs that tables 1 and 2 do not have. {_CAPPED}",
        found,
    )


def rivals(scores: Scores, roles: Roles) -> Claim:
    """Gives the claim about all other models of the run, of each VQ flow against each."""
    found = []
    for dataset in roles.datasets:
        for vq, rival in roles.contests(dataset):
            found += _against(scores, dataset, vq, rival)
    return Claim(
        "rivals",
        "VQ flows are ahead of every rival",
        "ours, a goal",
        "Rivals are all variants that are neither a flow on a VQ atlas nor the plain flow of one; "
        "flows on k-means charts are set against the VQ flow that is like them in all else. "
        "Gains of the VQ flow over the rival in test log-likelihood (nats) and in a measure of "
        f"samples. {_CAPPED}",
        found,
    )


def _against(scores: Scores, dataset: str, vq: str, other: str) -> list[Statement]:
    found = []
    measures = {_LIKELIHOOD: "higher", **_OF_SAMPLES}
    for metric in (_LIKELIHOOD, _of_samples(scores, dataset)):
        if metric:
            ours, theirs = (scores.cell(dataset, name, metric) for name in (vq, other))
            floors = [scores.cell(dataset, name, f"{metric}{_FLOOR}") for name in (vq, other)]
            found.append(gain(scores, measures[metric], ours, theirs, _WORDS, floors=floors))
    return found


def _of_samples(scores: Scores, dataset: str) -> str:
    """Gives the measure of samples that a data set has; empty where it has none."""
    return next((metric for metric in _OF_SAMPLES if scores.has(dataset, metric)), "")

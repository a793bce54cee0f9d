"""Verdicts on claims: of one statement, of many, and where something is lost or not asked."""

from __future__ import annotations

import math
from typing import Any

import pytest
from stated import claims, only, rows, selected


@pytest.mark.parametrize(
    ("vq", "verdict"),
    [
        (2.0, "holds"),
        (0.0, "does not hold"),
        (1.001, "not decided"),
        ([2.0], "not decided"),
        ([2.0, 2.1, math.nan], "not decided"),
        ([0.0, 0.01, math.nan], "not decided"),
        ([], "not decided"),
    ],
)
def test_an_interval_decides_and_nothing_is_of_lost_seeds(vq: Any, verdict: str) -> None:
    config = selected(["helix"], ["realnvp", "vq-realnvp"])
    table = rows("helix", "log_likelihood_all", {"realnvp": 1.0, "vq-realnvp": vq})
    claim = claims(config, table)["paper-1"]
    statement = only(claim, dataset="helix", variant="vq-realnvp")
    assert statement.verdict == verdict
    whole = {"holds": "holds as far as tested"}
    assert claim.verdict() == whole.get(verdict, verdict)
    assert ("no finite value (vq-realnvp)" in statement.note) == (isinstance(vq, list))
    assert claim.counts() == {verdict: 1, "not tested here": 17}


def test_without_rows_nothing_is_tested() -> None:
    config = selected(["helix"], ["realnvp", "vq-realnvp"])
    found = claims(config, rows("helix", "other", {"realnvp": 1.0}))
    assert {claim.verdict() for claim in found.values()} == {"not tested here"}
    assert all(found[f"paper-{number}"].statements for number in range(1, 6))


def test_of_many_statements_one_that_fails_by_chance_decides_nothing() -> None:
    """It is 0.03 to itself, and not to all six."""
    paper = ["spherical", "helix", "lissajous", "twisted_eight", "knotted", "interlocked_circles"]
    config = selected(paper, ["realnvp", "vq-realnvp"])
    tables = [rows(name, "log_likelihood_all", {"realnvp": 0.0, "vq-realnvp": 1}) for name in paper]
    unlucky = rows(
        "helix", "log_likelihood_all", {"realnvp": 0.0, "vq-realnvp": [-0.5, -0.4, -0.7]}
    )
    claim = claims(config, *tables[:1], unlucky, *tables[2:])["paper-1"]
    statement = only(claim, dataset="helix", variant="vq-realnvp")
    assert statement.verdict == "does not hold"
    assert 0.05 / 6 < statement.p_value < 0.05
    assert claim.verdict() == "not decided"
    assert claims(config, unlucky)["paper-1"].verdict() == "does not hold"


def test_samples_better_than_true_ones_count_as_good_as_these() -> None:
    config = selected(["helix"], ["vq-realnvp", "mixture-of-gaussians", "nsf"])
    names = ["vq-realnvp", "mixture-of-gaussians", "nsf"]
    means = dict(zip(names, (0.0010, 0.0, 0.5), strict=True))
    tables = [
        rows("helix", "strays", {name: [value] * 3 for name, value in means.items()}),
        rows("helix", "strays_floor", {name: [0.0011, 0.0012, 0.0013] for name in names}),
    ]
    found = claims(config, *tables)["rivals"].statements
    verdicts = {s.against: s.verdict for s in found if s.metric == "strays"}
    assert verdicts == {"mixture-of-gaussians": "not decided", "nsf": "better"}


def test_a_metric_that_one_side_was_not_asked_is_not_tested() -> None:
    config = selected(["helix"], ["vq-realnvp", "nsf", "gmm-realnvp"])
    table = rows("helix", "log_likelihood_all", {"vq-realnvp": 2.0})
    other = rows("helix", "strays", {"nsf": 1.0, "vq-realnvp": 1.0})
    found = claims(config, table, other)["rivals"].statements
    verdicts = {s.against: s.verdict for s in found if s.metric == "log_likelihood_all"}
    assert verdicts == {"nsf": "not tested here", "gmm-realnvp": "not decided"}


def test_what_does_not_vary_with_the_seed_decides_nothing() -> None:
    config = selected(["helix"], ["vq-realnvp", "nsf"])
    table = rows("helix", "log_likelihood_all", {"vq-realnvp": [2.0] * 3, "nsf": [1.0] * 3})
    (statement,) = claims(config, table)["rivals"].statements
    assert (statement.verdict, statement.note) == ("not decided", "it does not vary with the seed")


def test_floors_are_known_by_the_name_that_metrics_give_them() -> None:
    from vqflow.claims import ours
    from vqflow.metrics.samples import FLOOR

    assert ours._FLOOR == FLOOR

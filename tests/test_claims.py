"""Claims: their numbers, their verdicts, which variants they are about, and the page."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from conftest import CATALOGUE
from scipy import stats
from stated import REFERENCE, claims, only, reference_claims, rows, selected

from vqflow.claims.roles import Roles
from vqflow.claims.scores import paired, share
from vqflow.config.parsing import parse_config
from vqflow.tables.reading import read_summary

# Numbers


def test_the_interval_of_a_share_is_fieller_s() -> None:
    """By hand: the ratios at which the paired difference is just significant."""
    generator = np.random.default_rng(0)
    whole = pd.Series(generator.normal(5, 1, size=6))
    part = 0.4 * whole + pd.Series(generator.normal(0, 0.3, size=6))
    found = share(part, whole)
    assert found.value == pytest.approx(part.mean() / whole.mean())
    assert found.low < found.value < found.high
    for end in (found.low, found.high):
        assert stats.ttest_1samp(part - end * whole, 0).pvalue == pytest.approx(0.05)
    exact = share(0.4 * whole, whole)
    assert (exact.low, exact.high) == pytest.approx((0.4, 0.4))
    unbounded = share(part, pd.Series([-1.0, 1.0, -2.0, 2.0, -3.0, 4.0]))
    assert math.isnan(unbounded.low) and math.isnan(unbounded.high)


def test_pairs_are_of_equal_seeds() -> None:
    first, second = pd.Series({0: 1.0, 1: 2.0, 3: 9.0}), pd.Series({1: 1.5, 0: 0.0, 2: 7.0})
    found = paired(first, second)
    assert (found.value, found.seeds) == (0.75, 2)


def test_gains_and_verdicts_are_those_of_the_summary() -> None:
    """The summary's code is another; its win is the verdict that a gain holds."""
    found, _ = reference_claims("toy3d")
    summary = read_summary(REFERENCE / "toy3d" / "tables" / "summary.csv")
    for key, metric in (("paper-1", "log_likelihood_all"), ("paper-2", "kde_log_likelihood")):
        part = summary[(summary["metric"] == metric) & (summary["split"] != "validation")]
        gains = part.dropna(subset=["gain_mean"]).set_index(["dataset", "variant"])
        tested = [s for s in found[key].statements if s.verdict != "not tested here"]
        assert len(tested) == len(gains) == 12
        for statement in tested:
            row = gains.loc[(statement.dataset, statement.variant)]
            estimate = statement.estimate
            assert [estimate.value, estimate.low, estimate.high] == pytest.approx(
                [row["gain_mean"], row["gain_low"], row["gain_high"]]
            )
            assert (statement.verdict == "holds") == bool(row["win"])


# Which variants


def test_variants_are_known_by_their_parts_and_not_by_their_names() -> None:
    named = {
        "plain": {"flow": "maf", "atlas": "single", "training": "toy"},
        "charted": {"flow": "maf", "atlas": "vq32", "training": "toy", "baseline": "plain"},
        "vq-realnvp": {"atlas": "kmeans32"},
    }
    config = selected(["knotted"], ["realnvp", "vq-realnvp", "plain", "charted"], variants=named)
    means = {"realnvp": 1.0, "vq-realnvp": 2.0, "plain": 1.0, "charted": 2.0}
    found = claims(config, rows("knotted", "log_likelihood_all", means))
    tested = [s for s in found["paper-1"].statements if s.verdict == "holds"]
    assert [(s.variant, s.against) for s in tested] == [("charted", "plain")]
    assert tested[0].published is not None
    assert tested[0].published.value == pytest.approx(0.62 + 1.02)
    assert [s.variant for s in found["rivals"].statements] == ["charted"] * 2


def test_flows_with_frames_are_not_the_paper_s() -> None:
    config = selected(["helix"], ["framed-realnvp", "framed-vq-realnvp", "cef", "vq-cef"])
    means = {"framed-realnvp": 1.0, "framed-vq-realnvp": 2.0, "cef": 1.0, "vq-cef": 2.0}
    found = claims(config, rows("helix", "log_likelihood_all", means))
    tested = [s for s in found["paper-1"].statements if s.verdict == "holds"]
    assert [s.variant for s in tested] == ["vq-cef"]
    assert only(found["plain"]).variant == "framed-vq-realnvp"


def test_a_substituted_atlas_counts() -> None:
    config = selected(["helix"], ["realnvp", "vq-realnvp"])
    raw = config.selection()
    raw["atlases"]["kmeans32"] = CATALOGUE["atlases"]["kmeans32"]
    raw["benchmarks"]["b"]["substitute"] = {"atlases": {"vq32": "kmeans32"}}
    roles = Roles(parse_config(raw))
    assert roles.paper_pairs("helix", "realnvp") == []
    assert roles.paper_pairs("digits", "realnvp") == []


def test_rivals_are_all_others_and_k_means_that_of_its_twin() -> None:
    names = ["realnvp", "vq-realnvp", "kmeans-realnvp", "maf", "vq-maf", "nsf"]
    config = selected(["helix"], [*names, "mixture-of-gaussians"])
    means = dict.fromkeys(names, 1.0) | {"vq-realnvp": 2.0, "mixture-of-gaussians": 3.0}
    found = claims(config, rows("helix", "log_likelihood_all", means))["rivals"]
    verdicts = {(s.variant, s.against): s.verdict for s in found.statements}
    assert verdicts == {
        ("vq-realnvp", "kmeans-realnvp"): "better",
        ("vq-realnvp", "nsf"): "better",
        ("vq-realnvp", "mixture-of-gaussians"): "worse",
        ("vq-maf", "nsf"): "not decided",
        ("vq-maf", "mixture-of-gaussians"): "worse",
    }
    assert found.verdict() == "does not hold"


def test_a_gaussian_on_vq_charts_is_a_rival() -> None:
    named = {"bare": {"flow": "gaussian", "atlas": "vq32", "training": "toy"}}
    config = selected(["helix"], ["realnvp", "vq-realnvp", "bare"], variants=named)
    means = {"realnvp": 0.0, "vq-realnvp": 2.0, "bare": 1.0}
    found = claims(config, rows("helix", "log_likelihood_all", means))["rivals"].statements
    assert [(s.variant, s.against, s.verdict) for s in found] == [("vq-realnvp", "bare", "better")]


def test_nothing_is_better_than_a_bound() -> None:
    config = selected(["helix"], ["vq-realnvp", "cif-realnvp", "cif-maf"])
    means = {"vq-realnvp": 2.0, "cif-realnvp": 1.0, "cif-maf": 3.0}
    table = rows("helix", "log_likelihood_all", means)
    table.loc[table["variant"] != "vq-realnvp", "bound"] = "lower"
    found = claims(config, table)["rivals"].statements
    verdicts = {s.against: (s.verdict, "bound" in s.note) for s in found}
    assert verdicts == {"cif-realnvp": ("not decided", True), "cif-maf": ("worse", False)}


# Ours


def test_the_gap_s_closed_share_and_the_goal() -> None:
    config = selected(["helix"], ["realnvp", "vq-realnvp", "maf", "vq-maf"])
    gaps = {"realnvp": 2.0, "vq-realnvp": 0.1, "maf": 2.0, "vq-maf": 0.3}
    claim = claims(config, rows("helix", "ceiling_gap", gaps))["ceiling"]
    first, second = claim.statements
    assert (first.verdict, second.verdict) == ("holds", "does not hold")
    assert first.estimate.value == pytest.approx(0.95)
    assert first.estimate.low < 0.95 < first.estimate.high


def test_confined_is_compared_with_plain_of_the_same_model() -> None:
    config = selected(["helix"], ["realnvp", "vq-realnvp"])
    tables = [
        rows("helix", name, {"realnvp": 0.0, "vq-realnvp": value})
        for name, value in {
            "leak": 0.2,
            "log_likelihood_all": 1.0,
            "log_likelihood_confined": 0.5,
            "strays": 0.3,
            "strays_confined": 0.1,
        }.items()
    ]
    claim = claims(config, *tables)["confined"]
    verdicts = {statement.metric: statement.verdict for statement in claim.statements}
    assert verdicts == {
        "leak": "by construction",
        "log_likelihood_confined": "worse",
        "strays_confined": "better",
    }
    assert claim.counts() == {"better": 1, "worse": 1}
    assert {statement.variant for statement in claim.statements} == {"vq-realnvp"}

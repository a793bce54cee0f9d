"""Claims: their numbers, their verdicts, which variants they are about, and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import CATALOGUE, ROOT
from scipy import stats
from small import merge

from vqflow.claims import own_claims, paper_claims
from vqflow.claims.roles import Roles
from vqflow.claims.scores import Scores, paired, share
from vqflow.claims.statement import Claim, Statement
from vqflow.config.catalogue import Config
from vqflow.config.parsing import parse_config
from vqflow.tables.reading import read_scores

REFERENCE = ROOT / "results" / "reference"
SEEDS = [0, 1, 2]
Means = Mapping[str, float | list[float]]


def selected(datasets: list[str], names: list[str], **changes: Any) -> Config:
    """Gives a run of some variants on some data sets."""
    metrics = ["log_likelihood"]
    benchmarks = {"b": {"datasets": datasets, "variants": names, "metrics": metrics}}
    run = {"run": "test", "seeds": SEEDS, "benchmarks": benchmarks}
    return parse_config(merge(merge(CATALOGUE, run), changes))


def noise(variant: str) -> np.ndarray:
    """Gives a variant's scatter over the seeds, of mean 0."""
    drawn = np.random.default_rng(list(variant.encode())).normal(0, 0.01, len(SEEDS))
    return drawn - drawn.mean()


def rows(
    dataset: str, metric: str, means: Means, epoch: int | None = None, split: str = "test"
) -> pd.DataFrame:
    """Gives rows of means[variant], or of the values of each seed."""
    records = []
    for variant, mean in means.items():
        values = mean if isinstance(mean, list) else list(mean + noise(variant))
        for seed, value in enumerate(values):
            records.append((dataset, variant, metric, split, "nats", seed, epoch, value))
    columns = ["dataset", "variant", "metric", "split", "unit", "seed", "epoch", "value"]
    table = pd.DataFrame(records, columns=columns).astype({"seed": "Int64", "epoch": "Int64"})
    return table.assign(bound="")


def claims(config: Config, *tables: pd.DataFrame) -> dict[str, Claim]:
    scores = Scores(pd.concat(tables, ignore_index=True), SEEDS)
    found = [*paper_claims(scores, Roles(config)), *own_claims(scores, Roles(config))]
    return {claim.key: claim for claim in found}


def only(claim: Claim, **where: Any) -> Statement:
    (found,) = [
        statement
        for statement in claim.statements
        if all(getattr(statement, key) == value for key, value in where.items())
    ]
    return found


def reference_claims(run: str) -> tuple[dict[str, Claim], pd.DataFrame]:
    folder = REFERENCE / run
    config = parse_config(yaml.safe_load((folder / "config.yaml").read_text()))
    table = read_scores(folder / "tables" / "metrics.csv")
    return claims(config, table), table


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
    summary = pd.read_csv(REFERENCE / "toy3d" / "tables" / "summary.csv")
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


# Verdicts


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


# Of many, and beside what is true


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

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
from vqflow.claims.layout import claims_page, claims_table
from vqflow.claims.roles import Roles
from vqflow.claims.scores import Scores, paired, share
from vqflow.claims.statement import Claim, Statement
from vqflow.config.catalogue import Config
from vqflow.config.parsing import parse_config
from vqflow.stages.claims import make_claims
from vqflow.tables.reading import read_scores

REFERENCE = ROOT / "results" / "reference"
SEEDS = [0, 1, 2]
NOISE = np.array([-0.01, 0.0, 0.01])

Means = Mapping[str, float | list[float]]


def selected(datasets: list[str], names: list[str], **changes: Any) -> Config:
    """Gives a run of some variants on some data sets."""
    metrics = ["log_likelihood"]
    benchmarks = {"b": {"datasets": datasets, "variants": names, "metrics": metrics}}
    run = {"run": "test", "seeds": SEEDS, "benchmarks": benchmarks}
    return parse_config(merge(merge(CATALOGUE, run), changes))


def rows(
    dataset: str, metric: str, means: Means, epoch: int | None = None, split: str = "test"
) -> pd.DataFrame:
    """Gives rows of means[variant], or of the values of each seed."""
    records = []
    for place, (variant, mean) in enumerate(means.items()):
        values = mean if isinstance(mean, list) else list(mean + np.roll(NOISE, place))
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
        ([0.0, 0.01, math.nan], "does not hold"),
        ([], "not decided"),
    ],
)
def test_an_interval_decides_and_lost_seeds_forbid_that_it_holds(vq: Any, verdict: str) -> None:
    config = selected(["helix"], ["realnvp", "vq-realnvp"])
    table = rows("helix", "log_likelihood_all", {"realnvp": 1.0, "vq-realnvp": vq})
    claim = claims(config, table)["paper-1"]
    statement = only(claim, dataset="helix", variant="vq-realnvp")
    assert statement.verdict == verdict == claim.verdict()
    assert ("no finite value" in statement.note) == (isinstance(vq, list))
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


def test_nothing_is_better_than_a_bound() -> None:
    config = selected(["helix"], ["vq-realnvp", "cif-realnvp", "cif-maf"])
    means = {"vq-realnvp": 2.0, "cif-realnvp": 1.0, "cif-maf": 3.0}
    table = rows("helix", "log_likelihood_all", means)
    table.loc[table["variant"] != "vq-realnvp", "bound"] = "lower"
    found = claims(config, table)["rivals"].statements
    verdicts = {s.against: (s.verdict, "bound" in s.note) for s in found}
    assert verdicts == {"cif-realnvp": ("not decided", True), "cif-maf": ("worse", False)}


# MNIST


def courses(vq_realnvp: Mapping[int, float], end_of_vq_maf: float) -> dict[str, Claim]:
    config = selected(["mnist"], ["realnvp", "vq-realnvp", "maf", "vq-maf"])
    tables = [
        rows("mnist", "fid_classifier", {"realnvp": 100.0, "vq-realnvp": value}, epoch)
        for epoch, value in vq_realnvp.items()
    ]
    last = {"maf": 75.0, "vq-maf": end_of_vq_maf}
    return claims(config, *tables, rows("mnist", "fid_classifier", last, 20))


def test_one_epoch_decides_about_all() -> None:
    found = courses({5: 80.0, 10: 99.0, 15: 60.0}, 59.0)
    statement = only(found["paper-3"], variant="vq-realnvp")
    assert (statement.verdict, statement.epoch) == ("holds", 10)
    assert statement.note.startswith("lower at 3 of 3 epochs; at the last, 15, 60.0 against 100.0")
    assert "published at 90: 0.63 of it" in statement.note
    assert statement.published is not None
    assert statement.published.value == pytest.approx(156.2 - 113.6)
    assert len(statement.rests_on) == 6
    found = courses({5: 80.0, 10: 101.0, 15: 60.0}, 59.0)
    assert only(found["paper-3"], variant="vq-realnvp").verdict == "does not hold"


@pytest.mark.parametrize(
    ("end", "verdict"), [(61.0, "holds"), (50.0, "does not hold"), (70.0, "does not hold")]
)
def test_ends_are_similar_within_a_quarter_of_the_plain_difference(
    end: float, verdict: str
) -> None:
    plain, vq = courses({15: 60.0}, end)["paper-4"].statements
    assert plain.verdict == "holds" and plain.estimate.value == pytest.approx(25)
    assert vq.verdict == verdict
    assert vq.estimate.value == pytest.approx((60 - end) / 25)
    assert vq.published is not None and vq.published.value == pytest.approx(1.4 / 27.5)


def test_the_reference_of_mnist_has_the_course_and_not_the_ends() -> None:
    found, _ = reference_claims("mnist-short")
    assert found["paper-3"].counts() == {"holds": 2}
    assert found["paper-4"].counts() == {"holds": 1, "does not hold": 1}


# The ablation


def ablation(at: Mapping[int, float], kmeans: float = 1.0) -> Claim:
    sizes = {"vq": "vq32", "kmeans": "kmeans32"}
    entries = {
        f"{kind}-k{charts}": {
            **CATALOGUE["atlases"][name],
            "charts": charts,
            "min_charts": min(6, charts),
        }
        for kind, name in sizes.items()
        for charts in at
    }
    variants = {
        name: {"flow": "realnvp", "atlas": name, "training": "toy", "baseline": "realnvp"}
        for name in entries
    }
    names = ["realnvp", *entries]
    config = selected(["helix"], names, atlases=entries, variants=variants)
    means: dict[str, float] = {"realnvp": 0.0}
    for name in entries:
        means[name] = at[int(name.partition("-k")[2])] if name.startswith("vq") else kmeans
    tables = [
        rows("helix", "log_likelihood_all", means, split="validation"),
        rows("helix", "log_likelihood_all", {name: 0.0 for name in means}),
    ]
    return claims(config, *tables)["paper-5"]


def test_charts_are_compared_at_equal_k_on_the_validation_split() -> None:
    claim = ablation({2: 1.5, 4: 2.0, 16: 3.0, 48: 3.02})
    verdicts = {
        (s.variant, s.against): s.verdict for s in claim.statements if s.split == "validation"
    }
    assert verdicts == {
        **{(f"vq-k{charts}", f"kmeans-k{charts}"): "holds" for charts in (2, 4, 16, 48)},
        **{(f"kmeans-k{charts}", "realnvp"): "holds" for charts in (2, 4, 16, 48)},
        ("vq-k48", "vq-k16"): "holds",
    }
    saturation = only(claim, variant="vq-k48", against="vq-k16", metric="log_likelihood_all")
    assert saturation.estimate.value == pytest.approx(0.02 / 1.5, abs=1e-6)
    assert [cell.variant for cell in saturation.rests_on] == ["vq-k48", "vq-k16", "vq-k2"]


def test_more_charts_that_gain_more_do_not_saturate() -> None:
    claim = ablation({2: 1.5, 16: 3.0, 32: 3.5}, kmeans=3.2)
    assert (
        only(claim, variant="vq-k32", against="vq-k16", metric="log_likelihood_all").verdict
        == "does not hold"
    )
    assert (
        only(claim, variant="vq-k2", against="kmeans-k2", metric="log_likelihood_all").verdict
        == "does not hold"
    )


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
            "kde_log_likelihood": 1.0,
            "kde_log_likelihood_confined": 3.0,
        }.items()
    ]
    claim = claims(config, *tables)["confined"]
    verdicts = {statement.metric: statement.verdict for statement in claim.statements}
    assert verdicts == {
        "leak": "better",
        "log_likelihood_confined": "worse",
        "kde_log_likelihood_confined": "better",
    }
    assert {statement.variant for statement in claim.statements} == {"vq-realnvp"}


# The page and the table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, str]:
    """What the job writes of the reference of toy3d."""
    folder, run = tmp_path_factory.mktemp("claims"), REFERENCE / "toy3d"
    metrics, config = run / "tables" / "metrics.csv", run / "config.yaml"
    paths = [(folder / f"{name}.csv", folder / f"{name}.md") for name in "ab"]
    for table, page in paths:
        make_claims(metrics, config, table, page)
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*paths, strict=True))
    return pd.read_csv(paths[0][0]), paths[0][1].read_text()


def test_the_page_begins_with_the_five_claims(made: tuple[pd.DataFrame, str]) -> None:
    _, page = made
    headline = page.split("\n\n")[2].splitlines()
    assert len(headline) == 2 + 5
    assert headline[2].endswith("| holds in 8, not decided in 4 of 12; 6 not tested here |")
    assert "**not tested here** –" in headline[4]
    assert "| vq-realnvp vs realnvp | +0.12 [0.003, 0.23] ✓ | +3.29 [1.30, 5.27] ✓ |" in page
    assert "| published | +0.40 ± 0.081 | +1.71 ± 0.18 |" in page
    widths = {}
    for number, line in enumerate(page.splitlines()):
        if line.startswith("|"):
            widths[number] = line.count("|")
            assert widths.get(number - 1, widths[number]) == widths[number]


def test_every_statement_names_rows_that_are_there(made: tuple[pd.DataFrame, str]) -> None:
    table, _ = made
    scores = read_scores(REFERENCE / "toy3d" / "tables" / "metrics.csv")
    keys = zip(*(scores[name] for name in ("dataset", "variant", "metric", "split")), strict=True)
    known = {"/".join(key) for key in keys}
    tested = table[table["verdict"] != "not tested here"]
    assert len(tested) == 12 + 12 + 12 + 36
    for cells in tested["rests_on"]:
        assert set(cells.split("; ")) <= known
    assert table[table["verdict"] == "not tested here"]["rests_on"].isna().all()


def test_the_page_shows_every_verdict_of_the_table(made: tuple[pd.DataFrame, str]) -> None:
    table, page = made
    sections = page.partition("\n## ")[2]
    counts = table["verdict"].value_counts()
    assert sections.count("✓ |") == counts["holds"] + counts["better"]
    assert sections.count("✗ |") == counts["does not hold"]
    assert sections.count("? |") == counts["not decided"]


def test_a_page_of_one_seed_and_nothing_tested() -> None:
    page = claims_page("none", [0], [Claim("a", "b", "c", "d")], [])
    assert "over 1 seed." in page and "the run has no such variants" in page
    assert claims_table([]).empty

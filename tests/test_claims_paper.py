"""Claims about MNIST and the ablation, and the page of all."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pytest
from conftest import CATALOGUE
from stated import REFERENCE, claims, only, reference_claims, rows, selected

from vqflow.claims.layout import claims_page, claims_table
from vqflow.claims.statement import Claim
from vqflow.stages.claims import make_claims
from vqflow.tables.reading import read_scores

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


@pytest.mark.parametrize("lost", [[80.0, 81.0, float("nan")], []])
def test_an_epoch_that_lacks_a_seed_decides_that_nothing_is(lost: list[float]) -> None:
    config = selected(["mnist"], ["realnvp", "vq-realnvp"])
    tables = [
        rows("mnist", "fid_classifier", {"realnvp": 100.0, "vq-realnvp": values}, epoch)
        for epoch, values in {5: lost, 10: [60.0, 61.0, 62.0]}.items()
    ]
    statement = only(claims(config, *tables)["paper-3"], variant="vq-realnvp")
    assert (statement.verdict, statement.epoch) == ("not decided", 5)


def test_an_epoch_that_fails_decides_whatever_another_leaves_open() -> None:
    config = selected(["mnist"], ["realnvp", "vq-realnvp"])
    tables = [
        rows("mnist", "fid_classifier", {"realnvp": 100.0, "vq-realnvp": values}, epoch)
        for epoch, values in {5: [60.0, 100.0, 140.0], 10: [105.0, 106.0, 105.5]}.items()
    ]
    statement = only(claims(config, *tables)["paper-3"], variant="vq-realnvp")
    assert (statement.verdict, statement.epoch) == ("does not hold", 10)


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


def test_charts_that_gain_nothing_at_16_saturate_nothing() -> None:
    claim = ablation({2: 1.5, 16: 1.0, 32: 3.0})
    statement = only(claim, variant="vq-k32", against="vq-k16", metric="log_likelihood_all")
    assert statement.verdict == "not decided"
    assert statement.note == "16 charts gain nothing over the fewest"


def test_the_kept_ablation_has_the_sweep_over_k() -> None:
    claim = reference_claims("ablation")[0]["paper-5"]
    swept = {(s.variant, s.against) for s in claim.statements if s.unit == "share"}
    assert swept == {("vq-k32", "vq-k16"), ("vq-k48", "vq-k16")}


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
    assert headline[2].endswith("| holds in 10, not decided in 2 of 12; 6 not tested here |")
    assert "**not tested here** –" in headline[4]
    assert "| vq-realnvp vs realnvp | +0.11 [0.081, 0.13] ✓ | +2.79 [2.60, 2.99] ✓ |" in page
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
    assert sections.count("✓ |") == counts["holds"] + counts.get("better", 0)
    assert sections.count("✗ |") == counts["does not hold"] + counts.get("worse", 0)
    assert sections.count("? |") == counts["not decided"]


def test_a_page_of_one_seed_and_nothing_tested() -> None:
    page = claims_page("none", [0], [Claim("a", "b", "c", "d")], [])
    assert "over 1 seed." in page and "the run has no such variants" in page
    assert claims_table([]).empty

"""Tables of results: layout, statistics by hand, pairing, divergence, rendering."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqflow.metrics.base import Quantity, Score
from vqflow.tables.layout import diverged_tables, headline_tables
from vqflow.tables.markup import summary_latex, summary_markdown
from vqflow.tables.rows import METRIC_COLUMNS, gather, rows
from vqflow.tables.summary import SUMMARY_COLUMNS, summarise

BASELINES = {"vq-maf": "maf"}
T_2 = 4.302652729749462  # 97.5 % quantile of Student's t, 2 degrees of freedom
T_1 = 12.706204736174698  # the same, 1 degree


LIKELIHOOD = Quantity(
    "log_likelihood_all", "log-likelihood, all charts", "nats", "higher", headline=10
)
LEAK = Quantity("leak", "leak", better="lower", decimals=3, headline=50)


def identity(variant: str, seed: int, dataset: str = "helix") -> dict[str, Any]:
    return {
        "dataset": dataset,
        "variant": variant,
        "flow": "maf",
        "atlas": "single",
        "embedding": "identity",
        "seed": seed,
        "parameters": 10,
        "atlas_parameters": 0,
    }


def score(
    quantity: Quantity, value: float, split: Any = "test", epoch: int | None = None
) -> tuple[Score, Quantity]:
    return Score(quantity.name, value, 7, split, epoch), quantity


Values = dict[str, dict[int, float]]


def table(values: Values, quantity: Quantity = LIKELIHOOD, dataset: str = "helix") -> pd.DataFrame:
    """Gives a metrics table of values[variant][seed]; a run whose value is NaN has diverged."""
    parts = [rows([], {})]
    for variant, by_seed in values.items():
        for seed, value in by_seed.items():
            if not math.isnan(value):
                parts.append(rows([score(quantity, value)], identity(variant, seed, dataset)))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def run_table(values: Values, dataset: str = "helix") -> pd.DataFrame:
    """Gives the runs of values[variant][seed]; those whose value is NaN have diverged."""
    records = [
        (dataset, variant, seed, "diverged" if math.isnan(value) else "ok")
        for variant, by_seed in values.items()
        for seed, value in by_seed.items()
    ]
    return pd.DataFrame(records, columns=["dataset", "variant", "seed", "status"])


def summed(values: Values, quantity: Quantity = LIKELIHOOD) -> pd.DataFrame:
    return summarise(table(values, quantity), run_table(values), BASELINES)


def line(summary: pd.DataFrame, variant: str, **where: str) -> pd.Series:
    found = summary[summary["variant"] == variant]
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_rows_have_the_columns_and_keep_integers() -> None:
    fid = Quantity("fid", "Fréchet distance", better="lower", decimals=1, headline=None)
    frame = rows([score(fid, 1.5, epoch=5), score(fid, math.inf)], identity("maf", 3))
    assert tuple(frame.columns) == METRIC_COLUMNS
    assert frame["epoch"].tolist() == [5, pd.NA]
    assert frame.loc[0, "seed"] == 3
    assert frame["value"].tolist() == [1.5, math.inf]
    assert frame["status"].tolist() == ["ok", "not_finite"]
    assert frame.loc[0, ["label", "better", "decimals"]].tolist() == [
        "Fréchet distance",
        "lower",
        1,
    ]


def test_gather_has_the_order_of_the_runs_and_keeps_every_digit(tmp_path: Path) -> None:
    a, b = (Quantity(name, "A, or B", better="higher", headline=None) for name in "ab")
    frames = [
        rows([score(b, 1 / 3), score(a, 0.1, epoch=10), score(a, 2e-17)], identity("maf", 1)),
        rows([score(a, 5.0, epoch=9)], identity("maf", 0)),
        rows([score(a, math.nan)], identity("NA", 0, dataset="001")),
        rows([score(a, 1.0)], identity("gf", 0)),
        rows([], {}),
    ]
    paths = [tmp_path / f"{number}.csv" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        frame.to_csv(path, index=False)
    runs = pd.DataFrame(
        [("helix", "maf"), ("helix", "gf"), ("001", "NA")], columns=["dataset", "variant"]
    )
    forward, backward = gather(paths, runs), gather(paths[::-1], runs)
    pd.testing.assert_frame_equal(forward, backward)
    assert forward["dataset"].tolist() == [*["helix"] * 5, "001"]
    assert forward["variant"].tolist() == [*["maf"] * 4, "gf", "NA"]
    assert forward["seed"].tolist() == [0, 1, 1, 1, 0, 0]
    assert forward["metric"].tolist() == ["a", "a", "a", "b", "a", "a"]
    assert forward["epoch"].tolist() == [9, 10, pd.NA, pd.NA, pd.NA, pd.NA]
    assert forward["value"].tolist()[:5] == [5.0, 0.1, 2e-17, 1 / 3, 1.0]
    csv = forward.to_csv(index=False).splitlines()
    about = '"A, or B",higher,2,,10,0'
    assert csv[1] == f"helix,maf,maf,single,identity,0,9,a,5.0,,,,,,7,test,ok,{about}"
    assert csv[6] == f"001,NA,maf,single,identity,0,,a,,,,,,,7,test,not_finite,{about}"


def test_gather_of_nothing_has_the_columns() -> None:
    runs = run_table({})
    assert tuple(gather([], runs).columns) == METRIC_COLUMNS
    assert tuple(summarise(gather([], runs), runs, {}).columns) == SUMMARY_COLUMNS


def test_gather_refuses_other_columns_and_repeated_rows(tmp_path: Path) -> None:
    frame = rows([score(LEAK, 1.0)], identity("maf", 0))
    path = tmp_path / "metrics.csv"
    frame.drop(columns="unit").to_csv(path, index=False)
    runs = run_table({"maf": {0: 1.0}})
    with pytest.raises(ValueError, match=r"metrics\.csv: got columns"):
        gather([path], runs)
    frame.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"there twice.*'helix'.*'maf', seed 0, metric 'leak'"):
        gather([path, path], runs)


def test_summary_by_hand() -> None:
    summary = summed({"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 2.0, 1: 4.0, 2: 3.5}})
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    base, vq = line(summary, "maf"), line(summary, "vq-maf")
    assert (base["n_seeds"], base["mean"], base["std"]) == (3, 2.0, 1.0)
    assert base["ci95"] == pytest.approx(T_2 / math.sqrt(3), rel=1e-12)
    assert base["baseline"] == "" and pd.isna(base["gain_mean"]) and pd.isna(base["win"])
    # differences 1, 2, 0.5: mean 7/6, standard deviation sqrt(7/12)
    half = T_2 * math.sqrt(7 / 12) / math.sqrt(3)
    assert vq["gain_mean"] == pytest.approx(7 / 6, rel=1e-12)
    assert vq["gain_low"] == pytest.approx(7 / 6 - half, rel=1e-12)
    assert vq["gain_high"] == pytest.approx(7 / 6 + half, rel=1e-12)
    assert not vq["win"]


def test_pairing_wins_where_spreads_overlap() -> None:
    base = {0: 0.0, 1: 10.0, 2: 20.0}
    gains = {0: 1.0, 1: 1.1, 2: 0.9}
    values = {"maf": base, "vq-maf": {seed: base[seed] + gains[seed] for seed in base}}
    assert line(summed(values), "vq-maf")["win"]
    shuffled = {"maf": base, "vq-maf": {0: 20.9, 1: 1.0, 2: 11.1}}
    assert not line(summed(shuffled), "vq-maf")["win"]


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_positive_gain_is_always_better(better: Any) -> None:
    values = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 3.0, 1: 4.1, 2: 5.0}}
    vq = line(summed(values, Quantity("mine", better=better)), "vq-maf")
    assert np.sign(vq["gain_mean"]) == (1 if better == "higher" else -1)
    assert bool(vq["win"]) is (better == "higher")


def test_descriptive_metrics_have_no_winner() -> None:
    values = {"maf": {0: 1.0, 1: 1.0}, "vq-maf": {0: 9.0, 1: 9.0}}
    summary = summed(values, Quantity("charts", "number of charts"))
    vq = line(summary, "vq-maf")
    assert vq["mean"] == 9.0 and pd.isna(vq["gain_mean"]) and pd.isna(vq["win"])
    [only] = headline_tables(summary, ["maf", "vq-maf"], ["helix"])
    assert only.title.startswith("Number of charts (test split; mean")


def test_diverged_runs_leave_the_pair_out_and_are_counted() -> None:
    values = {
        "maf": {0: 1.0, 1: math.nan, 2: 3.0},
        "vq-maf": {0: 2.0, 1: 5.0, 2: 4.5},
    }
    summary = summed(values)
    base, vq = line(summary, "maf"), line(summary, "vq-maf")
    assert (base["n_seeds"], base["n_diverged"], base["mean"]) == (2, 1, 2.0)
    assert (vq["n_seeds"], vq["n_diverged"]) == (3, 0)
    half = T_1 * math.sqrt(1 / 8) / math.sqrt(2)  # differences 1 and 1.5
    assert vq["gain_mean"] == 1.25
    assert vq["gain_low"] == pytest.approx(1.25 - half, rel=1e-12)


@pytest.mark.parametrize("name", ["log_likelihood_all", "mine"])
def test_a_diverged_seed_is_counted_whatever_the_metric(name: str) -> None:
    summary = summed({"maf": {0: 1.0, 1: math.nan, 2: 3.0}}, Quantity(name, better="lower"))
    maf = line(summary, "maf")
    assert (maf["n_seeds"], maf["n_diverged"], maf["n_not_finite"]) == (2, 1, 0)
    [table] = headline_tables(summary, ["maf"], ["helix"])
    assert "of 3 seeds" in table.title
    assert table.rows["maf"][0].text.endswith("(1 diverged)")


def test_a_value_that_is_not_finite_is_no_other_metric_s_matter() -> None:
    good = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}}
    bad = rows([score(LEAK, math.nan)], identity("maf", 0))
    fine = [rows([score(LEAK, 0.5)], identity("maf", seed)) for seed in (1, 2)]
    metrics = pd.concat([table(good), bad, *fine], ignore_index=True)
    summary = summarise(metrics, run_table(good), {})
    counts = ["n_seeds", "n_diverged", "n_not_finite"]
    assert line(summary, "maf", metric="leak")[counts].tolist() == [2, 0, 1]
    assert line(summary, "maf", metric="log_likelihood_all")[counts].tolist() == [3, 0, 0]
    likelihood, leak = headline_tables(summary, ["maf"], ["helix"])
    assert "of 3 seeds" in likelihood.title and "of 3 seeds" in leak.title
    assert leak.rows["maf"][0].text == "0.500 ± 0.000 (1 not finite)"


def test_a_variant_that_always_diverged_is_in_the_summary() -> None:
    values = {"maf": {0: 1.0, 1: 2.0}, "vq-maf": {0: math.nan, 1: math.nan}}
    summary = summed(values)
    vq = line(summary, "vq-maf")
    assert (vq["n_seeds"], vq["n_diverged"], vq["baseline"]) == (0, 2, "maf")
    assert pd.isna(vq[["mean", "std", "ci95", "gain_mean", "gain_low", "win"]]).all()
    assert "| vq-maf | diverged (2 of 2) |" in summary_markdown(
        headline_tables(summary, ["maf", "vq-maf"], ["helix"])
    )


def test_runs_that_diverged_are_said_cell_by_cell() -> None:
    """Also where no run is left, and so no row of any metric."""
    runs = run_table({"maf": {0: 1.0, 1: 2.0}, "vq-maf": {0: math.nan, 1: 2.0}})
    assert diverged_tables(run_table({"maf": {0: 1.0}}), ["maf"], ["helix"]) == []
    gone = run_table({"maf": {0: math.nan, 1: math.nan}}).assign(dataset="knotted")
    tables = diverged_tables(pd.concat([runs, gone]), ["maf", "vq-maf"], ["helix", "knotted"])
    for text in (summary_markdown(tables), summary_latex(tables)):
        assert text.count("diverged (2 of 2)") == text.count("diverged (1 of 2)") == 1
    assert "| maf | – | diverged (2 of 2) |\n| vq-maf | diverged (1 of 2) | – |" in (
        summary_markdown(tables)
    )


def test_very_large_values_are_shown_in_short() -> None:
    summary = summed({"maf": {0: -4.3827e29, 1: -4.0e29}, "vq-maf": {0: -12345678.0, 1: -1.0}})
    [table, _] = headline_tables(summary, ["maf", "vq-maf"], ["helix"])
    assert table.rows["maf"][0].text == "−4.19e+29 ± 2.43e+29"
    assert table.rows["vq-maf"][0].text.startswith("−6172839.50 ± ")


def test_one_seed_has_a_mean_but_no_interval() -> None:
    summary = summed({"maf": {0: 1.0}, "vq-maf": {0: 2.5}})
    vq = line(summary, "vq-maf")
    assert (vq["n_seeds"], vq["mean"], vq["gain_mean"]) == (1, 2.5, 1.5)
    assert pd.isna(vq[["std", "ci95", "gain_low", "gain_high", "win"]]).all()
    markdown = summary_markdown(headline_tables(summary, ["maf", "vq-maf"], ["helix"]))
    assert "| vq-maf | 2.50 |" in markdown
    assert "| vq-maf vs maf | +1.50 – |" in markdown
    assert "higher is better; value of 1 seed)" in markdown
    assert "±" not in markdown and "bold" not in markdown


def test_only_final_rows_count_and_splits_stay_apart() -> None:
    frame = rows(
        [
            score(LEAK, 9.0, epoch=5),
            score(LEAK, 4.0),
            score(LIKELIHOOD, 1.0),
            score(LIKELIHOOD, 3.0, split="validation"),
        ],
        identity("maf", 0),
    )
    summary = summarise(frame, run_table({"maf": {0: 1.0}}), {})
    assert line(summary, "maf", metric="leak")["mean"] == 4.0
    assert line(summary, "maf", split="validation")["mean"] == 3.0
    markdown = summary_markdown(headline_tables(summary, ["maf"], ["helix"]))
    assert "| maf | 1.00 |" in markdown and "3.00" not in markdown


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_order_of_rows_changes_nothing(pairs: list[tuple[float, float]], random: Any) -> None:
    values = {
        variant: {seed: pair[place] for seed, pair in enumerate(pairs)}
        for place, variant in enumerate(("maf", "vq-maf"))
    }
    frame, runs = table(values), run_table(values)
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        summarise(frame, runs, BASELINES), summarise(shuffled, runs, BASELINES), check_exact=True
    )


@pytest.fixture
def summary() -> pd.DataFrame:
    good = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 3.0, 1: 4.1, 2: 5.0}}
    bad = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 0.0, 1: 2.5, 2: math.nan}}
    few = {"maf": {0: 1.0}}
    sets = {"twisted_eight": bad, "helix": good, "knotted": few}
    parts = [table(values, dataset=name) for name, values in sets.items()]
    metrics = pd.concat([*parts, table(good, LEAK)], ignore_index=True)
    runs = pd.concat([run_table(values, name) for name, values in sets.items()])
    return summarise(metrics, runs, BASELINES)


def test_the_summary_has_the_order_of_the_runs(summary: pd.DataFrame) -> None:
    assert summary["dataset"].unique().tolist() == ["twisted_eight", "helix", "knotted"]
    helix = summary[summary["dataset"] == "helix"]
    assert helix["metric"].unique().tolist() == ["leak", "log_likelihood_all"]
    assert helix["variant"].tolist() == ["maf", "vq-maf"] * 2


def test_headlines_come_by_their_place_and_then_by_name() -> None:
    names = {"z": 10, "c": 100, "a": 100, "b": None, "leak": 50}
    quantities = [Quantity(name, headline=place) for name, place in names.items()]
    frame = rows([score(quantity, 1.0) for quantity in quantities], identity("maf", 0))
    summary = summarise(frame, run_table({"maf": {0: 1.0}}), {})
    titles = [table.title[0] for table in headline_tables(summary, ["maf"], ["helix"])]
    assert titles == ["Z", "L", "A", "C"]


def test_metrics_of_one_label_are_told_apart() -> None:
    quantities = [Quantity(name, "KDE log-likelihood") for name in ("kde", "kde_wide")]
    frame = rows([score(quantity, 1.0) for quantity in quantities], identity("maf", 0))
    summary = summarise(frame, run_table({"maf": {0: 1.0}}), {})
    titles = [table.title for table in headline_tables(summary, ["maf"], ["helix"])]
    assert [title.partition(" (")[0] for title in titles] == [
        "KDE log-likelihood, kde",
        "KDE log-likelihood, kde_wide",
    ]


def test_markdown_layout(summary: pd.DataFrame) -> None:
    text = summary_markdown(
        headline_tables(summary, ["vq-maf", "maf"], ["twisted_eight", "helix", "absent"])
    )
    lines = text.splitlines()
    assert lines[0] == (
        "**Log-likelihood, all charts (nats; test split; higher is better; "
        "mean ± 95 % confidence of 3 seeds; bold: wins over its own baseline)**"
    )
    assert lines[2] == "|  | twisted_eight | helix | parameters |"
    assert lines[3] == "| :-- | --: | --: | --: |"
    assert lines[4] == "| vq-maf | 1.25 ± 15.88 (1 diverged) | **4.03 ± 2.49** | 10 |"
    assert lines[5] == "| maf | 2.00 ± 2.48 | 2.00 ± 2.48 | 10 |"
    assert lines[7].startswith("**Log-likelihood, all charts: gain over the baseline")
    assert lines[11] == "| vq-maf vs maf | −0.25 [−9.78, 9.28] – | **+2.03 [1.89, 2.18] ✓✓** |"
    assert "**Leak (test split; lower is better; mean" in text
    assert lines.count("|  | helix | parameters |") == 1


def test_a_data_set_without_the_variant_shows_a_dash(summary: pd.DataFrame) -> None:
    [values, *_] = headline_tables(summary, ["maf", "vq-maf"], ["helix", "knotted"])
    assert values.rows["vq-maf"][1].text == "–"
    assert "1 to 3 seeds" in values.title


def test_latex_is_balanced_and_escaped(summary: pd.DataFrame) -> None:
    text = summary_latex(headline_tables(summary, ["maf", "vq-maf"], ["twisted_eight", "helix"]))
    body = "\n".join(part for part in text.splitlines() if not part.startswith("%"))
    assert r" & twisted\_eight & helix & parameters \\" in body
    assert r"vq-maf & 1.25 $\pm$ 15.88 (1 diverged) & \textbf{4.03 $\pm$ 2.49} & 10 \\" in body
    assert r"\textbf{+2.03 [1.89, 2.18] $\checkmark$$\checkmark$}" in body
    assert "95 \\% confidence" in body
    assert body.isascii()
    for name in ("table", "tabular"):
        assert body.count(rf"\begin{{{name}}}") == body.count(rf"\end{{{name}}}") == 4
    for rule in ("toprule", "midrule", "bottomrule"):
        assert body.count(rf"\{rule}") == 4
    assert body.count("{") == body.count("}")
    for row in body.splitlines():
        if row.endswith(r"\\"):
            assert row.count(" & ") in (1, 2, 3)

"""The summary: statistics by hand, pairing, divergence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from summaries import (
    BASELINES,
    LEAK,
    LIKELIHOOD,
    T_1,
    T_2,
    identity,
    line,
    run_table,
    score,
    summed,
    table,
)

from vqflow.metrics.base import Quantity
from vqflow.tables.layout import Table, diverged_tables, headline_tables
from vqflow.tables.markup import summary_latex, summary_markdown
from vqflow.tables.rows import rows
from vqflow.tables.summary import SUMMARY_COLUMNS, summarise


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


def two_variants(
    base: dict[int, float], own: dict[int, float], **bounds: str
) -> tuple[pd.Series, list[Table]]:
    """Gives the summary's line of ``vq-maf`` over ``maf``, and the tables, with bounds of some."""
    values = {"maf": base, "vq-maf": own}
    frame = table(values)
    frame["bound"] = frame["variant"].map({"maf": "", "vq-maf": "", **bounds})
    summary = summarise(frame, run_table(values), BASELINES)
    return line(summary, "vq-maf"), headline_tables(summary, ["maf", "vq-maf"], ["helix"])


def test_nothing_is_won_where_pairs_are_lost() -> None:
    lost = dict.fromkeys((2, 3, 4), math.nan)
    vq, (values, gains) = two_variants(
        {0: 1.0, 1: 1.1, 2: 1, 3: 1, 4: 1}, {0: 2.0, 1: 2.11, **lost}
    )
    assert vq["gain_low"] > 0 and pd.isna(vq["win"]) and pd.isna(vq["win_holm"])
    assert vq["n_lost_pairs"] == 3
    assert not values.rows["vq-maf"][0].bold
    assert gains.rows["vq-maf vs maf"][0].text.endswith("(3 pairs lost) –")


def test_nothing_is_won_over_a_bound_and_a_bound_s_loss_is_none() -> None:
    low, high = {0: 1.0, 1: 1.1, 2: 1.2}, {0: 2.0, 1: 2.11, 2: 2.2}
    vq, (_, gains) = two_variants(low, high, maf="lower")
    assert vq["gain_low"] > 0 and pd.isna(vq["win"]) and vq["n_pairs"] == 0
    assert "pairs of runs" not in gains.title
    vq, (_, gains) = two_variants(high, low, **{"vq-maf": "lower"})
    assert vq["n_pairs"] == 0
    assert gains.rows["vq-maf vs maf"][0].text.startswith("≥ −1.00")
    assert "≥: the model only bounds its density" in gains.title


def test_a_gain_that_does_not_vary_with_the_seed_is_not_won() -> None:
    vq, _ = two_variants({0: 1.0, 1: 1.0}, {0: 2.0, 1: 2.0})
    assert (vq["gain_low"], vq["gain_high"]) == (1, 1) and pd.isna(vq["win"])


def test_pairs_that_share_a_baseline_are_counted_and_not_tested() -> None:
    seeds = range(3)
    values = {"maf": {seed: 0.1 * seed for seed in seeds}}
    values |= {name: {seed: 1 + 0.11 * seed for seed in seeds} for name in ("a", "b")}
    summary = summarise(table(values), run_table(values), {"a": "maf", "b": "maf"})
    [_, gains] = headline_tables(summary, list(values), ["helix"])
    assert "positive in 6 of 6 pairs of runs, of which some share a baseline's run" in gains.title
    assert "sign test" not in gains.title


def test_holm_s_family_is_what_a_table_shows() -> None:
    """Two data sets of other splits are two cells of one table."""
    values = {"maf": {0: 0.0, 1: 0.0, 2: 0.0}, "vq-maf": {0: 0.8, 1: 1.0, 2: 1.3}}
    frames = [table(values), table(values, dataset="knotted").assign(split="train")]
    frames.append(table(values).assign(split="validation"))
    runs = pd.concat([run_table(values), run_table(values, "knotted")])
    summary = summarise(pd.concat(frames, ignore_index=True), runs, BASELINES)
    vq = summary[summary["variant"] == "vq-maf"].set_index("split")
    factors = (vq["p_holm"] / vq["p_value"]).to_dict()
    assert factors == pytest.approx({"test": 2, "train": 2, "validation": 1})

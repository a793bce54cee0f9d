"""Tables of results: layout, statistics by hand, pairing, divergence, rendering."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqflow.tables.layout import headline_tables, summary_latex, summary_markdown
from vqflow.tables.summary import (
    METRIC_COLUMNS,
    SUMMARY_COLUMNS,
    gather,
    lower_is_better,
    rows,
    summarise,
)

BASELINES = {"vq-maf": "maf"}
T_2 = 4.302652729749462  # 97.5 % quantile of Student's t, 2 degrees of freedom
T_1 = 12.706204736174698  # the same, 1 degree


def identity(variant: str, seed: int, dataset: str = "helix", status: str = "ok") -> dict[str, Any]:
    return {
        "dataset": dataset,
        "variant": variant,
        "flow": "maf",
        "atlas": "single",
        "embedding": "identity",
        "seed": seed,
        "status": status,
        "parameters": 10,
        "atlas_parameters": 0,
    }


def score(metric: str, value: float, split: str = "test", epoch: int | None = None) -> Any:
    return SimpleNamespace(metric=metric, value=value, unit="nats", n=7, split=split, epoch=epoch)


def table(
    values: dict[str, dict[int, float]], metric: str = "log_likelihood_all", dataset: str = "helix"
) -> pd.DataFrame:
    """Gives a metrics table of values[variant][seed]; NaN stands for a diverged run."""
    parts = []
    for variant, by_seed in values.items():
        for seed, value in by_seed.items():
            who = identity(variant, seed, dataset)
            if math.isnan(value):
                parts.append(
                    rows([score("log_likelihood", math.nan)], {**who, "status": "diverged"})
                )
            else:
                parts.append(rows([score(metric, value)], who))
    return pd.concat(parts, ignore_index=True)


def line(summary: pd.DataFrame, variant: str, **where: str) -> pd.Series:
    found = summary[summary["variant"] == variant]
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_rows_have_the_columns_and_keep_integers() -> None:
    frame = rows([score("fid", 1.5, epoch=5), score("fid", 1.25)], identity("maf", 3))
    assert tuple(frame.columns) == METRIC_COLUMNS
    assert frame["epoch"].tolist() == [5, pd.NA]
    assert frame.loc[0, "seed"] == 3
    assert frame["value"].tolist() == [1.5, 1.25]


def test_gather_sorts_and_keeps_every_digit(tmp_path: Path) -> None:
    frames = [
        rows([score("b", 1 / 3), score("a", 0.1, epoch=10), score("a", 2e-17)], identity("maf", 1)),
        rows([score("a", 5.0, epoch=9)], identity("maf", 0)),
        rows([score("a", math.nan)], identity("NA", 0, dataset="001", status="diverged")),
    ]
    paths = [tmp_path / f"{number}.csv" for number in range(3)]
    for path, frame in zip(paths, frames, strict=True):
        frame.to_csv(path, index=False)
    forward, backward = gather(paths), gather(paths[::-1])
    pd.testing.assert_frame_equal(forward, backward)
    assert forward["dataset"].tolist() == ["001", *["helix"] * 4]
    assert forward["variant"].tolist()[0] == "NA"
    assert forward["seed"].tolist() == [0, 0, 1, 1, 1]
    assert forward["metric"].tolist() == ["a", "a", "a", "a", "b"]
    assert forward["epoch"].tolist() == [pd.NA, 9, 10, pd.NA, pd.NA]
    assert forward["value"].tolist()[1:] == [5.0, 0.1, 2e-17, 1 / 3]
    csv = forward.to_csv(index=False).splitlines()
    assert csv[2] == "helix,maf,maf,single,identity,0,9,a,5.0,nats,7,test,ok,10,0"
    assert csv[1] == "001,NA,maf,single,identity,0,,a,,nats,7,test,diverged,10,0"


def test_gather_of_nothing_has_the_columns() -> None:
    assert tuple(gather([]).columns) == METRIC_COLUMNS
    assert tuple(summarise(gather([]), {}).columns) == SUMMARY_COLUMNS


def test_gather_refuses_other_columns_and_repeated_rows(tmp_path: Path) -> None:
    frame = rows([score("a", 1.0)], identity("maf", 0))
    path = tmp_path / "metrics.csv"
    frame.drop(columns="unit").to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"metrics\.csv: got columns"):
        gather([path])
    frame.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"there twice.*'helix'.*'maf', seed 0, metric 'a'"):
        gather([path, path])


def test_summary_by_hand() -> None:
    summary = summarise(
        table({"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 2.0, 1: 4.0, 2: 3.5}}), BASELINES
    )
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
    assert line(summarise(table(values), BASELINES), "vq-maf")["win"]
    shuffled = {"maf": base, "vq-maf": {0: 20.9, 1: 1.0, 2: 11.1}}
    assert not line(summarise(table(shuffled), BASELINES), "vq-maf")["win"]


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("log_likelihood_all", False),
        ("kde_log_likelihood_confined", False),
        ("bits_per_dim", True),
        ("fid_classifier", True),
        ("fid_inception_confined", True),
        ("leak", True),
    ],
)
def test_positive_gain_is_always_better(metric: str, lower: bool) -> None:
    assert lower_is_better(metric) is lower
    values = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 3.0, 1: 4.1, 2: 5.0}}
    vq = line(summarise(table(values, metric), BASELINES), "vq-maf")
    assert np.sign(vq["gain_mean"]) == (-1 if lower else 1)
    assert bool(vq["win"]) is not lower


def test_descriptive_metrics_have_no_winner() -> None:
    values = {"maf": {0: 1.0, 1: 1.0}, "vq-maf": {0: 9.0, 1: 9.0}}
    vq = line(summarise(table(values, "charts"), BASELINES), "vq-maf")
    assert vq["mean"] == 9.0 and pd.isna(vq["gain_mean"]) and pd.isna(vq["win"])


def test_diverged_runs_leave_the_pair_out_and_are_counted() -> None:
    values = {
        "maf": {0: 1.0, 1: math.nan, 2: 3.0},
        "vq-maf": {0: 2.0, 1: 5.0, 2: 4.5},
    }
    summary = summarise(table(values), BASELINES)
    base, vq = line(summary, "maf"), line(summary, "vq-maf")
    assert (base["n_seeds"], base["n_diverged"], base["mean"]) == (2, 1, 2.0)
    assert (vq["n_seeds"], vq["n_diverged"]) == (3, 0)
    half = T_1 * math.sqrt(1 / 8) / math.sqrt(2)  # differences 1 and 1.5
    assert vq["gain_mean"] == 1.25
    assert vq["gain_low"] == pytest.approx(1.25 - half, rel=1e-12)


def test_a_variant_that_always_diverged_is_in_the_summary() -> None:
    values = {"maf": {0: 1.0, 1: 2.0}, "vq-maf": {0: math.nan, 1: math.nan}}
    summary = summarise(table(values), BASELINES)
    vq = line(summary, "vq-maf")
    assert (vq["n_seeds"], vq["n_diverged"], vq["baseline"]) == (0, 2, "maf")
    assert pd.isna(vq[["mean", "std", "ci95", "gain_mean", "gain_low", "win"]]).all()
    assert "| vq-maf | diverged |" in summary_markdown(summary, ["maf", "vq-maf"], ["helix"])


def test_one_seed_has_a_mean_but_no_interval() -> None:
    summary = summarise(table({"maf": {0: 1.0}, "vq-maf": {0: 2.5}}), BASELINES)
    vq = line(summary, "vq-maf")
    assert (vq["n_seeds"], vq["mean"], vq["gain_mean"]) == (1, 2.5, 1.5)
    assert pd.isna(vq[["std", "ci95", "gain_low", "gain_high", "win"]]).all()
    markdown = summary_markdown(summary, ["maf", "vq-maf"], ["helix"])
    assert "| vq-maf | 2.50 |" in markdown
    assert "| vq-maf vs maf | +1.50 – |" in markdown
    assert "1 seed)" in markdown


def test_only_final_rows_count_and_splits_stay_apart() -> None:
    frame = rows(
        [
            score("fid_classifier", 9.0, epoch=5),
            score("fid_classifier", 4.0),
            score("log_likelihood_all", 1.0),
            score("log_likelihood_all", 3.0, split="validation"),
        ],
        identity("maf", 0),
    )
    summary = summarise(frame, {})
    assert line(summary, "maf", metric="fid_classifier")["mean"] == 4.0
    assert line(summary, "maf", split="validation")["mean"] == 3.0
    markdown = summary_markdown(summary, ["maf"], ["helix"])
    assert "| maf | 1.00 |" in markdown and "3.00" not in markdown


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_order_of_rows_changes_nothing(pairs: list[tuple[float, float]], random: Any) -> None:
    frame = table(
        {
            variant: {seed: pair[place] for seed, pair in enumerate(pairs)}
            for place, variant in enumerate(("maf", "vq-maf"))
        }
    )
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        summarise(frame, BASELINES), summarise(shuffled, BASELINES), check_exact=True
    )


@pytest.fixture
def summary() -> pd.DataFrame:
    good = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 3.0, 1: 4.1, 2: 5.0}}
    bad = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 0.0, 1: 2.5, 2: math.nan}}
    parts = [
        table(good),
        table(bad, dataset="twisted_eight"),
        table({"maf": {0: 1.0}}, dataset="knotted"),
        table(good, "leak"),
    ]
    return summarise(pd.concat(parts, ignore_index=True), BASELINES)


def test_markdown_layout(summary: pd.DataFrame) -> None:
    text = summary_markdown(summary, ["vq-maf", "maf"], ["twisted_eight", "helix", "absent"])
    lines = text.splitlines()
    assert lines[0] == (
        "**Log-likelihood, all charts (nats; test split; higher is better; "
        "mean ± 95 % confidence of 3 seeds)**"
    )
    assert lines[2] == "|  | twisted_eight | helix |"
    assert lines[3] == "| :-- | --: | --: |"
    assert lines[4] == "| vq-maf | 1.25 ± 15.88 (1 diverged) | **4.03 ± 2.49** |"
    assert lines[5] == "| maf | 2.00 ± 2.48 | 2.00 ± 2.48 |"
    assert lines[7].startswith("**Log-likelihood, all charts: gain over the baseline")
    assert lines[11] == "| vq-maf vs maf | −0.25 [−9.78, 9.28] – | **+2.03 [1.89, 2.18] ✓** |"
    assert "**Leak (nats; test split; lower is better" in text
    assert lines.count("|  | helix |") == 2


def test_a_data_set_without_the_variant_shows_a_dash(summary: pd.DataFrame) -> None:
    [values, *_] = headline_tables(summary, ["maf", "vq-maf"], ["helix", "knotted"])
    assert values.rows["vq-maf"][1].text == "–"
    assert "1 to 3 seeds" in values.title


def test_latex_is_balanced_and_escaped(summary: pd.DataFrame) -> None:
    text = summary_latex(summary, ["maf", "vq-maf"], ["twisted_eight", "helix"])
    body = "\n".join(part for part in text.splitlines() if not part.startswith("%"))
    assert r" & twisted\_eight & helix \\" in body
    assert r"vq-maf & 1.25 $\pm$ 15.88 (1 diverged) & \textbf{4.03 $\pm$ 2.49} \\" in body
    assert r"\textbf{+2.03 [1.89, 2.18] $\checkmark$}" in body
    assert "95 \\% confidence" in body
    assert body.isascii()
    for name in ("table", "tabular"):
        assert body.count(rf"\begin{{{name}}}") == body.count(rf"\end{{{name}}}") == 4
    for rule in ("toprule", "midrule", "bottomrule"):
        assert body.count(rf"\{rule}") == 4
    assert body.count("{") == body.count("}")
    for row in body.splitlines():
        if row.endswith(r"\\"):
            assert row.count(" & ") in (1, 2)

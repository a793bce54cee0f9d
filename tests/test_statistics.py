"""Statistics of the tables: against scipy, by hand, and on cells that a few points decide."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from summaries import BASELINES, LEAK, LIKELIHOOD, Values, identity, line, run_table

from vqflow.metrics.base import Quantity, Score
from vqflow.tables.layout import headline_tables
from vqflow.tables.points import load_points, point_values, save_points
from vqflow.tables.rows import gather, rows
from vqflow.tables.statistics import (
    Bootstrap,
    holm,
    paired_p_value,
    sign_test,
    spread_over_points,
)
from vqflow.tables.summary import summarise

NORMAL = np.random.default_rng(0).normal(size=2500)


def test_spread_of_normal_values() -> None:
    spread = spread_over_points(NORMAL)
    assert spread["standard_error"] == pytest.approx(stats.sem(NORMAL))
    assert spread["median"] == np.median(NORMAL)
    assert spread["worst_share"] < 0.02


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_one_point_holds_the_deficit(better: str) -> None:
    sign = 1 if better == "higher" else -1
    values = sign * np.append(NORMAL, -5000.0)
    spread = spread_over_points(values, better)
    assert spread["worst_share"] > 0.8
    assert spread_over_points(-values, better)["worst_share"] < 0.02  # the best points do not count
    assert spread["median"] == pytest.approx(sign * np.median(NORMAL), abs=0.01)


@pytest.mark.parametrize("values", [None, np.array([1.0]), np.array([1.0, math.nan])])
def test_no_spread_of_what_is_no_mean(values: np.ndarray | None) -> None:
    assert all(math.isnan(value) for value in spread_over_points(values).values())


def test_equal_values_lack_nothing() -> None:
    assert spread_over_points(np.ones(9)) == {
        "standard_error": 0.0,
        "median": 1.0,
        "worst_share": 0.0,
    }


@settings(deadline=None)  # the first example imports scipy
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6))
def test_p_values_are_scipy_s(differences: list[float]) -> None:
    expected = stats.ttest_1samp(differences, 0).pvalue
    assert paired_p_value(pd.Series(differences)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_no_p_value_of_one_seed_or_of_no_difference() -> None:
    assert math.isnan(paired_p_value(pd.Series([1.0])))
    assert math.isnan(paired_p_value(pd.Series([0.0, 0.0])))
    assert math.isnan(paired_p_value(pd.Series([1.0, 1.0])))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_step_by_step(p_values: list[float]) -> None:
    adjusted = holm([*p_values, math.nan])
    assert math.isnan(adjusted.pop())
    rejected = [False] * len(p_values)
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):  # Holm's own procedure
        if p_values[place] * (len(p_values) - rank) > 0.05:
            break
        rejected[place] = True
    assert [value <= 0.05 for value in adjusted] == rejected


@pytest.mark.parametrize(("positive", "pairs"), [(35, 36), (18, 36), (0, 5), (3, 3)])
def test_sign_test_is_scipy_s(positive: int, pairs: int) -> None:
    expected = stats.binomtest(positive, pairs).pvalue
    assert sign_test(positive, pairs) == pytest.approx(expected, rel=1e-9)


def test_bootstrap_over_points_alone_is_the_standard_error() -> None:
    low, high = Bootstrap(4000).interval(NORMAL[None])
    half = 1.96 * stats.sem(NORMAL)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)
    assert (high + low) / 2 == pytest.approx(NORMAL.mean(), abs=0.1 * half)


def test_bootstrap_holds_both_kinds_of_noise() -> None:
    generator = np.random.default_rng(1)
    of_seeds, of_points = generator.normal(size=(200, 1)), generator.normal(size=(1, 200))
    low, high = Bootstrap(4000).interval(of_seeds + of_points)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(2 / 200), rel=0.15)
    low, high = Bootstrap(4000).interval(np.broadcast_to(of_seeds, (200, 200)))
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(1 / 200), rel=0.15)


def test_bootstrap_is_repeatable_and_takes_one_draw_for_all_seeds() -> None:
    values = np.stack([NORMAL, -NORMAL])
    assert Bootstrap().interval(values[:, ::-1]) == Bootstrap().interval(values[:, ::-1])
    constant = Bootstrap(seed=1).interval(np.stack([NORMAL, NORMAL]))
    assert constant == pytest.approx(Bootstrap(seed=1).interval(NORMAL[None]), rel=1e-12)


def run_of_points(values: Values, worst: float = 0.0) -> tuple[pd.DataFrame, dict]:
    """Gives a table and the points of values[variant][seed], one point lacking ``worst``."""
    frames, kept = [], {}
    for variant, by_seed in values.items():
        of_variant: dict[tuple[str, int], np.ndarray] = {}
        for seed, value in by_seed.items():
            points = value + NORMAL
            points[7] -= worst
            score = Score(LIKELIHOOD.name, points.mean(), len(points), "test", values=points)
            scores = [(score, LIKELIHOOD)]
            frames.append(rows(scores, identity(variant, seed)))
            of_variant |= point_values(scores, seed)
        kept["helix", variant] = of_variant
    return pd.concat(frames, ignore_index=True), kept


def test_pairs_of_points_cancel_what_both_models_share() -> None:
    values = {"maf": {0: 1.0, 1: 1.1, 2: 0.9}, "vq-maf": {0: 1.5, 1: 1.6, 2: 1.4}}
    frame, points = run_of_points(values)
    summary = summarise(frame, run_table(values), BASELINES, points)
    gain = line(summary, "vq-maf")
    assert gain["gain_boot_low"] == pytest.approx(0.5, abs=1e-5)
    assert gain["gain_boot_high"] == pytest.approx(0.5, abs=1e-5)
    assert (gain["n_pairs"], gain["n_positive"]) == (3, 3)
    assert not gain["few_points"]
    assert gain["standard_error"] == pytest.approx(stats.sem(NORMAL))
    [_, gains] = headline_tables(summary, ["maf", "vq-maf"], ["helix"])
    assert "⟨0.50, 0.50⟩" in gains.rows["vq-maf vs maf"][0].text
    assert "positive in 3 of 3 pairs of runs, sign test p = 0.25" in gains.title


def test_a_cell_that_one_point_decides_is_marked() -> None:
    values = {"maf": {0: 1.0, 1: 1.1}}
    frame, points = run_of_points(values, worst=3000.0)
    summary = summarise(frame, run_table(values), {}, points)
    assert line(summary, "maf")["few_points"]
    [table] = headline_tables(summary, ["maf"], ["helix"])
    assert table.rows["maf"][0].text.endswith(" †")
    assert "† a seed's worst 0.1 % of points" in table.title


def test_many_chances_cost_a_verdict() -> None:
    """A t-test at 2 degrees of freedom with p = 0.03 among ten is none after Holm's correction."""
    names = [f"set{number}" for number in range(10)]
    frames, runs = [], []
    for name in names:
        values = {"maf": {0: 0.0, 1: 0.0, 2: 0.0}, "vq-maf": {0: 0.8, 1: 1.0, 2: 1.3}}
        for variant, by_seed in values.items():
            for seed, value in by_seed.items():
                score = Score(LIKELIHOOD.name, value, 7, "test")
                frames.append(rows([(score, LIKELIHOOD)], identity(variant, seed, name)))
        runs.append(run_table(values, name))
    summary = summarise(
        pd.concat(frames, ignore_index=True), pd.concat(runs, ignore_index=True), BASELINES
    )
    vq = summary[summary["variant"] == "vq-maf"]
    assert vq["win"].all()
    assert not vq["win_holm"].any()
    assert vq["p_holm"].tolist() == pytest.approx([10 * vq["p_value"].iloc[0]] * 10)
    [_, gains] = headline_tables(summary, ["maf", "vq-maf"], names)
    assert all(cell.text.endswith("] ✓") for cell in gains.rows["vq-maf vs maf"])


def test_points_are_those_of_the_test_split_and_come_back(tmp_path: Path) -> None:
    name = Quantity("odd-name", better="higher")
    scores = [
        (Score("a", 0.0, 3, "test", values=np.array([1.0, 2.0, 3.0])), name),
        (Score("a", 0.0, 3, "validation", values=np.zeros(3)), LEAK),
        (Score("a", 0.0, 3, "test", epoch=5, values=np.zeros(3)), LEAK),
        (Score("a", 0.0, 3, "test", values=np.zeros(3), of_points=False), LEAK),
        (Score("a", 0.0, 3, "test"), LEAK),
    ]
    kept = point_values(scores, 12)
    save_points(tmp_path / "x.npz", kept)
    loaded = load_points(tmp_path / "x.npz")
    assert list(loaded) == [("odd-name", 12)]
    assert loaded["odd-name", 12].tolist() == [1.0, 2.0, 3.0]
    assert loaded["odd-name", 12].dtype == np.float32


def test_spread_survives_the_file(tmp_path: Path) -> None:
    frame, _ = run_of_points({"maf": {0: 1.0}})
    frame.to_csv(tmp_path / "m.csv", index=False)
    again = gather([tmp_path / "m.csv"], run_table({"maf": {0: 1.0}}))
    pd.testing.assert_frame_equal(again, frame, check_exact=True)


def test_bounds_are_marked() -> None:
    """A lower bound of a density is an upper one of what falls as it rises."""
    density = Quantity("log_likelihood_all", "x", better="higher", of_density=True)
    bits = Quantity("bits_per_dim", "y", better="lower", of_density=True)
    scores = [(Score(quantity.name, 1.0, 7, "test"), quantity) for quantity in (density, bits)]
    scores.append((Score("leak", 1.0, 7, "test"), LEAK))
    frame = rows(scores, identity("maf", 0), lower_bound=True)
    assert frame["bound"].tolist() == ["lower", "upper", ""]
    summary = summarise(frame, run_table({"maf": {0: 1.0}}), {})
    tables = headline_tables(summary, ["maf"], ["helix"])
    assert [table.rows["maf"][0].text[:2] for table in tables] == ["1.", "≤ ", "≥ "]
    assert rows(scores, identity("maf", 0))["bound"].tolist() == [""] * 3

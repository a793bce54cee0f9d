"""A run against its reference: what is equal, close, different or missing, and which settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from scipy import stats

from vqflow.stages.verify import verify
from vqflow.tables.comparison import compare, setting_differences, tolerance
from vqflow.tables.reading import read_scores

REFERENCE = ROOT / "results" / "reference" / "toy3d"
METRICS = REFERENCE / "tables" / "metrics.csv"


def scores(values: dict[str, list[float]], epoch: int | None = None) -> pd.DataFrame:
    """Gives a table of values[metric][seed], as it is read back."""
    rows = [
        ("helix", "maf", metric, "test", seed, epoch, value)
        for metric, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]
    columns = ["dataset", "variant", "metric", "split", "seed", "epoch", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"seed": "Int64", "epoch": "Int64"})


def status(ours: list[float], reference: list[float]) -> str:
    found = compare(scores({"m": ours}), scores({"m": reference}))
    assert len(found) == 1
    return str(found["status"].iloc[0])


def test_a_reference_of_more_seeds_is_equal_where_the_run_has_its_values() -> None:
    assert status([0.1], [0.1, 0.2]) == status([0.1, 0.2], [0.1]) == "equal"
    assert status([math.nan, 0.2], [math.nan, 0.2, 0.3]) == "equal"
    assert status([0.1, 0.21], [0.1, 0.2, 0.3]) == "close"
    ours = scores({"m": [0.1, 0.2]}).assign(seed=[5, 1])
    assert compare(ours, scores({"m": [0.1, 0.2, 0.3]}))["status"].tolist() == ["close"]


def test_only_the_same_digits_of_the_same_seeds_are_equal() -> None:
    assert status([0.1, 0.2], [0.1, 0.2]) == "equal"
    assert status([0.1, 0.2], [0.1, math.nextafter(0.2, 1)]) == "close"
    assert status([0.1, 0.2], [0.2, 0.1]) == "close"
    assert status([math.nan, 0.2], [math.nan, 0.2]) == "equal"


def test_the_tolerance_is_welch_s_interval() -> None:
    generator = np.random.default_rng(0)
    ours, reference = generator.normal(size=4), generator.normal(3, 5, size=6)
    test = stats.ttest_ind(ours, reference, equal_var=False)
    interval = test.confidence_interval(0.999)
    half = (interval.high - interval.low) / 2
    assert tolerance(ours, reference) == pytest.approx((half, test.pvalue))


def test_runs_of_the_same_model_are_close_and_another_model_differs() -> None:
    generator = np.random.default_rng(1)
    tables = [
        scores({f"m{number}": list(generator.normal(size=3)) for number in range(500)})
        for _ in range(2)
    ]
    assert compare(*tables)["status"].tolist().count("differs") <= 3
    assert status([5.0, 5.1, 5.2], [1.0, 1.1, 1.2]) == "differs"


def test_what_has_no_spread_must_be_equal_to_a_millionth() -> None:
    assert status([0.9, 0.9], [0.9 + 0.9e-6] * 2) == "close"
    assert status([0.9, 0.9], [0.9 + 1.1e-6] * 2) == "differs"
    assert status([-4e6, -4e6], [-4e6 + 3, -4e6 + 3]) == "close"


def test_one_seed_borrows_the_other_s_spread_and_two_single_ones_have_none() -> None:
    many = [0.0, 1.0, 2.0]
    half = stats.t.ppf(0.9995, 2) * math.sqrt(1 + 1 / 3)
    assert tolerance(np.array([9.0]), np.array(many))[0] == pytest.approx(half)
    assert status([1 + 0.99 * half], many) == status(many, [1 + 0.99 * half]) == "close"
    assert status([1 + 1.01 * half], many) == status(many, [1 + 1.01 * half]) == "differs"
    assert status([1.0], [1.0 + 5e-7]) == "close"
    assert status([1.0], [1.01]) == "differs"


@pytest.mark.parametrize("ours", [[1.0, math.nan, 1.2], [math.nan] * 3])
def test_values_that_are_not_finite_are_no_noise(ours: list[float]) -> None:
    assert status(ours, [1.0, 1.1, 1.2]) == status([1.0, 1.1, 1.2], ours) == "differs"


def test_cells_of_one_side_are_missing_and_epochs_are_cells() -> None:
    ours = pd.concat([scores({"a": [1.0], "b": [1.0]}), scores({"a": [2.0]}, epoch=5)])
    reference = pd.concat([scores({"a": [1.0], "c": [1.0]}), scores({"a": [2.0]}, epoch=10)])
    found = compare(ours, reference)
    cells = zip(found["metric"], found["epoch"].fillna(0), strict=True)
    assert dict(zip(cells, found["note"], strict=True)) == {
        ("a", 0): "",
        ("b", 0): "only in the run",
        ("a", 5): "only in the run",
        ("c", 0): "only in the reference",
        ("a", 10): "only in the reference",
    }
    assert found["status"].tolist().count("missing") == 4


def test_settings_that_differ_are_named_by_their_place() -> None:
    reference = {"seeds": [0, 1], "training": {"toy": {"epochs": 100, "patience": None}}}
    ours = {"seeds": [0], "training": {"toy": {"epochs": 100, "compile": False}}, "bases": {}}
    assert setting_differences(reference, reference) == []
    assert setting_differences(ours, reference) == [
        "seeds: [0], in the reference [0, 1]",
        "training.toy.compile: False, which the reference does not have",
        "bases: {}, which the reference does not have",
        "training.toy.patience: not there, in the reference None",
    ]


def verified(folder: Path, **changes: Any) -> tuple[str, str]:
    """Verifies the reference of toy3d, with some cells made wrong, against itself."""
    table = pd.read_csv(METRICS, dtype=str, keep_default_na=False)
    chosen = (table["dataset"] + "/" + table["variant"] + "/" + table["metric"]).isin(
        changes.get("wrong", [])
    )
    table.loc[chosen, "value"] = "3.0001"
    table.iloc[: changes.get("kept")].to_csv(folder / "metrics.csv", index=False)
    config = yaml.safe_load((REFERENCE / "config.yaml").read_text()) | changes.get("config", {})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return verify(
        folder / "metrics.csv",
        folder / "config.yaml",
        METRICS,
        None if changes.get("old") else REFERENCE / "config.yaml",
        folder / "verify.csv",
    )


def test_a_repeated_run_is_equal_in_every_cell(tmp_path: Path) -> None:
    found, failure = verified(tmp_path)
    cells = pd.read_csv(tmp_path / "verify.csv")
    assert failure == "" and set(cells["status"]) == {"equal"}
    assert f"cells: {len(cells)} equal, 0 close, 0 differs, 0 missing" in found
    assert "settings: the same" in found
    table = read_scores(METRICS)
    assert len(cells) == len(table) / table["seed"].nunique()


def test_one_wrong_cell_fails_with_one_line_that_names_it(tmp_path: Path) -> None:
    found, failure = verified(tmp_path, wrong=["helix/maf/ceiling"])
    assert failure.startswith("verify: 1 of 912 cells differ, the first is helix/maf/ceiling/test:")
    assert "\n" not in failure and "1 differs" in found


def test_two_models_that_few_seeds_do_not_part_are_told_by_the_share_beyond(
    tmp_path: Path,
) -> None:
    """VQ flows in place of plain ones: with 3 seeds hardly a cell differs at 99.9 %."""
    table = pd.read_csv(METRICS, dtype=str, keep_default_na=False)
    table = table[table["metric"].isin(["log_likelihood_all", "kde_log_likelihood"])]
    table = table[table["seed"].isin(["0", "1", "2"])]
    for name, base in (("ours", "vq-"), ("theirs", "")):
        part = table[table["variant"].isin([f"{base}realnvp", f"{base}maf"])]
        renamed = part.assign(variant=part["variant"].str.removeprefix("vq-"))
        renamed.to_csv(tmp_path / f"{name}.csv", index=False)
    config = REFERENCE / "config.yaml"
    found, _ = verify(
        tmp_path / "ours.csv", config, tmp_path / "theirs.csv", None, tmp_path / "verify.csv"
    )
    cells = pd.read_csv(tmp_path / "verify.csv")
    share = (cells["p_value"] < 0.05).mean()
    assert share > 0.3
    assert f"{share:.0%}, lie outside of their 95 % interval; by chance about 5 %" in found


def test_a_part_is_compared_and_nothing_in_common_fails(tmp_path: Path) -> None:
    part = {"seeds": [0], "benchmarks": {"b": {"datasets": ["spherical"], "variants": ["realnvp"]}}}
    found, failure = verified(tmp_path, kept=9, config=part, old=True)
    assert failure == "" and "only in the reference" in found
    assert "the reference has no config.yaml" in found
    other = {"benchmarks": {"b": {"datasets": ["digits"], "variants": ["maf"]}}}
    _, failure = verified(tmp_path, kept=0, config=other)
    assert failure.startswith("verify: the run and its reference have no cell in common")


def test_seeds_and_models_that_a_run_lost_differ() -> None:
    reference = scores({"a": [1.0, 2.0, 3.0]})
    wanted = {("helix", "maf"): [0, 1, 2]}
    for ours in (scores({"a": [1.0, 2.0]}), scores({})):
        assert compare(ours, reference, wanted)["status"].tolist() == ["differs"]
        assert compare(reference, ours, None, wanted)["status"].tolist() == ["differs"]
        assert compare(ours, ours, wanted, wanted)["status"].tolist() == ["equal"] * (len(ours) > 0)
    assert compare(scores({}), reference, {})["status"].tolist() == ["missing"]
    few = {("helix", "maf"): [0, 1]}
    assert compare(scores({"a": [1.0, 2.0]}), reference, few)["status"].tolist() == ["equal"]
    lost = scores({"a": [1.0, 2.1, math.nan]})
    assert compare(scores({"a": [1.0, 2.0]}), lost, few)["status"].tolist() == ["close"]


def test_a_variant_that_a_run_selects_and_has_no_rows_of_fails(tmp_path: Path) -> None:
    table = pd.read_csv(METRICS, dtype=str, keep_default_na=False)
    table[table["variant"] != "vq-maf"].to_csv(tmp_path / "metrics.csv", index=False)
    config = REFERENCE / "config.yaml"
    paths = tmp_path / "metrics.csv", config, METRICS, config, tmp_path / "verify.csv"
    assert "not finite, in the reference 0" in verify(*paths)[1]


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("dataset,variant,metric,split,status,unit,seed,value\n")
    with pytest.raises(ValueError, match="metrics.csv: no column epoch; needed: dataset"):
        read_scores(tmp_path / "metrics.csv")

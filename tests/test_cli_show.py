"""``vqflow show``: a run's numbers in lines that fit a terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from cli import vqflow
from conftest import ROOT

RUNS = sorted(
    path.parents[1]
    for path in (ROOT / "results" / "reference").glob("*/tables/summary.md")
    if (path.parents[1] / "config.yaml").exists()
)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_it_fits_80_columns_and_marks_what_the_tables_mark(run: Path) -> None:
    text = vqflow("show", run.relative_to(ROOT))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for path in (*(run / "tables").iterdir(), *(run / "figures").glob("*.png")):
        assert f"{path.parent.name}/{path.name}" in text
    summary = pd.read_csv(run / "tables" / "summary.csv")
    shown = summary[(summary["metric"] == "log_likelihood_all") & (summary["split"] == "test")]
    if len(shown):
        block = text.partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
        _check_numbers(block, shown)
    if (run / "claims.csv").exists():
        claims = pd.read_csv(run / "claims.csv")
        tested = claims[~claims["verdict"].isin(["not tested here", "by construction"])]
        for name, part in tested.groupby("claim"):
            held = part["verdict"].isin(["holds", "better"]).sum()
            (line,) = [each for each in lines if each[4:].startswith(f"{name} ")]
            assert f" {held} of {len(part)} " in line


def _check_numbers(block: list[str], shown: pd.DataFrame) -> None:
    """Compares lines, one for each data set and its variants below it, with a table."""
    printed, dataset = {}, ""
    for line in block:
        if line.startswith("  "):
            printed[dataset, line.split()[0]] = line
        else:
            dataset = line.rstrip()
    assert len(printed) + shown["dataset"].nunique() == len(block)
    baselines = set(zip(shown["dataset"], shown["baseline"], strict=True))
    for _, row in shown.iterrows():
        line = printed.pop((row["dataset"], row["variant"]), None)
        if line is None:
            assert (row["dataset"], row["variant"]) in baselines and pd.isna(row["baseline"])
        elif pd.notna(row["gain_mean"]):
            assert f"{row['gain_mean']:+.2f}".replace("-", "−") in line
            marks = sum(str(row.get(name)) == "True" for name in ("win", "win_holm"))
            assert line.count("✓") == marks
    assert not printed


def test_all_prints_the_full_tables() -> None:
    run = Path("results/reference/toy3d")
    assert vqflow("show", run, "--all") == (run / "tables/summary.md").read_text() + "\n"


def test_a_variant_that_diverged_is_shown(tmp_path: Path) -> None:
    source = ROOT / "results/reference/ablation"
    (tmp_path / "tables").mkdir()
    for name in ("config.yaml", "tables/summary.md"):
        (tmp_path / name).write_text((source / name).read_text())
    summary = pd.read_csv(source / "tables/summary.csv")
    of_one = summary["variant"] == "vq-k02"
    numbers = [name for name in summary if name.startswith("gain")] + ["mean", "std", "ci95", "win"]
    summary.loc[of_one, numbers] = None
    summary.loc[of_one, ["n_seeds", "n_diverged"]] = [0, 3]
    summary.to_csv(tmp_path / "tables/summary.csv", index=False)
    lines = [line.split() for line in vqflow("show", tmp_path).splitlines() if "vq-k02" in line]
    assert lines == 2 * ["vq-k02 diverged (3 of 3)".split()]


def test_it_names_the_runs_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/mine/tables").mkdir(parents=True)
    (tmp_path / "results/mine/tables/summary.md").write_text("")
    line = vqflow("show", "results/other", code=2)
    assert line.endswith("needed: the folder of a run that has ended, here results/mine\n")

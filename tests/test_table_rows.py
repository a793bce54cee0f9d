"""Tables of metrics: a run's rows, and the rows of all runs."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from summaries import (
    LEAK,
    identity,
    run_table,
    score,
)

from vqflow.metrics.base import Quantity
from vqflow.tables.rows import METRIC_COLUMNS, gather, rows
from vqflow.tables.summary import SUMMARY_COLUMNS, summarise


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

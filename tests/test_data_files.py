"""Wrong data files: each is refused before any job, in one line with place, given and needed."""

from __future__ import annotations

import gzip
import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CATALOGUE
from small import config, setting

from vqflow.config.components import ConfigError
from vqflow.config.values import dump
from vqflow.datasets.arrays import Arrays
from vqflow.stages.preflight import check

GOOD = "x,y,z\n" + "".join(f"{i * 0.5},{i * i},{-i}\n" for i in range(12))
ARRAYS = "vqflow.datasets.arrays.Arrays"


def npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros((9, 2)))
    return file.getvalue()


def parquet(**columns: Any) -> bytes:
    return bytes(pd.DataFrame(columns).to_parquet())


def rows(*lines: str, header: str = "x,y") -> bytes:
    return "\n".join((header, *lines, "")).encode()


NUMBERS = np.arange(24.0).reshape(12, 2)
HOLED = NUMBERS.copy()
HOLED[3, 1] = np.nan
ENDLESS = NUMBERS.copy()
ENDLESS[0, 0] = np.inf
HUGE = npy(NUMBERS).replace(b"(12, 2)", b"(12, 9)")

TEXT: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("longer rows", rows("1,2,3", "4,5,6"), {}, "line 2: 3 fields .*header names 2; a column of"),
    ("one longer row", rows("1,2", "4,5,6"), {}, "line 3: 3 fields between commas"),
    ("one shorter row", rows("1,2", "4"), {}, "line 3: 1 fields .* the header names 2"),
    ("row after a gap", rows("1,2", "", "", "4"), {}, "line 5: 1 fields"),
    ("trailing separators", rows("1,2,", "3,4,"), {}, "line 2: 3 fields"),
    ("trailing everywhere", rows("1,2,", header="x,y,"), {}, "column 3 has no name"),
    ("decimal commas", rows("1,5,2,5"), {}, "line 2: 4 fields .*decimal commas"),
    ("decimal commas of one", rows("1,5", header="x"), {}, "line 2: 2 fields"),
    ("comma above, semicolons", rows("1;2", "3;4"), {}, "line 2: 1 fields .*commas"),
    ("both separators", rows("1;2", header="x;y,z"), {}, "line 1: comma and semicolon"),
    ("tab and bar", rows("1", header="x\ty|z"), {}, "line 1: tab and bar .*separator: "),
    ("spaces", rows("1 2", "3 4", header="x y"), {}, "line 2, column x y: '1 2' is no number"),
    ("other separator", rows("1:2", header="x:y"), {}, "column x:y: '1:2' is no number"),
    (
        "wrong separator",
        rows("1,2"),
        {"separator": ";"},
        "line 1: no semicolon stands between the names, but comma",
    ),
    ("a name twice", rows("1,2", header="x,x"), {}, "line 1: names x more than once"),
    ("twice but for spaces", rows("1,2", header="x, x"), {}, "line 1: names x more than once"),
    ("two twice", rows("1,2,3,4", header="a,b,b,a"), {}, "names a, b more than once"),
    ("index without a name", rows("0,1", "1,2", header=",x"), {}, "column 1 has no name"),
    ("index of an index", rows("0,1", header="Unnamed: 0,x"), {}, "column 1 has no name"),
    ("no header", rows("3,4", header="1.5,2.5"), {}, "line 1: must name the columns, got 1.5, 2.5"),
    ("no header, commas", rows("3;4", header="1,5;2,5"), {}, "comma and semicolon|must name"),
    ("empty", b"", {}, r"is empty \(0 bytes\)"),
    ("blank", b"\n\n  \n", {}, "is empty; needed"),
    ("only marks", b"\xef\xbb\xbf", {}, "is empty; needed"),
    ("header only", b"x,y\n", {}, "has no rows"),
    ("too few rows", rows("1,2", "3,4"), {}, "has 2 rows, which fractions .* every split"),
    ("text", rows("1,a"), {}, "line 2, column y: 'a' is no number; allowed"),
    ("text far below", (GOOD + "1,2,3x\n").encode(), {}, "line 14, column z: '3x' is no number"),
    ("missing", rows("1,2", "3,"), {}, r"line 3, column y: missing value \(''\)"),
    ("NA", rows("1,NA"), {}, r"column y: missing value \('NA'\)"),
    ("NaN", rows("nan,1"), {}, r"column x: missing value \('nan'\)"),
    ("gap in the only column", rows("1", "", "3", header="x"), {}, "line 3, column x: missing"),
    ("infinite", rows("1,-inf"), {}, r"column y: infinite value \('-inf'\)"),
    ("beyond doubles", rows("1,1e400"), {}, "'1e400' is beyond double precision"),
    ("below doubles", rows("1,1e-400"), {}, "'1e-400' is 0 in double precision"),
    ("long whole numbers", rows("1,9007199254740993"), {}, "is not exact in double"),
    ("thousands", rows("1,234;5", header="x;y"), {}, "line 2, column x: '1,234' may hold decimals"),
    ("thousands and points", rows("1,234.5;5", header="x;y"), {}, "'1,234.5' is no number"),
    ("both decimals", rows("1.5;1,5", header="x;y"), {}, "'1,5' is no number; allowed: such as"),
    ("stated decimal", rows("1,5;2", header="x;y"), {"decimal": "."}, "'1,5' is no number"),
    ("underscores", rows("1,1_000"), {}, "'1_000' is no number"),
    ("hexadecimal", rows("1,0x10"), {}, "'0x10' is no number"),
    ("other digits", rows("1,٣"), {}, "is no number"),
    ("long minus", rows("1,−2"), {}, "is no number"),
    ("truth", rows("1,True"), {}, "'True' is no number"),
    ("dates", rows("1,2020-01-01"), {}, "'2020-01-01' is no number"),
    ("percent", rows("1,5%"), {}, "'5%' is no number"),
    ("comment", rows("# made by hand", "1,2"), {}, "line 2: 1 fields"),
    ("open quote", rows('1,"2', "3,4"), {}, "unexpected end of data"),
    ("text behind a quote", rows('1,"2"3'), {}, "line 2: .*needed: quotes in pairs"),
    ("Latin-1", "größe,y\n1,2\n".encode("latin-1"), {}, "line 1: byte 0xf6 is no UTF-8.*Latin-1"),
    ("Latin-1 below", "x,y\n1,2\n3,é\n".encode("latin-1"), {}, "line 3: byte 0xe9"),
    ("UTF-16", GOOD.encode("utf-16"), {}, "is UTF-16; needed: UTF-8"),
    ("UTF-16 without a mark", GOOD.encode("utf-16-le"), {}, "line 1: a zero byte"),
    ("zero bytes", b"x,y\n1,2\n3,\x004\n", {}, "line 3: a zero byte"),
    ("an archive", archive(), {}, "is an archive .*by its content; needed: what .csv says"),
    ("compressed", gzip.compress(GOOD.encode()), {}, "is compressed by gzip"),
    ("an array", npy(NUMBERS), {}, "is a .npy file by its content"),
    ("unknown columns", GOOD.encode(), {"columns": ["x", "w", "v"]}, "no column w, v; it has x, y"),
    ("equal points", rows(*["1,2"] * 12), {}, "all 8 training points are equal"),
    (
        "large",
        rows(*[f"1e300,{i}" for i in range(12)]),
        {},
        "values to 1e\\+300, but .*allowed: to",
    ),
]
BINARY: list[tuple[str, str, bytes, dict[str, Any], str]] = [
    ("archive", ".npy", archive(), {}, "is an archive .*by its content"),
    ("text", ".npy", GOOD.encode(), {}, "is no .npy file: it begins with b'x,y,z"),
    ("pickle", ".npy", pickle.dumps(NUMBERS), {}, "is a pickle, which may run code"),
    (
        "objects",
        ".npy",
        npy(np.array([[{}]], dtype=object)),
        {},
        "Object arrays .*needed: an array",
    ),
    ("empty", ".npy", b"", {}, "is empty"),
    ("cut", ".npy", npy(NUMBERS)[:-40], {}, "needed: an array of numbers, by numpy.save"),
    ("cut in the header", ".npy", npy(NUMBERS)[:20], {}, "needed: an array of numbers"),
    ("wrong shape", ".npy", HUGE, {}, "needed: an array of numbers"),
    ("table", ".npy", parquet(x=[1.0]), {}, "is a .parquet file by its content"),
    ("three axes", ".npy", npy(np.zeros((9, 2, 2))), {}, r"shape \(9, 2, 2\); needed: .*\(N, D\)"),
    ("one axis", ".npy", npy(np.zeros(9)), {}, r"float64 of shape \(9,\); needed"),
    ("no axis", ".npy", npy(3.0), {}, r"of shape \(\); needed"),
    ("no columns", ".npy", npy(np.zeros((9, 0))), {}, r"shape \(9, 0\); needed"),
    ("no rows", ".npy", npy(np.zeros((0, 3))), {}, "has no rows .*needed: at least one"),
    ("too few rows", ".npy", npy(np.eye(2)), {}, "has 2 rows, which fractions"),
    ("letters", ".npy", npy([["a", "b"]] * 9), {}, "is <U1 of shape"),
    ("complex", ".npy", npy(NUMBERS * 1j), {}, "is complex128"),
    ("times", ".npy", npy(NUMBERS.astype("M8[s]")), {}, "is datetime64"),
    ("records", ".npy", npy(np.zeros(9, dtype="f8,f8")), {}, "needed: real numbers"),
    ("missing", ".npy", npy(HOLED), {}, r"1 missing .*row 3 \(from 0\), column 1: nan"),
    ("infinite", ".npy", npy(ENDLESS), {}, r"1 missing or infinite .*row 0 .*column 0: inf"),
    ("whole numbers", ".npy", npy(np.full((9, 1), 2**53 + 1)), {}, "is not exact in double"),
    ("least number", ".npy", npy(np.full((9, 1), -(2**63))), {}, "is not exact in double"),
    ("columns", ".npy", npy(NUMBERS), {"columns": ["x"]}, "a .npy file has no names"),
    ("text", ".parquet", GOOD.encode(), {}, "is no .parquet file"),
    ("cut", ".parquet", parquet(x=NUMBERS[:, 0])[:-9], {}, "needed: a table of numbers"),
    ("letters", ".parquet", parquet(x=["a"] * 9), {}, "column x is not numeric, but .*choose"),
    ("times", ".parquet", parquet(x=pd.to_datetime(["2020"] * 9)), {}, "column x is not numeric"),
    ("missing", ".parquet", parquet(x=[1, None, 3]), {}, "column x: nan"),
    ("infinite", ".parquet", parquet(y=[1.0, np.inf]), {}, "row 1 .*column y: inf"),
    ("whole numbers", ".parquet", parquet(x=[2**60] * 9), {}, "column x: 1152921504606846976 is"),
    ("no columns", ".parquet", parquet(), {}, "has the columns none"),
    ("columns", ".parquet", parquet(x=[1.0]), {"columns": ["y"]}, "no column y; it has x"),
    ("no rows", ".parquet", parquet(x=np.zeros(0)), {}, "has no rows"),
]
CASES: dict[str, Any] = {f"{suffix[1:]}: {name}": rest for name, suffix, *rest in BINARY}
CASES |= {f"csv: {name}": rest for name, *rest in TEXT}
SAID = re.compile("needed|allowed|must|the header names|it has|state|choose|every split")


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, arguments, message = CASES[case]
    file = tmp_path / f"a.{case.partition(':')[0]}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        Arrays(path=file.name, **arguments).check("mine", tmp_path)
    [line] = str(error.value).splitlines()
    assert line.startswith("datasets.mine") and SAID.search(line)
    assert file.name in line or "training points" in line or "single precision" in line


def test_the_table_of_wrong_files_is_long() -> None:
    assert len(CASES) == len(TEXT) + len(BINARY) >= 90


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.array([Evil()], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Evil()))
    for name in ("a.npy", "b.npy"):
        with pytest.raises(ConfigError):
            Arrays(path=name).check("mine", tmp_path)
    assert not (tmp_path / "run").exists()


def selection(root: Path, **changes: Any) -> dict[str, Any]:
    """The selection of a flow on charts on ``a.csv``; changes go to the data set's entry."""
    entry = {"class": ARRAYS, "path": "a.csv", "preprocess": [], **changes}
    mine = {"benchmarks": {"b": {"datasets": ["mine"]}}, "datasets": {"mine": entry}}
    settings = [dump(setting_of(variant, mine)) for variant in ("vq-realnvp", "kmeans-realnvp")]
    return {"data_root": str(root), "settings": settings, "metrics": {}, "figures": {}}


def setting_of(variant: str, changes: dict[str, Any]) -> Any:
    return config(variant, **changes).settings()["mine", variant]


def test_the_preflight_reads_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD.replace("0.5", "0.5?"))
    with pytest.raises(ConfigError) as error:
        check(selection(tmp_path))
    assert str(error.value) == (
        f"datasets.mine.path: '{tmp_path / 'a.csv'}': line 3, column x: '0.5?' is no number; "
        "allowed: such as -1.5e3; leave columns that are not numeric out with columns"
    )
    (tmp_path / "a.csv").write_text(GOOD + GOOD[6:] * 3)
    assert "variants.vq-realnvp on mine" in check(selection(tmp_path))


def test_more_charts_than_points_are_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    found = selection(tmp_path, fractions=[0.5, 0.25, 0.25])
    with pytest.raises(ConfigError, match=r"atlases.vq32.charts: is 8; allowed: at most 6, the"):
        check(found)
    few = {"datasets": {"helix": {**CATALOGUE["datasets"]["helix"], "n_train": 5}}}
    chosen = {"settings": [dump(setting("kmeans-realnvp", **few))], "metrics": {}, "figures": {}}
    with pytest.raises(ConfigError, match=r"kmeans32.charts: is 8; allowed: at most 5, the"):
        check(chosen)


@pytest.mark.parametrize(("least", "wrong"), [(2, False), (6, True)])
def test_of_charts_to_choose_from_the_least_is_what_the_points_allow(
    least: int, wrong: bool
) -> None:
    few = {
        "datasets": {"helix": {**CATALOGUE["datasets"]["helix"], "n_train": 5}},
        "atlases": {"kmeans-auto": {"choice": {"charts": [least, 64], "min_charts": [1]}}},
        "variants": {"mine": {"flow": "realnvp", "atlas": "kmeans-auto", "training": "toy"}},
    }
    chosen = {"settings": [dump(setting("mine", **few))], "metrics": {}, "figures": {}}
    if not wrong:
        assert "variants.mine on helix" in check(chosen)
        return
    with pytest.raises(ConfigError, match=r"kmeans-auto.choice.charts: is 6; allowed: at most 5"):
        check(chosen)

"""Numbers written to .csv by anyone are read back equal, or refused; never changed."""

from __future__ import annotations

import csv
import io
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vqflow.datasets.arrays import Arrays
from vqflow.datasets.csv_files import Csv

NAMES = ["x", "y", "z"]
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
SHORT = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
WHOLE = st.integers(-(2**70), 2**70)
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.one_of(FLOATS, SHORT, WHOLE), min_size=width, max_size=width),
        min_size=1,
        max_size=6,
    )
)
WRITERS = ("pandas", "pandas with index", "numpy", "csv", "plain")


def written(rows: list[list[Any]], writer: str, separator: str, decimal: str) -> str:
    """Writes a table as people do, some of them wrongly."""
    names = NAMES[: len(rows[0])]
    file = io.StringIO()
    if writer.startswith("pandas"):
        frame = pd.DataFrame(rows, columns=names)
        index = writer.endswith("index")
        frame.to_csv(file, sep=separator, decimal=decimal, index=index)
        return file.getvalue()
    if writer == "numpy":
        values = np.array([[float(value) for value in row] for row in rows])
        np.savetxt(file, values, "%.17g", separator, header=separator.join(names), comments="")
        return file.getvalue().replace(".", decimal)
    texts = [names, *([repr(value).replace(".", decimal) for value in row] for row in rows)]
    if writer == "csv":
        csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows(texts)
        return file.getvalue()
    return "".join(separator.join(row) + "\n" for row in texts)  # commas unquoted


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([[1.5], [2.25]], "plain", ",", ",", False)
@example([[1, 5], [2, 25]], "plain", ";", ",", False)
@example([[1.234], [2.345]], "csv", ";", ",", False)
@example([[1.5, 2.5]], "plain", ",", ",", False)
@example([[math.nan], [1.0]], "pandas", ",", ".", False)
@example([[2**53 + 1]], "csv", ",", ".", False)
@example([[0, 1.5], [1, 2.5]], "pandas with index", ";", ",", False)
@given(
    TABLES,
    st.sampled_from(WRITERS),
    st.sampled_from([",", ";", "\t", "|", " ", ":"]),
    st.sampled_from([".", ","]),
    st.booleans(),
)
def test_numbers_are_read_back_equal_or_refused(
    tmp_path: Path, rows: list[list[Any]], writer: str, separator: str, decimal: str, state: bool
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(written(rows, writer, separator, decimal), newline="")
    stated = Csv(separator, decimal) if state and separator != ":" else Csv()
    try:
        values, names = stated.read(path, None)
    except ValueError:
        return
    expected = np.array([[float(value) for value in row] for row in rows])
    assert names == NAMES[: len(rows[0])]
    np.testing.assert_array_equal(values, expected)
    if writer != "numpy":  # which has doubles alone
        whole = [(v, w) for v, w in zip(values.flat, sum(rows, []), strict=True) if type(w) is int]
        assert all(int(v) == w for v, w in whole)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_ordinary_files_are_read_to_the_last_bit(
    tmp_path: Path, separator: str, decimal: str, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = np.random.default_rng(0).standard_normal((20, 3)) * [1, 1e-9, 1e12]
    text = written(values.tolist(), "csv", separator, decimal).replace("\r\n", ends)
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig", newline="")
    stated = separator if separator == " " else None
    with caplog.at_level(logging.WARNING):
        found, names = Csv(stated).read(tmp_path / "a.csv", None)
    np.testing.assert_array_equal(found, values)
    assert names == NAMES
    said = [f"'a.csv' is read with separator {separator!r} and decimal {decimal!r}"]
    assert caplog.messages == ([] if (separator, decimal) == (",", ".") else said)


def test_what_is_stated_is_not_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.csv").write_text("x;y\n1,234;2\n")
    values, _ = Csv(";", ",").read(tmp_path / "a.csv", ["y", "x"])
    assert values.tolist() == [[2.0, 1.234]] and not caplog.messages


@pytest.mark.parametrize("start", [0, 1])
def test_a_column_that_counts_the_rows_is_pointed_out(
    tmp_path: Path, start: int, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"{i + start},{i * i % 7}.5" for i in range(9)]
    (tmp_path / "a.csv").write_text("\n".join(["id,x", *lines]))
    Arrays(path="a.csv").check("mine", tmp_path)
    assert caplog.messages == [
        "'a.csv': column id counts the rows; if it is an index and no coordinate, choose the "
        "others with columns"
    ]
    caplog.clear()
    Arrays(path="a.csv", columns=["x"]).check("mine", tmp_path)
    assert not caplog.messages


def test_names_and_cells_may_be_quoted_and_spaced(tmp_path: Path) -> None:
    text = 'x, "y, in cm" ,z\n 1 ,"2",3\n\n4,5 ,6\n\n'
    (tmp_path / "a.csv").write_text(text.replace(', "y, in cm" ', ',"y, in cm"'))
    values, names = Csv().read(tmp_path / "a.csv", None)
    assert names == ["x", "y, in cm", "z"]
    assert values.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"separator": "::"}, r"separator is '::', allowed: ',', ';', '\\t', '\|', ' ', or null"),
        ({"decimal": "'"}, "decimal is .*, allowed: '.', ',', or null"),
        ({"separator": ",", "decimal": ","}, "separator and decimal are both ','"),
    ],
)
def test_bad_signs_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arrays(path="a.csv", **arguments)

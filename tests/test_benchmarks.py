"""The benchmarks can be started; what they measure is run by hand."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import NAMES, markdown, parse
from benchmarks.timing import compare


def test_without_names_all_are_run() -> None:
    assert (parse([]).names or NAMES) == NAMES
    assert parse(["frechet", "--threads", "1"]).names == ["frechet"]


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["inverses"])
    assert "no benchmark 'inverses'; allowed: inverse, " in capsys.readouterr().err


def test_functions_take_turns_and_the_first_is_the_reference() -> None:
    calls: list[str] = []
    rows = compare(
        "test", "case", {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3
    )
    assert calls == ["a", "b"] * 4  # one warm-up
    assert [row.name for row in rows] == ["a", "b"]
    assert rows[0].ratio == 1
    assert all(len(row.milliseconds) == 3 for row in rows)
    assert markdown(rows).count("case") == 3

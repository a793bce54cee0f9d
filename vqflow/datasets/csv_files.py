"""Tables of numbers from .csv files, read strictly: what is recognised is said, nothing dropped."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
"""What may stand between two fields; a space only where it is stated."""

DECIMALS = (".", ",")
"""What may stand before the decimals."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_MISSING = {"", "-", "?", "na", "n/a", "#n/a", "nan", "null", "none"}
_INFINITE = {"inf", "infinity"}
_UNITS = 2**53  # beyond it, doubles leave whole numbers out


@dataclass(frozen=True)
class Csv:
    """How a .csv file is written.

    Attributes:
        separator: One of :data:`SEPARATORS`; ``None``: as the header shows.
        decimal: One of :data:`DECIMALS`; ``None``: as the numbers show.
    """

    separator: str | None = None
    decimal: str | None = None

    def read(
        self, path: Path, columns: Sequence[str] | None
    ) -> tuple[NDArray[np.float64], list[str]]:
        """Reads the numbers below a header, every cell of the columns or none.

        Args:
            path: The file, in UTF-8.
            columns: The columns to read, in this order; all if ``None``.

        Returns:
            The values (N, D), equal to the numbers that are written there; and the names.

        Raises:
            ValueError: If they cannot be read for certain; says the line.
        """
        text = _decode(path).rstrip("\r\n")
        if not text.strip():
            raise ValueError("is empty; needed: a line that names the columns, and rows of numbers")
        separator = _separator(text, self.separator)
        rows = _rows(text, separator)
        _, names = next(rows)
        _check_names(names)
        chosen = _chosen(names, columns)
        decimal = self.decimal or _decimal(_rows(text, separator), names, chosen, separator)
        if (separator, decimal) != (",", ".") and None in (self.separator, self.decimal):
            log.warning(
                "'%s' is read with separator %r and decimal %r", path.name, separator, decimal
            )
        values = _values(rows, names, chosen, decimal)
        return values.reshape(-1, len(chosen)), [names[place] for place in chosen]


def _decode(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("is UTF-16; needed: UTF-8, such as iconv -f utf-16 -t utf-8 gives")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line}: byte 0x{content[error.start]:02x} is no UTF-8; "
            "needed: UTF-8, such as iconv -f latin1 -t utf-8 gives of Latin-1"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"line {line}: a zero byte; needed: text in UTF-8")
    return text


def _separator(text: str, stated: str | None) -> str:
    header = _QUOTED.sub("", text.lstrip("\r\n").splitlines()[0])
    found = [separator for separator in SEPARATORS if separator in header and separator != " "]
    if stated is not None and stated not in header and found:
        raise ValueError(
            f"line 1: no {SEPARATORS[stated]} stands between the names, but "
            f"{SEPARATORS[found[0]]}; state separator: {found[0]!r}, or quote the name"
        )
    if stated is not None:
        return stated
    if len(found) > 1:
        names = " and ".join(SEPARATORS[separator] for separator in found)
        raise ValueError(
            f"line 1: {names} stand between the names; state which separates: "
            f"separator: {found[0]!r} or {found[1]!r}"
        )
    return found[0] if found else ","


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Gives the number of the last line and the fields of each row, the header's first.

    Blank lines are left out, but where they may be missing values of the only column.
    """
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=separator, strict=True)
    width = None
    try:
        for row in reader:
            line = reader.line_num
            if not row and width != 1:
                continue
            if width is None:
                width = len(row)
            elif row and len(row) != width:
                raise ValueError(_ragged(line, row, width, separator))
            yield line, [cell.strip() for cell in row] or [""]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}; needed: quotes in pairs") from error


def _ragged(line: int, row: list[str], width: int, separator: str) -> str:
    hint = ""
    if len(row) == width + 1:
        hint = "; a column of row names or numbers needs a name too"
    elif len(row) == 2 * width and separator == ",":
        hint = "; with decimal commas, fields need another separator"
    return (
        f"line {line}: {len(row)} fields between {SEPARATORS[separator]}s, "
        f"but the header names {width}{hint}"
    )


def _check_names(names: list[str]) -> None:
    if any(map(_is_number, names)):
        raise ValueError(f"line 1: must name the columns, got {', '.join(names)}")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise ValueError(f"line 1: names {', '.join(twice)} more than once; needed: different ones")


def _chosen(names: list[str], columns: Sequence[str] | None) -> list[int]:
    """Gives the places of the columns to read."""
    if columns is not None:
        if unknown := [column for column in columns if column not in names]:
            raise ValueError(f"no column {', '.join(unknown)}; it has {', '.join(names)}")
        return [names.index(column) for column in columns]
    for place, name in enumerate(names, 1):
        if not name or name.startswith("Unnamed: "):
            raise ValueError(
                f"line 1: column {place} has no name, as an index that pandas writes; "
                "write the file without it, or choose others with columns"
            )
    return list(range(len(names)))


def _decimal(
    rows: Iterator[tuple[int, list[str]]], names: list[str], chosen: list[int], separator: str
) -> str:
    """Gives the sign before the decimals: a comma where commas alone are there."""
    next(rows)
    thousands: str | None = None
    certain = False
    for line, row in rows:
        for place in chosen:
            cell = row[place]
            if "." in cell:
                return "."
            if "," in cell and not certain:
                certain = _THOUSANDS.fullmatch(cell) is None
                thousands = thousands or f"line {line}, column {names[place]}: '{cell}'"
    if thousands is not None and not certain:
        raise ValueError(
            f"{thousands} may hold decimals or thousands; state decimal: ',' for decimals, "
            "or write no thousands"
        )
    return "," if certain else "."


def _values(
    rows: Iterator[tuple[int, list[str]]], names: list[str], chosen: list[int], decimal: str
) -> NDArray[np.float64]:
    point = re.escape(decimal)
    number = rf"[+-]?(?:\d+{point}?\d*|{point}\d+)(?:[eE][+-]?\d+)?"
    whole_row = re.compile(rf"{number}(?:\0{number})*", re.ASCII)
    values = array("d")
    for line, row in rows:
        cells = [row[place] for place in chosen]
        text = "\0".join(cells)
        if not whole_row.fullmatch(text):
            wrong = (place for place in chosen if not whole_row.fullmatch(row[place]))
            place = next(wrong)
            raise ValueError(
                f"line {line}, column {names[place]}: {_no_number(row[place], decimal)}"
            )
        numbers = [float(cell) for cell in text.replace(",", ".").split("\0")]
        values.extend(numbers)
        for place, cell, value in zip(chosen, cells, numbers, strict=True):
            if not 0 < abs(value) < _UNITS and (fault := _inexact(cell, value)):
                raise ValueError(f"line {line}, column {names[place]}: {fault}")
    return np.frombuffer(values, dtype=np.float64) if values else np.empty(0)


def _no_number(cell: str, decimal: str) -> str:
    if cell.lower() in _MISSING:
        return f"missing value ('{cell}'); needed: a number in every row"
    if cell.lstrip("+-").lower() in _INFINITE:
        return f"infinite value ('{cell}'); needed: finite numbers"
    return (
        f"'{cell}' is no number; allowed: such as -1{decimal}5e3; "
        "leave columns that are not numeric out with columns"
    )


def _inexact(cell: str, value: float) -> str | None:
    """Says why a number would not be what is written; rounding of decimals is none."""
    if math.isinf(value):
        return f"'{cell}' is beyond double precision; needed: finite numbers"
    if value == 0 and re.search("[1-9]", cell.lower().partition("e")[0]):
        return f"'{cell}' is 0 in double precision; needed: numbers of at least 5e-324"
    if value and cell.lstrip("+-").isdigit() and int(cell) != int(value):
        return f"'{cell}' is not exact in double precision; needed: whole numbers to 2^53"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True

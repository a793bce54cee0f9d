"""A run's scores against those of its reference, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

EQUAL = "equal"
CLOSE = "close"
DIFFERS = "differs"
MISSING = "missing"

COLUMNS = (
    "dataset",
    "variant",
    "metric",
    "split",
    "epoch",
    "status",
    "seeds",
    "reference_seeds",
    "value",
    "reference_value",
    "difference",
    "tolerance",
    "p_value",
    "note",
)
_CELL = ["dataset", "variant", "metric", "split", "epoch"]
_CONFIDENCE = 0.999
_EXACT = 1e-6

Values = dict[int, float]
"""seed -> value; NaN where it is not finite."""


Seeds = Mapping[tuple[str, str], Collection[int]]
"""By data set and variant, the seeds that a run was to have."""


def compare(
    ours: pd.DataFrame,
    reference: pd.DataFrame,
    seeds: Seeds | None = None,
    reference_seeds: Seeds | None = None,
) -> pd.DataFrame:
    """Compares two tables of scores.

    A cell is a metric of a variant on a data set, of one split and epoch (or of the final
    model), over all seeds. It is

    * ``equal`` where all seeds of the one are among those of the other, which may have more, and
      their values are the same, to the last digit;
    * ``close`` where the difference of the two means is within the tolerance: the half width of
      the 99.9 % interval that the spreads over the seeds of both allow it (Welch, Biometrika,
      1947), and at least 1e-6 (of the mean, where that is above 1). Quantities that have no
      spread in either, such as the ceiling, must therefore be equal to 1e-6. Where one of the two
      has one seed, the other's spread stands for both; where both have one, there is none;
    * ``missing`` where only one of the two has it;
    * else, or where not equally many values of the seeds that both have are finite, it
      ``differs``. A seed that a run was to have and has no row of is one that is not finite, as a
      run that diverged leaves none.

    Args:
        ours: The run's, as :func:`vqflow.tables.reading.read_scores` gives them.
        reference: The reference's.
        seeds: The seeds that the run was to have.
        reference_seeds: Those that the reference was to have.

    Returns:
        One row for each cell of either, in the order of the run.
    """
    here, there = _cells(ours), _cells(reference)
    _add_lost(here, there, seeds or {})
    _add_lost(there, here, reference_seeds or {})
    rows = [
        dict(zip(_CELL, cell, strict=True)) | _verdict(here.get(cell), there.get(cell))
        for cell in dict.fromkeys([*here, *there])
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({name: "Int64" for name in ("epoch", "seeds", "reference_seeds")})


def setting_differences(ours: Mapping[str, Any], reference: Mapping[str, Any]) -> list[str]:
    """Says which settings differ, a line each that begins with the setting's place.

    Args:
        ours: The run's configuration, as plain values.
        reference: The reference's.
    """
    here, there = dict(_flat(ours, "")), dict(_flat(reference, ""))
    lines = []
    for place in dict.fromkeys([*here, *there]):
        if place not in there:
            lines.append(f"{place}: {here[place]!r}, which the reference does not have")
        elif place not in here:
            lines.append(f"{place}: not there, in the reference {there[place]!r}")
        elif here[place] != there[place]:
            lines.append(f"{place}: {here[place]!r}, in the reference {there[place]!r}")
    return lines


def tolerance(ours: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Gives how far apart two means may lie, and how likely chance puts them as far; see above.

    Args:
        ours: Finite values, one for each seed.
        reference: Those of the reference.

    Returns:
        The tolerance, and the p-value of Welch's test; NaN without any spread.
    """
    from scipy.special import stdtr, stdtrit  # slow to import

    exact = _EXACT * max(1.0, abs(float(reference.mean())))
    error, freedom = _standard_error(ours, reference)
    if error == 0:
        return exact, math.nan
    half = float(stdtrit(freedom, 0.5 + _CONFIDENCE / 2)) * error
    distance = abs(float(ours.mean() - reference.mean()))
    return max(exact, half), 2 * float(stdtr(freedom, -distance / error))


def _standard_error(ours: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Gives the standard error of the difference of two means, and its degrees of freedom."""
    counts = [len(ours), len(reference)]
    known = [float(part.var(ddof=1)) for part in (ours, reference) if len(part) > 1]
    if not any(known):
        return 0.0, 0.0
    if len(known) == 1:  # one of the two has one seed
        return math.sqrt(known[0] * sum(1 / count for count in counts)), max(counts) - 1.0
    parts = [variance / count for variance, count in zip(known, counts, strict=True)]
    scale = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return math.sqrt(sum(parts)), sum(parts) ** 2 / scale


def _cells(scores: pd.DataFrame) -> dict[tuple[Any, ...], Values]:
    found: dict[tuple[Any, ...], Values] = {}
    columns = [scores[name].tolist() for name in (*_CELL, "seed", "value")]
    for *cell, seed, value in zip(*columns, strict=True):
        found.setdefault(tuple(None if part is pd.NA else part for part in cell), {})[seed] = value
    return found


def _add_lost(cells: dict[tuple[Any, ...], Values], others: Collection[Any], seeds: Seeds) -> None:
    """Adds the seeds without a row; and all cells of the other side to a model that has no row."""
    scored = {cell[:2] for cell in cells}
    for cell in others:
        if cell[:2] in seeds and cell[:2] not in scored:
            cells[cell] = {}
    for cell, values in cells.items():
        for seed in seeds.get(cell[:2], ()):
            values.setdefault(seed, math.nan)


def _verdict(ours: Values | None, reference: Values | None) -> dict[str, Any]:
    """Gives the rest of a cell's row."""
    finite = [
        np.array([v for v in (part or {}).values() if math.isfinite(v)])
        for part in (ours, reference)
    ]
    means = [float(part.mean()) if len(part) else math.nan for part in finite]
    row: dict[str, Any] = {
        "seeds": len(ours or {}),
        "reference_seeds": len(reference or {}),
        "value": means[0],
        "reference_value": means[1],
        "difference": means[0] - means[1],
        "tolerance": math.nan,
        "p_value": math.nan,
        "note": "",
    }
    if ours is None or reference is None:
        where = "the run" if reference is None else "the reference"
        return {**row, "status": MISSING, "note": f"only in {where}"}
    if _same(ours, reference):
        return {**row, "status": EQUAL}
    common = ours.keys() & reference.keys() or ours.keys() | reference.keys()
    lost = [
        sum(seed in values and not math.isfinite(values[seed]) for seed in common)
        for values in (ours, reference)
    ]
    if lost[0] != lost[1] or not len(finite[0]) or not len(finite[1]):
        note = f"{lost[0]} not finite, in the reference {lost[1]}"
        return {**row, "status": DIFFERS, "note": note}
    allowed, p_value = tolerance(*finite)
    status = CLOSE if abs(row["difference"]) <= allowed else DIFFERS
    note = "one seed each has no spread" if max(map(len, finite)) == 1 else ""
    return {**row, "status": status, "tolerance": allowed, "p_value": p_value, "note": note}


def _same(ours: Values, reference: Values) -> bool:
    fewer, more = sorted((ours, reference), key=len)
    return fewer.keys() <= more.keys() and all(
        value == more[seed] or (math.isnan(value) and math.isnan(more[seed]))
        for seed, value in fewer.items()
    )


def _flat(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{place}.{key}" if place else str(key))
    else:
        yield place, value

"""What the paper states in numbers: its tables 1 and 2 and the curves of figure 5.

Of "VQ-Flows: Vector Quantized Local Normalizing Flows" (Sidheekh, Dock, Jain, Balan, Singh; UAI
2022, PMLR 180, pages 1835 to 1845). All numbers stand in ``values.csv``, each with its source:

* ``quantity``: ``log_likelihood`` (table 1: of the test split, nats; for CEF on its manifold),
  ``kde_log_likelihood`` (table 2: of samples under a kernel density of the training data, nats) or
  ``frechet_distance`` (figure 5; extractor, samples and split are not stated there).
* ``dataset`` and ``variant``: the paper's, in the catalogue's spelling.
* ``epoch``: of figure 5; empty for final models.
* ``value``: mean over the trials: 5 in the tables, 3 in the figure.
* ``half_width``: half of the 95 % interval that the tables print; empty for the figure, whose bands
  are standard deviations and were not read off.
* ``reading_error``: about how far a value read off a figure may be wrong; empty for the tables.
* ``source``: table or figure.

Of figure 6 only statements are known, and no numbers.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vqflow.files import digest

FILE = Path(__file__).parent / "values.csv"

SHA256 = "7a09ae2f44c6c467cb5ad81e5a9309fc0665c14595e42d9f3dcaa51cb1f96aaf"
"""That of the file. It stands in the code so that other values are other code, which makes the
figures and claims that show them again (:mod:`vqflow.identity`)."""


@dataclass(frozen=True)
class Published:
    """One number of the paper, or what follows from two of them.

    Attributes:
        value: The number.
        half_width: Half of its 95 % interval; ``None`` where there is none.
        reading_error: How far it may be wrong where it was read off a figure, else 0.
        source: The table or figure.
    """

    value: float
    half_width: float | None
    reading_error: float
    source: str


def curves(quantity: str) -> dict[tuple[str, str], dict[int, float]]:
    """Gives (data set, variant) -> epoch -> value of a quantity that is published by epoch."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for (name, dataset, variant, epoch), number in _values().items():
        if name == quantity and epoch is not None:
            found.setdefault((dataset, variant), {})[epoch] = number.value
    return found


def at_last_epoch(quantity: str, dataset: str, variant: str) -> tuple[int, Published] | None:
    """Gives the last epoch that is published and the number there."""
    curve = curves(quantity).get((dataset, variant))
    if not curve:
        return None
    return max(curve), _values()[quantity, dataset, variant, max(curve)]


def datasets(quantity: str) -> list[str]:
    """Gives the data sets that a quantity is published of, in the paper's order."""
    return list(dict.fromkeys(key[1] for key in _values() if key[0] == quantity))


def find(quantity: str, dataset: str, variant: str, epoch: int | None = None) -> Published | None:
    """Gives a published number; ``None`` where the paper has none."""
    return _values().get((quantity, dataset, variant, epoch))


def difference(first: Published | None, second: Published | None) -> Published | None:
    """Gives first - second, if there are both.

    The trials of two models are independent, so that squares of half widths add up.
    """
    if first is None or second is None:
        return None
    widths = (first.half_width, second.half_width)
    half = None if None in widths else sum(w**2 for w in widths if w is not None) ** 0.5
    error = first.reading_error + second.reading_error
    return Published(first.value - second.value, half, error, first.source)


@cache
def _values() -> dict[tuple[str, str, str, int | None], Published]:
    """Reads the file.

    Raises:
        ValueError: If it is not the one that the code was written for.
    """
    found = digest(FILE) if FILE.is_file() else None
    if found != SHA256:
        given = f"has the SHA-256 {found[:8]}..." if found else "is absent"
        raise ValueError(
            f"the published values: {FILE} {given}, expected {SHA256[:8]}...; install vqflow anew"
        )
    with FILE.open(encoding="utf-8", newline="") as file:
        return {
            (
                row["quantity"],
                row["dataset"],
                row["variant"],
                int(row["epoch"]) if row["epoch"] else None,
            ): Published(
                float(row["value"]),
                float(row["half_width"]) if row["half_width"] else None,
                float(row["reading_error"] or 0),
                row["source"],
            )
            for row in csv.DictReader(file)
        }

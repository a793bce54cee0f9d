"""What is said of a job that has ended, from the files that it wrote."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FEW_POINTS = 10
"""A chart that is the nearest one of fewer training points is thinly covered."""

MUCH_LEAK = 0.5
DECISIVE_SHARE = 0.1
"""The part of a mean's shortfall that its worst 0.1 % of points hold, from which it is marked."""


@dataclass(frozen=True)
class Job:
    """A job of the workflow.

    Attributes:
        rule: Name of its rule.
        wildcards: Their values.
        output: Files that it writes.
    """

    rule: str
    wildcards: Mapping[str, str]
    output: Sequence[str]

    @property
    def files(self) -> dict[str, list[Path]]:
        """Its files by name."""
        found: dict[str, list[Path]] = {}
        for path in map(Path, self.output):
            found.setdefault(path.name, []).append(path)
        return found

    def title(self) -> str:
        """Says in a few words what it did."""
        dataset, variant = (self.wildcards.get(key, "") for key in ("dataset", "variant"))
        titles = {
            "prepare_data": f"data {dataset}",
            "fit_atlas": f"atlas {self.wildcards.get('atlas', '')} on {dataset}",
            "make_reference": f"reference of {dataset}",
            "train_flow": f"trained {variant} on {dataset}",
            "fit_model": f"fitted {variant} on {dataset}",
            "sample_flow": f"samples of {variant} on {dataset}",
            "evaluate": f"scored {variant} on {dataset}",
            "plot": f"figure {self.wildcards.get('figure', '')}",
            "make_tables": "tables",
            "make_claims": "claims",
            "make_report": "report",
        }
        return titles.get(self.rule, self.rule)

    def result(self) -> str:
        """Gives what matters of its result in a few words; empty where nothing does."""
        if self.rule in ("train_flow", "fit_model", "fit_atlas"):
            return _trained(self.files.get("history.csv", []))
        if self.rule == "evaluate":
            return _scored(self._scores())
        return ""

    def warnings(self) -> Iterator[str]:
        """Gives what its user should know before trusting the result."""
        for path in self.files.get("status.json", []):
            status = json.loads(path.read_text("utf-8"))
            if status["status"] != "ok":
                yield f"{path.parent.name} {status['status']}: {status['reason']}"
        for path in self.files.get("charts.npz", []):
            yield from _few_points(path)
        if self.rule == "evaluate":
            yield from _doubtful(self._scores())

    def _scores(self) -> list[dict[str, str]]:
        tables = [path for path in map(Path, self.output) if path.suffix == ".csv"]
        return [row for table in tables for row in _rows(table)]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _trained(histories: Sequence[Path]) -> str:
    """Says how far trials came: epochs, and the mean of their best validation losses."""
    epochs, losses = 0, []
    for history in histories:
        rows = _rows(history)
        epochs = max(epochs, len(rows))
        found = [_number(row.get("validation_loss", "")) for row in rows]
        losses += [min(finite)] if (finite := [loss for loss in found if loss == loss]) else []
    if not losses:
        return ""
    trials = f"{len(losses)} trials, " if len(losses) > 1 else ""
    return f"{trials}{epochs} epochs, validation loss {sum(losses) / len(losses):.3f}"


def _mean(rows: Sequence[Mapping[str, str]], metric: str, split: str = "test") -> float:
    values = [
        _number(row["value"])
        for row in rows
        if row["metric"] == metric and row["split"] == split and not row["epoch"]
    ]
    return sum(values) / len(values) if values else math.nan


def _scored(rows: Sequence[Mapping[str, str]]) -> str:
    """Gives the first headline score of the test split, as the mean over seeds."""
    for row in rows:
        if row["headline"] and row["split"] == "test" and not row["epoch"]:
            value = _mean(rows, row["metric"])
            return f"{row['label'] or row['metric']} {value:.2f} {row['unit']}".rstrip()
    return ""


def _doubtful(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    leak = _mean(rows, "leak", "train")
    if leak > MUCH_LEAK:
        yield f"{leak:.0%} of what charts draw leaves their own regions"
    marked: dict[str, float] = {}
    for row in rows:
        share = _number(row.get("worst_share", ""))
        if row["headline"] and row["split"] == "test" and share >= DECISIVE_SHARE:
            name = row["label"] or row["metric"]
            marked[name] = max(share, marked.get(name, 0.0))
    for name, share in marked.items():
        yield (
            f"{name}: the worst 0.1 % of the points hold {share:.0%} of what the worse half lacks; "
            "quote the median"
        )


def _few_points(path: Path) -> Iterator[str]:
    import numpy as np  # not while the workflow is parsed

    if not path.is_file():
        return
    with np.load(path, allow_pickle=False) as charts:
        number = len(charts["centres"])
        counts = np.bincount(charts["nearest"], minlength=number)
    few = int((counts < FEW_POINTS).sum())
    if few:
        yield f"{few} of {number} charts have fewer than {FEW_POINTS} training points"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

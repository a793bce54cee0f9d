"""Claims as a page to read, and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from vqflow.claims.scores import Estimate
from vqflow.claims.statement import (
    BETTER,
    FAILS,
    GIVEN,
    HOLDS,
    OPEN,
    PARTLY,
    UNTESTED,
    WORSE,
    Claim,
    Statement,
)
from vqflow.published import Published

MARKS = {
    HOLDS: "✓",
    PARTLY: "(✓)",
    BETTER: "✓",
    FAILS: "✗",
    WORSE: "✗",
    OPEN: "?",
    UNTESTED: "–",
    GIVEN: "",
}
_NONE = "–"
_BY_CHANCE = 0.025
"""The share of statements, neither right nor wrong, whose interval lies on the wrong side."""

_INTRODUCTION = """\
# Claims, run {run}

Decided from `tables/metrics.csv`, over {seeds}. A number is the mean over the seeds of the
difference that a statement is about, paired by seed and turned so that positive speaks for it, with
its 95 % Student t interval (a share: with Fieller's). ✓: the whole interval lies where the claim
says; ✗: none of it does; ?: not decided: part of it does, or there is none, or seeds are missing,
or what one side has is a bound; –: not tested here. Each of these verdicts stands for itself: of
many, some are right or wrong by chance. A claim as a whole holds where all of its statements do,
(✓) where some are not tested here, and does not hold where one fails after Holm's correction for
all of them, which few seeds seldom decide: read the counts too. Intervals hold the scatter of the
seeds, not that of the test points. What the numbers rest on, row by row, and all digits:
`claims.csv`.
"""


def claims_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """Gives one row for each statement."""
    return pd.DataFrame(
        [_row(claim, statement) for claim in claims for statement in claim.statements],
        columns=list(_row(_EMPTY, Statement("", "", "", ""))),
    ).astype({"epoch": "Int64"})


_EMPTY = Claim("", "", "", "")


def _row(claim: Claim, statement: Statement) -> dict[str, Any]:
    paper = statement.published
    return {
        "claim": claim.key,
        "title": claim.title,
        "dataset": statement.dataset,
        "variant": statement.variant,
        "against": statement.against,
        "metric": statement.metric,
        "split": statement.split,
        "epoch": statement.epoch,
        "unit": statement.unit,
        "seeds": statement.estimate.seeds,
        "value": statement.estimate.value,
        "low": statement.estimate.low,
        "high": statement.estimate.high,
        "published": None if paper is None else paper.value,
        "published_half_width": None if paper is None else paper.half_width,
        "published_reading_error": None if paper is None else paper.reading_error,
        "source": claim.source if paper is None else paper.source,
        "verdict": statement.verdict,
        "p_value": statement.p_value,
        "note": statement.note,
        "rests_on": "; ".join(map(str, statement.rests_on)),
    }


def claims_page(
    run: str, seeds: Sequence[int], paper: Sequence[Claim], own: Sequence[Claim]
) -> str:
    """Gives the page in Markdown: two headline tables, then every claim with its statements.

    Args:
        run: Name of the run.
        seeds: Its seeds.
        paper: The claims of the paper.
        own: The other claims.
    """
    count = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"
    parts = [
        _INTRODUCTION.format(run=run, seeds=count),
        _headlines("Claim of the paper", paper),
        _headlines("Claim of this project", own),
    ]
    shown = [claim for claim in (*paper, *own) if claim.verdict() != UNTESTED]
    return "\n".join([*parts, *map(_section, shown)])


def _headlines(heading: str, claims: Sequence[Claim]) -> str:
    lines = [["", heading, "verdict", "statements"], [":--", ":--", ":--", ":--"]]
    for claim in claims:
        verdict = claim.verdict()
        lines.append([claim.key, claim.title, f"**{verdict}** {MARKS[verdict]}", _counts(claim)])
    return _grid(lines)


def _counts(claim: Claim) -> str:
    if not claim.statements:
        return "the run has no such variants"
    counts = claim.counts()
    untested = counts.pop(UNTESTED, 0)
    total = sum(counts.values())
    texts = [f"{verdict} in {count}" for verdict, count in counts.items()]
    text = ", ".join(texts) + f" of {total}" if total else ""
    wrong = sum(counts.get(verdict, 0) for verdict in (FAILS, WORSE))
    chance = f"about {_BY_CHANCE * total:.2g} would be wrong by chance alone" if wrong > 1 else ""
    left = f"{untested} not tested here" if untested else ""
    return "; ".join(filter(None, (text, chance, left)))


def _section(claim: Claim) -> str:
    lines = [f"## {claim.key}: {claim.title}", "", f"Source: {claim.source}. {claim.meaning}", ""]
    tested = [statement for statement in claim.statements if statement.verdict != UNTESTED]
    groups: dict[tuple[str, str, str], list[Statement]] = {}
    for statement in tested:
        key = (statement.metric, statement.split, statement.unit)
        groups.setdefault(key, []).append(statement)
    for (metric, split, unit), statements in groups.items():
        facts = ", ".join(filter(None, (f"{split} split" if split else "", unit)))
        lines += [f"`{metric}`" + (f" ({facts})" if facts else ""), "", _statements(statements)]
    notes = [
        f"- {statement.dataset}, {_pair(statement)}, `{statement.metric}`: {statement.note}."
        for statement in tested
        if statement.note
    ]
    if notes:
        lines += [*notes, ""]
    untested: dict[str, list[str]] = {}
    for statement in claim.statements:
        if statement.verdict == UNTESTED:
            what = f"{_pair(statement)} by `{statement.metric}`"
            untested.setdefault(what, []).append(statement.dataset)
    if untested:
        parts = [f"{what} ({', '.join(names)})" for what, names in untested.items()]
        lines += [f"Not tested here: {'; '.join(parts)}.", ""]
    return "\n".join(lines)


def _statements(statements: Sequence[Statement]) -> str:
    """A grid of pairs by data sets, with the paper's numbers below those of a pair."""
    datasets = list(dict.fromkeys(statement.dataset for statement in statements))
    rows: dict[str, dict[str, Statement]] = {}
    for statement in statements:
        rows.setdefault(_pair(statement), {})[statement.dataset] = statement
    lines = [["", *datasets], [":--", *("--:" for _ in datasets)]]
    for pair, found in rows.items():
        lines.append([pair, *(_cell(found.get(dataset)) for dataset in datasets)])
        papers = [found[name].published if name in found else None for name in datasets]
        if any(papers):
            lines.append(["published", *(_published(paper) for paper in papers)])
    return _grid(lines)


def _pair(statement: Statement) -> str:
    epoch = "" if statement.epoch is None else f", epoch {statement.epoch}"
    return f"{statement.variant} vs {statement.against}{epoch}"


def _cell(statement: Statement | None) -> str:
    if statement is None:
        return _NONE
    return f"{_estimate(statement.estimate)} {MARKS[statement.verdict]}".rstrip()


def _estimate(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return _NONE
    text = _number(estimate.value, "+")
    if math.isnan(estimate.low):
        return text
    return f"{text} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _published(paper: Published | None) -> str:
    if paper is None:
        return _NONE
    if paper.half_width is not None:
        return f"{_number(paper.value, '+')} ± {_number(paper.half_width)}"
    about = f" (read off, ± {_number(paper.reading_error)})" if paper.reading_error else ""
    return _number(paper.value, "+") + about


def _number(value: float, sign: str = "") -> str:
    """Gives three digits, and no more decimals than 3 unless they are all 0."""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    form = ".0e" if 0 < size < 0.0005 else f".{decimals}f"
    return f"{value:{sign}{form}}".replace("-", "−")


def _grid(lines: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

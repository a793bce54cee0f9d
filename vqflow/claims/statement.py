"""Statements with their evidence and verdict, and the claims that they make up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vqflow.claims.scores import Cell, Estimate, Scores, capped, mean, paired
from vqflow.published import Published
from vqflow.tables.statistics import holm

HOLDS = "holds"
FAILS = "does not hold"
BETTER = "better"
WORSE = "worse"
OPEN = "not decided"
UNTESTED = "not tested here"
GIVEN = "by construction"
PARTLY = "holds as far as tested"

ABOVE_ZERO = (0.0, math.inf)
_LEVEL = 0.05


@dataclass(frozen=True)
class Statement:
    """One statement about one data set, with what speaks for or against it.

    Attributes:
        dataset: The data set.
        variant: The variant that it is about.
        against: The variant or sampler that it is compared with.
        metric: What is compared.
        unit: Unit of the estimate.
        estimate: The number that decides.
        verdict: One of the words above.
        p_value: Two-sided, of the test that the estimate lies at the nearest end of where it is
            stated to lie; NaN where it has no interval.
        split: Split of the metric.
        epoch: Epoch of the metric; ``None`` for final models.
        published: The paper's number beside the estimate.
        note: What a reader should know besides.
        rests_on: The cells of ``tables/metrics.csv`` that the estimate is made from.
    """

    dataset: str
    variant: str
    against: str
    metric: str
    unit: str = ""
    estimate: Estimate = Estimate()
    verdict: str = UNTESTED
    p_value: float = math.nan
    split: str = ""
    epoch: int | None = None
    published: Published | None = None
    note: str = ""
    rests_on: Sequence[Cell] = ()


@dataclass(frozen=True)
class Claim:
    """A claim and the statements that it is split into.

    Attributes:
        key: Short name, of letters, digits and dashes.
        title: The claim, in a sentence.
        source: Where it is made.
        meaning: What the numbers are, and when a statement holds.
        statements: Its statements.
    """

    key: str
    title: str
    source: str
    meaning: str
    statements: list[Statement] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Gives how many statements have each verdict, in the order of the verdicts."""
        found = Counter(statement.verdict for statement in self.statements)
        order = (HOLDS, BETTER, FAILS, WORSE, OPEN, UNTESTED)
        return {verdict: found[verdict] for verdict in order if found[verdict]}

    def verdict(self) -> str:
        """Gives the verdict on the whole.

        It holds where all statements that are tested hold, and does not where one fails after
        Holm's correction for all of them; of many, some fail by chance.
        """
        tested = [s for s in self.statements if s.verdict not in (UNTESTED, GIVEN)]
        if not tested:
            return UNTESTED
        if failing(tested):
            return FAILS
        if any(s.verdict not in (HOLDS, BETTER) for s in tested):
            return OPEN
        return PARTLY if any(s.verdict == UNTESTED for s in self.statements) else HOLDS


def failing(statements: Sequence[Statement]) -> list[Statement]:
    """Gives those that fail after Holm's correction for all of them.

    What speaks for a statement is no evidence against one, however strong: it counts as 1.
    """
    against = [s.p_value if s.verdict in (FAILS, WORSE) else 1.0 for s in statements]
    return [s for s, p_value in zip(statements, holm(against), strict=True) if p_value < _LEVEL]


def decide(
    estimate: Estimate,
    inside: tuple[float, float] = ABOVE_ZERO,
    words: tuple[str, str] = (HOLDS, FAILS),
    lost: int = 0,
) -> str:
    """Decides a statement by the interval of its estimate.

    Args:
        estimate: Its number.
        inside: Where it is stated to lie: the statement holds where the whole interval lies
            there, and does not hold where none of it does.
        words: The words for what holds and what does not.
        lost: How many seeds should have counted and do not: their run diverged, or has no finite
            value. Nothing is then decided, as the others are no fair choice of all.
    """
    low, high = inside
    if lost or estimate.low == estimate.high:
        return OPEN
    if low < estimate.low and estimate.high < high:
        return words[0]
    return words[1] if estimate.high < low or high < estimate.low else OPEN


def gain(
    scores: Scores,
    better: str,
    ours: Cell,
    theirs: Cell,
    words: tuple[str, str] = (HOLDS, FAILS),
    published: Published | None = None,
    floors: Sequence[Cell] = (),
) -> Statement:
    """States that one cell is better than another, by the paired difference over the seeds.

    Of a bound nothing is decided that the density itself could turn.

    Args:
        scores: The run's scores.
        better: ``"higher"`` or ``"lower"``: which values are.
        ours: The cell that is stated to be better.
        theirs: The other one.
        words: The words for what holds and what does not.
        published: The paper's gain.
        floors: The cells of true samples beside both; values better than these count as these.
    """
    first, second = (scores.values(cell) for cell in (ours, theirs))
    if floors:
        first = capped(first, scores.values(floors[0]), better)
        second = capped(second, scores.values(floors[1]), better)
    estimate = paired(first, second) if better == "higher" else paired(second, first)
    statement = Statement(
        ours.dataset,
        ours.variant,
        theirs.variant,
        ours.metric,
        scores.unit(ours.metric),
        estimate,
        split=ours.split,
        epoch=ours.epoch,
        published=published,
        rests_on=(ours, theirs),
    )
    decided = judged(statement, scores, words)
    for cell, word in ((theirs, words[0]), (ours, words[1])):
        if scores.bounded(cell) and decided.verdict == word:
            note = f"{cell.variant} has a bound of its density, and may be better than that says"
            return undecided(decided, note)
    return decided


def undecided(statement: Statement, note: str) -> Statement:
    """Gives the statement without a verdict, and why."""
    return replace(statement, verdict=OPEN, note="; ".join(filter(None, (statement.note, note))))


def amount(scores: Scores, cell: Cell, against: str) -> Statement:
    """States a cell's mean, of which nothing is to be decided."""
    known = scores.has(cell.dataset, cell.metric) and scores.asked(cell)
    return Statement(
        cell.dataset,
        cell.variant,
        against,
        cell.metric,
        scores.unit(cell.metric),
        mean(scores.values(cell)),
        GIVEN if known else UNTESTED,
        split=cell.split,
        rests_on=(cell,) if known else (),
    )


def judged(
    statement: Statement,
    scores: Scores,
    words: tuple[str, str] = (HOLDS, FAILS),
    inside: tuple[float, float] = ABOVE_ZERO,
) -> Statement:
    """Gives the statement with its verdict, and with a note where seeds are lost or alone.

    Arguments as for :func:`decide`.
    """
    cells = statement.rests_on
    here = all(scores.asked(cell) for cell in cells)
    if not here or not scores.has(statement.dataset, statement.metric):
        return replace(statement, verdict=UNTESTED, estimate=Estimate(), rests_on=())
    estimate, wanted = statement.estimate, len(scores.seeds)
    notes = [statement.note] if statement.note else []
    if estimate.seeds < wanted:
        lost = [
            name for name in dict.fromkeys(c.variant for c in cells) if _lost(scores, cells, name)
        ]
        notes.append(
            f"{wanted - estimate.seeds} of {wanted} seeds have no finite value"
            + (f" ({', '.join(lost)})" if len(lost) else "")
        )
    elif wanted == 1:
        notes.append("one seed has no interval")
    elif estimate.low == estimate.high:
        notes.append("it does not vary with the seed")
    edges = [edge for edge in inside if math.isfinite(edge)]
    edge = min(edges, key=lambda end: abs(estimate.value - end))
    verdict = decide(estimate, inside, words, wanted - estimate.seeds)
    p_value = estimate.p_value(edge)
    return replace(statement, verdict=verdict, p_value=p_value, note="; ".join(notes))


def _lost(scores: Scores, cells: Sequence[Cell], variant: str) -> bool:
    """Says whether a variant lacks a seed in one of the cells."""
    found = (scores.values(cell) for cell in cells if cell.variant == variant)
    return any(len(values) < len(scores.seeds) for values in found)

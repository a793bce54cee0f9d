"""Statements with their evidence and verdict, and the claims that they make up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vqflow.claims.scores import Cell, Estimate, Scores, mean, paired
from vqflow.published import Published

HOLDS = "holds"
FAILS = "does not hold"
BETTER = "better"
WORSE = "worse"
OPEN = "not decided"
UNTESTED = "not tested here"

ABOVE_ZERO = (0.0, math.inf)


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
    estimate: Estimate = Estimate(math.nan, math.nan, math.nan, 0)
    verdict: str = UNTESTED
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
        """Gives the verdict on the whole: it holds where all statements that are tested hold."""
        tested = {s.verdict for s in self.statements} - {UNTESTED}
        if not tested:
            return UNTESTED
        if tested & {FAILS, WORSE}:
            return FAILS
        return OPEN if OPEN in tested else HOLDS


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
            value. A statement then cannot hold.
    """
    low, high = inside
    if low < estimate.low and estimate.high < high and not lost:
        return words[0]
    return words[1] if estimate.high < low or high < estimate.low else OPEN


def gain(
    scores: Scores,
    better: str,
    ours: Cell,
    theirs: Cell,
    words: tuple[str, str] = (HOLDS, FAILS),
    published: Published | None = None,
) -> Statement:
    """States that one cell is better than another, by the paired difference over the seeds.

    Against a bound nothing is decided in favour of what is above it.

    Args:
        scores: The run's scores.
        better: ``"higher"`` or ``"lower"``: which values are.
        ours: The cell that is stated to be better.
        theirs: The other one.
        words: The words for what holds and what does not.
        published: The paper's gain.
    """
    first, second = (scores.values(cell) for cell in (ours, theirs))
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
    if scores.bounded(theirs) and decided.verdict == words[0]:
        note = f"{theirs.variant} has a bound of its density, and may be better than that says"
        decided = replace(decided, verdict=OPEN, note="; ".join(filter(None, (decided.note, note))))
    return decided


def amount(scores: Scores, cell: Cell, against: str, words: tuple[str, str]) -> Statement:
    """States that a cell's mean is above 0."""
    statement = Statement(
        cell.dataset,
        cell.variant,
        against,
        cell.metric,
        scores.unit(cell.metric),
        mean(scores.values(cell)),
        split=cell.split,
        rests_on=(cell,),
    )
    return judged(statement, scores, words)


def judged(
    statement: Statement,
    scores: Scores,
    words: tuple[str, str] = (HOLDS, FAILS),
    inside: tuple[float, float] = ABOVE_ZERO,
) -> Statement:
    """Gives the statement with its verdict, and with a note where seeds are lost or alone.

    Arguments as for :func:`decide`.
    """
    if not scores.has(statement.dataset, statement.metric):
        return replace(statement, verdict=UNTESTED, rests_on=())
    seeds, wanted = statement.estimate.seeds, len(scores.seeds)
    notes = [statement.note] if statement.note else []
    if seeds < wanted:
        notes.append(f"{wanted - seeds} of {wanted} seeds have no finite value")
    elif wanted == 1:
        notes.append("one seed has no interval")
    verdict = decide(statement.estimate, inside, words, wanted - seeds)
    return replace(statement, verdict=verdict, note="; ".join(notes))

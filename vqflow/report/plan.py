"""What a run was to make, and what of it is there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vqflow.config import inputs
from vqflow.config.catalogue import Config
from vqflow.config.components import ConfigError
from vqflow.config.figures import Drawing, across_training, plan_figures, stated_figures
from vqflow.config.files import catalogue_file, read_files
from vqflow.config.parsing import parse_config

TABLES = ("metrics.csv", "runtime.csv", "summary.csv", "summary.md", "summary.tex")
MISSING = "missing"


@dataclass(frozen=True)
class Plan:
    """What a run was to make.

    Attributes:
        source: The file that says so; ``None`` where there is none.
        config: What it says; ``None`` where it is not there or cannot be read.
        mistake: Why it cannot be read.
        drawings: The figures, by name.
        captions: What each kind of figure says of itself, in reStructuredText.
    """

    source: Path | None = None
    config: Config | None = None
    mistake: str = ""
    drawings: dict[str, Drawing] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One model that a run was to train, and how that ended.

    Attributes:
        status: ``"ok"``, ``"diverged"`` or ``"missing"``.
        reason: Why it diverged, as far as that is kept.
    """

    dataset: str
    variant: str
    seed: int
    status: str
    reason: str = ""


def read_plan(run: Path) -> Plan:
    """Reads what a run was to make: from its own configuration, which its tables come with.

    A run that did not come so far has none; then ``config/<run>.yaml`` says what was asked for,
    as far as there is one.

    Args:
        run: The run's folder.
    """
    own, asked = run / "config.yaml", Path("config") / f"{run.resolve().name}.yaml"
    files = [own] if own.is_file() else [catalogue_file(), asked] if asked.is_file() else []
    if not files:
        return Plan()
    try:
        config = parse_config(read_files(files))
        if files[-1] == asked:
            config = inputs.plan(config, main_process=True)
        stated = stated_figures(config)
        drawings = plan_figures(config, stated, across_training(config))
    except ConfigError as error:
        return Plan(files[-1], mistake=str(error))
    captions = {name: statement.caption for name, statement in stated.items()}
    return Plan(files[-1], config, "", drawings, captions)


def read_trials(run: Path, plan: Plan) -> list[Trial]:
    """Gives every model that was to be trained, with what is known of its end."""
    if plan.config is None:
        return []
    table = run / "tables" / "runtime.csv"
    kept: dict[tuple[str, str, str], str] = {}
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                kept[row["dataset"], row["variant"], row["seed"]] = row["status"]
    trials = []
    for dataset, variant in plan.config.settings():
        for seed in plan.config.seeds:
            path = run / "flows" / dataset / variant / f"seed{seed}" / "status.json"
            found = {"status": kept.get((dataset, variant, str(seed)), MISSING), "reason": ""}
            if path.is_file():
                found = json.loads(path.read_text("utf-8"))
            trials.append(Trial(dataset, variant, seed, found["status"], found["reason"] or ""))
    return trials


def missing(run: Path, plan: Plan, trials: list[Trial]) -> list[str]:
    """Names what a run was to make and did not, the earliest first; nothing where it is whole."""
    return list(_missing(run, plan, trials))


def _missing(run: Path, plan: Plan, trials: list[Trial]) -> Iterator[str]:
    seeds: dict[str, list[str]] = {}
    for trial in trials:
        if trial.status == MISSING:
            seeds.setdefault(f"{trial.variant} on {trial.dataset}", []).append(str(trial.seed))
    for cell, lost in seeds.items():
        yield f"model {cell}, seed{'s' * (len(lost) > 1)} {', '.join(lost)}"
    if not (run / "tables" / "metrics.csv").is_file() and plan.config is not None:
        for dataset, variant in plan.config.settings():
            if not (run / "metrics" / dataset / f"{variant}.csv").is_file():
                yield f"scores of {variant} on {dataset}"
    for name in plan.drawings:
        if not (run / "figures" / f"{name}.png").is_file():
            yield f"figure {name}"
    own = ("config.yaml", "provenance.json", "claims.md", "claims.csv")
    for name in (*(f"tables/{table}" for table in TABLES), *own):
        if not (run / name).is_file():
            yield name

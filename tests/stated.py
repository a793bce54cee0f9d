"""Small runs whose claims are decided: their configuration, their scores, and the claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import yaml
from conftest import CATALOGUE, ROOT
from small import merge

from vqflow.claims import own_claims, paper_claims
from vqflow.claims.roles import Roles
from vqflow.claims.scores import Scores
from vqflow.claims.statement import Claim, Statement
from vqflow.config.catalogue import Config
from vqflow.config.parsing import parse_config
from vqflow.tables.reading import read_scores

REFERENCE = ROOT / "results" / "reference"
SEEDS = [0, 1, 2]
Means = Mapping[str, float | list[float]]


def selected(datasets: list[str], names: list[str], **changes: Any) -> Config:
    """Gives a run of some variants on some data sets."""
    metrics = ["log_likelihood"]
    benchmarks = {"b": {"datasets": datasets, "variants": names, "metrics": metrics}}
    run = {"run": "test", "seeds": SEEDS, "benchmarks": benchmarks}
    return parse_config(merge(merge(CATALOGUE, run), changes))


def noise(variant: str) -> np.ndarray:
    """Gives a variant's scatter over the seeds, of mean 0."""
    drawn = np.random.default_rng(list(variant.encode())).normal(0, 0.01, len(SEEDS))
    return drawn - drawn.mean()


def rows(
    dataset: str, metric: str, means: Means, epoch: int | None = None, split: str = "test"
) -> pd.DataFrame:
    """Gives rows of means[variant], or of the values of each seed."""
    records = []
    for variant, mean in means.items():
        values = mean if isinstance(mean, list) else list(mean + noise(variant))
        for seed, value in enumerate(values):
            records.append((dataset, variant, metric, split, "nats", seed, epoch, value))
    columns = ["dataset", "variant", "metric", "split", "unit", "seed", "epoch", "value"]
    table = pd.DataFrame(records, columns=columns).astype({"seed": "Int64", "epoch": "Int64"})
    return table.assign(bound="")


def claims(config: Config, *tables: pd.DataFrame) -> dict[str, Claim]:
    scores = Scores(pd.concat(tables, ignore_index=True), config.seeds)
    found = [*paper_claims(scores, Roles(config)), *own_claims(scores, Roles(config))]
    return {claim.key: claim for claim in found}


def only(claim: Claim, **where: Any) -> Statement:
    (found,) = [
        statement
        for statement in claim.statements
        if all(getattr(statement, key) == value for key, value in where.items())
    ]
    return found


def reference_claims(run: str) -> tuple[dict[str, Claim], pd.DataFrame]:
    folder = REFERENCE / run
    config = parse_config(yaml.safe_load((folder / "config.yaml").read_text()))
    table = read_scores(folder / "tables" / "metrics.csv")
    return claims(config, table), table

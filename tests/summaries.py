"""Small tables of metrics and of runs, and their summary."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from vqflow.metrics.base import Quantity, Score
from vqflow.tables.rows import rows
from vqflow.tables.summary import summarise

BASELINES = {"vq-maf": "maf"}
T_2 = 4.302652729749462  # 97.5 % quantile of Student's t, 2 degrees of freedom
T_1 = 12.706204736174698  # the same, 1 degree


LIKELIHOOD = Quantity(
    "log_likelihood_all", "log-likelihood, all charts", "nats", "higher", headline=10
)
LEAK = Quantity("leak", "leak", better="lower", decimals=3, headline=50)


def identity(variant: str, seed: int, dataset: str = "helix") -> dict[str, Any]:
    return {
        "dataset": dataset,
        "variant": variant,
        "flow": "maf",
        "atlas": "single",
        "embedding": "identity",
        "seed": seed,
        "parameters": 10,
        "atlas_parameters": 0,
    }


def score(
    quantity: Quantity, value: float, split: Any = "test", epoch: int | None = None
) -> tuple[Score, Quantity]:
    return Score(quantity.name, value, 7, split, epoch), quantity


Values = dict[str, dict[int, float]]


def table(values: Values, quantity: Quantity = LIKELIHOOD, dataset: str = "helix") -> pd.DataFrame:
    """Gives a metrics table of values[variant][seed]; a run whose value is NaN has diverged."""
    parts = [rows([], {})]
    for variant, by_seed in values.items():
        for seed, value in by_seed.items():
            if not math.isnan(value):
                parts.append(rows([score(quantity, value)], identity(variant, seed, dataset)))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def run_table(values: Values, dataset: str = "helix") -> pd.DataFrame:
    """Gives the runs of values[variant][seed]; those whose value is NaN have diverged."""
    records = [
        (dataset, variant, seed, "diverged" if math.isnan(value) else "ok")
        for variant, by_seed in values.items()
        for seed, value in by_seed.items()
    ]
    return pd.DataFrame(records, columns=["dataset", "variant", "seed", "status"])


def summed(values: Values, quantity: Quantity = LIKELIHOOD) -> pd.DataFrame:
    return summarise(table(values, quantity), run_table(values), BASELINES)


def line(summary: pd.DataFrame, variant: str, **where: str) -> pd.Series:
    found = summary[summary["variant"] == variant]
    for column, value in where.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]

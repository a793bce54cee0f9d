"""Building everything that a run selects, once, before any work starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from vqflow.assembly import build_atlas, build_model
from vqflow.components import ConfigError
from vqflow.datasets.base import Dataset, DataSpec
from vqflow.metrics.base import Metric
from vqflow.stages import build_dataset, build_metric

_STAND_INS = {"vector": ((3,), None), "image": ((1, 8, 8), 256)}
_CODES = 3


def check(selection: Mapping[str, Any]) -> list[str]:
    """Builds every selected class with its arguments.

    Args:
        selection: ``settings``: resolved settings; ``metrics``: data set -> metrics' entries.

    Returns:
        The names of what was built.

    Raises:
        ConfigError: One line per mistake, each beginning with its place in the configuration.
    """
    mistakes: list[str] = []
    built: list[str] = []

    def attempt(place: str, make: Callable[[], Any]) -> Any:
        if place in built:
            return None
        try:
            result = make()
        except ConfigError as error:
            if str(error) not in mistakes:
                mistakes.append(str(error))
            return None
        built.append(place)
        return result

    datasets: dict[str, Dataset] = {}
    for setting in selection["settings"]:
        entry = setting["dataset"]
        name = entry["name"]
        if name not in datasets:
            dataset = attempt(f"datasets.{name}", partial(_dataset, entry))
            if dataset is None:
                continue
            datasets[name] = dataset
        spec = _stand_in(name, datasets[name].kind)
        attempt(
            f"variants.{setting['variant']} on {name}",
            partial(_model, setting, spec),
        )
    for name, entries in selection["metrics"].items():
        if name not in datasets:
            continue
        for entry in entries:
            metric = attempt(f"metrics.{entry['name']} on {name}", partial(_metric, entry))
            if metric is not None and datasets[name].kind not in metric.kinds:
                mistakes.append(
                    f"metrics.{entry['name']}: scores {' and '.join(metric.kinds)} data, "
                    f"but datasets.{name} is {datasets[name].kind} data"
                )
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return built


def _stand_in(name: str, kind: str) -> DataSpec:
    shape, levels = _STAND_INS[kind]
    return DataSpec(name, "image" if kind == "image" else "vector", shape, levels)


def _dataset(entry: Mapping[str, Any]) -> Dataset:
    dataset = build_dataset(entry)
    if not isinstance(dataset, Dataset):
        raise ConfigError(
            f"datasets.{entry['name']}.class: '{entry['class']}' is not a "
            "vqflow.datasets.base.Dataset"
        )
    return dataset


def _metric(entry: Mapping[str, Any]) -> Metric:
    metric = build_metric(entry)
    if not isinstance(metric, Metric):
        raise ConfigError(
            f"metrics.{entry['name']}.class: '{entry['class']}' is not a vqflow.metrics.base.Metric"
        )
    return metric


def _model(setting: Mapping[str, Any], spec: DataSpec) -> None:
    atlas = build_atlas(setting["atlas"], spec)
    atlas.eval().requires_grad_(False)
    x = torch.rand(_CODES, spec.features, generator=torch.Generator().manual_seed(0))
    charts = max(_CODES, atlas.min_charts)
    atlas.set_charts(torch.zeros(charts, atlas.encode(x).shape[1]), x)
    model = build_model(setting, atlas, seed=0)
    with torch.no_grad():
        model.log_prob(x)


if __name__ == "__main__":
    try:
        names = check(json.load(sys.stdin))
    except ConfigError as error:
        sys.exit("\n".join(f"preflight: {line}" for line in str(error).splitlines()))
    print(f"preflight: {len(names)} data sets, models and metrics can be built")

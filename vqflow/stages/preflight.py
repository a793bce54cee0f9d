"""Building everything that a run selects, once, before any work starts."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from vqflow.choice import candidates
from vqflow.config.components import ConfigError
from vqflow.datasets.base import Dataset, DataSpec
from vqflow.metrics.base import Metric
from vqflow.models.build import build_atlas, build_embedding, build_model
from vqflow.models.vqflow import VQFlow
from vqflow.stages.data import build_dataset
from vqflow.stages.evaluate import build_metric

_FIGURE_KINDS = {"toy_gallery": "vector", "sample_grid": "image", "fid_curves": "image"}
_CODES = 3


def check(selection: Mapping[str, Any]) -> list[str]:
    """Builds every selected class with its arguments.

    Args:
        selection: ``settings``: resolved settings, each with its ``variant``; ``metrics``:
            data set -> metrics' entries; ``figures``: figure -> data sets.

    Returns:
        The names of what was built.

    Raises:
        ConfigError: One line per mistake, each beginning with its place in the configuration.
    """
    attempts = _Attempts()
    datasets: dict[str, Dataset] = {}
    for setting in selection["settings"]:
        name = setting["dataset"]["name"]
        if name not in datasets:
            dataset = attempts.run(f"datasets.{name}", partial(_dataset, setting["dataset"]))
            if dataset is None:
                continue
            datasets[name] = dataset
        model = partial(_model, setting, _stand_in(setting, datasets[name]))
        attempts.run(f"variants.{setting['variant']} on {name}", model)
    metrics: dict[str, Metric] = {}
    for name, entries in selection["metrics"].items():
        settings = [s for s in selection["settings"] if s["dataset"]["name"] == name]
        for entry in entries if name in datasets else []:
            checked = partial(_metric, entry, name, datasets[name], settings)
            metric = attempts.run(f"metrics.{entry['name']} on {name}", checked)
            if metric is not None:
                metrics[entry["name"]] = metric
    attempts.run("metrics: names of rows", partial(_rows, metrics))
    for figure, names in selection["figures"].items():
        kinds = {name: datasets[name].kind for name in names if name in datasets}
        attempts.run(f"figures.{figure}", partial(_figure, figure, kinds))
    if attempts.mistakes:
        raise ConfigError("\n".join(attempts.mistakes))
    return attempts.done


class _Attempts:
    """Collects the mistakes of many attempts, each once."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []
        self.done: list[str] = []

    def run(self, place: str, make: Callable[[], Any]) -> Any:
        try:
            result = make()
        except ConfigError as error:
            mistake = str(error)
        except Exception as error:
            mistake = f"{place}: {type(error).__name__}: {error}"
        else:
            self.done.append(place)
            return result
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)
        return None


def _stand_in(setting: Mapping[str, Any], dataset: Dataset) -> DataSpec:
    """Gives the data's shape, or where it is not known yet a small one wider than latent space."""
    name, kind = setting["dataset"]["name"], dataset.kind
    if dataset.shape is not None:
        return DataSpec(name, kind, dataset.shape, 256 if kind == "image" else None)
    parts = [setting["embedding"], setting["base"] or {}]
    parts += [(setting["atlas"].get("choice") or {}).get("embedding", {})]
    sizes = [part.get(name, 0) for part in parts for name in ("latent_features", "rank")]
    latent = max((size for size in sizes if isinstance(size, int)), default=0)
    if kind == "image":
        side = max(8, 4 * math.ceil(math.sqrt(latent + 1) / 4))
        return DataSpec(name, "image", (1, side, side), 256)
    return DataSpec(name, "vector", (max(3, latent + 1),))


def _dataset(entry: Mapping[str, Any]) -> Dataset:
    dataset = build_dataset(entry)
    if not isinstance(dataset, Dataset) or not hasattr(dataset, "kind"):
        raise ConfigError(
            f"datasets.{entry['name']}.class: '{entry['class']}' is not a "
            "vqflow.datasets.base.Dataset with a kind"
        )
    return dataset


def _metric(
    entry: Mapping[str, Any],
    name: str,
    dataset: Dataset,
    settings: Sequence[Mapping[str, Any]],
) -> Metric:
    place = f"metrics.{entry['name']}"
    metric = build_metric(entry)
    if dataset.kind not in metric.kinds:
        raise ConfigError(
            f"{place}: scores {' and '.join(metric.kinds)} data, "
            f"but datasets.{name} is {dataset.kind} data"
        )
    if dataset.shape is not None:
        try:
            metric.check(_stand_in(settings[0], dataset))
        except ValueError as error:
            raise ConfigError(f"{place} on {name}: {error}") from error
    preprocess = settings[0]["dataset"]["preprocess"]
    if metric.own_space and (preprocess["standardise"] or preprocess["logit"] is not None):
        raise ConfigError(
            f"{place}: needs datasets.{name}.preprocess: {{standardise: false, logit: null}}"
        )
    needed = getattr(metric, "samples", 0)
    for training in (setting["training"] for setting in settings):
        if training["samples"] < needed:
            raise ConfigError(
                f"{place}.samples: {needed} are needed, but training.{training['name']}.samples, "
                f"used for {name}, is {training['samples']}"
            )
    return metric


def _rows(metrics: Mapping[str, Metric]) -> None:
    """Refuses two entries that give rows of one name: the tables could not tell them apart."""
    owners: dict[str, str] = {}
    for entry, metric in metrics.items():
        for quantity in metric.rows().values():
            owner = owners.setdefault(quantity.name, entry)
            if owner != entry:
                raise ConfigError(
                    f"metrics.{entry}: gives rows '{quantity.name}' as metrics.{owner} does; "
                    "rename one of the two entries, which renames its rows"
                )


def _figure(figure: str, kinds: Mapping[str, str]) -> None:
    wanted = _FIGURE_KINDS.get(figure)
    for dataset, kind in kinds.items():
        if wanted not in (None, kind):
            raise ConfigError(
                f"figures: '{figure}' draws {wanted} data, but datasets.{dataset} is {kind} data"
            )


def _model(setting: Mapping[str, Any], spec: DataSpec) -> None:
    atlas = build_atlas(next(candidates(setting["atlas"])), spec)
    atlas.eval().requires_grad_(False)
    x = torch.rand(_CODES, spec.features, generator=torch.Generator().manual_seed(0))
    charts = max(_CODES, atlas.min_charts)
    atlas.set_charts(torch.zeros(charts, atlas.encode(x).shape[1]), x)
    choice = setting["atlas"].get("choice")
    if choice is not None:
        build_embedding(choice["embedding"], atlas)
    model = build_model(setting, atlas, seed=0)
    with torch.no_grad():
        _try_flow(setting["flow"], model)
        model.log_prob(x)


def _try_flow(entry: Mapping[str, Any], model: VQFlow) -> None:
    """What a flow calls itself shows its mistakes at the first points."""
    code = model.atlas.standard_codes[:_CODES]
    u = torch.zeros(len(code), model.embedding.latent_features)
    try:
        mistake = "" if model.flow.log_prob(u, code).isfinite().all() else "log p is not finite"
    except Exception as error:
        mistake = f"{type(error).__name__}: {error}"
    if mistake:
        given = {key: value for key, value in entry.items() if key != "name"}
        raise ConfigError(
            f"flows.{entry['name']}: fails on points of {u.shape[1]} dimensions: "
            f"{mistake}; given: {given}"
        )


if __name__ == "__main__":
    try:
        names = check(json.load(sys.stdin))
    except ConfigError as error:
        sys.exit("\n".join(f"preflight: {line}" for line in str(error).splitlines()))
    print(f"preflight: {len(names)} data sets, models and metrics can be built")

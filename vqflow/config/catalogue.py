"""The configuration: whether its entries fit together, and what it selects.

Imports no torch, so that parsing the workflow stays fast.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from vqflow.config.entries import (
    AtlasEntry,
    Benchmark,
    Component,
    DatasetEntry,
    FigureName,
    Name,
    Strict,
    Training,
    Variant,
)
from vqflow.config.values import dump


@dataclass(frozen=True)
class Setting:
    """One data set and variant, every name replaced by its entry of the catalogue."""

    dataset_name: str
    variant_name: str
    flow_name: str
    atlas_name: str
    embedding_name: str
    base_name: str | None
    training_name: str
    dataset: DatasetEntry
    flow: Component
    atlas: AtlasEntry
    embedding: Component
    base: Component | None
    training: Training
    choice_embedding: Component | None

    def resolved(self) -> dict[str, Any]:
        """Gives plain values: all that the trained model depends on."""
        return {
            "dataset": {"name": self.dataset_name, **dump(self.dataset)},
            "flow": {"name": self.flow_name, **dump(self.flow)},
            "atlas": self.resolved_atlas(),
            "embedding": {"name": self.embedding_name, **dump(self.embedding)},
            "base": {"name": self.base_name, **dump(self.base)} if self.base else None,
            "training": {"name": self.training_name, **dump(self.training)},
        }

    def resolved_atlas(self) -> dict[str, Any]:
        """Gives plain values: all that the atlas depends on, but for the data.

        An atlas that chooses its charts depends on the space that it is scored in.
        """
        entry = {"name": self.atlas_name, **dump(self.atlas)}
        if self.atlas.choice is not None and self.choice_embedding is not None:
            embedding = {"name": self.atlas.choice.embedding, **dump(self.choice_embedding)}
            entry["choice"] |= {"embedding": embedding, "preprocess": dump(self.dataset.preprocess)}
        return entry


class Config(Strict):
    """The whole configuration: a catalogue, and what to run of it."""

    run: Name = Field(description="Name of the run: results go to results/<run>/.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="Trial seeds.")
    gather_trials: bool = Field(
        False,
        description="All trials of a variant on a data set in one job, one after the other: for "
        "trainings of seconds, where starting a job costs as much.",
    )
    data_root: str = Field(
        "data", description="Folder of downloaded data; the variable VQFLOW_DATA overrides it."
    )
    datasets: dict[Name, DatasetEntry]
    atlases: dict[Name, AtlasEntry]
    flows: dict[Name, Component]
    embeddings: dict[Name, Component]
    bases: dict[Name, Component] = Field(default_factory=dict)
    training: dict[Name, Training]
    variants: dict[Name, Variant]
    metrics: dict[Name, Component]
    benchmarks: dict[Name, Benchmark] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_references(self) -> Config:
        for name, variant in self.variants.items():
            place = f"variants.{name}"
            self._check(f"{place}.flow", "flow", variant.flow, self.flows)
            self._check(f"{place}.atlas", "atlas", variant.atlas, self.atlases)
            self._check(f"{place}.training", "training", variant.training, self.training)
            self._check(f"{place}.embedding", "embedding", variant.embedding, self.embeddings)
            if variant.base is not None:
                self._check(f"{place}.base", "base", variant.base, self.bases)
            if variant.baseline is not None:
                self._check(f"{place}.baseline", "variant", variant.baseline, self.variants)
                if self.variants[variant.baseline].baseline is not None:
                    raise ValueError(
                        f"{place}.baseline: '{variant.baseline}' has a baseline itself; "
                        "compare with a variant that has none"
                    )
        for name, atlas in self.atlases.items():
            if atlas.choice is not None:
                place = f"atlases.{name}.choice.embedding"
                self._check(place, "embedding", atlas.choice.embedding, self.embeddings)
        kinds = {"datasets": "dataset", "variants": "variant", "metrics": "metric"}
        for name, benchmark in self.benchmarks.items():
            place = f"benchmarks.{name}"
            for field, kind in kinds.items():
                chosen = getattr(benchmark, field)
                for item in chosen:
                    self._check(f"{place}.{field}", kind, item, getattr(self, field))
                _check_unique(f"{place}.{field}", chosen)
            for field, names in benchmark.substitute.items():
                for item in (*names.keys(), *names.values()):
                    self._check(f"{place}.substitute.{field}", "entry", item, getattr(self, field))
        _check_unique("seeds", self.seeds)
        self._check_cells()
        self._check_fair()
        return self

    @staticmethod
    def _check(place: str, kind: str, name: str, allowed: Mapping[str, Any]) -> None:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"allowed: {', '.join(allowed)}"
            raise ValueError(f"{place}: no {kind} '{name}'; {hint}")

    def _check_fair(self) -> None:
        settings = self.settings()
        for (dataset, variant), setting in settings.items():
            baseline = self.variants[variant].baseline
            other = settings.get((dataset, baseline or ""))
            for field in ("flow", "training", "embedding", "base"):
                ours, theirs = (getattr(s, f"{field}_name", None) for s in (setting, other))
                if other is not None and ours != theirs:
                    raise ValueError(
                        f"variants.{variant}.{field}: '{ours}' differs from '{theirs}' of its "
                        f"baseline '{baseline}'; a fair comparison shares it"
                    )

    def _check_cells(self) -> None:
        seen: dict[tuple[str, str], tuple[str, Setting]] = {}
        for name, benchmark in self.benchmarks.items():
            for dataset in benchmark.datasets:
                for variant in benchmark.variants:
                    setting = self._resolve(benchmark, dataset, variant)
                    other = seen.setdefault((dataset, variant), (name, setting))
                    if other[1] != setting:
                        raise ValueError(
                            f"benchmarks.{name}: '{variant}' on '{dataset}' differs from that "
                            f"of benchmarks.{other[0]}; one run holds one of them"
                        )

    def _resolve(self, benchmark: Benchmark, dataset: str, variant: str) -> Setting:
        entry = self.variants[variant]
        swap = benchmark.substitute
        flow = swap.get("flows", {}).get(entry.flow, entry.flow)
        atlas = swap.get("atlases", {}).get(entry.atlas, entry.atlas)
        training = swap.get("training", {}).get(entry.training, entry.training)
        choice = self.atlases[atlas].choice
        return Setting(
            dataset_name=dataset,
            variant_name=variant,
            flow_name=flow,
            atlas_name=atlas,
            embedding_name=entry.embedding,
            base_name=entry.base,
            training_name=training,
            dataset=self.datasets[dataset],
            flow=self.flows[flow],
            atlas=self.atlases[atlas],
            embedding=self.embeddings[entry.embedding],
            base=None if entry.base is None else self.bases[entry.base],
            training=self.training[training],
            choice_embedding=None if choice is None else self.embeddings[choice.embedding],
        )

    def settings(self) -> dict[tuple[str, str], Setting]:
        """Gives every selected (data set, variant), in the order of the configuration."""
        return {
            (dataset, variant): self._resolve(benchmark, dataset, variant)
            for benchmark in self.benchmarks.values()
            for dataset in benchmark.datasets
            for variant in benchmark.variants
        }

    def selected_metrics(self, dataset: str, variant: str | None = None) -> list[str]:
        """Gives the metrics asked of a data set, or of one variant on it."""
        return _unique(
            metric
            for benchmark in self.benchmarks.values()
            if dataset in benchmark.datasets
            if variant is None or variant in benchmark.variants
            for metric in benchmark.metrics
        )

    def figure_settings(self, figure: FigureName) -> list[tuple[str, str]]:
        """Gives the (data set, variant) pairs of the benchmarks that ask for a figure."""
        return _unique(
            (dataset, variant)
            for benchmark in self.benchmarks.values()
            if figure in benchmark.figures
            for dataset in benchmark.datasets
            for variant in benchmark.variants
        )

    def figure_datasets(self, figure: FigureName) -> list[str]:
        """Gives the data sets that a figure shows; none where no benchmark asks for it."""
        return _unique(dataset for dataset, _ in self.figure_settings(figure))

    def selection(self) -> dict[str, Any]:
        """Gives, as plain values, all that the run's results depend on and nothing else."""
        metrics = _unique(m for benchmark in self.benchmarks.values() for m in benchmark.metrics)
        return {
            "run": self.run,
            "seeds": self.seeds,
            "benchmarks": {name: dump(entry) for name, entry in self.benchmarks.items()},
            "metrics": {name: dump(self.metrics[name]) for name in metrics},
            "settings": [
                {"variant": variant, **setting.resolved()}
                for (_, variant), setting in self.settings().items()
            ],
        }

    def selected_datasets(self) -> list[str]:
        """Gives every selected data set once."""
        return _unique(dataset for dataset, _ in self.settings())

    def selected_variants(self, dataset: str | None = None) -> list[str]:
        """Gives every selected variant once, or those on one data set."""
        return _unique(v for d, v in self.settings() if dataset in (None, d))

    def families(self) -> dict[str, list[str]]:
        """Gives variant -> itself and those compared with it, for variants without a baseline."""
        baselines = self.baselines()
        chosen = self.selected_variants()
        return {
            head: [head, *(name for name in chosen if baselines.get(name) == head)]
            for head in chosen
            if baselines.get(head) not in chosen
        }

    def baselines(self) -> dict[str, str]:
        """Gives variant -> baseline for the selected variants that have one."""
        return {
            name: baseline
            for name in self.selected_variants()
            if (baseline := self.variants[name].baseline) is not None
        }


def _check_unique(place: str, items: list[Any]) -> None:
    twice = [item for item in _unique(items) if items.count(item) > 1]
    if twice:
        raise ValueError(f"{place}: {twice[0]!r} is listed twice")


def _unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))

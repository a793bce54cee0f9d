"""The configuration: its sections, and what it selects.

Imports no torch, so that parsing the workflow stays fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from vqflow.config import checks
from vqflow.config.entries import (
    AtlasEntry,
    Benchmark,
    Component,
    DatasetEntry,
    DensityEntry,
    Name,
    Sampling,
    Strict,
    Training,
)
from vqflow.config.limits import Seed
from vqflow.config.setting import DensitySetting, FlowSetting, Setting
from vqflow.config.values import dump_unnamed
from vqflow.config.variants import DensityVariant, FlowVariant, Variant

SECTIONS = (
    "datasets",
    "atlases",
    "flows",
    "embeddings",
    "bases",
    "objectives",
    "training",
    "models",
    "sampling",
    "variants",
    "metrics",
    "figures",
    "benchmarks",
)
"""The dictionaries of entries, whose keys are the entries' names."""

KEPT = "reference"
"""The folder below ``results/`` that is no run."""


class Config(Strict):
    """The whole configuration: a catalogue, and what to run of it."""

    run: Name = Field(
        description="Name of the run: results go to `results/<run>/`. The shipped runs are named "
        "like their file. Two configurations with the same name overwrite each other."
    )
    seeds: list[Seed] = Field(
        min_length=1,
        description="One trial per seed: atlas, initial weights, order of batches, samples. Data "
        "do not change with it.",
    )
    gather_trials: bool | Literal["auto"] = Field(
        "auto",
        description="All trials of a variant on a data set in one job, one after the other: for "
        "trainings of seconds, where starting a job costs as much. Adding a seed then makes all of "
        "them again; a job that was killed resumes, and does not train again what was trained. "
        "`auto`: where every training of the run, with its atlas, is expected to take less than "
        "three minutes.",
    )
    data_root: str = Field(
        "data",
        description="Folder of downloaded data and of your files, relative to the working "
        "directory, `~` allowed; the environment variable VQFLOW_DATA wins over it. Moving the "
        "folder runs nothing again; a file of yours that is not there stops the run at once.",
    )
    datasets: dict[Name, DatasetEntry] = Field(description="Data sets.")
    atlases: dict[Name, AtlasEntry] = Field(description="Where the charts are.")
    flows: dict[Name, Component] = Field(description="Maps of the charts.")
    embeddings: dict[Name, Component] = Field(
        description="Maps from the charts' latent spaces into the space of the data."
    )
    bases: dict[Name, Component] = Field(
        default_factory=dict, description="Distributions of the flow's noise."
    )
    objectives: dict[Name, Component] = Field(description="What training maximises.")
    training: dict[Name, Training] = Field(description="Budgets and optimisers.")
    models: dict[Name, DensityEntry] = Field(
        default_factory=dict, description="Models that are no flow on an atlas."
    )
    variants: dict[Name, Variant] = Field(
        description="Flows on atlases with a training, or models of their own."
    )
    sampling: dict[Name, Sampling] = Field(description="What is drawn from the final models.")
    metrics: dict[Name, Component] = Field(description="How they are scored.")
    figures: dict[Name, Component] = Field(default_factory=dict, description="How they are shown.")
    benchmarks: dict[Name, Benchmark] = Field(min_length=1, description="What is run.")

    @field_validator("run")
    @classmethod
    def _check_run(cls, run: str) -> str:
        if run == KEPT:
            raise ValueError(f"results/{KEPT}/ holds the results that runs are compared with")
        return run

    @model_validator(mode="before")
    @classmethod
    def _name_entries(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        named = {key: raw[key] for key in SECTIONS if isinstance(raw.get(key), Mapping)}
        return {**raw, **{key: _named(key, entries) for key, entries in named.items()}}

    @model_validator(mode="after")
    def _check(self) -> Config:
        checks.check_references(self)
        checks.check_cells(self)
        checks.check_fair(self)
        return self

    def resolve(self, benchmark: Benchmark, dataset: str, variant: str) -> Setting:
        """Gives a variant on a data set with its entries, as a benchmark means it."""
        entry = self.variants[variant]
        if isinstance(entry, DensityVariant):
            return DensitySetting(
                variant=variant,
                dataset=self.datasets[dataset],
                model=self.models[entry.model],
                sampling=self.sampling[benchmark.sampling],
            )
        swap = benchmark.substitute
        flow = swap.get("flows", {}).get(entry.flow, entry.flow)
        atlas = swap.get("atlases", {}).get(entry.atlas, entry.atlas)
        training = swap.get("training", {}).get(entry.training, entry.training)
        choice = self.atlases[atlas].choice
        return FlowSetting(
            variant=variant,
            dataset=self.datasets[dataset],
            flow=self.flows[flow],
            atlas=self.atlases[atlas],
            embedding=self.embeddings[entry.embedding],
            base=None if entry.base is None else self.bases[entry.base],
            training=self.training[training],
            sampling=self.sampling[benchmark.sampling],
            objective=self.objectives[self.training[training].objective],
            choice_embedding=None if choice is None else self.embeddings[choice.embedding],
        )

    def settings(self) -> dict[tuple[str, str], Setting]:
        """Gives every selected (data set, variant), in the order of the configuration."""
        return {
            (dataset, variant): self.resolve(benchmark, dataset, variant)
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

    def figure_settings(self, figure: str) -> list[tuple[str, str]]:
        """Gives the (data set, variant) pairs of the benchmarks that ask for a figure."""
        return _unique(
            (dataset, variant)
            for benchmark in self.benchmarks.values()
            if figure in benchmark.figures
            for dataset in benchmark.datasets
            for variant in benchmark.variants
        )

    def selection(self) -> dict[str, Any]:
        """Gives, as a configuration of its own, all that the run's results depend on."""
        settings = list(self.settings().values())
        flows = [setting for setting in settings if isinstance(setting, FlowSetting)]
        names = {
            "datasets": [setting.dataset.name for setting in settings],
            "atlases": [setting.atlas.name for setting in flows],
            "flows": [setting.flow.name for setting in flows],
            "embeddings": [
                part.name
                for setting in flows
                for part in (setting.embedding, setting.choice_embedding)
                if part is not None
            ],
            "bases": [setting.base.name for setting in flows if setting.base is not None],
            "objectives": [setting.objective.name for setting in flows],
            "training": [setting.training.name for setting in flows],
            "models": [],
            "sampling": [setting.sampling.name for setting in settings],
            "variants": self._with_baselines(setting.variant for setting in settings),
            "metrics": [name for bench in self.benchmarks.values() for name in bench.metrics],
            "figures": [name for bench in self.benchmarks.values() for name in bench.figures],
            "benchmarks": list(self.benchmarks),
        }
        named_only = self._named_by_variants(names["variants"])
        return {
            "run": self.run,
            "seeds": self.seeds,
            **{
                section: {
                    name: dump_unnamed(getattr(self, section)[name])
                    for name in _unique([*names[section], *named_only.get(section, [])])
                }
                for section in SECTIONS
            },
        }

    def _with_baselines(self, names: Iterable[str]) -> list[str]:
        """Gives variants and those that they are compared with."""
        chosen = _unique(names)
        return _unique([*chosen, *(b for n in chosen if (b := self.variants[n].baseline))])

    def _named_by_variants(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Gives what variants name, also where a benchmark uses another entry in its place."""
        chosen = [self.variants[name] for name in names]
        variants = [variant for variant in chosen if isinstance(variant, FlowVariant)]
        return {
            "atlases": [variant.atlas for variant in variants],
            "flows": [variant.flow for variant in variants],
            "embeddings": [variant.embedding for variant in variants],
            "bases": [variant.base for variant in variants if variant.base is not None],
            "objectives": [self.training[variant.training].objective for variant in variants],
            "training": [variant.training for variant in variants],
            "models": [entry.model for entry in chosen if isinstance(entry, DensityVariant)],
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


def _unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


def _named(section: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a section's entries with their names in them."""
    for key, entry in entries.items():
        if isinstance(entry, Mapping) and "name" in entry:
            raise ValueError(f"{section}.{key}.name: no such key here; an entry's key is its name")
    return {
        key: {**entry, "name": key} if isinstance(entry, Mapping) else entry
        for key, entry in entries.items()
    }

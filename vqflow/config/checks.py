"""Whether the entries of a configuration fit together: each mistake in one line, with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vqflow.config.setting import NONE, FlowSetting, Setting
from vqflow.config.variants import DensityVariant, FlowVariant
from vqflow.config.wording import none_of

if TYPE_CHECKING:
    from vqflow.config.catalogue import Config
    from vqflow.config.entries import Benchmark

_CHOSEN = {
    "datasets": "dataset",
    "variants": "variant",
    "metrics": "metric",
    "figures": "figure",
}
"""What a benchmark lists, and what one of it is called."""


def check_references(config: Config) -> None:
    """Checks that every name stands for an entry, and no list names one twice.

    Raises:
        ValueError: If not.
    """
    for name, variant in config.variants.items():
        place = f"variants.{name}"
        for kind, given, allowed in _parts(config, variant):
            _check(f"{place}.{kind}", kind, given, allowed)
        if variant.baseline is not None:
            _check(f"{place}.baseline", "variant", variant.baseline, config.variants)
            if config.variants[variant.baseline].baseline is not None:
                raise ValueError(
                    f"{place}.baseline: '{variant.baseline}' has a baseline itself; "
                    "compare with a variant that has none"
                )
    for name, training in config.training.items():
        place = f"training.{name}.objective"
        _check(place, "objective", training.objective, config.objectives)
    for name, atlas in config.atlases.items():
        if name == NONE:
            raise ValueError(
                f"atlases.{NONE}: stands in the tables for models without an atlas; "
                "give the entry another name"
            )
        if atlas.choice is not None:
            place = f"atlases.{name}.choice.embedding"
            _check(place, "embedding", atlas.choice.embedding, config.embeddings)
    for name, benchmark in config.benchmarks.items():
        _check_benchmark(config, f"benchmarks.{name}", benchmark)
    check_unique("seeds", config.seeds)


def _parts(
    config: Config, variant: FlowVariant | DensityVariant
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Gives what a variant names: the key, the name, and the entries that it may name."""
    if isinstance(variant, DensityVariant):
        yield "model", variant.model, config.models
        return
    yield "flow", variant.flow, config.flows
    yield "atlas", variant.atlas, config.atlases
    yield "training", variant.training, config.training
    yield "embedding", variant.embedding, config.embeddings
    if variant.base is not None:
        yield "base", variant.base, config.bases


def _check_benchmark(config: Config, place: str, benchmark: Benchmark) -> None:
    _check(f"{place}.sampling", "sampling", benchmark.sampling, config.sampling)
    for field, kind in _CHOSEN.items():
        chosen = getattr(benchmark, field)
        for item in chosen:
            _check(f"{place}.{field}", kind, item, getattr(config, field))
        check_unique(f"{place}.{field}", chosen)
    for field, names in benchmark.substitute.items():
        for item in (*names.keys(), *names.values()):
            _check(f"{place}.substitute.{field}", "entry", item, getattr(config, field))


def check_cells(config: Config) -> None:
    """Checks that benchmarks which share a data set and a variant mean the same by it.

    Raises:
        ValueError: If not.
    """
    seen: dict[tuple[str, str], tuple[str, Setting]] = {}
    for name, benchmark in config.benchmarks.items():
        for dataset in benchmark.datasets:
            for variant in benchmark.variants:
                setting = config.resolve(benchmark, dataset, variant)
                other = seen.setdefault((dataset, variant), (name, setting))
                if other[1] != setting:
                    raise ValueError(
                        f"benchmarks.{name}: '{variant}' on '{dataset}' differs from that "
                        f"of benchmarks.{other[0]}; one run holds one of them"
                    )


def check_fair(config: Config) -> None:
    """Checks that a flow and its baseline, where that is a flow too, differ in the atlas alone.

    What a variant says that it ``differs`` in may differ too.

    Raises:
        ValueError: If not.
    """
    settings = config.settings()
    for (dataset, variant), setting in settings.items():
        entry = config.variants[variant]
        baseline = entry.baseline
        other = settings.get((dataset, baseline or ""))
        if not isinstance(setting, FlowSetting) or not isinstance(other, FlowSetting):
            continue
        meant = entry.differs if isinstance(entry, FlowVariant) else []
        for field in ("flow", "training", "embedding", "base"):
            ours, theirs = (getattr(getattr(s, field), "name", None) for s in (setting, other))
            if ours != theirs and field not in meant:
                raise ValueError(
                    f"variants.{variant}.{field}: '{ours}' differs from '{theirs}' of its "
                    f"baseline '{baseline}'; a fair comparison shares it, or says "
                    f"differs: [{field}]"
                )


def check_unique(place: str, items: list[Any]) -> None:
    """Refuses a list that names something twice.

    Raises:
        ValueError: If it does.
    """
    twice = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    if twice:
        raise ValueError(f"{place}: {twice[0]!r} is listed twice")


def _check(place: str, kind: str, name: str, allowed: Mapping[str, Any]) -> None:
    if name not in allowed:
        what = none_of(f"no {kind} '{name}'", allowed, name)
        raise ValueError(f"{place}: {what}")

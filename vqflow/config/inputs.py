"""Files that entries need besides code: a user's data, and weights that are published.

Imports no torch and none of the entries' classes, so that parsing the workflow stays fast: what a
class needs is read from its source.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vqflow.config.catalogue import Config
from vqflow.config.components import ConfigError
from vqflow.config.values import dump
from vqflow.files import digest
from vqflow.memo import Memo
from vqflow.source import argument_defaults, class_attributes, find_class

LEFT_OUT = "VQFLOW_LEFT_OUT"


def data_files(entry: Mapping[str, Any], root: Path) -> dict[str, list[Path]]:
    """Gives the files that a data set reads, by the argument that names them.

    Args:
        entry: ``{"class", **arguments}``. The class states in ``file_arguments`` which of its
            arguments are files (:class:`vqflow.datasets.base.Dataset`).
        root: The data root, which relative paths are below.
    """
    names = class_attributes(entry["class"]).get("file_arguments", ())
    given = {**argument_defaults(entry["class"]), **entry} if names else {}
    files = {}
    for name in names:
        value = given.get(name)
        paths = [value] if isinstance(value, str) else value
        if isinstance(paths, (list, tuple)) and all(isinstance(path, str) for path in paths):
            files[name] = [root / path for path in paths]
    return files


def data_digests(entry: Mapping[str, Any], root: Path) -> dict[str, list[str]]:
    """Gives the SHA-256 of what is in :func:`data_files`, by argument.

    Raises:
        OSError: If a file cannot be read.
    """
    memo = Memo("data", "sha256")
    digests = {
        argument: [memo.get(path.absolute(), digest) for path in paths]
        for argument, paths in data_files(entry, root).items()
    }
    memo.save()
    return digests


def check_data_files(config: Config, root: Path) -> None:
    """Checks that the files of the selected data sets are there.

    Raises:
        ConfigError: One line per file that is not.
    """
    absent = [
        f"datasets.{name}.{argument}: no file '{path.absolute()}'"
        for name in config.selected_datasets()
        for argument, paths in data_files(config.datasets[name].arguments(), root).items()
        for path in paths
        if not path.is_file()
    ]
    if absent:
        raise ConfigError("\n".join(absent))


def hub_file(url: str) -> Path:
    """Gives where torch hub keeps the weights of an address, by its rules, without torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints" / url.rpartition("/")[2]


def absent_weights(entry: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Gives the weights that an entry needs and that are not there.

    A class of the entry that needs weights states their address in ``weights_url``; its argument
    ``weights`` may name another file.

    Args:
        entry: ``{"class", **arguments}``; arguments may be such entries themselves.

    Yields:
        The file, and what to do about it.
    """
    for value in entry.values():
        if isinstance(value, Mapping):
            yield from absent_weights(value)
    path = entry.get("class", "")
    url = class_attributes(path).get("weights_url")
    if url is not None:
        given = entry.get("weights")
        file = Path(given) if given else hub_file(url)
        if not file.is_file():
            source = find_class(path)
            if source and not given and "__main__" in source.file.read_text(encoding="utf-8"):
                yield file, f"fetch them with python -m {source.module}"
            else:
                yield file, f"put {url} there"


def plan(config: Config, main_process: bool) -> Config:
    """Leaves the metrics out that need weights which are not there.

    Whether they are is asked where Snakemake was started, which says so in one line for each. Its
    jobs, perhaps on other machines, go by the answer.

    Raises:
        ConfigError: If a benchmark then has no metric.
    """
    if main_process:
        lines = dict(_left_out(config))
        for line in lines.values():
            print(line, file=sys.stderr)
        os.environ[LEFT_OUT] = " ".join(lines)
        for line in _uncompared(config):
            print(line, file=sys.stderr)
    names = os.environ.get(LEFT_OUT, "").split()
    benchmarks = {}
    for name, benchmark in config.benchmarks.items():
        kept = [metric for metric in benchmark.metrics if metric not in names]
        if not kept:
            raise ConfigError(f"benchmarks.{name}.metrics: left without {' and '.join(names)}")
        benchmarks[name] = benchmark.model_copy(update={"metrics": kept})
    return config.model_copy(update={"benchmarks": benchmarks})


def _uncompared(config: Config) -> Iterator[str]:
    """Says which variants are not compared, because their baseline is not selected."""
    chosen = config.selected_variants()
    for variant, baseline in config.baselines().items():
        if baseline not in chosen:
            yield (
                f"variants.{variant}.baseline: '{baseline}' is not selected, so that the tables "
                f"have no gain of {variant}; add it to the benchmark's variants to compare"
            )


def _left_out(config: Config) -> Iterator[tuple[str, str]]:
    names = [name for benchmark in config.benchmarks.values() for name in benchmark.metrics]
    for name in dict.fromkeys(names):
        for path, advice in absent_weights(dump(config.metrics[name])):
            line = f"metrics.{name} is left out: no weights at {path}; {advice} and run again"
            yield name, line

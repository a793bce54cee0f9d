"""Making the splits of a data set. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vqflow.config.components import build
from vqflow.datasets.base import Dataset
from vqflow.files import atomic_path

log = logging.getLogger(__name__)


def build_dataset(entry: Mapping[str, Any]) -> Dataset:
    """Builds a data set of the catalogue: ``{"name", "class", **arguments}``.

    Its ``preprocess`` is the flows' business and is passed over.
    """
    arguments = {key: value for key, value in entry.items() if key not in ("name", "preprocess")}
    dataset: Dataset = build(arguments, f"datasets.{entry['name']}")
    return dataset


def prepare_data(entry: Mapping[str, Any], data_root: Path, output: Path) -> None:
    """Makes or reads the splits of a data set and writes them to one file."""
    data = build_dataset(entry).load(entry["name"], data_root)
    with atomic_path(output) as temporary:
        data.save(temporary)
    log.info("%s: %s", entry["name"], {key: len(value) for key, value in data.points.items()})

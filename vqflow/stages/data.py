"""Making the splits of a data set. Imports no torch."""

from __future__ import annotations

import logging
from pathlib import Path

from vqflow.config.components import build_entry
from vqflow.config.entries import DatasetEntry
from vqflow.datasets.base import Dataset
from vqflow.datasets.spread import check_points
from vqflow.files import atomic_path

log = logging.getLogger(__name__)


def prepare_data(entry: DatasetEntry, data_root: Path, output: Path) -> None:
    """Makes or reads the splits of a data set and writes them to one file.

    Raises:
        ValueError: If they cannot be read, or have no density.
    """
    data = build_entry(entry, "datasets", Dataset).load(entry.name, data_root)
    for doubt in check_points(data):
        log.warning("%s", doubt)
    with atomic_path(output) as temporary:
        data.save(temporary)
    log.info("%s: %s", entry.name, {key: len(value) for key, value in data.points.items()})

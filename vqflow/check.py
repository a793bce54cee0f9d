"""Checking configurations before a run, all but the machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vqflow.config.figures import across_training, plan_figures, stated_figures
from vqflow.config.files import catalogue_file, read_files
from vqflow.config.inputs import check_data_files, plan
from vqflow.config.parsing import parse_config
from vqflow.config.selection import selection_of
from vqflow.config.values import data_root


def check(paths: Iterable[str | Path]) -> list[str]:
    """Checks files that a run is started with, after the catalogue: all but the machine.

    Args:
        paths: The files, as after ``--configfile``.

    Returns:
        The names of the data sets, models, metrics and figures that can be built.

    Raises:
        ConfigError: One line per mistake, each beginning with its file or its place.
    """
    config = plan(parse_config(read_files([catalogue_file(), *paths])), main_process=True)
    check_data_files(config, data_root(config.data_root))
    stated = stated_figures(config)
    plan_figures(config, stated, across_training(config))
    from vqflow.stages import preflight  # imports torch, which mistakes so far need not wait for

    return preflight.check(selection_of(config, stated, here=False))

"""Checking configurations before a run: ``python -m vqflow.check config/mine.yaml``.

Snakemake reads the files first, and says of one that is no YAML neither its name nor the line.
"""

from __future__ import annotations

import sys

from vqflow.config.components import ConfigError
from vqflow.config.figures import across_training, plan_figures, stated_figures
from vqflow.config.files import CATALOGUE, read_files
from vqflow.config.inputs import check_data_files, plan
from vqflow.config.parsing import parse_config
from vqflow.config.selection import selection_of
from vqflow.config.values import data_root


def check(paths: list[str]) -> list[str]:
    """Checks files that a run is started with, after the catalogue: all but the machine.

    Args:
        paths: The files, as after ``--configfile``.

    Returns:
        The names of the data sets, models, metrics and figures that can be built.

    Raises:
        ConfigError: One line per mistake, each beginning with its file or its place.
    """
    config = plan(parse_config(read_files([CATALOGUE, *paths])), main_process=True)
    check_data_files(config, data_root(config.data_root))
    stated = stated_figures(config)
    plan_figures(config, stated, across_training(config))
    from vqflow.stages import preflight  # imports torch, which mistakes so far need not wait for

    return preflight.check(selection_of(config, stated, here=False))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m vqflow.check config/mine.yaml [further.yaml ...]")
    try:
        names = check(sys.argv[1:])
    except ConfigError as error:
        sys.exit(str(error))
    print(f"{' '.join(sys.argv[1:])}: {len(names)} data sets, models, metrics and figures fit")

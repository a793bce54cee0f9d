"""All that a run selects as plain values: what the preflight builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from vqflow.config.catalogue import Config
from vqflow.config.figures import Statement
from vqflow.config.setting import FlowSetting
from vqflow.config.values import data_root, dump


def selection_of(config: Config, stated: Mapping[str, Statement], here: bool) -> dict[str, Any]:
    """Gives what :func:`vqflow.stages.preflight.check` takes.

    Args:
        config: The configuration.
        stated: What :func:`vqflow.config.figures.stated_figures` gave.
        here: Whether the jobs run on this machine.
    """
    return {
        "data_root": str(data_root(config.data_root)),
        "settings": [dump(setting) for setting in config.settings().values()],
        "metrics": {
            dataset: [dump(config.metrics[name]) for name in config.selected_metrics(dataset)]
            for dataset in config.selected_datasets()
        },
        "figures": {
            name: {
                "entry": dump(config.figures[name]),
                "stated": asdict(statement),
                "cells": config.figure_settings(name),
            }
            for name, statement in stated.items()
        },
        **({"gpu": list(dict.fromkeys(_on_gpus(config)))} if here else {}),
    }


def _on_gpus(config: Config) -> Iterator[str]:
    """Gives the places that ask for a GPU."""
    for setting in config.settings().values():
        if not isinstance(setting, FlowSetting):
            if setting.model.device == "cuda":
                yield f"models.{setting.model.name}.device"
            continue
        if setting.training.device == "cuda":
            yield f"training.{setting.training.name}.device"
        if setting.atlas.training is not None and setting.atlas.training.device == "cuda":
            yield f"atlases.{setting.atlas.name}.training.device"

"""``vqflow info``: what a model is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vqflow.cli.options import Allow

if TYPE_CHECKING:
    from vqflow.library import FittedDensity

_PARTS = ("model", "flow", "atlas", "embedding", "base", "objective")
_WIDTH = 16


def info(
    model: Annotated[
        Path, typer.Argument(help="A model's file, or the folder of one that a run trained.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    allow: Allow = None,
) -> None:
    """Say what a model is, and what it was made from and by."""
    import vqflow
    from vqflow.files import load_weights
    from vqflow.library.fitted import model_file

    file = model_file(model)
    density = vqflow.load(model, allow=allow or ())
    beside = file.with_name("provenance.json")
    record = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    facts = {"file": str(file), **_facts(density, load_weights(file), record)}
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):{_WIDTH}}{_text(value)}")


def _facts(
    density: FittedDensity, content: Mapping[str, Any], record: Mapping[str, Any]
) -> dict[str, Any]:
    """Gives what is known of a model, and nothing else.

    Args:
        density: The model.
        content: What its file holds.
        record: What the workflow wrote beside it.
    """
    from vqflow.library import FittedModel
    from vqflow.models.build import count_numbers, count_parameters

    config, told = json.loads(content["config"]), {**record, **density.facts}
    name, kind, shape, _ = content["spec"]
    charts: dict[str, Any] = {}
    if isinstance(density, FittedModel):
        model, atlas = density.model, density.model.atlas
        charts = {"number": atlas.charts, "min_charts": atlas.min_charts, "epsilon": atlas.epsilon}
        parameters = {"model": count_numbers(model), "atlas": count_parameters(atlas)}
    else:
        parameters = {"model": getattr(density.model, "fitted_numbers", 0)}
    budget = config.get("training") or {}
    data = ("columns", "sha256", "points", "validation_points", "test_points")
    facts: dict[str, Any] = {
        "data": {"name": told.get("file", name), "kind": kind, "shape": shape, **_of(told, *data)},
        "dimensions": density.features,
        "preprocessing": config["dataset"]["preprocess"],
        **_of(config, *_PARTS),
        "charts": charts,
        "parameters": parameters,
        "training": {
            **_of(told, "epochs", "best_epoch"),
            **{f"most_{key}": value for key, value in _of(budget, "epochs").items()},
            **_of(budget, "batch_size", "learning_rate"),
            **_of(told, "seed", "device", "diverged"),
        },
        "log_likelihood": {
            key.replace("_log_likelihood", ""): told[key]
            for key in ("validation_log_likelihood", "test_log_likelihood", "test_standard_error")
            if key in told
        },
        "versions": told.get("versions") or {**_of(told, "python"), **told.get("packages", {})},
        "code": content.get("code", {}).get("commit"),
    }
    return {name: value for name, value in facts.items() if value}


def _of(facts: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: facts[name] for name in names if facts.get(name) is not None}


def _text(value: Any) -> str:
    """Gives a value in a line: of a class its name and arguments."""
    if isinstance(value, Mapping):
        given = {key: _text(part) for key, part in value.items() if part is not None}
        if "class" not in given:
            return ", ".join(f"{key.replace('_', ' ')} {part}" for key, part in given.items())
        path, name = given.pop("class"), given.pop("name", "")
        arguments = ", ".join(f"{key}={part}" for key, part in given.items())
        return f"{name}{': ' * bool(name)}{path}({arguments})"
    if isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        return ", ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)

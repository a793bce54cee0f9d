"""Drawing one figure. Imports no torch, but for a figure that reads the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from vqflow.config.components import ConfigError, build_entry
from vqflow.config.figures import Cell, Drawing, Read
from vqflow.datasets.base import Data, Dataset
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.style import save, theme
from vqflow.files import load_arrays, open_text
from vqflow.stages.machine import Machine
from vqflow.stages.tables import run_table
from vqflow.tables.rows import gather

Files = Mapping[str, Sequence[str]]
Keys = list[tuple[Cell, int]]


def draw_figure(
    drawing: Drawing,
    files: Files,
    png: str | Path,
    pdf: str | Path,
    allow: Collection[str] = (),
) -> None:
    """Draws a figure and saves it as PNG and PDF.

    Args:
        drawing: What to draw.
        files: What :meth:`vqflow.config.figures.Drawing.files` gave.
        png: Path of the raster image.
        pdf: Path of the vector image.
        allow: Import paths of the classes that the configuration names.

    Raises:
        ConfigError: If the class gives no figure of Matplotlib.
    """
    figure = build_entry(drawing.entry, "figures", RunFigure)
    with theme():
        drawn = figure.draw(read_inputs(drawing, files, allow))
    if not isinstance(drawn, Figure):
        raise ConfigError(
            f"figures.{drawing.entry.name}: {drawing.entry.class_}.draw gave a "
            f"{type(drawn).__name__}, expected a matplotlib.figure.Figure"
        )
    save(drawn, png, pdf)


def read_inputs(drawing: Drawing, files: Files, allow: Collection[str] = ()) -> Inputs:
    """Reads what a figure states that it reads; models are loaded when it asks for them."""
    contents: dict[str, Any] = {
        read: _READERS[read](drawing.keys(read), files)
        for read in drawing.reads
        if read in _READERS
    }
    if "model" in drawing.reads:
        contents["model"] = _models(drawing.keys("model"), files, allow)
    contents["settings"] = drawing.settings
    contents["log_density"] = {
        entry.name: build_entry(entry, "datasets", Dataset).log_density
        for entry in drawing.datasets
    }
    return Inputs(drawing, contents)


def _data(keys: Keys, files: Files) -> dict[str, Data]:
    paths = {cell.dataset: path for (cell, _), path in zip(keys, files["data"], strict=True)}
    return {name: Data.load(Path(path)) for name, path in paths.items()}


def _arrays(name: Read, keys: Keys, files: Files) -> dict[Cell, Any]:
    return {cell: load_arrays(path) for (cell, _), path in zip(keys, files[name], strict=True)}


def _metrics(keys: Keys, files: Files) -> pd.DataFrame:
    return gather(files["metrics"], pd.DataFrame([dict(cell) for cell, _ in keys]))


def _history(keys: Keys, files: Files) -> pd.DataFrame:
    tables = [
        _rows(pd.read_csv(open_text(path))).assign(**dict(cell), seed=seed)
        for (cell, seed), path in zip(keys, files["history"], strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """Gives a training without epochs one empty row, so that a figure knows of it."""
    return table if len(table) else table.reindex([0])


def _runs(keys: Keys, files: Files) -> pd.DataFrame:
    cells = [{**dict(cell), "seed": seed} for cell, seed in keys]
    return run_table(cells, files["flows"], files["statuses"], files["atlases"])


def _models(keys: Keys, files: Files, allow: Collection[str]) -> dict[Cell, Callable[[], Any]]:
    return {
        cell: partial(_load, Path(path), allow)
        for (cell, _), path in zip(keys, files["model"], strict=True)
    }


def _load(path: Path, allow: Collection[str]) -> Any:
    from vqflow.models.density_store import load_any  # here: the other figures need no torch
    from vqflow.models.diverged import read_divergence

    Machine().use()
    return None if read_divergence(path) is not None else load_any(path, allow=allow)


_READERS: dict[Read, Callable[[Keys, Files], Any]] = {
    "data": _data,
    "samples": partial(_arrays, "samples"),
    "charts": partial(_arrays, "charts"),
    "metrics": _metrics,
    "history": _history,
    "runs": _runs,
}

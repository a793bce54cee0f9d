"""``vqflow catalogue``: what runs can select."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def catalogue(
    section: Annotated[
        str | None, typer.Argument(help="Such as flows; all sections without it.")
    ] = None,
    configfile: Annotated[
        list[Path] | None, typer.Option(help="A run's file, whose entries are marked by *.")
    ] = None,
) -> None:
    """List what runs can select, in a line each.

    A line is what the class of the entry says of itself. Classes are not imported: their source is
    read.
    """
    from vqflow.config.catalogue import SECTIONS
    from vqflow.config.files import catalogue_file, read_files
    from vqflow.config.wording import none_of

    if section is not None and section not in SECTIONS:
        raise ValueError(none_of(f"no section '{section}'", SECTIONS, section))
    files = configfile or []
    entries, own = read_files([catalogue_file(), *files]), read_files(files)
    chosen = [section] if section else [name for name in SECTIONS if entries.get(name)]
    folders = [str(Path.cwd()), *(str(file.resolve().parent) for file in files), *sys.path]
    for number, name in enumerate(chosen):
        if section is None:
            typer.echo(f"{chr(10) * bool(number)}{name}")
        for line in _lines(entries.get(name, {}), own.get(name, {}), folders):
            typer.echo(line)
    if files:
        typer.echo(f"\n* added or changed by {', '.join(map(str, files))}")


def _lines(
    entries: Mapping[str, Any], own: Mapping[str, Any], folders: Sequence[str]
) -> Iterator[str]:
    width = max(map(len, entries), default=0)
    for name, entry in entries.items():
        mark = "*" if name in own else " "
        yield f"{mark} {name:{width}}  {_description(entry, folders)}".rstrip()


def _description(entry: Any, folders: Sequence[str]) -> str:
    """Gives the first line of the class' docstring; of an entry without a class what it says."""
    from vqflow.source import class_docstring

    if not isinstance(entry, Mapping):
        return str(entry)
    if "class" not in entry:
        return ", ".join(f"{key}: {_short(value)}" for key, value in entry.items())
    text = class_docstring(str(entry["class"]), folders) or ""
    first = " ".join(text.partition("\n\n")[0].replace("``", "").split())
    return first or f"{entry['class']}, without a docstring"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)

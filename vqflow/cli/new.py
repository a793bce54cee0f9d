"""``vqflow new``: files to start a part of one's own from."""

from __future__ import annotations

import ast
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_TEMPLATES = Path(__file__).with_name("templates")
_OTHER = "choose another name"


class Kind(StrEnum):
    """What can be started."""

    DATA = "data"
    FLOW = "flow"
    ATLAS = "atlas"
    METRIC = "metric"
    FIGURE = "figure"


_SECTIONS = {
    Kind.DATA: "datasets",
    Kind.FLOW: "flows",
    Kind.ATLAS: "atlases",
    Kind.METRIC: "metrics",
    Kind.FIGURE: "figures",
}


def new(
    kind: Annotated[Kind, typer.Argument(help="What is to be new.", show_default=False)],
    name: Annotated[
        str, typer.Argument(help="Its name, which is also that of its files and its run.")
    ],
    out: Annotated[Path, typer.Option(help="The folder that the files go to.")] = Path(),
) -> None:
    """Start a part of your own: a class, and a run with it.

    The class is in NAME.py, the run in NAME.yaml. Both work as they are, to be changed step by
    step. Files that are there are left alone.
    """
    class_name = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    contents = {
        out / f"{name}{suffix}": (_TEMPLATES / f"{kind}{suffix}").read_text(encoding="utf-8")
        for suffix in (".py", ".yaml")
    }
    _check_name(kind, name, class_name)
    there = [str(path) for path in contents if path.exists()]
    if there:
        raise FileExistsError(f"{' and '.join(there)} exists already; choose another name")
    _check_module(name, out)

    from vqflow.files import write_text

    for path, text in contents.items():
        write_text(path, text.replace("new_thing", name).replace("NewThing", class_name))
    code, run = contents
    typer.echo(f"{code}: the class {class_name}, to be changed\n{run}: a run that uses it; next:")
    command = f"snakemake --configfile {run}"
    if out.resolve() != Path.cwd():
        command = f"PYTHONPATH={out} {command}"
    where = "" if Path("Snakefile").is_file() else "   (in a clone of the project)"
    typer.echo(f"  {command}{where}")


def _check_name(kind: Kind, name: str, class_name: str) -> None:
    """Refuses names that no module, entry or class of this kind can have."""
    import yaml

    letters = name.replace("_", "")
    fine = letters.isascii() and letters.isalnum() and name[0].isalpha() and name[-1] != "_"
    if not fine or yaml.safe_load(name) != name:
        raise ValueError(
            f"the name is '{name}'; allowed: letters, digits and '_', with a letter first and no "
            "'_' last, and no word such as true, no and null"
        )
    tree = ast.parse((_TEMPLATES / f"{kind}.py").read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if class_name in used:
        raise ValueError(f"the class would be named {class_name}, as one that it uses; {_OTHER}")

    from vqflow.config.files import catalogue_file, read_files

    try:
        entries = read_files([catalogue_file()])
    except FileNotFoundError:
        return
    for section in (_SECTIONS[kind], "variants"):
        if name in entries[section]:
            raise ValueError(f"{section}.{name} is in the catalogue already; {_OTHER}")


def _check_module(name: str, out: Path) -> None:
    """Refuses the name of a module, which the file would hide or be hidden by."""
    from vqflow.source import find_module

    found = find_module(name) or find_module(name, [Path.cwd(), out])
    if name in sys.stdlib_module_names or found:
        raise ValueError(f"the name is '{name}', as that of a module of Python's; {_OTHER}")

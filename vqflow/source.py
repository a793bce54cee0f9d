"""Source code read without running it: where modules lie, and what their classes state.

The workflow is parsed by every job, so that nothing of a user's class may be imported there.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_MOST_HOPS = 20


@dataclass(frozen=True)
class ClassSource:
    """Where a class is defined.

    Attributes:
        module: Name of the module.
        file: Its file.
        node: The class' statement.
    """

    module: str
    file: Path
    node: ast.ClassDef


def find_module(name: str, folders: Sequence[str | Path] | None = None) -> Path | None:
    """Gives the file of a module, without importing it or its package.

    Args:
        name: Such as ``"vqflow.atlases"``.
        folders: Where to look; ``None`` for Python's own path.

    Returns:
        The ``.py`` file, of a package its ``__init__.py``; ``None`` where there is none.
    """
    folder = find_folder(name, folders)
    return None if folder is None else _file_in(folder, name)


def find_folder(name: str, folders: Sequence[str | Path] | None = None) -> Path | None:
    """Gives the folder that a module is found in, which holds its topmost package.

    Args:
        name: Such as ``"vqflow.atlases"``.
        folders: See :func:`find_module`.
    """
    if not name:
        return None
    for folder in map(Path, sys.path if folders is None else folders):
        if _file_in(folder, name) is not None:
            return folder.absolute()
    folder_of_top = None if folders is not None else _found_by_import(name.partition(".")[0])
    if folder_of_top is None or _file_in(folder_of_top, name) is None:
        return None
    return folder_of_top


def is_installed(folder: Path) -> bool:
    """Says whether a folder is where Python or its packages are installed."""
    standard = Path(os.__file__).parent
    return bool({"site-packages", "dist-packages"} & set(folder.parts)) or standard in (
        folder,
        *folder.parents,
    )


def _file_in(folder: Path, name: str) -> Path | None:
    stem = folder.joinpath(*name.split("."))
    for file in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
        if file.is_file():
            return file
    return None


def _found_by_import(top: str) -> Path | None:
    """Gives the folder of a package that is on no path, as after ``pip install --editable``."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    file = Path(spec.origin)
    return file.parents[1] if file.name == "__init__.py" else file.parent


def syntax(file: Path) -> ast.Module:
    """Gives a file's syntax tree, read once for each of its states.

    Raises:
        SyntaxError: If it is no Python.
    """
    state = file.stat()
    return _parse(file, state.st_mtime_ns, state.st_ctime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _parse(file: Path, modified: int, changed: int, size: int) -> ast.Module:
    return ast.parse(file.read_bytes(), filename=str(file))


def find_class(path: str, folders: Sequence[str | Path] | None = None) -> ClassSource | None:
    """Gives where a class is defined, following the imports of the modules that only pass it on.

    Args:
        path: Import path of the class, such as ``"vqflow.atlases.VQAtlas"``.
        folders: See :func:`find_module`.

    Returns:
        ``None`` where the source cannot be read: a compiled class, or a misspelt one.
    """
    for _ in range(_MOST_HOPS):
        module, _, name = path.rpartition(".")
        file = find_module(module, folders) if module else None
        if file is None:
            return None
        try:
            tree = syntax(file)
        except (SyntaxError, ValueError):
            return None
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return ClassSource(module, file, node)
        origin = _origin(tree, name, module, file)
        if origin is None:
            return None
        path = origin
    return None


def near_class(path: str) -> str | None:
    """Gives the name of a module's that is most like a class which it does not have, if any is."""
    module, _, name = path.rpartition(".")
    file = find_module(module)
    names = []
    for node in syntax(file).body if file else ():
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name for alias in node.names]
    close = difflib.get_close_matches(name, names, n=1)
    return close[0] if close and close[0] != name else None


def class_attributes(path: str, folders: Sequence[str | Path] | None = None) -> dict[str, Any]:
    """Gives the attributes that a class and its bases state as literals in their bodies.

    Args:
        path: Import path of the class.
        folders: See :func:`find_module`.

    Returns:
        Name -> value; what is no literal (a number, a text, a tuple of them, ...) is left out.
    """
    stated: dict[str, Any] = {}
    for source in reversed(_with_bases(path, folders)):
        for node in source.node.body:
            if isinstance(node, ast.AnnAssign):
                targets: list[ast.expr] = [node.target]
            elif isinstance(node, ast.Assign):
                targets = node.targets
            else:
                continue
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            stated |= dict.fromkeys(names, value) if (value := _literal(node.value)) else {}
    return {name: value[0] for name, value in stated.items()}


def class_docstring(path: str, folders: Sequence[str | Path] | None = None) -> str | None:
    """Gives the docstring of a class; of one that is but another name for a base, that of the base.

    Args:
        path: Import path of the class.
        folders: See :func:`find_module`.
    """
    for source in _with_bases(path, folders):
        text = ast.get_docstring(source.node)
        if text is not None or not all(isinstance(node, ast.Pass) for node in source.node.body):
            return text
    return None


def argument_defaults(path: str, folders: Sequence[str | Path] | None = None) -> dict[str, Any]:
    """Gives the defaults that a class' ``__init__``, or that of the first base with one, states.

    Args:
        path: Import path of the class.
        folders: See :func:`find_module`.

    Returns:
        Argument -> value; what is no literal is left out.
    """
    for source in _with_bases(path, folders):
        for node in source.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                given = node.args
                names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
                stated = dict(zip(reversed(names), reversed(given.defaults), strict=False))
                keywords = [argument.arg for argument in given.kwonlyargs]
                named = zip(keywords, given.kw_defaults, strict=True)
                found = {name: _literal(value) for name, value in (*stated.items(), *named)}
                return {name: value[0] for name, value in found.items() if value}
    return {}


def _with_bases(path: str, folders: Sequence[str | Path] | None) -> list[ClassSource]:
    """Gives a class and its bases, as far as their source is found, nearest first."""
    source = find_class(path, folders)
    if source is None:
        return []
    found = [source]
    tree = syntax(source.file)
    for base in source.node.bases:
        name = ast.unparse(base)
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body):
            found += _with_bases(f"{source.module}.{name}", folders)
        elif origin := _origin(tree, name, source.module, source.file):
            found += _with_bases(origin, folders)
    return found


def _literal(node: ast.expr | None) -> tuple[Any, ...]:
    """Gives the value of a literal, alone in a tuple; an empty one for all else."""
    try:
        return () if node is None else (ast.literal_eval(node),)
    except ValueError:
        return ()


def _origin(tree: ast.Module, name: str, module: str, file: Path) -> str | None:
    """Gives the full path of a name that a module imports, dotted or not."""
    first, _, rest = name.partition(".")
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == first:
                    package = import_base(node, module, file)
                    return ".".join(part for part in (package, alias.name, rest) if part)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname == first or (alias.asname is None and alias.name == first):
                    return f"{alias.name}.{rest}"
    return None


def import_base(node: ast.ImportFrom, module: str, file: Path) -> str:
    """Gives the absolute name of the module that ``from ... import`` reads."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = len(parts) - node.level + (file.name == "__init__.py")
    return ".".join([*parts[:kept], *([node.module] if node.module else [])])

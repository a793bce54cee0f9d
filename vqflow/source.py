"""Source code read without running it: where modules lie, and what their classes state.

The workflow is parsed by every job, so that nothing of a user's class may be imported there.
"""

from __future__ import annotations

import ast
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
    for folder in map(Path, sys.path if folders is None else folders):
        stem = folder.joinpath(*name.split("."))
        for file in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if file.is_file():
                return file
    return None


def syntax(file: Path) -> ast.Module:
    """Gives a file's syntax tree, read once for each of its states.

    Raises:
        SyntaxError: If it is no Python.
    """
    state = file.stat()
    return _parse(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _parse(file: Path, modified: int, size: int) -> ast.Module:
    return ast.parse(file.read_bytes(), filename=str(file))


def find_class(path: str, folders: Sequence[str | Path] | None = None) -> ClassSource | None:
    """Gives where a class is defined, following the imports of the modules that only pass it on.

    Args:
        path: Import path of the class, such as ``"vqflow.atlases.VQAtlas"``.
        folders: See :func:`find_module`.

    Returns:
        ``None`` where the source cannot be found: a compiled class, or a misspelt one.
    """
    for _ in range(_MOST_HOPS):
        module, _, name = path.rpartition(".")
        file = find_module(module, folders) if module else None
        if file is None:
            return None
        tree = syntax(file)
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return ClassSource(module, file, node)
        origin = _origin(tree, name, module, file)
        if origin is None:
            return None
        path = origin
    return None


def class_attributes(path: str, folders: Sequence[str | Path] | None = None) -> dict[str, Any]:
    """Gives the attributes that a class and its bases state as literals in their bodies.

    Args:
        path: Import path of the class.
        folders: See :func:`find_module`.

    Returns:
        Name -> value; what is no literal (a number, a text, a tuple of them, ...) is left out.
    """
    source = find_class(path, folders)
    if source is None:
        return {}
    stated: dict[str, Any] = {}
    tree = syntax(source.file)
    for base in reversed(source.node.bases):
        name = ast.unparse(base)
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body):
            stated |= class_attributes(f"{source.module}.{name}", folders)
        elif origin := _origin(tree, name, source.module, source.file):
            stated |= class_attributes(origin, folders)
    for node in source.node.body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        try:
            value = ast.literal_eval(node.value)  # type: ignore[arg-type]
        except ValueError:
            continue
        stated |= {target.id: value for target in targets if isinstance(target, ast.Name)}
    return stated


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

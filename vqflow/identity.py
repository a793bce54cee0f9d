"""Identity of code: what of it makes a result, as one text that changes when that does.

Snakemake holds it among a job's parameters, so that a result knows what made it and is made
again when that changes. It is taken over syntax trees without comments and docstrings: wording
and layout repeat nothing.

Starting from some scripts, names and class paths, it counts every statement at the top level of a
module (a function, a class with all its methods, an assignment) that these lead to by name: by
imports anywhere in a file, whichever way, by attributes of imported modules, and by texts that are
import paths. Names are followed through modules that only pass them on. A change of k-means
therefore leaves an atlas by VQ-AE as it is, though both are imported by one package; and a file
of the user's may hold a data set and a metric without the one repeating what the other made.

Only *own* code is followed: this project's package, and for a user's class the folder on Python's
path that its module lies in. Other packages are outside; their versions are in a result's
provenance. So are the modules that describe results and make none: this one, what it reads code
with, and provenance.

That is sound as long as importing a module does no more than define names. So whatever is
imported on the way is looked at, and counts as a whole where it acts on import: by a call or a
loop at its top level, by setting an attribute or an item, by a decorator of own code, or, where a
class learns of its subclasses, by defining a class. A module that looks names up in itself
(``globals()``, ``eval``) also counts as a whole. What none of this shows is an assignment at the
top level whose right side changes something else, and a file of another kind that code reads.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vqflow import reading
from vqflow.memo import Memo
from vqflow.reading import DOTTED, Import, Reading
from vqflow.source import find_folder, find_module, is_installed

PACKAGE = Path(__file__).parent
_DESCRIBING = {f"{PACKAGE.name}.{name}" for name in "identity memo reading provenance".split()}
_CONTEXTS = {"contextmanager", "contextlib.contextmanager"}
"""What makes a function a decorator that does nothing before what it decorates is called."""
_MOST_DOTS = 20

Node = tuple[str, int]
"""A module's name, and the place of one of its statements."""

T = TypeVar("T")


class Code:
    """The code as it lies on disk when first looked at, and identities of parts of it."""

    def __init__(self) -> None:
        version = [Path(reading.__file__).read_text(encoding="utf-8"), sys.version_info[:2]]
        self._memo = Memo("code", hashlib.sha256(repr(version).encode()).hexdigest())
        self._readings: dict[Path, Reading] = {}
        self._graphs: dict[tuple[Path, ...], _Graph] = {}
        self._identities: dict[tuple[Sequence[str | Path], Sequence[str]], str] = {}

    def identity(self, starts: Iterable[str | Path], settings: Any = None) -> str:
        """Gives the identity of the code that a job runs.

        Args:
            starts: Files of scripts, and import paths of modules, functions or classes.
            settings: Plain values, in which import paths of classes and functions may stand
                at any depth.

        Returns:
            16 hexadecimal digits.
        """
        starts, paths = tuple(starts), tuple(sorted(set(_import_paths(settings))))
        if (starts, paths) not in self._identities:
            graph, counted = self._count(starts, paths)
            # In the order of the file, since a name may be bound twice.
            lines = [f"{node[0]} {graph.statement(node).digest}" for node in sorted(counted)]
            self._memo.save()
            digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
            self._identities[starts, paths] = digest
        return self._identities[starts, paths]

    def reached(self, starts: Iterable[str | Path], settings: Any = None) -> dict[str, set[str]]:
        """Gives what :meth:`identity` counts: module -> names; a script by ``<its stem>``."""
        graph, counted = self._count(starts, sorted(set(_import_paths(settings))))
        found: dict[str, set[str]] = {}
        for node in counted:
            found.setdefault(node[0], set()).update(graph.statement(node).binds)
        return found

    def _count(
        self, starts: Iterable[str | Path], paths: Sequence[str]
    ) -> tuple[_Graph, set[Node]]:
        folders = {find_folder(path.rpartition(".")[0]) for path in paths}
        users = tuple(sorted(folder for folder in folders if folder and not is_installed(folder)))
        graph = self._graphs.setdefault(users, _Graph(self._read, users))
        return graph, graph.count(starts, paths)

    def _read(self, file: Path) -> Reading:
        if file not in self._readings:
            plain = self._memo.get(file, lambda path: reading.read_file(path).plain())
            self._readings[file] = Reading.from_plain(plain)
        return self._readings[file]


class _Graph:
    """How statements of own code lead to one another.

    Args:
        read: Reads a file.
        users: Folders of the user's modules.
    """

    def __init__(self, read: Callable[[Path], Reading], users: Sequence[Path]) -> None:
        self._read = read
        self._users = users
        self._files: dict[str, Path | None] = {}
        self._binders: dict[str, dict[str, list[int]]] = {}
        self._leads: dict[str, set[Node]] = {}
        self._taken: dict[Node, set[Node]] = {}
        self._run: dict[str, set[str]] = {}

    def count(self, starts: Iterable[str | Path], paths: Iterable[str]) -> set[Node]:
        """Gives all statements that count for some scripts and import paths."""
        counted: set[Node] = set()
        for start in starts:
            if isinstance(start, Path):
                self._files[f"<{start.stem}>"] = start
                nodes = self._all(f"<{start.stem}>")
                counted |= {node for node in nodes if self.statement(node).digest}
            else:
                counted |= self._lead_to(start)
        for path in paths:
            counted |= self._lead_to(path)
        whole: set[str] = set()
        while True:
            counted = _closure(counted, self._takes)
            run = _closure({module for module, _ in counted}, self._runs)
            registers = any(self._reading(module).registers for module in run)
            acting = {module for module in run - whole if registers or self._acts(module)}
            if not acting:
                return {node for node in counted if self.statement(node).digest}
            whole |= acting
            counted = counted.union(*(self._all(module) for module in acting))

    def statement(self, node: Node) -> reading.Statement:
        """Gives a statement."""
        return self._reading(node[0]).statements[node[1]]

    def _file(self, module: str) -> Path | None:
        if module not in self._files:
            ours = module.partition(".")[0] == PACKAGE.name
            folders = [PACKAGE.parent] if ours else self._users
            outside = not module or module in _DESCRIBING
            self._files[module] = None if outside else find_module(module, folders)
        return self._files[module]

    def _reading(self, module: str) -> Reading:
        file = self._file(module)
        assert file is not None
        return self._read(file)

    def _all(self, module: str) -> set[Node]:
        return {(module, place) for place in range(len(self._reading(module).statements))}

    def _binding(self, module: str, name: str) -> list[int]:
        """Gives the statements of a module that bind a name."""
        if module not in self._binders:
            places: dict[str, list[int]] = {}
            for place, statement in enumerate(self._reading(module).statements):
                for bound in statement.binds:
                    places.setdefault(bound, []).append(place)
            self._binders[module] = places
        return self._binders[module].get(name, [])

    def _takes(self, node: Node) -> set[Node]:
        """Gives the statements that a statement leads to."""
        if node not in self._taken:
            module, statement = node[0], self.statement(node)
            taken: set[Node] = set()
            paths = set(statement.mentions)
            for use in statement.uses:
                name, _, rest = use.partition(".")
                taken |= self._defining(module, name)
                within = [item for item in statement.imports if item.local == name]
                for item in (*within, *self._importing(module, name)):
                    paths.add(self._path(item, module, rest))
            for item in self._importing(module, "*"):
                paths.add(self._path(item, module))
            if not statement.digest:
                paths |= {self._path(item, module) for item in statement.imports}
            self._taken[node] = taken.union(*(self._lead_to(path) for path in paths))
        return self._taken[node]

    def _defining(self, module: str, name: str) -> set[Node]:
        """Gives the statements of a module that bind a name and are no imports."""
        nodes = {(module, place) for place in self._binding(module, name)}
        return {node for node in nodes if self.statement(node).digest}

    def _importing(self, module: str, name: str) -> list[Import]:
        """Gives the imports of a module's top level that bind a name."""
        nodes = [(module, place) for place in self._binding(module, name)]
        imports = [item for node in nodes for item in self.statement(node).imports]
        return [item for item in imports if item.local == name]

    def _lead_to(self, path: str) -> set[Node]:
        """Gives the statements that a dotted path leads to, through modules that pass it on."""
        if path not in self._leads:
            found = _closure({path}, self._passed_on)
            self._leads[path] = set().union(*(self._ends(origin) for origin in found))
        return self._leads[path]

    def _passed_on(self, path: str) -> set[str]:
        """Gives where the modules on a path have the next name from."""
        origins = {
            self._path(item, module, ".".join(rest[1:]))
            for module, rest in self._places(path)
            for item in self._importing(module, rest[0] if rest else "")
        }
        return {origin for origin in origins if origin.count(".") < _MOST_DOTS}

    def _ends(self, path: str) -> set[Node]:
        """Gives the statements that bind the name that a path ends in, or a module's all."""
        found: set[Node] = set()
        for module, rest in self._places(path):
            if not rest or not self._binding(module, rest[0]) or self._reading(module).whole:
                found |= self._all(module)
            else:
                found |= self._defining(module, rest[0])
        return found

    def _places(self, path: str) -> list[tuple[str, list[str]]]:
        """Gives the last module on a path, with what follows on it, if it is own code.

        Also the package before it, where that binds the name of the module itself.
        """
        parts = path.split(".")
        splits = [(".".join(parts[:size]), parts[size:]) for size in range(len(parts), 0, -1)]
        if any(module in _DESCRIBING for module, _ in splits):
            return []
        places = [(module, rest) for module, rest in splits if self._file(module) is not None]
        last = [
            (module, rest)
            for module, rest in places[1:2]
            if len(rest) == 1 and self._binding(module, rest[0])
        ]
        return places[:1] + last

    def _runs(self, module: str) -> set[str]:
        """Gives the modules that are run before or within a module, by all of its imports."""
        if module not in self._run:
            names = {module}
            for statement in self._reading(module).statements:
                for item in statement.imports:
                    path = self._absolute(item, module)
                    names |= {path, path.rpartition(".")[0]}
            names |= {package for name in names for package in _packages(name)}
            self._run[module] = {name for name in names if self._file(name) is not None}
        return self._run[module]

    def _acts(self, module: str) -> bool:
        found = self._reading(module)
        names = {name for statement in found.statements for name in statement.decorators}
        own = [name for name in names if self._binding(module, name.partition(".")[0])]
        decorators = [node for name in own for node in self._lead_to(f"{module}.{name}")]
        return found.acts or any(
            not _CONTEXTS & set(self.statement(node).decorators) for node in decorators
        )

    def _path(self, item: Import, module: str, rest: str = "") -> str:
        """Gives the path of what an import binds, followed by the rest."""
        return ".".join(filter(None, (self._absolute(item, module), rest)))

    def _absolute(self, item: Import, module: str) -> str:
        """Gives the full path of what is imported; of ``import *`` that of the module."""
        parts = module.split(".")
        file = self._file(module)
        kept = len(parts) - item.level + (file is not None and file.name == "__init__.py")
        name = "" if item.name == "*" else item.name
        return ".".join(filter(None, (*parts[: kept if item.level else 0], item.module, name)))


def _closure(starts: set[T], step: Callable[[T], set[T]]) -> set[T]:
    found, waiting = set(starts), list(starts)
    while waiting:
        new = step(waiting.pop()) - found
        found |= new
        waiting += new
    return found


def _packages(module: str) -> Iterator[str]:
    while module := module.rpartition(".")[0]:
        yield module


def _import_paths(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _import_paths(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _import_paths(item)
    elif isinstance(value, str) and DOTTED.fullmatch(value):
        yield value

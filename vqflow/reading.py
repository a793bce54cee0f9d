"""What a source file says, but for its wording: its statements, and what each takes from others.

Read from the syntax tree, so that nothing is run. Comments, docstrings, layout and what stands
under ``if TYPE_CHECKING`` or ``if __name__`` are no part of it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vqflow.source import syntax

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
"""What the import path of a class or a function looks like."""

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BRANCHES = (ast.If, ast.Try, ast.TryStar)
_METACLASSES = ("type", "ABCMeta", "abc.ABCMeta")
_REFLECTION = {"globals", "eval", "exec", "__getattr__"}


@dataclass(frozen=True)
class Import:
    """One name that a file imports.

    Attributes:
        level: Number of leading dots.
        module: The module that is named, without them.
        name: What is taken from it, ``"*"`` for everything; ``""`` for ``import module``.
        local: The name that it is bound to; ``""`` for none.
    """

    level: int
    module: str
    name: str
    local: str


@dataclass(frozen=True)
class Statement:
    """A statement at the top level of a file: a definition, an assignment, an import, ...

    Attributes:
        digest: A hash of its syntax tree; ``""`` for an import, which is what it leads to.
        binds: The names that it binds.
        uses: The names that it uses anywhere within, each with what is taken from it by dots.
        imports: What is imported within it.
        mentions: Texts within it that read like the import path of something, or are imported.
        decorators: Names by which a function, or a class and its methods, are decorated.
    """

    digest: str
    binds: tuple[str, ...]
    uses: tuple[str, ...]
    imports: tuple[Import, ...]
    mentions: tuple[str, ...]
    decorators: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What a file says.

    Attributes:
        statements: Those of its top level.
        acts: Whether importing it does more than define names: a call, or an attribute set.
        whole: Whether names may be taken from it in ways that its statements do not show.
        registers: Whether a class of it learns of its subclasses.
    """

    statements: tuple[Statement, ...]
    acts: bool
    whole: bool
    registers: bool

    def plain(self) -> dict[str, Any]:
        """Gives plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Reading:
        """Gives back what :meth:`plain` gave."""
        statements = tuple(
            Statement(
                item["digest"],
                tuple(item["binds"]),
                tuple(item["uses"]),
                tuple(Import(**entry) for entry in item["imports"]),
                tuple(item["mentions"]),
                tuple(item["decorators"]),
            )
            for item in values["statements"]
        )
        return cls(**{**values, "statements": statements})


def read_file(file: Path) -> Reading:
    """Reads a file; of one that is no Python only its bytes count."""
    try:
        return read(syntax(file))
    except (SyntaxError, ValueError):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return Reading((Statement(digest, (), (), (), (), ()),), False, True, False)


def read(tree: ast.Module) -> Reading:
    """Reads a file's syntax tree."""
    top = [node for node in _effective(tree.body) if not _is_main(node)]
    simple = list(_flat(top))
    scribes = [_Scribe() for _ in top]
    for scribe, node in zip(scribes, top, strict=True):
        scribe.write(node)
    names = set().union(*(scribe.names for scribe in scribes))
    looked_up = any(use.startswith("sys.modules") for scribe in scribes for use in scribe.uses)
    return Reading(
        statements=tuple(scribe.statement(node) for scribe, node in zip(scribes, top, strict=True)),
        acts=any(_acts(node) for node in simple),
        whole=looked_up or bool(names & _REFLECTION),
        registers=bool(names & {"__init_subclass__", "__subclasses__", "<metaclass>"}),
    )


@dataclass
class _Scribe:
    """Writes a syntax tree as text that is equal for equal meaning, and notes names on the way."""

    words: list[str] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    mentions: set[str] = field(default_factory=set)

    def statement(self, node: ast.stmt) -> Statement:
        is_import = isinstance(node, (ast.Import, ast.ImportFrom))
        return Statement(
            digest="" if is_import else hashlib.sha256("\n".join(self.words).encode()).hexdigest(),
            binds=tuple(dict.fromkeys(name for item in _flat([node]) for name in _bound(item))),
            uses=tuple(sorted(self.uses)),
            imports=tuple(dict.fromkeys(self.imports)),
            mentions=tuple(sorted(self.mentions)),
            decorators=tuple(dict.fromkeys(_decorators([node]))),
        )

    def write(self, node: Any) -> None:
        if isinstance(node, list):
            self.words.append("[")
            for item in _effective(node):
                self.write(item)
            self.words.append("]")
        elif isinstance(node, ast.AST):
            chain = _chain(node)
            self._note(node)
            if chain is not None:
                self.uses.add(chain)
                self.words.append(f".{chain}")
                return
            self.words.append(type(node).__name__)
            for name, value in ast.iter_fields(node):
                absent = value is None and not isinstance(node, ast.Constant)
                if absent or value == [] or name in ("ctx", "kind", "type_comment"):
                    continue
                self.words.append(name)
                self.write(value)
            self.words.append(")")
        else:
            self.words.append(repr(node))

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports += _imports(node)
        elif isinstance(node, ast.Name):
            self.names.add(node.id)
        elif isinstance(node, ast.Attribute):
            self.names |= {node.attr} & {"__subclasses__"}
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and DOTTED.fullmatch(node.value):
                self.mentions.add(node.value)
        elif isinstance(node, ast.Call):
            called = (_chain(node.func) or "").rpartition(".")[2]
            if called in ("import_module", "__import__"):
                self.mentions |= {
                    item.value
                    for item in node.args
                    if isinstance(item, ast.Constant) and isinstance(item.value, str)
                }
        elif isinstance(node, ast.FunctionDef):
            self.names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            if any(ast.unparse(base) in _METACLASSES for base in node.bases):
                self.names.add("<metaclass>")


def _effective(nodes: list[Any]) -> Iterator[Any]:
    """Gives the items that do something: no bare texts, no imports for type checkers."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _effective(node.orelse)
        else:
            yield node


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _chain(node: ast.AST) -> str | None:
    """Gives ``a.b.c`` of a name, or of an attribute of one; ``None`` of others."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            local = alias.asname or alias.name
            yield Import(node.level, node.module or "", alias.name, local)
        elif alias.asname:
            yield Import(0, alias.name, "", alias.asname)
        else:
            top = alias.name.partition(".")[0]
            yield from (Import(0, top, "", top), Import(0, alias.name, "", ""))


def _decorators(nodes: Iterable[ast.stmt]) -> Iterator[str]:
    for node in _flat(nodes):
        if isinstance(node, _DEFINITIONS):
            yield from (ast.unparse(item).partition("(")[0] for item in node.decorator_list)
        if isinstance(node, ast.ClassDef):
            yield from _decorators(node.body)


def _flat(nodes: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Gives statements, and those of their branches."""
    for node in _effective(list(nodes)):
        yield node
        if isinstance(node, ast.If):
            yield from _flat([*node.body, *node.orelse])
        elif isinstance(node, (ast.Try, ast.TryStar)):
            handlers = [item for handler in node.handlers for item in handler.body]
            yield from _flat([*node.body, *handlers, *node.orelse, *node.finalbody])


def _bound(node: ast.stmt) -> Iterator[str]:
    """Gives the names that a statement binds, but for those of its branches."""
    if isinstance(node, _DEFINITIONS):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (item.local for item in _imports(node) if item.local)
    elif not isinstance(node, _BRANCHES):
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id


def _acts(node: ast.stmt) -> bool:
    """Says whether a statement of the top level, or of a class there, may change something else."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        parts = [part for target in targets for part in ast.walk(target)]
        return any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in parts)
    if isinstance(node, ast.ClassDef):
        return any(_acts(item) for item in _flat(node.body))
    harmless = (
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom),
        *(*_BRANCHES, ast.Pass, ast.Raise, ast.Assert),
    )
    return not (isinstance(node, harmless) or type(node).__name__ == "TypeAlias")

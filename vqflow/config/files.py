"""Reading the YAML files of a configuration, so that a mistake names its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from vqflow.config.components import ConfigError
from vqflow.config.wording import shown

_CATALOGUE = "config/config.yaml"

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def catalogue_file() -> Path:
    """Gives the catalogue of the clone that one works in, or that this package is part of.

    Raises:
        FileNotFoundError: If there is none, as where the library alone is installed.
    """
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / _CATALOGUE).is_file():
            return folder / _CATALOGUE
    raise FileNotFoundError(f"no {_CATALOGUE} here; run this in a clone of the project")


def read_files(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Gives the content of YAML files as Snakemake merges them.

    Dictionaries are merged at every depth; a later list or single value replaces an earlier one.

    Args:
        paths: The files, in their order.

    Raises:
        ConfigError: One line per mistake, each with its file and where it is known its line.
    """
    merged: dict[str, Any] = {}
    mistakes: list[str] = []
    for path in paths:
        try:
            merged = _merge(merged, _content(Path(path)))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return merged


def check_files(paths: Iterable[str | Path]) -> None:
    """Refuses what YAML reads in silence as something else than it looks.

    That is a key that stands twice in one place, of which the last is kept, and a number such as
    010 or 1:30, which is another than it looks.

    Raises:
        ConfigError: One line per mistake, each with its file, line and place.
    """
    files = [Path(path) for path in paths if Path(path).suffix != ".json"]
    mistakes = [mistake for path in files for mistake in _surprises(path, _tree(path))]
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _content(path: Path) -> dict[str, Any]:
    tree = _tree(path)
    if not isinstance(tree, yaml.MappingNode):
        kind = "a list" if isinstance(tree, yaml.SequenceNode) else "one value"
        found = "nothing" if tree is None else kind
        raise ConfigError(f"{path}:1: holds {found}; allowed: keys and their values (key: value)")
    check_files([path])
    text = _text(path)
    loader = _Loader(text)
    try:
        content: dict[str, Any] = loader.get_single_data()
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ConfigError(_not_yaml(path, text, error)) from error
    finally:
        loader.dispose()
    return content


def _tree(path: Path) -> yaml.Node | None:
    text = _text(path)
    try:
        loader = _Loader(text)
        try:
            tree: yaml.Node | None = loader.get_single_node()
            return tree
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(_not_yaml(path, text, error)) from error


def _text(path: Path) -> str:
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; allowed: a YAML file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: is no text in UTF-8 (byte {content[error.start]:#x}); allowed: a "
            "YAML file, saved as UTF-8"
        ) from error


def _not_yaml(path: Path, text: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    beginning = text.splitlines()[mark.line : mark.line + 1] if mark else []
    tabs = any("\t" in each[: -len(each.lstrip()) or None] for each in beginning)
    hint = "; indent with blanks, not with tabs" if tabs else ""
    return f"{path}{line}: is no YAML: {' '.join(str(problem).split())}{hint}"


def _surprises(path: Path, tree: yaml.Node | None) -> Iterator[str]:
    for line, text in _within(tree, ""):
        yield f"{path}:{line}: {text}"


def _within(node: yaml.Node | None, place: str) -> Iterator[tuple[int, str]]:
    """Gives the line and the message of each value that YAML reads as another."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _within(item, f"{place}.{index}")
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int":
        digits = node.value.lstrip("+-").replace("_", "")
        if ":" in digits or (digits.isdigit() and digits[0] == "0" and len(digits) > 1):
            read = yaml.safe_load(node.value)
            text = f"{place}: YAML reads {node.value} as {shown(read)}; write {shown(read)}"
            yield node.start_mark.line + 1, text
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        inner = f"{place}.{name}" if place else name
        line = key.start_mark.line + 1
        if name in first and name != "<<":
            yield line, f"{inner} is there already, in line {first[name]}; write it once"
        first.setdefault(name, line)
        yield from _within(value, inner)


def _merge(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(earlier)
    for key, value in later.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[key] = value
    return merged

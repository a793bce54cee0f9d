"""The examples of docs/extend.md, as printed."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import yaml
from conftest import ROOT

TEXT = (ROOT / "docs" / "extend.md").read_text()


def blocks(language: str) -> list[str]:
    """Gives the page's blocks of a language, first to last."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def example(name: str) -> Any:
    """Gives the class of an example, from the block that defines it."""
    (block,) = (text for text in blocks("python") if f"class {name}(" in text)
    module = ModuleType("my_things")
    exec(block, vars(module))
    return getattr(module, name)


def mine() -> dict[str, Any]:
    """Gives the page's one configuration."""
    (block,) = (text for text in blocks("yaml") if text.startswith("run: mine"))
    content: dict[str, Any] = yaml.safe_load(block)
    return content


def entries(**names: list[str]) -> dict[str, Any]:
    """Gives some entries of the page's configuration, by section."""
    found = mine()
    return {
        section: {name: found[section][name] for name in wanted}
        for section, wanted in names.items()
    }


def classes() -> str:
    """Gives all of the page's classes, as one file."""
    return "\n\n".join(text for text in blocks("python") if "class " in text)


def lines(name: str) -> int:
    """Counts the lines of an example's code, blank ones aside."""
    (block,) = (text for text in blocks("python") if f"class {name}(" in text)
    return sum(bool(line.strip()) for line in block.splitlines())

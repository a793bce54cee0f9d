"""Reading classes from source: the same answers as importing them gives."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from vqflow.source import class_attributes, find_class, find_module

USER = '''
from vqflow.embeddings import Embedding as Base
from . import helpers
from .helpers import Mixin

class Mine(Mixin, Base):
    """A class of a user's."""

    kinds: tuple[str, ...] = ("vector",)
    colour = helpers.SOMETHING
    number = 3
    per = "family"

class Yours(Mine):
    number = 4
'''

HELPERS = """
SOMETHING = 1

class Mixin:
    per = "run"
    x = -1
"""


@pytest.mark.parametrize(
    "path",
    ["vqflow.atlases.VQAtlas", "vqflow.metrics.likelihood.LogLikelihood", "zuko.flows.MAF"],
)
def test_it_finds_what_importing_finds(path: str) -> None:
    module, _, name = path.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    source = find_class(path)
    assert source is not None
    assert source.module == cls.__module__
    assert source.node.name == cls.__name__


def test_attributes_are_those_of_the_class(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("from .parts import Yours\n")
    (package / "parts.py").write_text(USER)
    (package / "helpers.py").write_text(
        "SOMETHING = 1\nclass Mixin:\n    per = 'run'\n    x = -1\n"
    )
    found = class_attributes("mine.Yours", [tmp_path, *sys.path])
    assert found["number"] == 4
    assert found["kinds"] == ("vector",)
    assert found["per"] == "family"
    assert found["x"] == -1
    assert found["moves"] is True  # of vqflow's Embedding
    assert "colour" not in found


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert find_module("nowhere.at_all") is None
    assert find_class("vqflow.atlases.Nothing") is None
    assert find_class("nowhere.Nothing") is None
    assert class_attributes("builtins.dict") == {}
    assert find_module("mine", [tmp_path]) is None

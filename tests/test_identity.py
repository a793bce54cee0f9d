"""Identity of code: what reaches a result changes it, and wording does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from vqflow.identity import Code

Write = Callable[..., None]
SCRIPTS = ROOT / "workflow" / "scripts"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a user's modules, in a folder on Python's path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def files(**texts: str) -> None:
        for name, text in texts.items():
            file = tmp_path / (name.replace("__", "/") + ".py")
            file = file.with_name("__init__.py") if file.stem == "init" else file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return files


def identity(*paths: str) -> str:
    return Code().identity([], list(paths))


def reached(*paths: str) -> dict[str, set[str]]:
    return Code().reached([], list(paths))


def modules(*paths: str) -> set[str]:
    return set(reached(*paths))


PLAIN = """
import math

class Mine:
    def area(self, radius):
        return math.pi * radius ** 2
"""
WORDED = '''
"""Circles."""
import math  # of the standard library
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import other

class Mine:
    """A circle."""

    def area(
        self,
        radius,
    ):
        """Gives the area."""
        return math.pi * radius**2  # not the circumference
'''


def test_wording_and_layout_do_not_count(write: Write) -> None:
    write(mine=PLAIN.replace("import math", "import math\nfrom typing import TYPE_CHECKING"))
    before = identity("mine.Mine")
    write(mine=WORDED, other="x = 1")
    assert identity("mine.Mine") == before
    assert modules("mine.Mine") == {"mine"}


@pytest.mark.parametrize(
    ("old", "new"),
    [("math.pi", "math.e"), ("** 2", "** 2.0"), ("radius ** 2", "2 ** radius"), ("Mine", "Yours")],
)
def test_meaning_counts(write: Write, old: str, new: str) -> None:
    write(mine=PLAIN)
    before = identity("mine.Mine")
    write(mine=PLAIN.replace(old, new))
    assert identity("mine.Mine") != before


@pytest.mark.parametrize(
    ("statement", "use"),
    [
        ("import helper", "helper.f"),
        ("import helper as h", "h.f()"),
        ("import helper", "vars(helper)"),
        ("from helper import f", "f"),
        ("from helper import f as g", "g"),
        ("from helper import *", "f"),
        ("def late():\n    from helper import f\n    return f", "late()"),
        ("late = lambda: __import__('helper').f", "late()"),
        ("try:\n    from fast import f\nexcept ImportError:\n    from helper import f", "f"),
        ("from importlib import import_module\nf = import_module('helper.f')", "f"),
        ("from helper import f\ng = f\nh = [g]", "h"),
        ("from helper import f\ndef g(x=f): pass", "g"),
        ("from helper import f\nclass Base(f): pass", "Base"),
    ],
)
def test_what_is_imported_counts_however_it_is(write: Write, statement: str, use: str) -> None:
    mine = f"{statement}\nclass Mine:\n    def run(self):\n        return {use}\n"
    write(mine=mine, helper="import deeper\nf = deeper.x", deeper="x = 1")
    before = identity("mine.Mine")
    write(deeper="x = 2")
    assert identity("mine.Mine") != before


def test_what_is_not_used_does_not_count(write: Write) -> None:
    mine = "import helper\nclass Mine: size = helper.f\nclass Other: size = helper.g\n"
    write(mine=mine, helper="f = 1\ng = 2")
    before = identity("mine.Mine"), identity("mine.Other")
    write(helper="f = 1\ng = 3")
    assert identity("mine.Mine") == before[0]
    assert identity("mine.Other") != before[1]
    assert reached("mine.Mine") == {"mine": {"Mine"}, "helper": {"f"}}


@pytest.mark.parametrize("name", ["globals()['g']", "eval('g')", "sys.modules[__name__].g"])
def test_a_module_that_looks_itself_up_counts_as_a_whole(write: Write, name: str) -> None:
    write(mine=f"import sys\ng = 1\nclass Mine:\n    def run(self):\n        return {name}\n")
    assert reached("mine.Mine") == {"mine": {"g", "Mine"}}


def test_a_method_of_that_name_is_none_of_it(write: Write) -> None:
    write(mine="g = 1\nclass Mine:\n    def run(self, module):\n        return module.eval()\n")
    assert reached("mine.Mine") == {"mine": {"Mine"}}


def test_the_order_of_what_is_bound_twice_counts(write: Write) -> None:
    write(mine="size = 1\nsize = 2\nclass Mine: x = size")
    before = identity("mine.Mine")
    write(mine="size = 2\nsize = 1\nclass Mine: x = size")
    assert identity("mine.Mine") != before


@pytest.mark.parametrize(
    "statement", ["from .. import helper", "from ..helper import f", "from .near import f"]
)
def test_relative_imports_are_followed(write: Write, statement: str) -> None:
    write(pack__init="", pack__helper="f = 1", pack__sub__init="", pack__sub__near="f = 1")
    name = "helper.f" if statement.endswith("helper") else "f"
    write(pack__sub__mine=f"{statement}\nclass Mine: x = {name}")
    other = "pack.sub.near" if "near" in statement else "pack.helper"
    assert modules("pack.sub.mine.Mine") == {"pack.sub.mine", other}


@pytest.mark.parametrize(
    ("statement", "use", "expected"),
    [
        ("from pack import One", "One", {"pack.one": {"One"}}),
        ("import pack", "pack.One", {"pack.one": {"One"}}),
        ("import pack as p", "p.one.One", {"pack.one": {"One"}}),
        ("from pack import one", "one.One", {"pack.one": {"One"}}),
        ("import pack.one", "pack.one.One", {"pack.one": {"One"}}),
        ("import pack.one as p", "p.One", {"pack.one": {"One"}}),
        ("from pack import Second", "Second", {"pack.two": {"Two"}}),
        ("from pack import SIZE", "SIZE", {"pack": {"SIZE"}}),
        ("from pack.other import One", "One", {"pack.one": {"One"}}),
        ("from pack import one", "one", {"pack.one": {"One", "Spare"}}),
        ("from pack import three", "three", {"pack.three": {"three"}}),
        ("from pack import late", "late", {"pack": {"__getattr__", "SIZE"}}),
    ],
)
def test_names_are_followed_to_where_they_are_defined(
    write: Write, statement: str, use: str, expected: dict[str, set[str]]
) -> None:
    init = "from pack.one import One\nfrom .two import Two as Second\nfrom .three import three\n"
    last = "def __getattr__(name): return SIZE\n" if use == "late" else ""
    write(
        mine=f"{statement}\nclass Mine: x = {use}\n",
        pack__init=f"{init}SIZE = 3\n{last}",
        pack__one="class One: pass\nclass Spare: pass",
        pack__two="class Two: pass",
        pack__three="three = 3",
        pack__other="from . import One",
    )
    found = reached("mine.Mine")
    assert found.pop("mine") == {"Mine"}
    if use == "late":
        assert found["pack"] == expected["pack"]
    else:
        assert found == expected


@pytest.mark.parametrize(
    "acting",
    [
        "import numpy as np\nnp.seterr(all='raise')",
        "import numpy as np\nnp.wrong = 1",
        "from .registry import register\n@register\nclass Two: pass",
        "TABLE = {}\nfor i in range(3):\n    TABLE[i] = i",
        "if True:\n    print()",
        "class Two:\n    print()",
    ],
)
def test_what_acts_when_it_is_imported_counts_wherever_it_is(write: Write, acting: str) -> None:
    write(
        pack__init="from .one import One\nfrom . import between",
        pack__one="class One: pass\nclass Spare: pass",
        pack__between="from . import two",
        pack__two=acting,
        pack__registry="def register(cls): return cls",
    )
    assert "pack.two" in modules("pack.One")
    assert "pack.between" not in modules("pack.One")
    assert reached("pack.One")["pack.one"] == {"One"}


def test_a_context_as_decorator_does_nothing_on_import(write: Write) -> None:
    context = "from contextlib import contextmanager\n@contextmanager\ndef quiet(): yield"
    write(
        pack__init="from .one import One\nfrom .two import Two",
        pack__one="class One: pass",
        pack__two="from .context import quiet\nclass Two:\n    @quiet()\n    def run(self): pass",
        pack__context=context,
    )
    assert modules("pack.One") == {"pack.one"}
    assert modules("pack.Two") == {"pack.two", "pack.context"}


def test_subclasses_that_a_class_learns_of_count(write: Write) -> None:
    base = "class Base:\n    def __init_subclass__(cls): cls.known = True"
    write(
        pack__init="from .one import One\nfrom .two import Two",
        pack__one="from .base import Base\nclass One(Base): pass",
        pack__two="from .base import Base\nclass Two(Base): pass",
        pack__base=base,
    )
    assert "pack.two" in modules("pack.One")


def test_circles_end(write: Write) -> None:
    write(
        pack__init="from .one import one\nfrom .two import two",
        pack__one="from pack import two\none = 1",
        pack__two="from . import one\ntwo = 1",
    )
    assert modules("pack.one.one") == {"pack.one"}
    assert modules("pack.one") == {"pack.one", "pack.two"}


def test_a_file_that_is_no_python_counts_by_its_bytes(write: Write) -> None:
    write(mine="class Mine(:")
    before = identity("mine.Mine")
    write(mine="class Mine(:)")
    assert identity("mine.Mine") != before


def test_other_packages_are_outside() -> None:
    assert modules("zuko.flows.MAF", "torch.nn.ReLU", "json.JSONEncoder", "nowhere.X") == set()


def test_what_is_known_from_disk_is_what_is_there(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqflow.memo.FOLDER", tmp_path / ".snakemake")
    (tmp_path / ".snakemake").mkdir()
    write(mine="x = 1", helper="")
    first = identity("mine.x")
    memo = tmp_path / ".snakemake" / "vqflow" / "code.json"
    assert str(tmp_path / "mine.py") in memo.read_text()
    assert identity("mine.x") == first
    old = os.stat(tmp_path / "mine.py")
    write(mine="x = 2")
    os.utime(tmp_path / "mine.py", ns=(old.st_atime_ns, old.st_mtime_ns))
    changed = identity("mine.x")
    assert changed != first
    for damage in ("", "{", "[]", '{"version": 1}', memo.read_text()[:-40]):
        memo.write_text(damage)
        assert identity("mine.x") == changed
    (tmp_path / ".snakemake" / "vqflow").chmod(0o500)
    memo.unlink(missing_ok=True)
    assert identity("mine.x") == changed

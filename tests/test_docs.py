"""The documentation: what is generated is fresh, what is linked exists, what is printed works.

That the site builds without a warning is checked by ``make docs``.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from conftest import CATALOGUE, ROOT, RUNS

from vqflow.check import check
from vqflow.config.reference import PATH, reference_text

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
RESULTS = ROOT / "results" / "reference"


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Gives the anchors of a page's headings, as the site and repositories make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", without_code(page.read_text()))
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[\s-]+", "-", heading) for heading in plain}


def exists(name: str) -> bool:
    """Says whether an import path leads to something."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        try:
            reduce(getattr, parts[count:], module)
        except AttributeError:
            return False
        return True
    return False


def test_the_page_of_all_keys_is_fresh_and_explains_each() -> None:
    text = reference_text()
    assert PATH.read_text() == text, "run `make schema`"
    assert "| None |" not in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(
        r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", without_code(page.read_text())
    )
    lost = []
    for path, anchor in links:
        target = page.parent / path if path else page
        if not target.exists():
            lost.append(path)
        elif anchor.startswith("vqflow."):
            assert target.parent.name == "api"
            lost += [] if exists(anchor) else [anchor]
        elif anchor and anchor not in anchors(target):
            lost.append(f"{path}#{anchor}")
    assert not lost


def test_every_run_and_every_kept_result_is_named() -> None:
    runs = (ROOT / "config" / "README.md").read_text()
    assert [path.name for path in RUNS if f"`{path.name}`" not in runs] == []
    results = (ROOT / "docs" / "results.md").read_text()
    kept = [path.name for path in RESULTS.iterdir() if path.is_dir()]
    assert [name for name in kept if f"(../results/reference/{name}/)" not in results] == []


def test_the_headline_numbers_are_those_of_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text().replace("*", "")
    rows = re.findall(r"(?m)^\| ([\w-]+) \| (.*\d.*) \|$", (ROOT / "README.md").read_text())
    assert len(rows) > 5
    for name, cells in rows:
        found = [line for line in results.splitlines() if line.startswith(f"| {name} ")]
        assert any(all(cell in line for cell in cells.split(" | ")) for line in found), name


def test_every_kind_of_class_has_a_page() -> None:
    kinds = set()
    for section in (part for part in CATALOGUE.values() if isinstance(part, dict)):
        classes = [entry.get("class", "") for entry in section.values()]
        kinds |= {path.split(".")[1] for path in classes if path.startswith("vqflow.")}
    assert kinds
    for kind in kinds:
        assert f"::: vqflow.{kind}\n" in (ROOT / "docs" / "api" / f"{kind}.md").read_text()


def test_the_tutorial_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "your-data.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VQFLOW_DATA", raising=False)
    makes_points, *_ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(makes_points, {})
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    Path("first.yaml").write_text(block)
    found = check(["first.yaml"])
    variants = yaml.safe_load(block)["benchmarks"]["first"]["variants"]
    assert {f"variants.{name} on points" for name in variants} <= set(found)


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("html", "loads"),
    [
        ('<link rel="stylesheet" href="https://fonts.example/x.css">', True),
        ('<script async src="//cdn.example/x.js"></script>', True),
        ('<img alt="x" src="http://example.org/x.png">', True),
        ('<a href="https://example.org/paper">paper</a>', False),
        ('<img src="results/x.png"><script src="../x.js"></script>', False),
    ],
)
def test_a_page_that_loads_from_other_hosts_is_warned_of(
    hooks: ModuleType, caplog: pytest.LogCaptureFixture, html: str, loads: bool
) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    with caplog.at_level(logging.WARNING):
        assert hooks.on_post_page(html, page) == html
    assert ("loads" in caplog.text) == loads


def test_links_out_of_docs_become_links_to_copies(hooks: ModuleType) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="results.md"))
    text = "[a](../config/a.yaml) [b](../results/reference/b/) ![c](../results/c.png) [d](d.md)"
    assert hooks.on_page_markdown(text, page) == (
        "[a](config/a.md) [b](results/reference/b/overview.md) ![c](results/c.png) [d](d.md)"
    )

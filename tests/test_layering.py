"""The library's imports point one way, from configuration and data up to the jobs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CATALOGUE, ROOT

from vqflow.config.entries import Component
from vqflow.source import class_attributes
from vqflow.stages.evaluate import build_metric

LAYERS = [
    {
        "__init__",
        "seeding",
        "files",
        "provenance",
        "per_chart",
        "source",
        "kernel_density",
    },
    {"memo", "reading", "published", "processes"},
    {"identity"},
    {"config"},
    {"datasets"},
    {"training", "frames"},
    {"preprocessing"},
    {"atlases"},
    {"embeddings", "flows", "bases"},
    {"models"},
    {"objectives", "choice"},
    {"library"},
    {"metrics"},
    {"tables"},
    {"claims", "figures"},
    {"report"},
    {"stages"},
    {"check"},
    {"terminal"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(path for path in (ROOT / "vqflow").rglob("*.py") if path.parent.name != "templates")


def imports(path: Path) -> set[str]:
    """Gives the top-level parts of vqflow that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vqflow"):
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            found.update(names)
    return found - {"__version__"}


def part(path: Path) -> str:
    """Gives the module or package that a file belongs to; ``__init__`` for the root's own."""
    return path.relative_to(ROOT / "vqflow").with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_upstream(path: Path) -> None:
    own = part(path)
    for name in imports(path) - {own}:
        assert RANK[name] < RANK[own], f"{own} must not import {name}"


def test_one_package_imports_zuko() -> None:
    assert {part(path) for path in FILES if "zuko" in modules(path)} == {"flows"}


def test_figures_import_no_torch() -> None:
    """Those that read the model do, where they draw; their modules can be imported without."""
    program = "import sys, vqflow.figures, vqflow.stages.figure; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    for path in FILES:
        if part(path) == "figures":
            assert "torch" not in modules(path) or "model" in reads(path)
            assert not imports(path) & {"models", "atlases", "metrics", "stages"}


def reads(path: Path) -> set[str]:
    """Gives what the figures in a file state that they read."""
    classes = [node.name for node in ast.parse(path.read_text()).body if hasattr(node, "bases")]
    stated = [class_attributes(f"vqflow.figures.{path.stem}.{name}") for name in classes]
    return {read for attributes in stated for read in attributes.get("reads", ())}


def test_no_list_elsewhere_names_a_metric() -> None:
    """Tables, stages and rules take what they say of a metric from what the metric states."""
    shared = {"charts"}  # a word of many uses
    metrics = [
        build_metric(Component.model_validate({"name": name, **entry}))
        for name, entry in CATALOGUE["metrics"].items()
    ]
    names = {row.name for metric in metrics for row in metric.rows().values()} - shared
    for path in FILES:
        if part(path) in ("config", "tables", "stages", "cli"):
            strings = {
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            assert not names & strings, path
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = path.read_text()
        assert not [name for name in names if f'"{name}' in text], path


def modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found

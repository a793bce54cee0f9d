"""The package as it is installed: what it holds, and what it needs."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

import vqflow
from vqflow.cli.new import Kind

WORKFLOW = {
    "docutils",
    "itables",
    "jinja2",
    "markdown-it-py",
    "matplotlib",
    "pandas",
    "pyarrow",
    "pygments",
    "pytorch-fid",
    "pyyaml",
    "rocrate",
    "seaborn",
    "snakemake",
    "tabulate",
    "torchvision",
}

PROGRAM = """
import pathlib, sys

class Without:
    # does not see some packages, as if they were not installed

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {refused}
        return None if absent else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
import numpy as np, vqflow
assert pathlib.Path(vqflow.__file__).parents[1] == pathlib.Path({folder!r}), vqflow.__file__
x = np.random.default_rng(0).normal(size=(60, 2))
model = vqflow.fit(x, epochs=1, charts=2)
model.save("model.pt")
assert (vqflow.load("model.pt").log_prob(x) == model.log_prob(x)).all()

from vqflow.cli.app import app
np.savetxt("x.csv", x, delimiter=",", header="a,b", comments="")
for line in ("fit x.csv --out m.pt --charts 1 --epochs 1", "score m.pt x.csv --out scores.csv"):
    try:
        app(line.split())
    except SystemExit as end:
        assert not end.code, line
assert pathlib.Path("scores.csv").read_text().startswith("log_density,posterior_0\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("vqflow", "snakemake_logger_plugin_vqflow"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(target), str(source)]
    subprocess.run(command, check=True)
    yield next(target.glob("vq_flows-*.whl"))


def test_the_library_works_without_the_workflow(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    refused = [name.replace("-", "_").replace("pyyaml", "yaml") for name in sorted(WORKFLOW)]
    program = PROGRAM.format(refused=refused, folder=str(folder))
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", program]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)


def test_it_says_what_it_needs_and_holds_its_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("METADATA"))
        facts = email.message_from_bytes(archive.read(metadata))
        commands = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert "vqflow = vqflow.cli.app:app" in commands
    assert {
        f"vqflow/cli/templates/{kind}{end}" for kind in Kind for end in (".py", ".yaml")
    } <= set(names)
    weights = "vqflow/metrics/weights/mnist-classifier.npz"
    published = "vqflow/published/values.csv"
    template = "vqflow/report/templates/report.html.jinja"
    assert "snakemake_logger_plugin_vqflow/__init__.py" in names
    assert {"vqflow/py.typed", "vqflow/__init__.pyi", weights, published, template} <= set(names)
    assert facts["Name"] == "vq-flows"
    assert facts["Version"] == vqflow.__version__
    assert f"version: {vqflow.__version__}" in (ROOT / "CITATION.cff").read_text().splitlines()
    needed: dict[str, set[str]] = {}
    for line in facts.get_all("Requires-Dist", []):
        extra = re.search(r'extra == "(\w+)"', line)
        name = re.split(r"[^\w.-]", line)[0].lower()
        needed.setdefault(extra[1] if extra else "", set()).add(name)
    assert needed["workflow"] == WORKFLOW
    assert not needed[""] & WORKFLOW
    assert "vq-flows" in needed["dev"]

"""Identity of this project's code: what each stage and each class reaches."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from conftest import CATALOGUE, ROOT

from vqflow.identity import Code

SCRIPTS = ROOT / "workflow" / "scripts"


def entries(kind: str) -> list[Any]:
    return [pytest.param(entry, id=name) for name, entry in CATALOGUE[kind].items()]


@pytest.mark.parametrize(
    ("script", "there", "not_there"),
    [
        ("prepare_data", {"stages.data", "datasets.base"}, {"stages.flow", "training.loop"}),
        (
            "fit_atlas",
            {"training.checkpoint", "choice"},
            {"metrics.base", "provenance"},
        ),
        ("train_flow", {"training.loop", "models.vqflow"}, {"metrics.kde", "tables.summary"}),
        ("evaluate", {"models.store", "metrics.base"}, {"metrics.kde", "figures.style"}),
        ("make_reference", {"metrics.base"}, {"training.optimiser", "models.store"}),
        ("plot", {"figures.base"}, {"figures.likelihood", "figures.toy_gallery"}),
        ("make_tables", {"tables.summary"}, {"models.vqflow", "figures.style"}),
        ("make_claims", {"claims.toys", "published"}, {"models.vqflow", "tables.layout"}),
    ],
)
def test_stages_reach_what_they_run_and_nothing_else(
    script: str, there: set[str], not_there: set[str]
) -> None:
    reached = set(Code().reached([SCRIPTS / f"{script}.py"]))
    assert reached >= {f"<{script}>", *(f"vqflow.{name}" for name in there)}
    assert not reached & {f"vqflow.{name}" for name in not_there}


@pytest.mark.parametrize("kind", ["datasets", "atlases", "flows", "embeddings", "metrics"])
def test_every_class_of_the_catalogue_reaches_its_own_module(kind: str) -> None:
    import importlib

    for name, entry in CATALOGUE[kind].items():
        module, _, cls = entry["class"].rpartition(".")
        defining = getattr(importlib.import_module(module), cls).__module__
        found = Code().reached([], entry)
        assert (cls in found.get(defining, ())) == defining.startswith("vqflow."), name


def test_an_atlas_that_is_trained_reaches_the_training_loop_and_another_does_not() -> None:
    trained = Code().reached([], ["vqflow.atlases.VQAtlas"])
    assert "fit" in trained["vqflow.training.loop"] and "vqflow.atlases.kmeans" not in trained
    assert "vqflow.training.loop" not in Code().reached([], ["vqflow.atlases.KMeansAtlas"])


def test_no_module_of_ours_acts_when_it_is_imported() -> None:
    """Else it would count for all that passes its package."""
    from vqflow.reading import read_file

    for file in sorted((ROOT / "vqflow").rglob("*.py")):
        found = read_file(file)
        assert not found.acts and not found.registers, file


def test_it_imports_no_torch() -> None:
    code = "import sys, vqflow.identity, vqflow.config.inputs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

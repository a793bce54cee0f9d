"""Runs as RO-Crates: every result with its sum, the configuration, and what made them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from rocrate.rocrate import ROCrate

from vqflow.config.components import ConfigError
from vqflow.files import DamagedError, digest, save_text
from vqflow.stages.crate import METADATA, write_crate

KEPT = ROOT / "results" / "reference" / "digits-frames"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "digits-frames"
    shutil.copytree(KEPT, folder)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "left.pt").write_bytes(b"scratch")
    return folder


def test_a_run_is_described_whole_and_read_by_the_library(run: Path) -> None:
    path = write_crate(run)
    assert path == run / METADATA
    crate = ROCrate(run)
    described = {entity.id for entity in crate.data_entities}
    results = {file.relative_to(KEPT).as_posix() for file in KEPT.rglob("*") if file.is_file()}
    assert described - {"./"} == results
    table = crate.dereference("tables/metrics.csv")
    assert table["sha256"] == digest(run / "tables" / "metrics.csv")
    action = crate.dereference("#run")
    assert action["object"].id == "config.yaml"
    commit = json.loads((run / "provenance.json").read_text())["git"]["commit"]
    assert action["instrument"]["identifier"] == commit


def test_describing_it_again_changes_nothing_but_the_date(run: Path) -> None:
    def entities() -> list[dict[str, object]]:
        graph = json.loads(write_crate(run).read_text())["@graph"]
        return [{k: v for k, v in each.items() if k != "datePublished"} for each in graph]

    assert entities() == entities()


def test_an_unfinished_run_is_refused(run: Path) -> None:
    (run / "provenance.json").unlink()
    with pytest.raises(ConfigError, match="is no finished run: no provenance.json"):
        write_crate(run)


def test_a_table_that_was_changed_is_refused(run: Path) -> None:
    table = run / "tables" / "metrics.csv"
    save_text(table, table.read_text())
    write_crate(run)
    table.write_text(table.read_text().replace("0", "1", 1))
    with pytest.raises(DamagedError, match="metrics.csv is damaged"):
        write_crate(run)

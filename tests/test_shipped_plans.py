"""Every configuration that is shipped can be planned."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, RUNS
from runs import run


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_shipped_configuration_plans(path: Path, tmp_path: Path) -> None:
    output = run(ROOT, "-n", "--configfile", str(path), "--directory", str(tmp_path))
    assert "train_flow" in output

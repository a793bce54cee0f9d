"""Files that are whole or absent, and provenance."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from vqflow.files import atomic_path, load_weights, save_json, save_weights
from vqflow.provenance import provenance
from vqflow.seeding import derive_seed


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_weights_hold_no_code(tmp_path: Path) -> None:
    save_weights(tmp_path / "good.pt", {"weight": torch.ones(2), "name": "x", "list": [1, None]})
    assert torch.equal(load_weights(tmp_path / "good.pt")["weight"], torch.ones(2))
    torch.save({"path": Path("x")}, tmp_path / "bad.pt")
    with pytest.raises(pickle.UnpicklingError):
        load_weights(tmp_path / "bad.pt")


def test_provenance_is_plain_json(tmp_path: Path) -> None:
    save_json(tmp_path / "p.json", provenance(seed=3))
    facts = json.loads((tmp_path / "p.json").read_text())
    assert facts["seed"] == 3
    assert facts["packages"]["zuko"]
    assert {"commit", "dirty"} == set(facts["git"])
    assert facts["hardware"]["cores"] >= 1


def test_seeds_depend_on_every_name() -> None:
    assert derive_seed("a", 1) == derive_seed("a", 1)
    seeds = [derive_seed("a", 1), derive_seed("a", 2), derive_seed("b", 1), derive_seed("a1")]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)

"""Crafted files of models run nothing: only classes of this library or of the reader are built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CATALOGUE
from small import train

import vqflow
from vqflow.config.components import ConfigError, classes_in
from vqflow.datasets.base import Data
from vqflow.embeddings import Conformal
from vqflow.files import load_weights, save_weights
from vqflow.models.store import load_atlas, load_model
from vqflow.models.trust import UntrustedError, check_classes

EVIL = """
from pathlib import Path
from zuko.flows import MAF

Path({marker!r}).touch()

class Evil(MAF):
    pass
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(folder, "kmeans-realnvp")
    return folder


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that exists once the module ``evil_things`` was imported."""
    file = tmp_path / "was-here"
    (tmp_path / "evil_things.py").write_text(EVIL.format(marker=str(file)))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "evil_things", raising=False)
    return file


def crafted(source: Path, target: Path, *place: str, **entry: Any) -> Path:
    """Writes a file again, with another entry at a place of what it says it was built from."""
    content = load_weights(source)
    config = json.loads(content["config"])
    part = config
    for name in place:
        part = part[int(name) if isinstance(part, list) else name]
    part.update(entry)
    save_weights(target, {**content, "config": json.dumps(config)})
    return target


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        (("flow",), {"class": "evil_things.Evil"}),
        (("atlas",), {"class": "evil_things.Evil"}),
        (("embedding",), {"class": "evil_things.Evil"}),
        (("dataset", "preprocess", "0"), {"class": "evil_things.Evil"}),
        (("flow",), {"univariate": {"class": "evil_things.Evil"}}),
        (("flow",), {"order": [{"deep": {"class": "evil_things.Evil"}}]}),
        (("atlas",), {"quantiser": {"class": "evil_things.Evil"}}),
        (("flow",), {"class": "torch.hub.load", "repo_or_dir": ".", "model": "evil"}),
        (("flow",), {"class": "vqflow.config.components.build", "place": "", "component": {}}),
        (("flow",), {"class": "vqflow.memo.Memo"}),
        (("flow",), {"class": "zuko.lazy.no_such_thing"}),
    ],
)
def test_a_crafted_file_runs_nothing(
    trained: Path, marker: Path, tmp_path: Path, place: tuple[str, ...], entry: dict[str, Any]
) -> None:
    model = crafted(trained / "model.pt", tmp_path / "model.pt", *place, **entry)
    (name,) = classes_in(entry)
    for load in (vqflow.load, load_model):
        with pytest.raises(UntrustedError, match=rf"model\.pt names the class '{name}'.*allow"):
            load(model)
    if place == ("atlas",):
        spec = Data.load(trained / "data.npz").spec
        with pytest.raises(UntrustedError, match=f"atlas.pt names the class '{name}'"):
            load_atlas(crafted(trained / "atlas.pt", tmp_path / "atlas.pt", **entry), spec)
    assert not marker.exists()
    assert "evil_things" not in sys.modules


def test_what_the_reader_names_is_built(trained: Path, marker: Path, tmp_path: Path) -> None:
    config = {"class": "evil_things.Evil"}
    check_classes(tmp_path, config, ["evil_things.Evil"])
    assert not marker.exists(), "a check imports nothing of another's"
    content = load_weights(trained / "model.pt")
    model = crafted(trained / "model.pt", tmp_path / "model.pt", "flow", **config)
    with pytest.raises(RuntimeError, match="state_dict"):  # of another flow: it was built
        vqflow.load(model, allow=["evil_things.Evil"])
    assert marker.exists()
    assert content["config"] != load_weights(model)["config"]


def test_a_class_of_another_kind_is_not_called(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(Conformal, "__init__", lambda self, *given, **named: called.append(given))
    name = f"{Conformal.__module__}.Conformal"
    for place in (("flow",), ("atlas",), ("dataset", "preprocess", "0")):
        model = crafted(trained / "model.pt", tmp_path / "model.pt", *place, **{"class": name})
        with pytest.raises(ConfigError, match="Conformal' is not a "):
            load_model(model)
    assert not called


@pytest.mark.parametrize("section", ["atlases", "flows", "embeddings", "bases", "models"])
def test_all_of_the_catalogue_is_trusted(section: str, tmp_path: Path) -> None:
    assert list(classes_in(CATALOGUE[section]))
    check_classes(tmp_path, CATALOGUE[section], ())


def test_data_and_training_are_not_built_and_need_no_trust(trained: Path, tmp_path: Path) -> None:
    model = trained / "model.pt"
    for place in ("dataset", "objective"):
        model = crafted(model, tmp_path / "model.pt", place, **{"class": "my_things.Moons"})
    assert vqflow.load(model).features == 3

"""The vector-quantised auto-encoder and its atlas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, images, ring
from printed import entries
from small import setting, train
from torch import Tensor

from vqflow.atlases.base import as_data_space
from vqflow.atlases.networks import decoder_network, encoder_network
from vqflow.atlases.vqae import VQAtlas, _AutoEncoding
from vqflow.config.components import ConfigError
from vqflow.config.entries import AtlasEntry
from vqflow.config.values import dump
from vqflow.datasets.base import Data, DataSpec
from vqflow.models.store import load_atlas, load_model, save_atlas
from vqflow.stages.preflight import check
from vqflow.training.loop import Checkpoint

TRAINING = {"epochs": 8, "batch_size": 64, "learning_rate": 5e-3}


def vq_atlas(data: Data, **changes: object) -> VQAtlas:
    hidden = (4, 8) if data.spec.kind == "image" else (16, 16)
    arguments = {"charts": 8, "code_dim": 2, "training": TRAINING, "hidden": hidden, **changes}
    return VQAtlas(data.spec, **arguments)


LIBRARY = "vector_quantize_pytorch."
VQ = {"class": LIBRARY + "VectorQuantize", "kmeans_init": True, "threshold_ema_dead_code": 1}
QUANTISERS: dict[str, dict[str, Any]] = {
    "default": {},
    "cosine": {"quantiser": {**VQ, "use_cosine_sim": True}},
    "fsq": {"charts": None, "quantiser": {"class": LIBRARY + "FSQ", "levels": [4, 3]}},
    "symmetric fsq": {
        "charts": None,
        "quantiser": {"class": LIBRARY + "FSQ", "levels": [4, 3], "preserve_symmetry": True},
    },
    "sim": {"quantiser": {"class": LIBRARY + "SimVQ"}},
}


@pytest.fixture(params=["vector", "image"])
def data(request: pytest.FixtureRequest) -> Data:
    return ring(3) if request.param == "vector" else images()


def test_fitting_lowers_the_error_and_logs_the_codebook(data: Data) -> None:
    atlas = vq_atlas(data)
    history = atlas.fit(data, seed=0)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert min(row["validation_loss"] for row in history[1:]) < history[0]["validation_loss"]
    for row in history:
        assert 0 < row["usage"] <= 1
        assert 1 <= row["perplexity"] <= 8
    assert 1 <= atlas.charts <= 8
    assert atlas.code_dim == 2
    assert atlas.covering(as_data_space(data, "train")).any(0).all()


def test_fitting_is_bit_equal_and_depends_on_the_seed(data: Data) -> None:
    states: list[dict[str, Tensor]] = []
    for seed in (0, 0, 1):
        atlas = vq_atlas(data)
        atlas.fit(data, seed=seed)
        states.append(atlas.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(
        states[0]["encoder.0.weight" if data.spec.kind == "vector" else "encoder.1.weight"],
        states[2]["encoder.0.weight" if data.spec.kind == "vector" else "encoder.1.weight"],
    )


@pytest.mark.parametrize("quantiser", QUANTISERS)
def test_a_resumed_fit_is_bit_equal(data: Data, tmp_path: Path, quantiser: str) -> None:
    """Also where training was over already, and only the charts are placed again."""
    arguments = QUANTISERS[quantiser]
    whole = vq_atlas(data, training={**TRAINING, "epochs": 6}, **arguments)
    whole.fit(data, seed=0)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same")
    vq_atlas(data, training={**TRAINING, "epochs": 3}, **arguments).fit(data, 0, checkpoint)
    for _ in range(2):
        resumed = vq_atlas(data, training={**TRAINING, "epochs": 6}, **arguments)
        resumed.fit(data, 0, checkpoint)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_fitted_atlas_is_frozen(data: Data) -> None:
    atlas = vq_atlas(data)
    atlas.fit(data, seed=0)
    before = {key: value.clone() for key, value in atlas.state_dict().items()}
    atlas.covering(as_data_space(data, "test"))
    atlas.pairs(as_data_space(data, "test"))
    for key, value in atlas.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(parameter.requires_grad for parameter in atlas.parameters())


@pytest.mark.parametrize("quantiser", QUANTISERS)
@torch.no_grad()
def test_the_codebook_in_use_is_frozen_by_eval(quantiser: str) -> None:
    data = ring(3)
    atlas = vq_atlas(data, **QUANTISERS[quantiser])
    atlas.fit_scale(as_data_space(data, "train"))
    inputs = atlas.normalise(as_data_space(data, "train"))
    task = _AutoEncoding(atlas, inputs, inputs, seed=0)
    task.module.eval()
    before = {key: value.clone() for key, value in task.module.state_dict().items()}
    task.validate()
    for key, value in task.module.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("quantiser", QUANTISERS)
def test_regions_are_those_of_the_quantiser_and_cover_every_point(
    data: Data, quantiser: str, tmp_path: Path
) -> None:
    """A point lies nearest to the centre that the quantiser chooses for it."""
    atlas = vq_atlas(data, min_charts=1, epsilon=0.1, **QUANTISERS[quantiser])
    entry = {
        "name": "mine",
        "class": "vqflow.atlases.VQAtlas",
        **{"code_dim": 2, "training": TRAINING, "min_charts": 1, "epsilon": 0.1},
        **{"charts": 8, "hidden": [4, 8] if data.spec.kind == "image" else [16, 16]},
        **QUANTISERS[quantiser],
    }
    atlas.entry = AtlasEntry.model_validate(entry)
    atlas.fit(data, seed=0)
    x = as_data_space(data, "train")
    covering = atlas.covering(x)
    assert covering.any(1).all() and covering.any(0).all()
    assert covering.gather(1, atlas.nearest(x)[:, None]).all()
    built = atlas.build_quantiser().eval()
    size = {"fsq": 12, "symmetric fsq": 12}.get(quantiser, 8)
    assert built.centres.shape == (size, 2) and atlas.charts <= size
    built.check(torch.randn(500, 2))
    assert not any(value.requires_grad for value in (atlas.codes, atlas.encode(x)))
    if quantiser == "cosine":
        torch.testing.assert_close(atlas.codes.norm(dim=1), torch.ones(atlas.charts))
        torch.testing.assert_close(atlas.encode(x).norm(dim=1), torch.ones(len(x)))
    if "fsq" in quantiser:  # centres are known, so training cannot move them
        distances = torch.cdist(atlas.codes, built.centres)
        assert distances.min(1).values.max() < 1e-6
        assert atlas.encode(x).abs().max() <= 1.01
    save_atlas(tmp_path / "atlas.pt", atlas)
    loaded = load_atlas(tmp_path / "atlas.pt", data.spec)
    assert torch.equal(loaded.distances(x), atlas.distances(x))


def test_a_fitted_atlas_is_read_without_the_library(tmp_path: Path) -> None:
    """Which takes seconds to import; what the regions need is known from the entry."""
    program = (
        "import sys\n"
        "from vqflow.atlases import VQAtlas\n"
        "from vqflow.datasets.base import DataSpec\n"
        "entry = {'class': 'vector_quantize_pytorch.FSQ', 'levels': [3, 3]}\n"
        f"training = {TRAINING}\n"
        "spec = DataSpec('x', 'vector', (3,))\n"
        "VQAtlas(spec, code_dim=2, training=training, quantiser=entry)\n"
        "sys.exit('vector_quantize_pytorch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantiser": {"decay": 0.9}}, "atlases.vq32: .* needs a class, the import path"),
        ({"quantiser": {**VQ, "decoy": 1}}, "atlases.vq32.quantiser.decoy: .* did you mean"),
        ({"quantiser": {**VQ, "heads": 2}}, "atlases.vq32.quantiser: .* no single codebook of 8"),
        (
            {"quantiser": {"class": LIBRARY + "ResidualVQ", "num_quantizers": 2}},
            "atlases.vq32.quantiser: .*ResidualVQ has no single codebook",
        ),
        ({"quantiser": {"class": LIBRARY + "VQ"}}, "atlases.vq32.quantiser.class: no 'VQ'"),
        (
            {"quantiser": {"class": LIBRARY + "FSQ", "levels": [4, 3]}},
            "atlases.vq32: .*charts is 8, but quantiser.levels make 12: leave charts out",
        ),
        (
            {"charts": None, "quantiser": {"class": LIBRARY + "FSQ", "levels": [4, 3, 3]}},
            "atlases.vq32: .*code_dim is 2, but quantiser.levels has 3 numbers",
        ),
        (
            {
                "charts": None,
                "quantiser": {
                    "class": LIBRARY + "FSQ",
                    "levels": [5, 5],
                    "bound_hard_clamp": True,
                },
            },
            "atlases.vq32.quantiser: FSQ chooses the nearest of its centres for .*% of the points",
        ),
        ({"charts": None}, "atlases.vq32: .*charts is missing"),
    ],
)
def test_wrong_quantisers_are_named_before_any_work(changes: Any, message: str) -> None:
    chosen = dump(setting("vq-maf", atlases={"vq32": {"charts": 8, **changes}}))
    with pytest.raises(ConfigError, match=f"^{message}"):
        check({"settings": [chosen], "metrics": {}, "figures": {}})


def test_the_printed_quantisers_train(tmp_path: Path) -> None:
    changes = entries(atlases=["vq32-cosine", "fsq"])
    for entry in changes["atlases"].values():
        entry["training"]["epochs"] = 2
    for name in changes["atlases"]:
        variant = {"flow": "maf", "atlas": name, "training": "toy"}
        outputs = train(tmp_path / name, "mine", **changes, variants={"mine": variant})
        chosen = dump(setting("mine", **changes, variants={"mine": variant}))
        selection = {"settings": [chosen], "metrics": {}, "figures": {}}
        assert "variants.mine on helix" in check(selection)
        model = load_model(outputs["model"])
        assert '"ok"' in outputs["status"].read_text() and 1 < model.atlas.charts <= 40


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 7, 9)])
def test_networks_fit_every_image_size(shape: tuple[int, ...]) -> None:
    spec = DataSpec("x", "image", shape, 256)
    code = encoder_network(spec, 5, (4, 8))(torch.rand(2, spec.features))
    assert code.shape == (2, 5)
    assert decoder_network(spec, 5, (4, 8))(code).shape == (2, spec.features)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"charts": 1, "min_charts": 2}, "charts is 1.*min_charts = 2"),
        ({"code_dim": 0}, "code_dim is 0"),
        ({"training": {**TRAINING, "epochs": 0}}, "epochs"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vq_atlas(ring(3), **changes)


def test_more_charts_than_points_are_refused() -> None:
    data = ring(3, n=5)
    with pytest.raises(RuntimeError, match="5 training points for 8 charts"):
        vq_atlas(data).fit(data, seed=0)


def test_constant_coordinates_are_no_trouble() -> None:
    data = ring(3)
    points = {split: np.array(value) for split, value in data.points.items()}
    for value in points.values():
        value[:, 2] = 1.0
    flat = Data(data.spec, points)
    atlas = vq_atlas(flat)
    atlas.fit(flat, seed=0)
    assert torch.isfinite(atlas.distances(as_data_space(flat, "test"))).all()

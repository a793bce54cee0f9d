"""The vector-quantised auto-encoder and its atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import images, ring
from torch import Tensor

from vqflow.atlases.base import as_data_space
from vqflow.atlases.networks import decoder_network, encoder_network
from vqflow.atlases.vqae import VQAtlas, _AutoEncoding
from vqflow.datasets.base import Data, DataSpec
from vqflow.training.loop import Checkpoint

TRAINING = {"epochs": 8, "batch_size": 64, "learning_rate": 5e-3}


def vq_atlas(data: Data, **changes: object) -> VQAtlas:
    hidden = (4, 8) if data.spec.kind == "image" else (16, 16)
    arguments = {"charts": 8, "code_dim": 2, "training": TRAINING, "hidden": hidden, **changes}
    return VQAtlas(data.spec, **arguments)


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


def test_a_resumed_fit_is_bit_equal(data: Data, tmp_path: Path) -> None:
    whole = vq_atlas(data, training={**TRAINING, "epochs": 6})
    whole.fit(data, seed=0)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same")
    vq_atlas(data, training={**TRAINING, "epochs": 3}).fit(data, 0, checkpoint)
    resumed = vq_atlas(data, training={**TRAINING, "epochs": 6})
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


@torch.no_grad()
def test_the_codebook_in_use_is_frozen_by_eval() -> None:
    data = ring(3)
    atlas = vq_atlas(data)
    atlas.fit_scale(as_data_space(data, "train"))
    inputs = atlas.normalise(as_data_space(data, "train"))
    task = _AutoEncoding(atlas, inputs, inputs, seed=0)
    task.module.eval()
    before = {key: value.clone() for key, value in task.module.state_dict().items()}
    task.validate()
    for key, value in task.module.state_dict().items():
        assert torch.equal(value, before[key]), key


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

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqflow.datasets.base import SPLITS, Data, DataSpec

VECTORS = DataSpec("vectors", "vector", (3,))
IMAGES = DataSpec("images", "image", (1, 2, 2), levels=17)


def vectors(**changes: Any) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {split: generator.standard_normal((5, 3)) for split in SPLITS} | changes


def pixels(**changes: Any) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {split: generator.integers(0, 17, (5, 4)).astype(np.uint8) for split in SPLITS} | changes


def test_features_is_the_product_of_the_shape() -> None:
    assert VECTORS.features == 3 and IMAGES.features == 4


def extras(dtype: type) -> dict[str, np.ndarray]:
    return {split: np.arange(5).astype(dtype) for split in SPLITS}


@pytest.mark.parametrize(
    "data",
    [
        Data(VECTORS, vectors()),
        Data(VECTORS, vectors(), log_density=extras(np.float64)),
        Data(IMAGES, pixels(), labels=extras(np.int64)),
    ],
    ids=["plain", "with density", "with labels"],
)
def test_saving_and_loading_changes_nothing(data: Data, tmp_path: Path) -> None:
    data.save(tmp_path / "data.npz")
    loaded = Data.load(tmp_path / "data.npz")
    assert loaded.spec == data.spec
    for group in ("points", "labels", "log_density"):
        expected, actual = getattr(data, group), getattr(loaded, group)
        assert actual.keys() == expected.keys()
        for split, array in expected.items():
            assert actual[split].dtype == array.dtype
            np.testing.assert_array_equal(actual[split], array)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.empty((0, 3)), "no points"),
        (np.zeros((5, 2)), r"got float64 of shape \(5, 2\), expected float64 of shape \(N, 3\)"),
        (np.zeros((5, 3), dtype=np.float32), "got float32"),
        (np.zeros(3), r"of shape \(3,\)"),
        (np.array([[0.0, np.nan, 1.0], [1.0, 2.0, 3.0]]), "1 of 2 points are not finite"),
    ],
)
def test_bad_vectors_are_refused(bad: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"data set 'vectors', split 'test': .*{message}"):
        Data(VECTORS, vectors(test=bad))


def test_bad_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="got float64 of shape"):
        Data(IMAGES, pixels(train=np.zeros((5, 4))))
    with pytest.raises(ValueError, match="pixel value 17 with 17 levels"):
        Data(IMAGES, pixels(validation=np.full((5, 4), 17, dtype=np.uint8)))


def test_a_missing_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split 'validation': no points"):
        Data(VECTORS, {"train": np.zeros((2, 3)), "test": np.zeros((2, 3))})


@pytest.mark.parametrize("group", ["labels", "log_density"])
def test_extras_of_another_length_are_refused(group: str) -> None:
    extra = extras(np.float64) | {"train": np.zeros(4)}
    with pytest.raises(ValueError, match=rf"split 'train': {group} of shape \(4,\)"):
        Data(VECTORS, vectors(), **{group: extra})

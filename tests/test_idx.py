"""MNIST's files, as they are or in the archives that they come in."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest

from vqflow.datasets.base import SPLITS
from vqflow.datasets.idx import read_files
from vqflow.datasets.images import MNIST, RAW_FILES

DATA_ROOT = os.environ.get("VQFLOW_DATA")
SHAPES = {"images": (20, 4, 4), "labels": (20,)}
FILES = {
    file: bytes([0, 0, 8, len(shape)])
    + np.array(shape, dtype=">i4").tobytes()
    + np.random.default_rng(0).integers(0, 10, shape, dtype=np.uint8).tobytes()
    for file, shape in SHAPES.items()
}
SUMS = {file: hashlib.md5(content).hexdigest() for file, content in FILES.items()}
IMAGES = FILES["images"]
PACKED = gzip.compress(IMAGES)
WRONG = {
    "cut": (PACKED[:-20], "images.gz Compressed file ended before"),
    "flipped": (PACKED[:40] + bytes([PACKED[40] ^ 8]) + PACKED[41:], "images.gz "),
    "no archive": (IMAGES, "images.gz Not a gzipped file"),
    "another": (gzip.compress(IMAGES[:-1] + b"x"), "images.gz is damaged .MD5 sum .*expected"),
    "short": (gzip.compress(IMAGES[:-1]), "images.gz has 335 bytes, expected 336"),
    "long": (gzip.compress(IMAGES + bytes(10**6)), "images.gz has more than 336 bytes"),
    "header": (gzip.compress(b"x" + IMAGES[1:]), "images.gz is no IDX file of shape .20, 4, 4."),
}


@pytest.mark.parametrize("fault", WRONG)
def test_damaged_archives_are_named(fault: str, tmp_path: Path) -> None:
    content, message = WRONG[fault]
    (tmp_path / "labels").write_bytes(FILES["labels"])
    (tmp_path / "images.gz").write_bytes(content)
    arrays, [said] = read_files(tmp_path, SHAPES, SUMS)
    assert list(arrays) == ["labels"] and re.match(message, said)
    (tmp_path / "images").write_bytes(IMAGES)
    arrays, faults = read_files(tmp_path, SHAPES, SUMS)
    assert not faults and arrays["images"].tobytes() == IMAGES[16:]


def test_a_damaged_file_gives_way_to_its_archive(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(FILES["labels"])
    (tmp_path / "images").write_bytes(IMAGES[:-1])
    assert read_files(tmp_path, SHAPES, SUMS)[1] == ["images has 335 bytes, expected 336"]
    (tmp_path / "images.gz").write_bytes(PACKED)
    arrays, faults = read_files(tmp_path, SHAPES, SUMS)
    assert not faults and arrays["images"].tobytes() == IMAGES[16:]


@pytest.mark.skipif(DATA_ROOT is None, reason="VQFLOW_DATA does not name a folder with MNIST/raw")
def test_real_mnist_is_the_same_from_its_archives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(str(DATA_ROOT)) / "MNIST" / "raw"
    packed = {
        f"{file}.gz": gzip.compress((source / file).read_bytes(), compresslevel=0)
        for file in RAW_FILES
    }
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for file, content in packed.items():
        (folder / file).write_bytes(content)
    monkeypatch.delattr(MNIST, "_fetch")
    caps: dict[str, int] = {"n_train": 500, "n_validation": 100, "n_test": 100}
    packed_data, data = (MNIST(**caps).load("m", root) for root in (tmp_path, Path(str(DATA_ROOT))))
    for split in SPLITS:
        np.testing.assert_array_equal(packed_data.points[split], data.points[split])
        np.testing.assert_array_equal(packed_data.labels[split], data.labels[split])

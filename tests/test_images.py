from __future__ import annotations

import gzip
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torchvision

from vqflow.datasets import images
from vqflow.datasets.base import SPLITS, Data
from vqflow.datasets.images import MNIST, Digits, FashionMNIST

DATA_ROOT = os.environ.get("VQFLOW_DATA")
MNIST_LIKE = pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
SMALL = {
    "train-images-idx3-ubyte": (60, 28, 28),
    "train-labels-idx1-ubyte": (60,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}


def same(first: Data, second: Data) -> bool:
    return all(
        np.array_equal(first.points[split], second.points[split])
        and np.array_equal(first.labels[split], second.labels[split])
        for split in SPLITS
    )


def disjoint(data: Data) -> bool:
    rows = [set(map(bytes, data.points[split])) for split in SPLITS]
    return not (rows[0] & rows[1] or rows[0] & rows[2] or rows[1] & rows[2])


def test_digits_are_split_disjointly_and_in_equal_shares() -> None:
    data = Digits().load("digits", Path("absent"))
    assert (data.spec.shape, data.spec.levels, data.spec.kind) == ((1, 8, 8), 17, "image")
    assert {split: len(data.points[split]) for split in SPLITS} == {
        "train": 1297,
        "validation": 250,
        "test": 250,
    }
    assert disjoint(data)
    assert len(np.unique(np.concatenate([data.points[split] for split in SPLITS]), axis=0)) == 1797
    for split in SPLITS:
        share = np.bincount(data.labels[split], minlength=10) / len(data.labels[split])
        np.testing.assert_allclose(share, 0.1, atol=0.008)
    assert max(data.points[split].max() for split in SPLITS) == 16


def test_digits_keep_their_own_labels() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = digits.data.astype(np.uint8)
    label = {bytes(row): y for row, y in zip(pixels, digits.target, strict=True)}
    data = Digits(n_train=30, seed=3).load("digits", Path("absent"))
    for split in SPLITS:
        assert [label[bytes(row)] for row in data.points[split]] == data.labels[split].tolist()


def test_digits_depend_on_the_seed_alone() -> None:
    data = Digits().load("a", Path("absent"))
    assert same(data, Digits(seed=0).load("b", Path("elsewhere")))
    assert not same(data, Digits(seed=1).load("a", Path("absent")))
    capped = Digits(n_train=100).load("a", Path("absent"))
    assert len(capped.points["train"]) == 100
    np.testing.assert_array_equal(capped.points["test"], data.points["test"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_test": 0}, "Digits: n_test is 0, allowed"),
        ({"n_validation": 1796}, "Digits: n_validation is 1796, allowed"),
        ({"n_train": 1500}, "is at least 2000, allowed: at most 1797"),
    ],
)
def test_digits_refuse_bad_sizes(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Digits(**arguments)


@MNIST_LIKE
def test_mnist_refuses_bad_sizes(cls: type[MNIST]) -> None:
    with pytest.raises(ValueError, match=f"{cls.__name__}: n_train is 50001, allowed: .* 50000"):
        cls(n_train=50_001)
    with pytest.raises(ValueError, match="n_test is 0"):
        cls(n_test=0)


def contents() -> dict[str, bytes]:
    generator = np.random.default_rng(0)
    return {
        file: bytes([0, 0, 8, len(shape)])
        + np.array(shape, dtype=">i4").tobytes()
        + generator.integers(0, 10 if len(shape) == 1 else 256, shape, dtype=np.uint8).tobytes()
        for file, shape in SMALL.items()
    }


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A miniature of MNIST: 50 / 10 / 20 random images."""
    files = contents()
    monkeypatch.setattr(images, "RAW_FILES", SMALL)
    sizes = {"train": 50, "validation": 10, "test": 20}
    monkeypatch.setattr(MNIST, "SPLIT_SIZES", sizes)
    sums = {file: hashlib.md5(content).hexdigest() for file, content in files.items()}
    for cls in (MNIST, FashionMNIST):
        monkeypatch.setattr(cls, "MD5", sums)
    return files


def write(files: dict[str, bytes], root: Path, name: str = "MNIST") -> Path:
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def test_splits_are_those_of_the_files_and_need_no_network(
    small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(small, tmp_path)
    monkeypatch.delattr(MNIST, "_fetch")
    data = MNIST().load("mnist", tmp_path)
    assert {split: data.points[split].shape for split in SPLITS} == {
        "train": (50, 784),
        "validation": (10, 784),
        "test": (20, 784),
    }
    assert disjoint(data)
    reference = torchvision.datasets.MNIST(tmp_path, train=False)
    np.testing.assert_array_equal(data.points["test"], reference.data.reshape(20, -1).numpy())
    train = torchvision.datasets.MNIST(tmp_path, train=True)
    label = {bytes(x.numpy()): int(y) for x, y in zip(train.data, train.targets, strict=True)}
    for split in ("train", "validation"):
        assert [label[bytes(row)] for row in data.points[split]] == data.labels[split].tolist()
    capped = MNIST(n_train=7, n_test=3).load("mnist", tmp_path)
    np.testing.assert_array_equal(capped.points["train"], data.points["train"][:7])
    assert len(capped.points["test"]) == 3
    assert same(data, MNIST().load("again", tmp_path))
    assert not same(data, MNIST(seed=1).load("other", tmp_path))


class Server(ThreadingHTTPServer):
    """Serves the archives whole, cut in half, or not at all."""

    mode = "whole"
    archives: dict[str, bytes]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def respond(self, body: bool) -> None:
        archive = self.server.archives[self.path.rsplit("/", 1)[1]]
        if self.server.mode == "silent":
            time.sleep(2)
            return
        sent = archive if self.server.mode == "whole" else archive[: len(archive) // 2]
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if body:
            self.wfile.write(sent)

    def do_GET(self) -> None:
        self.respond(body=True)

    def do_HEAD(self) -> None:
        self.respond(body=False)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server(small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    http = Server(("127.0.0.1", 0), Handler)
    http.archives = {f"{file}.gz": gzip.compress(content) for file, content in small.items()}
    resources = [
        (name, hashlib.md5(archive).hexdigest()) for name, archive in http.archives.items()
    ]
    for name in ("MNIST", "FashionMNIST"):
        dataset = getattr(torchvision.datasets, name)
        monkeypatch.setattr(dataset, "mirrors", [f"http://127.0.0.1:{http.server_port}/"])
        monkeypatch.setattr(dataset, "resources", resources)
    monkeypatch.setattr(images, "NETWORK_TIMEOUT", 0.3)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


@MNIST_LIKE
def test_absent_files_are_downloaded_once(server: Server, cls: type[MNIST], tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    data = cls().load("a", root)
    assert sorted(path.name for path in root.iterdir()) == [cls.__name__]
    assert sorted(path.name for path in (root / cls.__name__ / "raw").iterdir()) == sorted(SMALL)
    server.mode = "cut"
    assert same(data, cls().load("a", root))
    assert socket.getdefaulttimeout() is None


def test_damaged_files_are_replaced(
    server: Server, small: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write(small, tmp_path)
    expected = MNIST().load("a", tmp_path)
    file = "train-images-idx3-ubyte"
    flipped = small[file][:-1] + bytes([small[file][-1] ^ 1])
    for damaged in (small[file][:1000], b"\x01" + small[file][1:], flipped):
        (folder / file).write_bytes(damaged)
        assert same(expected, MNIST().load("a", tmp_path))


@pytest.mark.parametrize("mode", ["cut", "silent"])
@MNIST_LIKE
def test_a_failed_download_says_what_to_do_and_leaves_no_data(
    server: Server, cls: type[MNIST], mode: str, tmp_path: Path
) -> None:
    server.mode = mode
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as error:
        cls().load("a", tmp_path)
    assert time.monotonic() - start < 5
    message = str(error.value)
    assert "\n" not in message
    for part in (*SMALL, str(tmp_path / cls.__name__ / "raw"), "VQFLOW_DATA", "data_root"):
        assert part in message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("plain", [0, 2])
def test_archives_are_read_as_they_are(
    small: dict[str, bytes], plain: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As they come, in a folder of which some may be unpacked; nothing is fetched or written."""
    expected = MNIST().load("a", write(small, tmp_path / "plain").parents[1])
    monkeypatch.delattr(MNIST, "_fetch")
    files = {
        (name if place < plain else f"{name}.gz"): (content if place < plain else compressed)
        for place, (name, content) in enumerate(small.items())
        for compressed in [gzip.compress(content)]
    }
    folder = write(files, tmp_path / "packed")
    assert same(expected, MNIST().load("a", tmp_path / "packed"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


@pytest.mark.skipif(DATA_ROOT is None, reason="VQFLOW_DATA does not name a folder with MNIST/raw")
def test_real_mnist() -> None:
    data = MNIST().load("mnist", Path(str(DATA_ROOT)))
    sizes = {split: len(data.points[split]) for split in SPLITS}
    assert sizes == {"train": 50_000, "validation": 10_000, "test": 10_000}
    assert data.spec.levels == 256 and data.points["train"].max() == 255
    pixels = np.concatenate([data.points["train"], data.points["validation"]])
    assert pixels.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert data.labels["test"][:5].tolist() == [7, 2, 1, 0, 4]


def test_import_loads_neither_torch_nor_sklearn() -> None:
    code = (
        "import sys, vqflow.datasets.images, vqflow.datasets.arrays;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

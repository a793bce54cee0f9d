"""Bits that flip and files that are cut off: one line that says which file, or nothing changed."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import metric, score, train

import vqflow
from vqflow.datasets.base import Data
from vqflow.files import (
    DamagedError,
    atomic_path,
    checksum_file,
    load_arrays,
    load_json,
    load_text,
    load_weights,
    save_arrays,
    save_text,
    save_weights,
)
from vqflow.stages.snapshots import Snapshots

READERS: dict[str, Callable[[Path], Any]] = {
    "model.pt": load_weights,
    "atlas.pt": load_weights,
    "data.npz": load_arrays,
    "samples.npz": load_arrays,
    "snapshots.npz": load_arrays,
    "confinement.npz": load_arrays,
    "history.csv": load_text,
    "status.json": load_json,
    "provenance.json": load_json,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(folder, "kmeans-realnvp")
    return folder


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and equal(one.numpy(), other.numpy())
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":  # Z_k before it is estimated is NaN
        return bool(np.array_equal(one, other, equal_nan=True))
    return bool(np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other)


def copied(file: Path, folder: Path, content: bytes) -> Path:
    beside = checksum_file(file)
    if beside.exists():
        checksum_file(folder / file.name).write_bytes(beside.read_bytes())
    (folder / file.name).write_bytes(content)
    return folder / file.name


@pytest.mark.parametrize("name", READERS)
def test_a_flipped_bit_is_seen_or_changes_nothing(trained: Path, tmp_path: Path, name: str) -> None:
    """Anywhere in the file: where its contents are, and in what is about them."""
    whole, read = (trained / name).read_bytes(), READERS[name]
    expected, draw, seen = read(trained / name), random.Random(name), 0
    ends = [*range(0, 60), *range(-200, 0)]
    for place in [*draw.choices(range(len(whole)), k=40), *draw.choices(ends, k=20)]:
        content = bytearray(whole)
        content[place % len(whole)] ^= 1 << draw.randrange(8)
        file = copied(trained / name, tmp_path, bytes(content))
        try:
            assert equal(read(file), expected), place
        except DamagedError as error:
            seen += 1
            message = str(error)
            assert message.startswith(f"{file} is damaged (") and "\n" not in message
            assert message.endswith("; delete it and run the same command again")
    assert seen >= 5


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_file_that_was_cut_off_is_seen(
    trained: Path, tmp_path: Path, name: str, share: float
) -> None:
    whole = (trained / name).read_bytes()
    file = copied(trained / name, tmp_path, whole[: int(share * len(whole))])
    with pytest.raises(DamagedError, match=f"{name} is damaged"):
        READERS[name](file)


def test_jobs_and_the_library_name_what_is_damaged(trained: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in trained.glob("*.*") if path.is_file()}
    files |= {path.name: path.read_bytes() for path in trained.glob(".*")}
    names = {"model": "model.pt", "history": "history.csv", "snapshots": "snapshots.npz"}
    names |= {"samples": "samples.npz", "confinement": "confinement.npz", "status": "status.json"}
    for name in (*names.values(), "data.npz"):
        for other, content in files.items():
            (tmp_path / other).write_bytes(content)
        content = bytearray(files[name])
        content[len(content) // 2] ^= 4
        (tmp_path / name).write_bytes(content)
        paths = {key: tmp_path / file for key, file in names.items()}
        with pytest.raises(DamagedError, match=rf"{name} is damaged \("):
            score(tmp_path, "kmeans-realnvp", {0: paths}, metric("charts"))
        if name == "model.pt":
            with pytest.raises(DamagedError, match="model.pt is damaged"):
                vqflow.load(tmp_path)


def test_files_without_a_checksum_are_read(tmp_path: Path) -> None:
    """Those of earlier versions, and copies."""
    (tmp_path / "old.csv").write_text("a,b\n1,2\n")
    assert load_text(tmp_path / "old.csv") == "a,b\n1,2\n"
    torch.save({"x": torch.ones(2)}, tmp_path / "old.pt")
    assert torch.equal(load_weights(tmp_path / "old.pt")["x"], torch.ones(2))
    np.savez(tmp_path / "old.npz", x=np.arange(3))
    assert load_arrays(tmp_path / "old.npz")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("written", "found"), [(0, "old"), (1, "new")])
def test_a_text_is_not_taken_for_damaged_after_a_kill_amid_its_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int, found: str
) -> None:
    file = tmp_path / "table.csv"
    save_text(file, "old")
    calls: list[Path] = []

    def killed(path: Path, text: str) -> None:
        if len(calls) == written:
            raise KeyboardInterrupt
        calls.append(path)
        path.write_text(text)

    monkeypatch.setattr("vqflow.files.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        save_text(file, "new")
    assert load_text(file) == found


@pytest.mark.parametrize("save", [save_arrays, save_weights])
def test_a_full_disk_leaves_the_old_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[..., None]
) -> None:
    file = tmp_path / "file.npz"
    save(file, {"x": np.arange(3) if save is save_arrays else torch.ones(3)})
    before = file.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*file\.npz'") as caught:
        save(file, {"x": np.ones(3) if save is save_arrays else torch.zeros(3)})
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_file_and_folder_reach_the_disk_before_they_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    flush, replace = os.fsync, Path.replace

    def noted(handle: int) -> None:
        order.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        flush(handle)

    def renamed(self: Path, target: Path) -> Path:
        order.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", renamed)
    with atomic_path(tmp_path / "ünï space.txt") as temporary:
        temporary.write_text("x")
    assert order == [temporary.name, "renamed", tmp_path.name]


def test_snapshots_are_all_there_or_named(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, 2)
    for epoch in (2, 4, 6):
        snapshots.save(epoch, {f"epoch_{epoch}": np.full(3, epoch)} if epoch != 4 else {})
    (tmp_path / "epoch_x.npy").write_bytes(b"stray")
    (tmp_path / "epoch_x.npz").write_bytes(b"stray")
    assert list(snapshots.gather(5)) == ["epoch_2"], "that of 4 was not finite, 6 is later"
    assert list(snapshots.gather(7)) == ["epoch_2", "epoch_6"]
    assert snapshots.lacking(7) is None
    assert "epoch_8.npz is missing" in str(snapshots.lacking(8))
    (tmp_path / "epoch_2.npz").write_bytes((tmp_path / "epoch_2.npz").read_bytes()[:-30])
    assert "epoch_2.npz is damaged" in str(snapshots.lacking(7))
    assert Snapshots(tmp_path / "none", None).gather(9) == {}


def test_data_are_checked(trained: Path, tmp_path: Path) -> None:
    file = copied(trained / "data.npz", tmp_path, (trained / "data.npz").read_bytes()[:-1])
    with pytest.raises(DamagedError, match="data.npz"):
        Data.load(file)

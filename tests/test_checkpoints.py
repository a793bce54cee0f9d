"""Checkpoints that are damaged, lacking or written on SIGTERM: the end is bit-equal."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from conftest import make_model, ring
from small import FLOW_FILES, SHORT, setting, train

from vqflow.config.entries import Optimisation
from vqflow.files import load_weights, save_weights
from vqflow.models.density_store import build_density
from vqflow.models.trained import TrainedDensity
from vqflow.objectives import FlowTask, Sampled
from vqflow.stages.flow import train_flow
from vqflow.stages.machine import Machine
from vqflow.training.checkpoint import Checkpoint
from vqflow.training.loop import Outcome, fit

EPOCHS = 6
SETTINGS = Optimisation.model_validate(
    {"epochs": EPOCHS, "batch_size": 64, "learning_rate": 1e-2, "schedule": "one_cycle"}
)
Damage = Callable[[Path], object]


class Interrupted(Exception):
    """In place of a kill."""


def run(
    checkpoint: Checkpoint | None, at_end: Callable[[int], None] = lambda epoch: None
) -> tuple[Outcome, dict[str, torch.Tensor]]:
    model = make_model("realnvp", ring(), dtype=torch.float32)
    outcome = fit(FlowTask(model, ring(), Sampled(), at_end), SETTINGS, 1, 2, checkpoint)
    return outcome, model.state_dict()


@pytest.fixture(scope="module")
def whole() -> tuple[Outcome, dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    return run(None)


def assert_equal(found: Any, expected: Any) -> None:
    assert found[0].history == expected[0].history
    for key, value in expected[1].items():  # Z_k is not a number before it is estimated
        torch.testing.assert_close(found[1][key], value, rtol=0, atol=0, equal_nan=True)


def stop_after(epoch: int) -> Callable[[int], None]:
    def at_end(reached: int) -> None:
        if reached == epoch + 1:
            raise Interrupted

    return at_end


def cut(share: float) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def flip(path: Path) -> None:
    content = path.read_bytes()
    with ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        place = content.index(archive.read(largest)) + largest.file_size // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


DAMAGES: dict[str, Damage] = {
    "truncated": cut(0.7),
    "empty": cut(0),
    "garbage": lambda path: path.write_bytes(b"garbage" * 100),
    "flipped": flip,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_checkpoint_is_kept_and_the_one_before_it_used(
    tmp_path: Path, whole: Any, damage: str, both: bool, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same", 0.0)
    with pytest.raises(Interrupted):
        run(checkpoint, stop_after(4))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["checkpoint.previous.pt", "checkpoint.pt"]
    for file in files if both else files[1:]:
        DAMAGES[damage](file)
    broken = checkpoint.path.read_bytes()
    with caplog.at_level(logging.INFO):
        assert_equal(run(checkpoint), whole)
    (said,) = (
        each.getMessage() for each in caplog.records if "checkpoint.pt is" in each.msg % each.args
    )
    aside = tmp_path / "checkpoint.damaged0.pt"
    assert str(checkpoint.path) in said and f"kept as {aside}" in said
    assert aside.read_bytes() == broken
    resumed = "previous.pt after epoch 3" in caplog.text
    assert resumed == (not both)
    assert load_weights(checkpoint.path)["epoch"] == EPOCHS


@pytest.mark.parametrize("done", range(3))
def test_a_kill_at_any_step_of_the_rotation_leaves_a_state(
    tmp_path: Path, whole: Any, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same", 0.0)
    with pytest.raises(Interrupted):
        run(checkpoint, stop_after(3))
    renames = iter(range(9))
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if next(renames) == done:
            raise Interrupted
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(Interrupted):
            run(checkpoint)
    found = checkpoint.load()
    assert found is not None and found[0] == (3 if done == 0 else 4)
    assert_equal(run(checkpoint), whole)


@pytest.mark.parametrize("lacking", [1, 3, 4])
def test_what_goes_with_a_state_and_is_missing_sends_training_back(
    tmp_path: Path, whole: Any, lacking: int, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same", 0.0)
    with pytest.raises(Interrupted):
        run(checkpoint, stop_after(4))
    seen: list[int] = []
    again = replace(checkpoint, lacking=lambda epoch: "epoch x" if epoch >= lacking else None)
    with caplog.at_level(logging.INFO):
        assert_equal(run(again, seen.append), whole)
    first = 4 if lacking == 4 else 1
    assert seen == list(range(first, EPOCHS + 1))
    assert "epoch x: going on from before epoch 4" in caplog.text


@pytest.mark.parametrize("moment", ["epoch", "batch", "write"])
def test_sigterm_saves_the_last_epoch_and_the_end_is_bit_equal(
    tmp_path: Path,
    whole: Any,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same", 0.0 if moment == "write" else 1e9)
    loss = FlowTask.loss
    batches, writes = iter(range(100)), iter(range(100))

    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def at_end(epoch: int) -> None:
        if moment == "epoch" and epoch == 4:
            terminate()

    def counted(self: FlowTask, *batch: torch.Tensor) -> torch.Tensor:
        if moment == "batch" and next(batches) == 3 * 5 + 2:  # the third batch of epoch 4
            terminate()
        return loss(self, *batch)

    def saved(path: Path, content: Any) -> None:
        if moment == "write" and content["epoch"] == 3 and next(writes) == 0:
            terminate()
        save_weights(path, content)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched, pytest.raises(SystemExit) as stopped:
        patched.setattr(FlowTask, "loss", counted)
        patched.setattr("vqflow.training.checkpoint.save_weights", saved)
        run(checkpoint, at_end)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    line = "stopped by SIGTERM, saved at epoch 3; the same command goes on from there"
    assert line in caplog.text and line in capsys.readouterr().err
    again: list[int] = []
    assert_equal(run(checkpoint, again.append), whole)
    assert again == [4, 5, 6]


def test_sigterm_of_a_training_without_a_checkpoint_is_as_ever() -> None:
    def at_end(epoch: int) -> None:
        assert signal.getsignal(signal.SIGTERM) == before

    before = signal.getsignal(signal.SIGTERM)
    run(None, at_end)


def test_a_density_that_is_trained_saves_on_sigterm(tmp_path: Path) -> None:
    chosen = setting("cif-realnvp").of_model()
    data = ring(3, name="helix")
    fitted = []
    for kill in (False, True, False):
        model = build_density(chosen, data.spec)
        assert isinstance(model.density, TrainedDensity)
        model.density.scratch = tmp_path / "scratch" if fitted else tmp_path / "other"
        if kill:
            losses, calls = model.density.losses, iter(range(99))

            def counted(*given: Any, losses: Any = losses, calls: Any = calls) -> torch.Tensor:
                if next(calls) == 3 + 4 + 1:  # a batch of the second epoch
                    os.kill(os.getpid(), signal.SIGTERM)
                return losses(*given)

            model.density.losses = counted  # type: ignore[method-assign]
            with pytest.raises(SystemExit):
                model.fit(data, 0)
            assert load_weights(tmp_path / "scratch" / "checkpoint.pt")["epoch"] == 1
        else:
            model.fit(data, 0)
            fitted.append(model.density.state())
    for key, value in fitted[0].items():
        np.testing.assert_array_equal(value, fitted[1][key])


@pytest.mark.parametrize("lost", [None, "epoch_2.npz", "epoch_4.npz"])
def test_results_that_are_lost_after_their_job_are_made_again(
    tmp_path: Path, lost: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """As by a Snakemake that does not know of them; from the last epoch if all of it is there."""
    train(tmp_path, "realnvp", training={"toy": SHORT})
    expected = {name: (tmp_path / name).read_bytes() for name in ("model.pt", "snapshots.npz")}
    paths = {key: tmp_path / name for key, name in FLOW_FILES.items()}
    trial = {**paths, "atlas": tmp_path / "atlas.pt", "scratch": tmp_path / "scratch"}
    if lost is not None:
        (file,) = (tmp_path / "scratch").rglob(lost)
        file.write_bytes(file.read_bytes()[:-9])
    for path in paths.values():
        path.unlink()
    with caplog.at_level(logging.INFO):
        caplog.clear()
        train_flow(setting("realnvp").of_model(), tmp_path / "data.npz", {0: trial}, Machine())
    assert {name: (tmp_path / name).read_bytes() for name in expected} == expected
    assert caplog.text.count("train_loss=") == (0 if lost is None else 4)
    assert lost is None or f"{lost} is damaged" in caplog.text

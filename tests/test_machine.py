"""What a job may use: which device is meant by auto, and a GPU for each job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vqflow.stages import machine
from vqflow.stages.machine import uses_gpu, visible_gpus


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("visible", "count"), [(None, 2), ("0", 1), ("1,0", 2), ("", 0), ("-1", 0), ("0,1,2,3", 2)]
)
@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_counted_as_far_as_they_are_visible(
    visible: str | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == count
    assert uses_gpu("auto") == (count > 0)
    assert uses_gpu("cuda") and not uses_gpu("cpu")


def test_without_a_gpu_auto_is_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    assert not uses_gpu("auto")


def test_each_job_holds_a_gpu_of_its_own_while_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = (
        "import sys; from vqflow.stages.machine import _free_gpu\n"
        "print(_free_gpu(2), flush=True); sys.stdin.read()"
    )

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def number(job: subprocess.Popen[str]) -> int:
        assert job.stdout is not None
        return int(job.stdout.readline())

    first, second = start(), None
    try:
        assert number(first) == 0
        second = start()
        assert number(second) == 1
        first.communicate("")
        third = start()
        assert number(third) == 0
        fourth = start()
        assert number(fourth) in (0, 1)  # all are held: shared
        fourth.communicate("")
        third.communicate("")
    finally:
        for job in (first, second):
            if job is not None:
                job.kill()
                job.wait()

"""What a job may use of its machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vqflow.config.components import ConfigError
from vqflow.config.entries import Device, WantedDevice

_DEVICES = Path("/dev")
_HELD: list[IO[str]] = []


def visible_gpus() -> int:
    """Counts the GPUs that this process may use, without torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = len(list(_DEVICES.glob("nvidia[0-9]*")))
    if chosen is None:
        return there
    return min(there, sum(name.strip() not in ("", "-1") for name in chosen.split(",")))


def uses_gpu(device: WantedDevice) -> bool:
    """Says whether what is trained on a device asks for a GPU here."""
    return device == "cuda" or (device == "auto" and visible_gpus() > 0)


@dataclass(frozen=True)
class Machine:
    """What a job may use; no part of what its result depends on.

    Attributes:
        threads: CPU threads.
        device: Where networks run.
    """

    threads: int = 1
    device: Device = "cpu"

    def use(self) -> None:
        """Sets torch's threads and checks the device.

        Raises:
            ConfigError: If a GPU is asked for where there is none.
        """
        import torch  # data are made without it

        torch.set_num_threads(self.threads)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                "training device is 'cuda' but torch sees no GPU here; set device: cpu, "
                "or run the job where a GPU is"
            )
        if self.device == "cuda":
            torch.cuda.set_device(_free_gpu(torch.cuda.device_count()))
            torch.backends.cudnn.allow_tf32 = False  # float32 means float32, as on the CPU


def _free_gpu(count: int) -> int:
    """Gives the number of a GPU that no other job holds, and holds it while this process lives.

    Where all are held, jobs share them.
    """
    folder = Path(tempfile.gettempdir()) / f"vqflow-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all").replace("/", "-")
    for number in range(count):
        file = (folder / f"{visible}-{number}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _HELD.append(file)
        return number
    return os.getpid() % count

"""What a job may use of its machine."""

from __future__ import annotations

from dataclasses import dataclass

from vqflow.config.components import ConfigError
from vqflow.config.entries import Device


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

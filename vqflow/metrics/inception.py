"""Features of the Inception network, as of pytorch-fid."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from pytorch_fid import inception
from torch import Tensor

from vqflow.datasets.base import Data, DataSpec
from vqflow.files import atomic_path, digest
from vqflow.metrics.base import Reference
from vqflow.metrics.features import Extractor, Features

_STALL_SECONDS = 20.0
_DOWNLOAD_SECONDS = 600.0
_BLOCK = 1 << 20


class InceptionFeatures(Features):
    """The 2048 features of pytorch-fid's InceptionV3 (Heusel et al. 2017).

    Grey images are repeated to 3 channels; the network itself resizes to 299x299.
    It runs where the flow was trained: on a GPU with ``device: cuda``.
    """

    label = "Inception"
    weights_url = (
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth"
    )

    def __init__(self, weights: str | None = None) -> None:
        """Reads no file.

        Args:
            weights: File of the network's weights, as published by pytorch-fid; ``None``
                looks in torch hub's cache and then downloads it there.
        """
        self.weights = weights

    def check(self, spec: DataSpec) -> None:
        """Checks the number of channels."""
        if spec.shape[0] not in (1, 3):
            raise ValueError(f"got {spec.shape[0]} channels, allowed: 1 or 3")

    def prepare(self, data: Data) -> Reference:
        """Finds the weights. Where they are not, the workflow's plan leaves the metric out.

        Raises:
            ValueError: If the images have neither 1 nor 3 channels.
            FileNotFoundError: If the weights cannot be had.
        """
        self.check(data.spec)
        return {"weights_sha256": np.array(digest(find_weights(self.weights)))}

    def network(self, spec: DataSpec, prepared: Reference, device: str) -> Extractor:
        """Builds the network from its weights file.

        Raises:
            RuntimeError: If the file is not the one that the reference was computed with.
        """
        path = find_weights(self.weights)
        expected = str(prepared["weights_sha256"])
        if digest(path) != expected:
            raise RuntimeError(
                f"data set '{spec.name}', Inception features: the weights of the reference "
                f"statistics (sha256 {expected[:8]}) are gone; found {path}"
            )
        network = load_network(path).to(device)

        def features(images: Tensor) -> Tensor:
            coloured = images.to(device).expand(-1, 3, -1, -1)
            found: Tensor = network(coloured)[0]
            return found.flatten(1)

        return features


def load_network(path: Path) -> inception.InceptionV3:
    """Builds pytorch-fid's network in evaluation mode, with the weights of a local file.

    pytorch-fid takes no path, so its download function is replaced while it builds.
    """
    weights: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    with (
        torch.random.fork_rng(devices=[]),
        mock.patch.object(inception, "load_state_dict_from_url", lambda *_, **__: weights),
    ):
        return inception.InceptionV3().eval()


def find_weights(given: str | None) -> Path:
    """Gives the weights file: the given one, or that of torch hub's cache, downloaded if absent.

    Raises:
        FileNotFoundError: If it cannot be had; the message says what to do.
    """
    name = inception.FID_WEIGHTS_URL.rpartition("/")[2]
    path = Path(given) if given else Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    reason = "no such file"
    if given is None:
        try:
            _download(inception.FID_WEIGHTS_URL, path)
            return path
        except (OSError, ValueError) as error:
            reason = f"download of {inception.FID_WEIGHTS_URL} failed: {error}"
    raise FileNotFoundError(f"no weights at {path} ({reason}); put the file {name} there")


def _download(url: str, path: Path) -> None:
    """Downloads a file, giving up after a stall of 20 s or 10 minutes in all.

    As for torch hub, the file's name ends in the first digits of its SHA-256.
    """
    deadline = time.monotonic() + _DOWNLOAD_SECONDS
    with (
        urllib.request.urlopen(url, timeout=_STALL_SECONDS) as response,
        atomic_path(path) as temporary,
    ):
        with temporary.open("wb") as file:
            while block := response.read1(_BLOCK):
                file.write(block)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not complete after {_DOWNLOAD_SECONDS:.0f} s")
        if not digest(temporary).startswith(path.stem.rpartition("-")[2]):
            raise ValueError("the file is damaged: its SHA-256 is not the expected one")


if __name__ == "__main__":
    try:
        print(f"the weights are at {find_weights(None)}")
    except FileNotFoundError as error:
        sys.exit(str(error))

"""Features of images: what a network gives, for distances between samples and data."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from vqflow.datasets.base import Array, Data, DataSpec
from vqflow.metrics.base import Reference

Extractor = Callable[[Tensor], Tensor]

_BATCH = 50


class Features(ABC):
    """A network that gives features of images, prepared once per data set.

    Metrics that are given the same object share what it gives of the data.
    """

    label: str
    """What a distance on these features is called: "Fréchet <label> distance"."""

    _of_data: tuple[Data, Reference, dict[str, Array]] | None = None

    def check(self, spec: DataSpec) -> None:
        """Checks, before any work starts, that images of this shape have features.

        Raises:
            ValueError: If they have not.
        """
        return

    @abstractmethod
    def prepare(self, data: Data) -> Reference:
        """Gives what :meth:`network` needs.

        A class whose weights are published states their address in ``weights_url``, a literal, so
        that metrics on it are planned only where the file is.
        """

    @abstractmethod
    def network(self, spec: DataSpec, prepared: Reference, device: str) -> Extractor:
        """Builds the network: images (n, channels, height, width) in [0, 1] to features (n, F).

        Args:
            spec: The images' shape.
            prepared: What :meth:`prepare` gave.
            device: Where it may run.
        """

    def of_split(self, data: Data, split: str, device: str = "cpu") -> tuple[Reference, Array]:
        """Gives what :meth:`prepare` gave and the features (N, F) of a split, computed once."""
        if self._of_data is None or self._of_data[0] is not data:
            self._of_data = (data, self.prepare(data), {})
        _, prepared, features = self._of_data
        if split not in features:
            network = self.network(data.spec, prepared, device)
            features[split] = features_of(data.points[split], data.spec, network)
        return prepared, features[split]


class ModuleFeatures(Features):
    """Features of a module of the user's: images to (n, F), in evaluation mode."""

    def __init__(self, module: nn.Module) -> None:
        """Takes the module.

        Args:
            module: Maps images (n, channels, height, width) in [0, 1] to features (n, F). Its
                attribute ``label``, if it has one, stands in titles in place of its class' name.
        """
        self.module = module.eval().requires_grad_(False)
        self.label = str(getattr(module, "label", type(module).__name__))

    def check(self, spec: DataSpec) -> None:
        """Gives two grey images to the module."""
        network = self.network(spec, self.prepare(None), "cpu")
        try:
            features_of(np.full((2, spec.features), 0, np.uint8), spec, network)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ValueError(f"features fail on images of shape {spec.shape}: {error}") from error

    def prepare(self, data: Data | None) -> Reference:
        """Gives the digest of the weights, since the job that scores builds the module anew."""
        return {"weights_sha256": np.array(self._digest())}

    def network(self, spec: DataSpec, prepared: Reference, device: str) -> Extractor:
        """Gives the module.

        Raises:
            RuntimeError: If its weights are not those of the reference statistics.
        """
        expected = str(prepared["weights_sha256"])
        if self._digest() != expected:
            raise RuntimeError(
                f"data set '{spec.name}': the weights of the features '{self.label}' are not those "
                f"of the reference statistics (sha256 {expected[:8]}); are they drawn at random?"
            )
        module = self.module.to(device)

        def features(images: Tensor) -> Tensor:
            found: Tensor = module(images.to(device))
            return found

        return features

    def _digest(self) -> str:
        found = hashlib.sha256()
        for key, value in self.module.state_dict().items():
            found.update(key.encode())
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


@lru_cache(maxsize=8)
def module_features(module: nn.Module) -> ModuleFeatures:
    """Gives the features of a module: the same object for metrics that share the module."""
    return ModuleFeatures(module)


def features_of(points: Array, spec: DataSpec, network: Extractor) -> Array:
    """Gives features (n, F) of uint8 pixels (n, D), computed in small batches.

    Raises:
        ValueError: If the network gives something else.
    """
    with torch.no_grad():
        parts = [
            network(as_images(points[start : start + _BATCH], spec)).cpu()
            for start in range(0, len(points), _BATCH)
        ]
    features = torch.cat(parts).numpy()
    if features.ndim != 2 or len(features) != len(points):
        raise ValueError(
            f"data set '{spec.name}': features of shape {features.shape}, allowed: "
            f"({len(points)}, F)"
        )
    return features


def as_images(points: Array, spec: DataSpec) -> Tensor:
    """Gives uint8 pixels (n, D) as float32 images (n, channels, height, width) in [0, 1]."""
    if spec.levels is None:
        raise ValueError(f"data set '{spec.name}': vectors have no pixel values")
    pixels = torch.from_numpy(np.ascontiguousarray(points)).float() / (spec.levels - 1)
    return pixels.reshape(-1, *spec.shape)

"""VQ-Flows: vector-quantized local normalizing flows, and their benchmark."""

from importlib import import_module

__version__ = "0.2.0"

__all__ = ["FittedDensity", "FittedModel", "__version__", "fit", "load"]

# These import torch, which parsing the workflow must not.
_LAZY = ("FittedDensity", "FittedModel", "fit", "load")


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module("vqflow.library"), name)
    raise AttributeError(f"module 'vqflow' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})

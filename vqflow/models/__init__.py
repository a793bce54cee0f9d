"""The density: atlas, embedding, flow and base put together, and stored."""

from vqflow.models.vqflow import VQFlow

__all__ = ["VQFlow"]

"""Maps from a chart's latent space into the space of the data (paper, section 3.3)."""

from vqflow.embeddings.base import Embedding, Identity
from vqflow.embeddings.conformal import Conformal
from vqflow.embeddings.frames import Frames

__all__ = ["Conformal", "Embedding", "Frames", "Identity"]

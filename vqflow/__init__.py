"""VQ-Flows: vector-quantized local normalizing flows, and their benchmark."""

__version__ = "0.1.0"

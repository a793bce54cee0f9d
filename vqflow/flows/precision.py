"""The numbers that wide networks multiply in while they are trained."""

from __future__ import annotations

import logging

import torch

from vqflow.config.entries import Precision
from vqflow.flows.conditional import ConditionalFlow

log = logging.getLogger(__name__)

_DTYPES = {"float32": None, "bfloat16": torch.bfloat16}


def set_precision(flow: ConditionalFlow, wanted: Precision, device: str) -> Precision:
    """Sets what a flow's wide networks multiply in during training; all else is float32.

    Args:
        flow: The flow.
        wanted: ``"auto"`` is bfloat16 where networks are wide and the device has instructions
            for it.
        device: Where it is trained, ``"cpu"`` or ``"cuda"``.

    Returns:
        What was chosen: ``"float32"`` or ``"bfloat16"``.
    """
    chosen: Precision = "float32"
    if wanted == "float32":
        reason = "as asked for"
    elif not flow.wide_networks:
        reason = "it has no wide networks"
    elif wanted == "auto" and not has_bfloat16(device):
        reason = f"this {'GPU' if device == 'cuda' else 'processor'} has no bfloat16 instructions"
    else:
        chosen, reason = "bfloat16", f"{len(flow.wide_networks)} wide networks"
        if not has_bfloat16(device):
            log.warning("precision: bfloat16 is slower than float32 here, without instructions")
    log.info("precision of training: %s (%s)", chosen, reason)
    flow.train_in(_DTYPES[chosen])
    return chosen


def has_bfloat16(device: str) -> bool:
    """Says whether a device multiplies matrices of bfloat16 by instructions of its own."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))

"""The same autoregressive transform in zuko, nflows and normflows, with the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.nn import MaskedLinear


def zuko_layer(features: int, context: int, hidden: Sequence[int]) -> Any:
    """Gives an affine autoregressive transform, order ascending."""
    torch.manual_seed(0)
    return MaskedAutoregressiveTransform(features, context, hidden_features=hidden)


def nflows_layer(like: MaskedAutoregressiveTransform, hidden: Sequence[int]) -> nn.Module:
    """Gives the transform of nflows with the weights of zuko's; hidden layers of one width."""
    from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform

    layer = MaskedAffineAutoregressiveTransform(
        len(like.order), hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False
    )
    return _with_weights(layer, layer.autoregressive_net, like)


def normflows_layer(like: MaskedAutoregressiveTransform, hidden: Sequence[int]) -> nn.Module:
    """Gives the transform of normflows with the weights of zuko's; hidden layers of one width."""
    from normflows.flows import MaskedAffineAutoregressive

    layer = MaskedAffineAutoregressive(
        len(like.order), hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False
    )
    return _with_weights(layer, layer.autoregressive_net, like)


def _with_weights(layer: nn.Module, made: Any, like: MaskedAutoregressiveTransform) -> nn.Module:
    ours = [module for module in like.hyper if isinstance(module, MaskedLinear)]
    theirs = [made.initial_layer, *(block.linear for block in made.blocks), made.final_layer]
    with torch.no_grad():
        for source, target in zip(ours, theirs, strict=True):
            if not torch.equal(source.mask.bool(), target.mask.bool()):
                raise RuntimeError("the masks differ: not the same network")
            target.weight.copy_(source.weight)
            target.bias.copy_(source.bias)
    return layer.eval()

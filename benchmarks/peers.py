"""The same transforms and flows in zuko, nflows and normflows."""

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


class _Unconditional(nn.Module):
    """A network as a coupling of nflows calls it, with a context of ``None``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor, context: None) -> torch.Tensor:
        outputs: torch.Tensor = self.network(inputs)
        return outputs


def nflows_flow(flow: str, features: int, hidden: Sequence[int]) -> nn.ModuleList | None:
    """Gives the five layers of a flow of nflows, mapping x to (y, ladj); ``None`` for others."""
    from nflows.nn.nets import MLP
    from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform
    from nflows.transforms.coupling import AffineCouplingTransform

    if flow == "MAF":
        blocks = {"num_blocks": len(hidden) - 1, "use_residual_blocks": False}
        return nn.ModuleList(
            MaskedAffineAutoregressiveTransform(features, hidden[0], **blocks) for _ in range(5)
        )
    if flow == "RealNVP":
        mask = torch.arange(features) % 2
        return nn.ModuleList(
            AffineCouplingTransform(mask, lambda i, o: _Unconditional(MLP([i], [o], list(hidden))))
            for _ in range(5)
        )
    return None


def normflows_flow(flow: str, features: int, hidden: Sequence[int]) -> nn.ModuleList | None:
    """Gives the five layers of a flow of normflows, mapping x to (y, ladj); ``None`` for others."""
    from normflows.flows import AffineCouplingBlock, MaskedAffineAutoregressive
    from normflows.nets import MLP

    if flow == "MAF":
        blocks = {"num_blocks": len(hidden) - 1, "use_residual_blocks": False}
        return nn.ModuleList(
            MaskedAffineAutoregressive(features, hidden[0], **blocks) for _ in range(5)
        )
    if flow == "RealNVP":
        kept = (features + 1) // 2
        widths = [kept, *hidden, 2 * (features - kept)]
        return nn.ModuleList(AffineCouplingBlock(MLP(widths)) for _ in range(5))
    return None


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

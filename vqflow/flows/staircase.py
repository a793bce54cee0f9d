"""Masked layers with units sorted by degree: their zeros are not stored, multiplied or updated.

A masked network (Germain et al. 2015) gives each unit a degree and lets it see units of lower
or equal degree alone. Sorted by degree, the weights of a layer are a staircase: the rows are cut
into blocks, and each block is a dense matrix over a prefix of the columns. Only where a block
meets its own degrees is a mask left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from zuko.nn import MaskedLinear

BLOCK_UNITS = 200
"""Units of a block on a CPU: 128 to 256 are alike at widths of 512 to 1,568, as measured."""

WIDE = 2 * BLOCK_UNITS
"""Width of the widest layer from which sorting pays."""


class _Block(NamedTuple):
    """Rows of a layer that see the first ``columns`` columns, all of them the first ``free``."""

    rows: slice
    columns: int
    free: int


class StaircaseLinear(nn.Module):
    """A :class:`zuko.nn.MaskedLinear` whose units are sorted by degree.

    In a state dictionary it is what zuko's layer is: weight, bias and mask, in zuko's order,
    with zeros off the mask. Its parameters are the bias and the blocks of the weight: one alone
    on a GPU, where calls cost more than zeros.

    Args:
        layer: The layer, with U units and S inputs, and a bias.
        source_degrees: (S,) the degree of each input.
        degrees: (U,) the degree of each unit: the latest one of the inputs that it sees.
        first: Whether inputs come in zuko's order, and not sorted.
        last: Whether outputs go in zuko's order.

    Attributes:
        source_order: (S,) the input that stands in each column.
        order: (U,) the unit that stands in each row.
        degrees: (U,) the units' degrees, in zuko's order.
    """

    source_order: Tensor
    order: Tensor
    degrees: Tensor
    _order_back: Tensor
    _source_back: Tensor
    _sorted_mask: Tensor
    bias: Tensor

    def __init__(
        self,
        layer: MaskedLinear,
        source_degrees: Tensor,
        degrees: Tensor,
        first: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__()
        self._trained = layer.weight.requires_grad
        self._buffer("degrees", degrees)
        self._buffer("order", degrees.argsort(stable=True))
        self._buffer("source_order", source_degrees.argsort(stable=True))
        self._buffer("_order_back", self.order.argsort())
        self._buffer("_source_back", self.source_order.argsort())
        self._gathers = first and not _is_identity(self.source_order)
        self._scatters = last and not _is_identity(self.order)
        known = torch.bincount(source_degrees, minlength=int(degrees.max()) + 1).cumsum(0)
        self._columns = known[degrees[self.order]].tolist()
        self._buffer("_sorted_mask", layer.mask.bool()[self.order][:, self.source_order])
        self.bias = nn.Parameter(layer.bias.detach()[self.order], self._trained)
        self._cut(layer.weight.detach()[self.order][:, self.source_order])

    def forward(self, x: Tensor) -> Tensor:
        """Gives the units (*, U) of inputs (*, S)."""
        self._clean()
        rows, bias, *weights = x.reshape(-1, x.shape[-1]), self.bias, *self.weights
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            rows, bias, *weights = (part.to(dtype) for part in (rows, bias, *weights))
        out: Tensor = _Product.apply(rows, bias, self, *weights)
        return out.view(*x.shape[:-1], -1)

    @property
    def weights(self) -> list[Tensor]:
        """The blocks' weights, each (rows, columns)."""
        return [getattr(self, f"weight{i}") for i in range(len(self.blocks))]

    @property
    def masks(self) -> list[Tensor]:
        """The masks of the blocks, (rows, columns - free)."""
        return [getattr(self, f"_mask{i}") for i in range(len(self.blocks))]

    @property
    def mask(self) -> Tensor:
        """The mask (U, S), in zuko's order."""
        return self._sorted_mask[self._order_back][:, self._source_back]

    def sorted_weight(self) -> Tensor:
        """Gives the weight (U, S), rows and columns sorted by degree, without gradients."""
        self._clean()
        weight = self.bias.new_zeros(self._sorted_mask.shape)
        for block, part in zip(self.blocks, self.weights, strict=True):
            weight[block.rows, : block.columns] = part.detach()
        return weight

    def _cut(self, weight: Tensor) -> None:
        """Takes a weight (U, S), sorted, in blocks."""
        units = len(weight)
        count = 1 if weight.is_cuda else max(1, round(units / BLOCK_UNITS))
        starts = [units * i // count for i in range(count + 1)]
        self.blocks: list[_Block] = []
        self._versions: list[int | None] = [None] * count
        for i, (start, stop) in enumerate(zip(starts, starts[1:], strict=False)):
            columns = self._columns[stop - 1]
            mask = self._sorted_mask[start:stop, :columns]
            free = int(mask.all(0).long().cumprod(0).sum())
            setattr(self, f"weight{i}", self._parameter(weight[start:stop, :columns].clone()))
            self._buffer(f"_mask{i}", mask[:, free:].to(weight))
            self.blocks.append(_Block(slice(start, stop), columns, free))

    def _clean(self) -> None:
        """Sets to zero what lies off the mask: gradients are masked, but others may write too."""
        for i, (block, mask, weight) in enumerate(
            zip(self.blocks, self.masks, self.weights, strict=True)
        ):
            version = None if weight.is_inference() else weight._version
            if version is None or version != self._versions[i]:
                weight.data[:, block.free :] *= mask  # unseen by autograd: nothing of a graph moves
                self._versions[i] = version

    def _parameter(self, values: Tensor) -> nn.Parameter:
        return nn.Parameter(values, self._trained)

    def _buffer(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> StaircaseLinear:
        cuda = self.bias.is_cuda
        super()._apply(fn, recurse)
        if self.bias.is_cuda != cuda:
            weight = self.sorted_weight()
            for i in range(len(self.blocks)):
                delattr(self, f"weight{i}")
                delattr(self, f"_mask{i}")
            self._cut(weight)
        return self

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        weight, bias = self.sorted_weight(), self.bias.detach()
        rows, columns = self._order_back, self._source_back
        destination[f"{prefix}weight"] = weight[rows][:, columns]
        destination[f"{prefix}bias"] = bias[rows]
        destination[f"{prefix}mask"] = self.mask.to(weight)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own: dict[str, Tensor] = {}
        self._save_to_state_dict(own, prefix, keep_vars=False)
        given = {key: state_dict[key] for key in own if key in state_dict}
        missing_keys += [key for key in own if key not in given]
        unexpected_keys += [key for key in state_dict if key.startswith(prefix) and key not in own]
        for key, values in given.items():
            if values.shape != own[key].shape:
                shapes = f"{tuple(values.shape)}, this layer's is {tuple(own[key].shape)}"
                error_msgs.append(f"{key} has the shape {shapes}")
                return
        if not torch.equal(
            given.get(f"{prefix}mask", own[f"{prefix}mask"]).bool().cpu(),
            own[f"{prefix}mask"].bool().cpu(),
        ):
            error_msgs.append(f"{prefix}mask is another: not the same network")
            return
        weight, bias = (
            given.get(f"{prefix}{name}", own[f"{prefix}{name}"]) for name in ("weight", "bias")
        )
        self._fill(weight, bias)

    @torch.no_grad()
    def _fill(self, weight: Tensor, bias: Tensor) -> None:
        """Takes values in zuko's order."""
        self.bias.copy_(bias[self.order.to(bias.device)])
        weight = weight.to(self.bias)[self.order][:, self.source_order]
        for block, part in zip(self.blocks, self.weights, strict=True):
            part.copy_(weight[block.rows, : block.columns])


class _Product(torch.autograd.Function):
    """x W' + b, block by block."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, bias: Tensor, layer: StaircaseLinear, *weights: Tensor
    ) -> Tensor:
        if layer._gathers:
            x = _permuted(x, layer.source_order)
        out = x.new_empty(len(x), len(bias))
        for block, weight in zip(layer.blocks, weights, strict=True):
            part = x[:, : block.columns]
            torch.addmm(bias[block.rows], part, weight.T, out=out[:, block.rows])
        ctx.layer = layer
        ctx.save_for_backward(x, *weights)
        return _permuted(out, layer._order_back) if layer._scatters else out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layer, (x, *weights) = ctx.layer, ctx.saved_tensors
        if layer._scatters:
            grad = _permuted(grad, layer.order)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.zeros_like(x)
            for block, weight in zip(layer.blocks, weights, strict=True):
                of_x[:, : block.columns].addmm_(grad[:, block.rows], weight)
            if layer._gathers:
                of_x = _permuted(of_x, layer._source_back)
        of_weights: list[Tensor | None] = [None] * len(weights)
        for i, (block, mask) in enumerate(zip(layer.blocks, layer.masks, strict=True)):
            if ctx.needs_input_grad[3 + i]:
                part = grad[:, block.rows].T @ x[:, : block.columns]
                part[:, block.free :] *= mask
                of_weights[i] = part
        of_bias = grad.sum(0) if ctx.needs_input_grad[1] else None
        return of_x, of_bias, None, *of_weights


def _permuted(x: Tensor, order: Tensor) -> Tensor:
    """Puts columns in another order: those of two bytes, on a CPU, by way of float32.

    There torch takes them one by one, and 2.5 times as long.
    """
    if x.is_cuda or x.element_size() > 2:
        return x.index_select(1, order)
    return x.float().index_select(1, order).to(x.dtype)


def _is_identity(order: Tensor) -> bool:
    return torch.equal(order, torch.arange(len(order), device=order.device))

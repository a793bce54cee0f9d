"""Evaluating a masked network degree by degree, each unit once, as its inputs become known."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from zuko.nn import MaskedLinear, Residual

from vqflow.flows.arrays import UFUNCS, Array, as_array
from vqflow.flows.masked import (
    UnsupportedNetworkError,
    check_per_unit,
    is_masked,
    is_plain,
    unit_degrees,
)
from vqflow.flows.staircase import StaircaseLinear

_BLOCK_UNITS = 64


class Layout:
    """The units of one layer, sorted by the degree at which they become known.

    Args:
        degrees: (U,) the degree of each unit.
        count: S, the number of degrees.

    Attributes:
        order: (U,) the unit that stands in each row.
        values: (U, N) the units' values, one row each.
        array: The same memory as an array of numpy's, whose calls cost a fraction of torch's
            where a row is a thousand numbers; ``None`` on a GPU.
    """

    def __init__(self, degrees: Tensor, count: int) -> None:
        self.degrees = degrees
        self.order = degrees.argsort(stable=True)
        self.values = torch.empty(0)
        self.array: Array | None = None
        self._starts = [0, *torch.bincount(degrees, minlength=count).cumsum(0).tolist()]

    def rows(self, first: int, last: int) -> slice:
        """Gives the rows of the units whose degree lies in ``first`` to ``last`` - 1."""
        return slice(self._starts[first], self._starts[last])

    def allocate(self, like: Tensor, n: int) -> None:
        """Makes room for the values of N points."""
        self.values = like.new_empty(len(self.order), n)
        self.array = as_array(self.values)


class _Step(Protocol):
    def open(self, first: int, last: int) -> None:
        """Prepares degrees ``first`` to ``last`` - 1, all before them being known."""

    def advance(self, first: int, degree: int) -> None:
        """Computes the units of ``degree``, in a block that began with degree ``first``."""


class _PerUnit:
    """A step whose units depend on the same rows of other layers alone."""

    target: Layout

    def apply(self, rows: slice) -> None:
        """Computes the given rows of the target."""
        raise NotImplementedError

    def open(self, first: int, last: int) -> None:
        pass

    def advance(self, first: int, degree: int) -> None:
        rows = self.target.rows(degree, degree + 1)
        if _any(rows):
            self.apply(rows)


class _Linear:
    """A masked layer, its matrix sorted by degree at both sides."""

    def __init__(
        self, layer: MaskedLinear | StaircaseLinear, source: Layout, target: Layout
    ) -> None:
        self.source, self.target = source, target
        if isinstance(layer, StaircaseLinear):
            self.weight, self.bias = layer.sorted_weight(), layer.bias.detach()[:, None]
            if not torch.equal(layer.order, target.order):  # outputs may be needed later than known
                rows = layer.order.argsort()[target.order]
                self.weight, self.bias = self.weight[rows], self.bias[rows]
            return
        weight = (layer.mask * layer.weight).detach()
        self.weight = weight[target.order][:, source.order]
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
        self.bias = bias[target.order, None]

    @functools.cached_property
    def _array(self) -> Array | None:
        return as_array(self.weight)

    def open(self, first: int, last: int) -> None:
        rows, columns = self.target.rows(first, last), self.source.rows(0, first)
        if _any(rows):
            torch.addmm(
                self.bias[rows],
                self.weight[rows, columns],
                self.source.values[columns],
                out=self.target.values[rows],
            )

    def advance(self, first: int, degree: int) -> None:
        self.add(first, degree, until=degree + 1)

    def add(self, first: int, degree: int, until: int) -> None:
        """Adds to the units of ``degree`` what comes from degrees ``first`` to ``until`` - 1."""
        rows, columns = self.target.rows(degree, degree + 1), self.source.rows(first, until)
        if not (_any(rows) and _any(columns)):
            return
        weight, source, target = self._array, self.source.array, self.target.array
        if weight is None or source is None or target is None:
            part = self.weight[rows, columns]
            self.target.values[rows].addmm_(part, self.source.values[columns])
        else:
            target[rows] += weight[rows, columns] @ source[columns]


@dataclass
class _Activation(_PerUnit):
    function: nn.Module
    source: Layout
    target: Layout

    def apply(self, rows: slice) -> None:
        ufunc, source, target = (
            UFUNCS.get(type(self.function)),
            self.source.array,
            self.target.array,
        )
        if ufunc is None or source is None or target is None:
            self.target.values[rows] = self.function(self.source.values[rows])
        else:
            ufunc(source[rows], out=target[rows])


@dataclass
class _Sum(_PerUnit):
    source: Layout
    skipped: Layout
    target: Layout

    def apply(self, rows: slice) -> None:
        values = self.target.values[rows]
        torch.add(self.skipped.values[rows], self.source.values[rows], out=values)


class IncrementalNetwork:
    """A masked network whose inputs become known one degree after the other.

    A unit's degree is the latest one of the inputs that its masks let it see (Germain et
    al. 2015, section 3), so that each unit is computed once. Degrees are taken in blocks:
    what came before a block is one matrix product a layer, and only the block's own columns
    are added degree by degree. Values lie transposed, (units, N), so that the units of a
    degree are contiguous.

    Args:
        network: Masked linear layers, activations that act on each unit by itself, and
            residual blocks of both: what :class:`zuko.nn.MaskedMLP` consists of.
        input_degrees: (I,) the degree at which each input becomes known, 0 to S - 1.
        output_degrees: (O,) the degree at whose begin each output is needed.
        degrees: S, the number of degrees.

    Raises:
        UnsupportedNetworkError: If the network has other layers, or an output sees an
            input that is not known when it is needed.
    """

    def __init__(
        self, network: nn.Sequential, input_degrees: Tensor, output_degrees: Tensor, degrees: int
    ) -> None:
        self._count = degrees
        self._like = next(network.parameters()).detach()
        self._steps: list[_Step] = []
        *hidden, last = network
        if not is_masked(last):
            raise UnsupportedNetworkError(f"its last layer is a {type(last).__name__}")
        self.inputs = Layout(input_degrees, degrees)
        self._layouts = [self.inputs]
        layout = self.inputs
        for layer in hidden:
            layout = self._append(layer, layout)
        if bool((unit_degrees(last, layout.degrees) >= output_degrees).any()):
            raise UnsupportedNetworkError("an output sees inputs that are known only after it")
        self.outputs = self._layout(output_degrees)
        self._last = _Linear(last, layout, self.outputs)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Gives the first degree of every block and the first one after it."""
        widest = max(len(layout.order) for layout in self._layouts)
        size = max(1, round(_BLOCK_UNITS * self._count / widest))
        for first in range(0, self._count, size):
            yield first, min(first + size, self._count)

    def allocate(self, n: int) -> None:
        """Makes room for N points."""
        for layout in self._layouts:
            layout.allocate(self._like, n)

    def open(self, first: int, last: int) -> None:
        """Begins the block of degrees ``first`` to ``last`` - 1."""
        for step in (*self._steps, self._last):
            step.open(first, last)

    def finish_outputs(self, first: int, degree: int) -> slice:
        """Finishes the outputs that are needed at ``degree``; gives their rows."""
        self._last.add(first, degree, until=degree)
        return self.outputs.rows(degree, degree + 1)

    def advance(self, first: int, degree: int) -> None:
        """Computes the hidden units of ``degree``, whose inputs are in ``inputs.values``."""
        for step in self._steps:
            step.advance(first, degree)

    def _append(self, layer: nn.Module, source: Layout) -> Layout:
        if is_masked(layer):
            target = self._layout(unit_degrees(layer, source.degrees))
            self._steps.append(_Linear(layer, source, target))
        elif is_plain(layer, Residual):
            inner = source
            for part in layer:
                inner = self._append(part, inner)
            if not torch.equal(inner.degrees, source.degrees):
                raise UnsupportedNetworkError("a residual block adds units of unequal degrees")
            target = self._layout(source.degrees)
            self._steps.append(_Sum(inner, source, target))
        else:
            check_per_unit(layer, len(source.degrees), self._like)
            target = self._layout(source.degrees)
            self._steps.append(_Activation(layer, source, target))
        return target

    def _layout(self, degrees: Tensor) -> Layout:
        self._layouts.append(Layout(degrees, self._count))
        return self._layouts[-1]


def _any(rows: slice) -> bool:
    return bool(rows.stop > rows.start)

"""Parameters as a list of named blocks in one arena, and as the live views that callers see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays

NAMES = ("weights", "biases")


class Block(NamedTuple):
    """
    Parameters of one kind in one layer, and where they lie in an arena.

    Attributes
    ----------
    kind : str
        "weights" or "biases".
    layer : int
    shape : tuple of int
    offset : int
        In numbers, from the beginning of the arena.
    strides : tuple of int
        In numbers: rows may be padded, and lie in either order.
    """

    kind: str
    layer: int
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Count the numbers, without padding."""
        return math.prod(self.shape)

    @property
    def name(self) -> str:
        """Return what files call it."""
        return f"{self.kind}_{self.layer}"

    def view(self, arena: NDArray[Any]) -> NDArray[Any]:
        """Return the block of an arena: the parameters' own, a gradient's, an optimizer's."""
        size = arena.itemsize
        return np.ndarray(self.shape, arena.dtype, arena, self.offset * size,
                          tuple(stride * size for stride in self.strides))


def blocks(core: Any) -> tuple[Block, ...]:
    """Return the blocks of a core: the weights of all layers, then the biases of those with any."""
    arena = core.parameters
    size, begin = arena.itemsize, arena.ctypes.data
    return tuple(
        Block(kind, layer, view.shape, (view.ctypes.data - begin) // size,
              tuple(stride // size for stride in view.strides))
        for kind, views in zip(NAMES, core.views(arena), strict=True)
        for layer, view in enumerate(views) if kind == "weights" or core.biased[layer])


class Views(Sequence[NDArray[Any]]):
    """
    Live views of parameters, one for each layer; assigning to one copies into the network.

    The biases of a layer that has none are zero, and cannot be written.
    """

    def __init__(self, name: str, arrays: list[NDArray[Any]]) -> None:
        self._name, self._arrays = name, arrays

    def __len__(self) -> int:
        return len(self._arrays)

    @overload
    def __getitem__(self, layer: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, layer: slice) -> list[NDArray[Any]]: ...
    def __getitem__(self, layer: Any) -> Any:
        return self._arrays[layer]

    def __setitem__(self, layer: int, value: ArrayLike) -> None:
        layer = range(len(self))[layer]
        _copy(self._checked(layer, value), self._arrays[layer])

    def __repr__(self) -> str:
        return f"<{self._name} of shapes {[a.shape for a in self._arrays]}>"

    def assign(self, values: Iterable[ArrayLike]) -> None:
        """Copy all layers' values, or, if one has the wrong shape, none."""
        rule = f"{self._name} must be {len(self)} arrays"
        values = _check.items(values, rule)
        if len(values) != len(self):
            raise ValueError(f"{rule}, got {len(values)}")
        checked = [self._checked(layer, value).copy() for layer, value in enumerate(values)]
        self.put(checked)

    def put(self, values: Iterable[NDArray[Any]]) -> None:
        """Copy all layers' values, of which it is known that they fit."""
        for view, value in zip(self._arrays, values, strict=True):
            _copy(value, view)

    @property
    def writable(self) -> list[NDArray[Any]]:
        """Those that can be written."""
        return [view for view in self._arrays if view.flags.writeable]

    def _checked(self, layer: int, value: ArrayLike) -> NDArray[Any]:
        name, shape = f"{self._name}[{layer}]", self._arrays[layer].shape
        array = arrays.numbers(value, name)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        if not self._arrays[layer].flags.writeable:
            check_zero(array, name)
        return array


def check_zero(array: NDArray[Any], name: str) -> None:
    """Raise ValueError if biases that a layer has not are anything but zero."""
    if array.any():
        value = array[array != 0].flat[0]
        raise ValueError(f"{name} must be zero, for bias=False leaves out the layer's biases, "
                         f"got {value:g}")


def _copy(value: NDArray[Any], view: NDArray[Any]) -> None:
    if view.flags.writeable:
        view[...] = value

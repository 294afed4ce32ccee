"""A Stream of arrays in files, from which any rows can be read: x, y, and perhaps weights."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays

from .files import Asked, FileStream, blocks_of
from .stream import Reader, Rest, read


class Reading(Protocol):
    """Reads rows of an array."""

    def into(self, first: int, last: int, out: NDArray[Any]) -> None:
        """Copy the rows first:last to an array of the same number of columns."""

    def close(self) -> None:
        """Close the file."""


class Matrix(Protocol):
    """An array in a file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def reading(self) -> Reading:
        """Open the file."""


class Matrices(FileStream):
    """
    Rows of x, y and weights, each in an array of its own; or x and y in one.

    Parameters
    ----------
    path : str
        The file that errors name.
    x, y, weights : Matrix, or None
        Without y, a column of x is the target.
    asked : Asked
    multiple : int
        A block has a multiple of so many rows.

    Raises
    ------
    TypeError, ValueError
        If they do not fit each other, or do not hold numbers.
    """

    def __init__(
        self, path: str, x: Matrix, y: Matrix | None, weights: Matrix | None, *, asked: Asked,
        multiple: int = 1,
    ) -> None:
        self.x, self.y, self.weights = x, y, weights
        for each in filter(None, (x, y, weights)):
            if each.dtype.kind not in ("buifU" if each is y else "buif"):
                raise TypeError(f"{each.name} must hold real numbers, got dtype {each.dtype}")
            if len(each.shape) == 0 or each.shape[0] != x.shape[0]:
                raise ValueError(f"{each.name} must have as many rows as {x.name}, "
                                 f"{x.shape[0] if x.shape else 0}, got shape {each.shape}")
        columns = math.prod(x.shape[1:])
        self.target = None
        if y is None:
            rule = "target must be the index of a column, or y must name the targets"
            if not isinstance(asked.target, (int, np.integer)) or isinstance(asked.target, bool):
                raise TypeError(f"{rule}, got {_check.shown(asked.target)}")
            if not -columns <= asked.target < columns or columns < 2:
                raise ValueError(f"{rule} of {x.name}, which has {columns}, got {asked.target}")
            self.target = int(asked.target) % columns
        row = columns * x.dtype.itemsize
        super().__init__(path, blocks_of(x.shape[0], row, asked, multiple), asked)

    @property
    def width(self) -> int:
        """The columns of x."""
        return math.prod(self.x.shape[1:]) - (self.target is not None)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of x, as the core takes it."""
        return arrays.row_type(self.x.dtype)

    def column(self, at: int) -> str:
        """Name a column, as it is counted in the file."""
        return f"column {at + (self.target is not None and at >= self.target)}"

    def where_in(self, block: int, row: int, of: str = "x") -> str:
        """Name a row of a block, and the array that holds this part of it."""
        matrix = {"y": self.y, "weights": self.weights}.get(of) or self.x
        return f"row {int(self._bounds[block]) + row} of {matrix.name}"

    def parts(self) -> list[str]:
        """Describe x, y and weights."""
        return [f"{math.prod(each.shape[1:])} columns of {each.dtype} in {what}"
                for what, each in (("x", self.x), ("y", self.y), ("weights", self.weights))
                if each is not None]

    def read(self, block: int) -> tuple[Any, ...]:
        """Return x and y of a block, and the weights if there are any."""
        return read(self, block, 0, int(np.diff(self._bounds)[block]))

    def reader(self) -> Reader:
        """Return a reader that keeps the files open."""
        return _MatricesReader(self)


class _MatricesReader:
    def __init__(self, of: Matrices) -> None:
        self.of = of
        with ExitStack() as stack:
            self.x, self.y, self.weights = (
                None if each is None else _opened(each, stack)
                for each in (of.x, of.y, of.weights))
            self.close = stack.pop_all().close

    def read(self, block: int, first: int, last: int, x: NDArray[Any]) -> Rest:
        of, start = self.of, int(self.of.bounds[block])
        first, last = start + first, start + last
        assert self.x is not None
        if of.target is None:
            self.x.into(first, last, x)
            y = self._read(of.y, self.y, first, last)
        else:
            whole = np.empty((last - first, x.shape[1] + 1), of.x.dtype)
            self.x.into(first, last, whole)
            x[:, :of.target] = whole[:, :of.target]
            x[:, of.target:] = whole[:, of.target + 1:]
            y = whole[:, of.target]
        return y, self._read(of.weights, self.weights, first, last)

    @staticmethod
    def _read(matrix: Matrix | None, reading: Reading | None, first: int, last: int) -> Any:
        if matrix is None or reading is None:
            return None
        out = np.empty((last - first, *matrix.shape[1:]), matrix.dtype)
        reading.into(first, last, out)
        return out


def _opened(matrix: Matrix, stack: ExitStack) -> Reading:
    reading = matrix.reading()
    stack.callback(reading.close)
    return reading

"""A data set in the form of the book's scripts, and in that of the core."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays
from cbackprop.book.shuffling import shuffle
from cbackprop.core import _dispatch

REAL = "float64"


class Pairs:
    """
    Pairs (x, y), and their arrays, which are made once, on first use.

    Parameters
    ----------
    given : list, or another iterable, of pairs; (x, y) arrays; or a DataLoader
        A list is not copied, so that shuffling `pairs` shuffles the caller's list.
    name : str
        The argument's name, for errors.
    sizes : sequence of int

    Raises
    ------
    TypeError
        If it is none of these.
    """

    def __init__(self, given: Any, name: str, sizes: Sequence[int]) -> None:
        self.name, self.sizes = name, tuple(map(int, sizes))
        if arrays.is_loader(given):
            given = arrays.batches(given, name)
        if isinstance(given, tuple) and len(given) == 2 and all(
                isinstance(part, np.ndarray) for part in given):
            x = arrays.rows(given[0], self.sizes[0], arrays.part("x", name))
            if len(x) != len(given[1]):
                raise ValueError(f"{name} must have as many y as x, got {len(given[1])} and "
                                 f"{len(x)}")
            given = list(zip(x[:, :, None], given[1], strict=True))
        elif isinstance(given, np.ndarray):
            given = [tuple(np.atleast_1d(pair)) for pair in given]
        if isinstance(given, (str, bytes, memoryview)) or not isinstance(given, Iterable):
            raise TypeError(f"{name} must be a list of (x, y) pairs, or (x, y) arrays, "
                            f"got {_check.shown(given)}")
        self.pairs = given if isinstance(given, list) else list(given)
        self.used_up = hasattr(given, "__next__") and not self.pairs  # an empty iterator
        self.order = np.arange(len(self.pairs))  # the row of each pair in the arrays

    def __len__(self) -> int:
        return len(self.pairs)

    def shuffle(self, by: Callable[[list[Any]], object]) -> None:
        """Shuffle the pairs by random.shuffle, or by a script's replacement for it."""
        if not shuffle(self.pairs, self.order, by):     # other pairs: arrays are stale
            for made in ("stacked", "arrays", "core"):
                self.__dict__.pop(made, None)
            self.order = np.arange(len(self.pairs))

    @cached_property
    def stacked(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """
        Return rows of x, and rows or labels of y, in the current order of the pairs.

        Raises
        ------
        TypeError, ValueError
            If pairs do not fit each other, or are not numbers.
        """
        x, y = arrays.columns(self.pairs, self.name)
        self.order = np.arange(len(x))
        return x, self._labels(y)

    @cached_property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """
        Return the same, checked against the network's sizes.

        Raises
        ------
        TypeError, ValueError
            If pairs do not fit the sizes or each other, or are not finite numbers.
        """
        x, y = self.stacked
        x = arrays.rows(x, self.sizes[0], arrays.part("x", self.name))
        return x, arrays.targets(y, len(x), self.sizes[-1], REAL, arrays.part("y", self.name))

    @cached_property
    def labels_outside(self) -> bool:
        """
        Whether there are labels without an output; a warning then says so.

        Warns
        -----
        RuntimeWarning
            Such an example never counts as right. This may be intended: a network for five digits
            can be tested on ten.
        """
        y, outputs = self.stacked[1], self.sizes[-1]
        if y.ndim != 1 or outputs == 1 or y.dtype.kind not in "ui":
            return False
        wrong = y[(y < 0) | (y >= outputs)]
        if len(wrong):
            warnings.warn(f"y of {self.name} has {len(wrong)} labels outside 0..{outputs - 1}, as "
                          f"{wrong[0]}, which are never right", RuntimeWarning, stacklevel=5)
        return len(wrong) > 0

    def _labels(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return labels as integers, also if they came as a column or as whole floats."""
        if self.sizes[-1] > 1 and y.size == len(y):
            y = y.reshape(-1)
            if y.dtype.kind in "fb" and (y == np.trunc(y)).all():
                return y.astype(np.int64)
        return y

    @cached_property
    def core(self) -> tuple[Any, Any]:
        """Return both for the core, which skips zeros if x has enough of them."""
        build = _dispatch.load(REAL)
        x, y = self.arrays
        rows = build.Rows(x, True)
        if not rows.all_finite():
            arrays.finite(x, REAL, arrays.part("x", self.name))
        return rows, build.Targets(y)

    @property
    def wanted(self) -> NDArray[Any]:
        """Return the target outputs as rows, in the order of the pairs."""
        y = self.arrays[1][self.order]
        return np.eye(self.sizes[-1])[y] if y.ndim == 1 else y

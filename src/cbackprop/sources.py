"""The sources of mini-batches: arrays, used where they lie, or a RowSource that makes rows."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import arrays
from cbackprop.core import _runtime

SAMPLE = 64  # rows that tell one data set from another
PART_BYTES = 2**21  # of rows made at a time, so that they are in the cache during training

MAX_COLUMNS = 2**31 - 1  # of a sparse matrix: the core has their indices as C ints

# What the core takes: rows, targets, order, first, last.
Part = tuple[Any, Any, NDArray[Any], int, int]


class RowSource(ABC):
    """
    Examples that are made on demand: data that is larger than memory, or computed.

    `Network.SGD` and the evaluations take one wherever they take (x, y). Only a few megabytes of it
    are in memory at a time. What is wrong with its rows is found when they are made.

    Examples
    --------
    >>> class Squares(RowSource):
    ...     def __len__(self):
    ...         return 1000
    ...     def take(self, indices):
    ...         x = indices[:, None] / 1000
    ...         return x, x**2
    >>> net = cbackprop.Network([1, 8, 1], activation="tanh", output_activation="identity", seed=0)
    >>> history = net.SGD(Squares(), epochs=20, mini_batch_size=10, eta=0.1)
    >>> net.total_cost(Squares()) < 0.001
    True
    """

    @abstractmethod
    def __len__(self) -> int:
        """Count the examples."""

    @abstractmethod
    def take(self, indices: NDArray[np.intp]) -> tuple[ArrayLike, ArrayLike]:
        """Return x and y of these examples, as `SGD` takes them."""


def listed(build: Any, x: Any, name: str, scales: NDArray[Any] | None = None) -> Any:
    """
    Return the core's rows for a matrix of scipy.sparse, as lists of its stored numbers.

    A CSR matrix with rising indices in each row is not copied. Another is sorted, and entries that
    it has more than once are summed, in a copy. `scales` are the network's, if each input has one.

    Raises
    ------
    ValueError
        If an index is outside the matrix, its arrays do not belong together, or there are more
        columns than a C int holds.
    """
    if x.shape[1] > MAX_COLUMNS:
        raise ValueError(f"{name} must have at most {MAX_COLUMNS} columns where it is sparse, "
                         f"got {x.shape[1]}")
    x = x.tocsr()
    with np.errstate(over="ignore"):  # a later check finds infinities
        rows = None if _are_long(x.indices, x.shape[1]) else build.Rows(x, False, scales)
        if rows is None or not rows.is_sound():
            _check_indices(x, name)
            try:
                x = x.copy()
                x.check_format()
            except ValueError as error:
                raise ValueError(f"{name} must be a sound sparse matrix: {error}") from None
            x.sum_duplicates()
            rows = build.Rows(x, False, scales)
    return rows


def _are_long(indices: NDArray[Any], columns: int) -> bool:
    """Return whether an index is outside the matrix, though maybe inside once cut to a C int."""
    return (indices.itemsize > 4 and indices.size > 0
            and int(indices.view(f"u{indices.itemsize}").max()) >= columns)  # negative: very large


def _check_indices(x: Any, name: str) -> None:
    """Raise ValueError if an index of a CSR matrix is outside it, and say where."""
    indices = x.indices[:max(0, int(x.indptr[-1]))]
    wrong = np.flatnonzero((indices < 0) | (indices >= x.shape[1]))
    if wrong.size:
        row = int(np.searchsorted(x.indptr, wrong[0], side="right")) - 1
        raise ValueError(f"{name} must have column indices in 0..{x.shape[1] - 1}, "
                         f"got {indices[wrong[0]]} in row {row}")


class SparseTargets(RowSource):
    """
    Examples with sparse y, which is made dense part by part.

    Parameters
    ----------
    x : array, or CSR matrix, of shape (n, in)
    y : CSR matrix of shape (n, out)
    weights : array of shape (n,), or None
        Of the examples.
    """

    def __init__(self, x: Any, y: Any, weights: NDArray[Any] | None) -> None:
        self.x, self.y, self.weights = x, y, weights

    def __len__(self) -> int:
        return int(self.y.shape[0])

    def take(self, indices: NDArray[np.intp]) -> tuple[Any, ...]:
        """Return x, y and weights of these examples."""
        weights = None if self.weights is None else self.weights[indices]
        return self.x[indices], self.y[indices], weights


def spread(n: int, count: int) -> NDArray[np.intp]:
    """Return at most so many of the numbers below n, spread evenly."""
    return np.unique(np.linspace(0, n - 1, count).astype(np.intp))


def checksum(rows: Any, targets: Any) -> str:
    """Return the type of the core's rows, and a checksum of them, their targets and weights."""
    x = rows.x
    found, parts = 0, [x.data, x.indices, x.indptr] if arrays.is_sparse(x) else [x]
    for part in (*parts, targets.y, targets.weights):
        if part is not None:
            found = zlib.crc32(np.ascontiguousarray(part).data, found)
    return f"{x.dtype} with checksum {found:08x}"


class Examples(ABC):
    """
    A data set that a training and the metrics read part by part.

    Attributes
    ----------
    most : int
        The most examples that a part may have.
    """

    most: int

    @abstractmethod
    def __len__(self) -> int:
        """Count the examples."""

    def order(self, seed: int | None, m: int) -> Any:
        """
        Return the order of an epoch, which the seed alone decides; None is the order of the rows.

        Parameters
        ----------
        seed : int, optional
        m : int
            The length of a mini-batch.

        Returns
        -------
        array (n,) of intp, or what else `part` takes
        """
        n = len(self)
        return np.arange(n) if seed is None else _runtime.random_order(n, seed)

    @abstractmethod
    def part(self, order: Any, first: int, last: int) -> Part:
        """Return the examples order[first:last], or the first of them, as the core takes them."""

    def few(self, count: int) -> Part:
        """Return some examples, spread evenly."""
        numbers = spread(len(self), count)
        return self.part(numbers, 0, len(numbers))

    @abstractmethod
    def all(self) -> Iterator[tuple[Any, Any]]:
        """Yield all rows and targets, perhaps part by part."""

    @abstractmethod
    def known_targets(self) -> NDArray[Any]:
        """Return y, or as much of it as is known."""

    def fingerprint(self) -> str:
        """Return words that tell these examples from others, as far as they are always the same."""
        return f"{len(self):,} rows"

    def look_again(self) -> None:  # noqa: B027  others need do nothing
        """Raise ValueError if x of the last part is not finite, and the core cannot say where."""

    def close(self) -> None:  # noqa: B027
        """End what prepares the next part of an epoch."""


class ArrayExamples(Examples):
    """Examples in arrays: Rows and Targets of the core."""

    def __init__(self, rows: Any, targets: Any) -> None:
        self.rows, self.targets = rows, targets
        self.most = 2 * len(rows)  # in a part: all rows, and those that fill up the last mini-batch

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, order: NDArray[Any], first: int, last: int) -> Part:
        """Return the examples order[first:last], as the core takes them."""
        return self.rows, self.targets, order, first, last

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Yield all rows and targets, perhaps part by part."""
        yield self.rows, self.targets

    def take(self, indices: NDArray[Any]) -> tuple[Any, Any]:
        """Return a copy of some examples."""
        weights = self.targets.weights
        return (type(self.rows)(self.rows.x[indices], False, self.rows.scales), type(self.targets)(
            self.targets.y[indices], None if weights is None else weights[indices]))

    @property
    def fitting(self) -> int:
        """The number of examples to copy at a time."""
        x = self.rows.x
        stored = x.data.nbytes + x.indices.nbytes if arrays.is_sparse(x) else x.nbytes
        return max(1, PART_BYTES * len(self) // max(1, stored))

    @property
    def weights(self) -> NDArray[Any] | None:
        """Weights of the examples."""
        weights: NDArray[Any] | None = self.targets.weights
        return weights

    def known_targets(self) -> NDArray[Any]:
        """Return y, as the core has it."""
        y: NDArray[Any] = self.targets.y
        return y

    def fingerprint(self) -> str:
        """Return the number of rows, and a checksum of some."""
        return f"{super().fingerprint()}, {checksum(*self.take(spread(len(self), SAMPLE)))}"


class StreamedExamples(Examples):
    """
    Examples of a RowSource.

    Parameters
    ----------
    source : RowSource
    admit : callable (x, y)
        Returns the core's rows and targets for a part, checked.
    name : str
        The name of the data in errors.
    row_of_y : int
        The bytes that the targets of one example may take.
    """

    def __init__(
        self, source: RowSource, admit: Callable[[Any], tuple[Any, Any]], name: str, row_of_y: int
    ) -> None:
        self.source, self.admit, self.name = source, admit, name
        self.n = len(source)
        if self.n == 0:
            raise ValueError(f"{name} must hold at least one example, got none")
        first, self.first_targets = self.take(np.arange(1))
        self.most = max(1, PART_BYTES // max(self._row_of(first.x), row_of_y))

    def __len__(self) -> int:
        return self.n

    def part(self, order: NDArray[Any], first: int, last: int) -> Part:
        """Return the examples order[first:last], as the core takes them."""
        return (*self.take(order[first:last]), np.arange(last - first), 0, last - first)

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Yield all rows and targets, part by part."""
        for first in range(0, self.n, self.most):
            yield self.take(np.arange(first, min(self.n, first + self.most)))

    @property
    def fitting(self) -> int:
        """The number of examples to make at a time."""
        return self.most

    @property
    def weights(self) -> NDArray[Any] | None:
        """Weights of the examples; a source of the user's own has none."""
        return self.source.weights if isinstance(self.source, SparseTargets) else None

    def known_targets(self) -> NDArray[Any]:
        """Return a label, or some rows of y if y has rows."""
        y: NDArray[Any] = self.first_targets.y
        if y.ndim == 2:
            y = self.take(spread(self.n, 100))[1].y
        return y

    def fingerprint(self) -> str:
        """Return the number of rows; of what is in matrices, a checksum of some, too."""
        words = super().fingerprint()
        if not isinstance(self.source, SparseTargets):  # which may draw its rows
            return words
        return f"{words}, {checksum(*self.take(spread(self.n, SAMPLE)))}"

    def _row_of(self, x: Any) -> int:
        """Return about how many bytes a row of x takes."""
        if not arrays.is_sparse(x):
            return int(x.nbytes)
        few = spread(self.n, 100)
        some = self.take(few)[0].x
        return int(some.data.nbytes + some.indices.nbytes) // len(few)

    def take(self, indices: NDArray[Any]) -> tuple[Any, Any]:
        """Return some examples."""
        rows, targets = self.admit(self.source.take(indices))
        if len(rows) != len(indices):
            raise ValueError(f"{arrays.part('take', self.name)} must return the {len(indices)} "
                             f"examples it was asked for, got {len(rows)}")
        return rows, targets


WholeExamples = ArrayExamples | StreamedExamples


class SelectedExamples(Examples):
    """
    A selection of other examples, which stay where they are.

    Attributes
    ----------
    numbers : array (n,) of intp
        The indices of the selected examples.
    """

    def __init__(self, of: WholeExamples, numbers: NDArray[np.intp]) -> None:
        self.of, self.numbers, self.most = of, numbers, of.most

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, order: NDArray[Any], first: int, last: int) -> Part:
        """Return the examples order[first:last] of the selected, as the core takes them."""
        return self.of.part(self.numbers[order[first:last]], 0, last - first)

    @property
    def weights(self) -> NDArray[Any] | None:
        """Weights of the selected examples."""
        weights = self.of.weights
        return None if weights is None else weights[self.numbers]

    def known_targets(self) -> NDArray[Any]:
        """Return the known targets of all examples, also before the selection."""
        return self.of.known_targets()

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Yield all rows and targets, copied part by part."""
        for first in range(0, len(self), self.of.fitting):
            yield self.of.take(self.numbers[first:first + self.of.fitting])

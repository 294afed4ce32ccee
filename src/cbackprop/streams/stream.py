"""A Stream: rows in blocks, which a reader copies to where they are wanted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays

MEMORY = 2**28  # bytes of a buffer, if the caller does not say it
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}

# The targets of some rows, as the caller has them, and the weights, or None.
Rest = tuple[Any, Any]


class Reader(Protocol):
    """Reads rows of blocks. It belongs to one thread; a Stream may have several."""

    def read(self, block: int, first: int, last: int, x: NDArray[Any]) -> Rest:
        """Copy the rows first:last of a block to x; return their targets and weights."""

    def close(self) -> None:
        """Close the files."""


class Stream(ABC):
    """
    Examples in blocks of rows: data that is larger than memory.

    A subclass says where its blocks begin, and reads one. An epoch takes the blocks in a random
    order; a buffer of many blocks is filled by another thread, and its rows are shuffled. See
    docs/streams.md.

    Attributes
    ----------
    memory : int
        The bytes that reading may take: the buffers that are filled and trained on.
    keeps : bool
        Whether rows are the same whenever they are read; what is still in a buffer is then not
        read again.

    Examples
    --------
    >>> import numpy as np
    >>> class Days(Stream):
    ...     bounds = np.arange(8) * 24
    ...     def read(self, block):
    ...         hours = np.arange(24.0) + 24 * block
    ...         return hours[:, None] / 168, np.sin(hours / 24)
    >>> net = cbackprop.Network([1, 8, 1], activation="tanh", output_activation="identity", seed=0)
    >>> history = net.SGD(Days(), epochs=2, mini_batch_size=10, eta=0.1)
    >>> len(Days()), len(Days().part(0, of=2)), history.rows
    (168, 84, 168)
    """

    memory: int = MEMORY
    keeps: bool = False

    @property
    @abstractmethod
    def bounds(self) -> NDArray[np.intp]:
        """The first row of each block, and at the end the number of rows: shape (blocks + 1,)."""

    @abstractmethod
    def read(self, block: int) -> tuple[Any, ...]:
        """Return x and y of a block, as SGD takes them, and perhaps the weights of its rows."""

    def batches(self, block: int) -> Iterator[tuple[Any, ...]]:
        """Yield a block in smaller parts, each as `read` returns them; by default in one."""
        yield self.read(block)

    def reader(self) -> Reader:
        """Return a reader of its own for each thread."""
        return Sequential(self.batches, np.diff(self.bounds), self.where_in)

    def where(self, row: int) -> str:
        """Name a row for an error, such as "row 7 of part-3.npy"."""
        return f"row {row}"

    def column(self, at: int) -> str:
        """Name a column of x for an error."""
        return f"column {at}"

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @cached_property
    def first(self) -> NDArray[Any]:
        """The first rows of x, which say its width and type."""
        for given in self.batches(0):
            x = arrays.numbers(given[0], "x of the first batch")
            return as_rows(x, width=None)[:1].copy()
        raise ValueError("a stream must hold at least one example, got none")

    @property
    def width(self) -> int:
        """The columns of x."""
        return int(self.first.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of x, as the core takes it: uint8, float32 or float64."""
        return self.first.dtype

    def where_in(self, block: int, row: int, of: str = "x") -> str:
        """Name a row of a block for an error in its x, y or weights, which may lie apart."""
        return self.where(int(self.bounds[block]) + row)

    def rows(self, first: int, last: int) -> Stream:
        """
        Return the rows first:last as a Stream that reads no others.

        Raises
        ------
        TypeError, ValueError
            If there are no such rows.
        """
        n = len(self)
        first = _check.integer("first", first, 0)
        last = _check.integer("last", last, 0)
        if not first < last <= n:
            raise ValueError(f"first and last must be rows of {n}, at least one, got {first} and "
                             f"{last}")
        bounds = np.asarray(self.bounds)
        blocks = np.arange(np.searchsorted(bounds, first, "right") - 1,
                           np.searchsorted(bounds, last, "left"))
        begin = np.maximum(bounds[blocks], first) - bounds[blocks]
        end = np.minimum(bounds[blocks + 1], last) - bounds[blocks]
        return Selected(self, np.stack([blocks, begin, end], axis=1))

    def part(self, rank: int, of: int) -> Stream:
        """
        Return one of several parts of equal length, nearly, such as that of a process.

        Raises
        ------
        TypeError, ValueError
            If there is no such part, or it would be empty.
        """
        of = _check.integer("of", of, 1, len(self))
        rank = _check.index("rank", rank, of, "the parts")
        return self.rows(len(self) * rank // of, len(self) * (rank + 1) // of)


    def apart(self, count: int, spread: bool) -> tuple[Selected, Selected]:
        """
        Return all rows but so many, and these: the last rows, or of every block the last ones.

        Parameters
        ----------
        count : int
            Less than there are.
        spread : bool
            Whether each block has its share of them.
        """
        bounds, n = np.asarray(self.bounds), len(self)
        before = ([int(first) * count // n for first in bounds] if spread else
                  np.maximum(0, bounds - (n - count)))
        lengths = np.diff(bounds)
        cuts = lengths - np.diff(before)
        ranges = [np.stack([np.arange(len(lengths)), *ends], axis=1)
                  for ends in ((np.zeros_like(cuts), cuts), (cuts, lengths))]
        return Selected(self, ranges[0][cuts > 0]), Selected(self, ranges[1][cuts < lengths])


class Selected(Stream):
    """
    Some rows of another Stream.

    Parameters
    ----------
    of : Stream
    ranges : array (k, 3) of int
        A block, and its rows from the first to the one before the last.
    """

    def __init__(self, of: Stream, ranges: NDArray[np.intp]) -> None:
        self.of, self.ranges, self.memory, self.keeps = of, ranges, of.memory, of.keeps
        self._bounds = np.concatenate([[0], np.cumsum(ranges[:, 2] - ranges[:, 1])])

    def __repr__(self) -> str:
        return f"{len(self):,} rows of {self.of!r}"

    @property
    def bounds(self) -> NDArray[np.intp]:
        """The first row of each block, and the number of rows."""
        return self._bounds

    @property
    def first(self) -> NDArray[Any]:
        """The first rows of x, which say its width and type."""
        return self.of.first

    @property
    def width(self) -> int:
        """The columns of x."""
        return self.of.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of x."""
        return self.of.dtype

    def read(self, block: int) -> tuple[Any, ...]:
        """Return x and y of a block, and the weights if there are any."""
        which, first, last = self.ranges[block]
        return read(self.of, int(which), int(first), int(last))

    def reader(self) -> Reader:
        """Return a reader of the other stream."""
        return _SelectedReader(self.of.reader(), self.ranges)

    def where(self, row: int) -> str:
        """Name a row as the other stream does."""
        block = int(np.searchsorted(self._bounds, row, "right")) - 1
        return self.where_in(block, row - int(self._bounds[block]))

    def where_in(self, block: int, row: int, of: str = "x") -> str:
        """Name a row of a block as the other stream does."""
        which, first, _ = map(int, self.ranges[block])
        return self.of.where_in(which, first + row, of)

    def column(self, at: int) -> str:
        """Name a column as the other stream does."""
        return self.of.column(at)


class _SelectedReader:
    def __init__(self, reader: Reader, ranges: NDArray[np.intp]) -> None:
        self.reader, self.ranges, self.close = reader, ranges, reader.close

    def read(self, block: int, first: int, last: int, x: NDArray[Any]) -> Rest:
        which, begin, _ = map(int, self.ranges[block])
        return self.reader.read(which, begin + first, begin + last, x)


class Joined(Stream):
    """Streams one after the other, such as the files of a data set."""

    def __init__(self, streams: list[Stream], memory: int) -> None:
        self.streams, self.memory = streams, memory
        self.keeps = all(stream.keeps for stream in streams)
        lengths = [len(stream) for stream in streams]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.blocks = np.concatenate(
            [[0], np.cumsum([len(stream.bounds) - 1 for stream in streams])])
        self._bounds = np.concatenate([[0], *(
            start + stream.bounds[1:]
            for start, stream in zip(self.starts, streams, strict=False))])

    def __repr__(self) -> str:
        return described(self, f"{len(self.streams)} files")

    @property
    def bounds(self) -> NDArray[np.intp]:
        """The first row of each block, and the number of rows."""
        return self._bounds

    @property
    def width(self) -> int:
        """The columns of x."""
        return self.streams[0].width

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of x."""
        return self.streams[0].dtype

    def read(self, block: int) -> tuple[Any, ...]:
        """Return x and y of a block, and the weights if there are any."""
        stream, own = self.find(block)
        return self.streams[stream].read(own)

    def find(self, block: int) -> tuple[int, int]:
        """Return the stream in which a block is, and which of its blocks."""
        stream = int(np.searchsorted(self.blocks, block, "right")) - 1
        return stream, block - int(self.blocks[stream])

    def reader(self) -> Reader:
        """Return a reader that has one of the streams open at a time."""
        return _JoinedReader(self)

    def where(self, row: int) -> str:
        """Name a row as its stream does."""
        stream = int(np.searchsorted(self.starts, row, "right")) - 1
        return self.streams[stream].where(row - int(self.starts[stream]))

    def where_in(self, block: int, row: int, of: str = "x") -> str:
        """Name a row of a block as its stream does."""
        stream, own = self.find(block)
        return self.streams[stream].where_in(own, row, of)

    def column(self, at: int) -> str:
        """Name a column as the streams do."""
        return self.streams[0].column(at)


class _JoinedReader:
    def __init__(self, joined: Joined) -> None:
        self.joined, self.open, self.stack = joined, -1, ExitStack()

    def read(self, block: int, first: int, last: int, x: NDArray[Any]) -> Rest:
        stream, own = self.joined.find(block)
        if stream != self.open:
            self.close()
            self.reader = self.joined.streams[stream].reader()
            self.stack.callback(self.reader.close)
            self.open = stream
        return self.reader.read(own, first, last, x)

    def close(self) -> None:
        self.open = -1
        self.stack.close()


class Sequential:
    """
    A reader of blocks that come in batches: the next rows of a block are read without its first.

    Parameters
    ----------
    batches : callable (block)
        Yields x, y and perhaps weights.
    lengths : array of int
        The rows of each block.
    where : callable (block, row)
        Names a row for an error.
    """

    def __init__(
        self, batches: Callable[[int], Iterator[tuple[Any, ...]]], lengths: NDArray[np.intp],
        where: Callable[[int, int], str],
    ) -> None:
        self.batches, self.lengths, self.where = batches, lengths, where
        self.block, self.at = -1, 0
        self.left: tuple[Any, ...] = ()  # of a batch

    def read(self, block: int, first: int, last: int, x: NDArray[Any]) -> Rest:
        """Copy the rows first:last of a block to x; return their targets and weights."""
        if block != self.block or first < self.at:
            self.close()
            self.iterator, self.block, self.at = self.batches(block), block, 0
        while self.at < first:
            self._take(first - self.at, x.shape[1])
        rest: list[Rest] = []
        while self.at < last:
            done = self.at - first
            some, y, weights = self._take(last - self.at, x.shape[1])
            if some.dtype != x.dtype:
                raise ValueError(f"x must have one type in all batches, {x.dtype} as in the first, "
                                 f"got {some.dtype} from {self.where(block, first + done)} on")
            x[done:done + len(some)] = some
            rest.append((y, weights))
        if self.left and last == self.lengths[block]:
            raise ValueError(f"a block must have as many rows as bounds say, got more than {last} "
                             f"up to {self.where(block, last - 1)}")
        ys, weights = zip(*rest, strict=True)
        return _joined(ys), _joined(weights)

    def _take(self, count: int, width: int) -> tuple[Any, ...]:
        """Return the next rows, so many of them at most."""
        if not self.left:
            given = next(self.iterator, None)
            if given is None:
                row = self.where(self.block, self.at)
                raise ValueError(f"a block must have as many rows as bounds say, got none for "
                                 f"{row}")
            self.left = as_batch(given, width, self.where(self.block, self.at))
        batch, n = self.left, len(self.left[0])
        self.left = () if count >= n else _sliced(batch, slice(count, None))
        self.at += min(count, n)
        return batch if count >= n else _sliced(batch, slice(count))

    def close(self) -> None:
        """Forget the block."""
        if self.block >= 0:
            close = getattr(self.iterator, "close", None)
            if close is not None:
                close()
        self.block, self.left = -1, ()


def described(stream: Stream, of: str) -> str:
    """Return a line with the size of a stream, of which nothing is read."""
    return f"Stream of {of}: {len(stream):,} rows of {stream.width:,} columns, {stream.dtype}"


def read(stream: Stream, block: int, first: int, last: int) -> tuple[Any, ...]:
    """Return x, y and weights of some rows of a block, in an array of their own."""
    x = np.empty((last - first, stream.width), stream.dtype)
    reader = stream.reader()
    try:
        y, weights = reader.read(block, first, last, x)
    finally:
        reader.close()
    return (x, y) if weights is None else (x, y, weights)


def as_batch(given: Any, width: int | None, where: str) -> tuple[Any, Any, Any]:
    """
    Return x as rows that the core takes, y, and weights or None, of one batch.

    Raises
    ------
    TypeError, ValueError
        If it is none. The error says where the batch begins.
    """
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        came = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
        raise TypeError(f"a batch must be (x, y), or (x, y, weights), got a "
                        f"{type(given).__name__}{came} at {where}")
    x, y, weights = (*given, None)[:3]
    if arrays.is_sparse(x):
        raise TypeError(f"x of a batch must be dense, got a sparse {type(x).__name__} at {where}: "
                        "a CSR matrix of memory-mapped arrays is trained on as it is, without a "
                        "stream (docs/sparse.md)")
    x = as_rows(arrays.numbers(x, "x"), width, f" at {where}")
    y = y if isinstance(y, np.ndarray) else _array(y)
    weights = None if weights is None else arrays.numbers(weights, "weights")
    for what, values in (("y", y), ("weights", weights)):
        if values is not None and (values.ndim == 0 or len(values) != len(x)):
            raise ValueError(f"{what} of a batch must have a row for each of the {len(x)} rows of "
                             f"x, got shape {values.shape} at {where}")
    return x, y, weights


def _array(y: Any) -> Any:
    """Return y as an array; of names, as an array of objects."""
    try:
        return arrays.numbers(y, "y")
    except TypeError:
        return np.asarray(y, dtype=object)


def as_rows(x: NDArray[Any], width: int | None, where: str = "") -> NDArray[Any]:
    """
    Return x as rows of a type that the core takes; those of images in one row each.

    Raises
    ------
    ValueError
        If it has another width, or no rows.
    """
    if x.ndim != 2:
        if x.ndim == 0:
            raise ValueError(f"x of a batch must have a row for each example, got {x}{where}")
        x = x.reshape(len(x), int(np.prod(x.shape[1:])))
    if width is not None and x.shape[1] != width:
        raise ValueError(f"x must have {width} columns in every batch, as in the first, got "
                         f"{x.shape[1]}{where}")
    return np.require(x, arrays.row_type(x.dtype), ("C", "A"))


def _sliced(batch: tuple[Any, ...], part: slice) -> tuple[Any, ...]:
    return tuple(None if values is None else values[part] for values in batch)


def _joined(parts: tuple[Any, ...]) -> Any:
    if len(parts) == 1 or parts[0] is None:
        return parts[0]
    return np.concatenate(parts)


def size(argument: str, value: Any) -> int:
    """
    Return a number of bytes, which may be written with its unit.

    Raises
    ------
    TypeError, ValueError
        If it is none, or not above 0.

    Examples
    --------
    >>> size("memory", "256MB"), size("memory", "1.5 GiB"), size("memory", 1000)
    (256000000, 1610612736, 1000)
    """
    rule = f"{argument} must be a number of bytes, such as 256_000_000 or '256MB'"
    if not isinstance(value, str):
        try:
            return _check.integer(argument, None if isinstance(value, bool) else value, 1)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{rule}, got {_check.shown(value)}") from None
    number = value.strip().upper().rstrip("BIKMG")
    factor = UNITS.get(value.strip().upper()[len(number):].strip())
    try:
        found = int(float(number) * (factor or 0))
    except (OverflowError, ValueError):
        found = 0
    if found <= 0:
        raise ValueError(f"{rule}, got {_check.shown(value)}")
    return found

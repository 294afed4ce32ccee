"""The examples of a Stream: a buffer is trained on while another thread fills the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays
from cbackprop.core import _runtime
from cbackprop.sources import Examples, Part, checksum, spread

from .stream import Reader, Stream

if TYPE_CHECKING:
    from .prefetch import Prefetcher

PART_BYTES = 2**23  # of rows evaluated at a time
SAMPLE_ROWS = 256  # rows that stand for all, from at most so many blocks:
FEW_BLOCKS = 8

# Return the core's rows and targets of (x, y, weights), checked, but not for finite x.
Admit = Callable[[tuple[Any, Any, Any]], tuple[Any, Any]]


class BlockOrder(NamedTuple):
    """
    The order of an epoch: all blocks, one after the other, cut into buffers that are shuffled.

    Attributes
    ----------
    seed : int or None
        None is the order of the rows.
    blocks : array (blocks,) of int
    ends : array (blocks,) of int
        The rows up to the end of each of them.
    size : int
        The rows of a buffer, a multiple of the mini-batch.
    """

    seed: int | None
    blocks: NDArray[np.intp]
    ends: NDArray[np.intp]
    size: int

    def ranges(self, at: int) -> list[tuple[int, int, int]]:
        """
        Return blocks and their first and last rows, of which a buffer consists.

        They rise, but for those that are cut: these continue, and are continued.
        """
        first = at * self.size
        last = min(first + self.size, int(self.ends[-1]))
        places = range(int(np.searchsorted(self.ends, first, "right")),
                       int(np.searchsorted(self.ends, last, "left")) + 1)
        found = []
        for place in places:
            end = int(self.ends[place])
            begin = int(self.ends[place - 1]) if place else 0
            if end > begin:
                found.append(((begin >= first, end > last), (
                    int(self.blocks[place]), max(first, begin) - begin, min(last, end) - begin)))
        return [each for _, each in sorted(found)]

    def rows(self, at: int) -> NDArray[np.intp]:
        """Return the order of the rows of a buffer."""
        n = min(self.size, int(self.ends[-1]) - at * self.size)
        return np.arange(n) if self.seed is None else _runtime.random_order(
            n, (self.seed + at) % 2**64)


class Buffer:
    """
    Rows of x in memory, with their targets and weights.

    Attributes
    ----------
    ranges : list
        The blocks of which it holds rows, as those of a `BlockOrder`.
    rows, targets : Rows and Targets
        The core's.
    order : array of int
        In which the rows are trained on.
    """

    def __init__(self, n: int, width: int, dtype: np.dtype[Any]) -> None:
        self.x = np.empty((n, width), dtype)
        self.rows: Any = None
        self.targets: Any = None
        self.order: NDArray[np.intp] = np.arange(0)
        self.y: NDArray[Any] | None = None
        self.weights: NDArray[Any] | None = None
        self.ranges: list[tuple[int, int, int]] = []
        self.at = -1

    def put(self, first: int, y: NDArray[Any], weights: NDArray[Any] | None) -> None:
        """Copy the targets, and weights, of some rows."""
        n = len(self.x)
        if self.y is None:
            self.y = np.empty((n, *y.shape[1:]), y.dtype)
            self.weights = None if weights is None else np.empty(n, weights.dtype)
        self.y[first:first + len(y)] = y
        if self.weights is not None:
            self.weights[first:first + len(y)] = weights


class BufferedExamples(Examples):
    """
    Examples of a Stream.

    Parameters
    ----------
    stream : Stream
    admit : callable ((x, y, weights))
        Returns the core's rows and targets, checked, but not for finite x.
    name : str
        The name of the data in errors.
    check : bool
        Whether x must be finite wherever it is read; else only `look_again` sees it.
    sizes : tuple of int
        Those of the network.
    real : str
        The type of its arithmetic.
    """

    def __init__(
        self, stream: Stream, admit: Admit, name: str, check: bool, sizes: tuple[int, ...],
        real: str,
    ) -> None:
        self.stream, self.admit, self.name, self.check = stream, admit, name, check
        self.bounds = bounds = np.asarray(stream.bounds)
        if (bounds.ndim != 1 or bounds.dtype.kind not in "iu" or len(bounds) < 2 or bounds[0] != 0
                or (np.diff(bounds) < 0).any()):
            raise ValueError(f"bounds of {name} must be integers that rise from 0 to the number "
                             f"of rows, got {_check.shown(stream.bounds)}")
        self.n = int(bounds[-1])
        if self.n == 0:
            raise ValueError(f"{name} must hold at least one example, got none")
        self.sizes, self.real, self.most = sizes, real, self.n
        # An array of this shape takes no memory.
        arrays.in_rows(np.broadcast_to(np.uint8(0), (self.n, stream.width)), sizes[0],
                       arrays.part("x", name))
        self.row = (stream.width * stream.dtype.itemsize + np.intp().itemsize  # of the order
                    + (sizes[-1] + 1) * np.dtype(real).itemsize)  # of y and the weights
        self.prefetcher: Prefetcher[Buffer] | None = None
        self.of: BlockOrder | None = None  # whose buffers are read ahead
        self.buffer: Buffer | None = None
        self.buffers: list[Buffer] = []
        self.some = self._few()

    def __len__(self) -> int:
        return self.n

    def apart(self, count: int, spread: bool) -> list[BufferedExamples]:
        """Return two parts of the examples, as `Stream.apart` does."""
        return [BufferedExamples(part, self.admit, self.name, self.check, self.sizes, self.real)
                for part in self.stream.apart(count, spread)]

    def order(self, seed: int | None, m: int) -> BlockOrder:
        """
        Return the order of an epoch, which the seed alone decides; None is the order of the rows.

        Raises
        ------
        ValueError
            If two buffers cannot each hold a mini-batch.
        """
        memory = self.stream.memory * 7 // 8  # the rest is for what is being decoded
        whole = memory // self.row
        half = whole // 2 // m * m
        if self.n > whole and not half:
            raise ValueError(f"memory must hold two mini-batches of {m} rows of {self.name}, "
                             f"{-(-16 * m * self.row // 7):,} bytes, got {self.stream.memory:,}")
        buffers = 1 if self.n <= whole else -(-self.n // half)
        return self._order(seed, -(-self.n // (buffers * m)) * m)

    def _order(self, seed: int | None, size: int) -> BlockOrder:
        bounds = self.bounds
        blocks = (np.arange(len(bounds) - 1) if seed is None else
                  _runtime.random_order(len(bounds) - 1, (seed + 2**63) % 2**64))
        return BlockOrder(seed, blocks, np.cumsum(np.diff(bounds)[blocks]), size)

    def part(self, order: BlockOrder, first: int, last: int) -> Part:
        """Return examples from the place `first` of the order on, as far as they are in memory."""
        at = first // order.size
        if self.buffer is None or self.of is not order or self.buffer.at != at:
            self.buffer = self._next(order, at)
        buffer, begin = self.buffer, at * order.size
        return (buffer.rows, buffer.targets, buffer.order, first - begin,
                min(last - begin, len(buffer.order)))

    def _next(self, order: BlockOrder, at: int) -> Buffer:
        """Return a buffer of an order, for which the reader may have to begin anew."""
        follows = self.of is order and self.buffer is not None and self.buffer.at + 1 == at
        if self.prefetcher is None or not follows:
            self._end()
            self.prefetcher, self.of = self._prefetched(order, at, self.buffers), order
        return next(self.prefetcher)

    def _prefetched(
        self, order: BlockOrder, at: int, buffers: list[Buffer]
    ) -> Prefetcher[Buffer]:
        from .prefetch import Prefetcher  # threads that most trainings need not import

        stop = threading.Event()
        return Prefetcher(self._filled(order, at, buffers, stop), stop)

    def _end(self) -> None:
        """End the reader; the buffers are kept."""
        if self.prefetcher is not None:
            self.prefetcher.close()
        self.prefetcher = self.of = None

    def close(self) -> None:
        """End the reader, and free the buffers."""
        self._end()
        self.buffer, self.buffers = None, []

    def _filled(
        self, order: BlockOrder, at: int, buffers: list[Buffer], stop: threading.Event
    ) -> Generator[Buffer, None, None]:
        """Yield filled buffers from one of an order on; two of them take turns."""
        reader = self.stream.reader()
        try:
            for turn, each in enumerate(range(at, -(-self.n // order.size))):
                if len(buffers) <= min(turn, 1):
                    buffers.append(Buffer(min(self.n, order.size), self.stream.width,
                                          self.stream.dtype))
                buffer = buffers[turn % len(buffers)]
                for _ in self._fill(buffer, order, each, reader):
                    if stop.is_set():
                        return
                yield buffer
        finally:
            reader.close()

    def _fill(
        self, buffer: Buffer, order: BlockOrder, at: int, reader: Reader
    ) -> Iterator[None]:
        """Fill a buffer, block by block, unless it holds these rows."""
        ranges = order.ranges(at)
        if ranges != buffer.ranges or not self.stream.keeps:
            buffer.ranges, n = [], 0
            for block, first, last in ranges:
                x = buffer.x[n:n + last - first]
                y, weights = reader.read(block, first, last, x)
                rows, targets = self._admitted(x, y, weights, block, first)
                buffer.put(n, targets.y, targets.weights)
                n += last - first
                yield
            assert buffer.y is not None  # no block is empty
            buffer.rows = type(rows)(buffer.x[:n])
            buffer.targets = type(targets)(
                buffer.y[:n], None if buffer.weights is None else buffer.weights[:n])
            buffer.ranges = ranges
        buffer.order, buffer.at = order.rows(at), at

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Yield all rows and targets, part by part."""
        size = max(1, min(self.n, PART_BYTES // self.row))
        with closing(self._prefetched(self._order(None, size), 0, [])) as buffers:
            for buffer in buffers:
                yield buffer.rows, buffer.targets

    # ---- some rows ----

    def few(self, count: int) -> Part:
        """Return some examples, of several blocks."""
        rows, targets = self.some
        return rows, targets, np.arange(len(rows)), 0, len(rows)

    def known_targets(self) -> NDArray[Any]:
        """Return some labels or some rows of y."""
        y: NDArray[Any] = self.some[1].y
        return y

    def fingerprint(self) -> str:
        """Return what an order depends on, and a checksum of some rows that are always the same."""
        words = (f"{super().fingerprint()} in {len(self.bounds) - 1:,} blocks, read into "
                 f"{self.stream.memory:,} bytes")
        return f"{words}, {checksum(*self.some)}" if self.stream.keeps else words

    def _few(self) -> tuple[Any, Any]:
        """Read the rows of `few`, which must be finite."""
        bounds = self.bounds
        blocks = spread(len(bounds) - 1, FEW_BLOCKS)
        counts = np.minimum(np.diff(bounds)[blocks], -(-SAMPLE_ROWS // len(blocks)))
        order = BlockOrder(None, blocks, np.cumsum(counts), int(counts.sum()))
        buffer = Buffer(order.size, self.stream.width, self.stream.dtype)
        with closing(self.stream.reader()) as reader:
            for _ in self._fill(buffer, order, 0, reader):
                pass
        self._see_finite(buffer)
        return buffer.rows, buffer.targets

    # ---- what is wrong with rows ----

    def _admitted(
        self, x: NDArray[Any], y: Any, weights: Any, block: int, first: int
    ) -> tuple[Any, Any]:
        """
        Return the core's rows and targets for some rows of a block.

        Raises
        ------
        TypeError, ValueError
            If they are not right. The error names the row, if it is a single one's fault.
        """
        def refused(
            begin: int, end: int, weights: Any = weights
        ) -> TypeError | ValueError | None:
            try:
                admitted(begin, end, weights)
            except (TypeError, ValueError) as error:
                return error
            return None

        def admitted(begin: int, end: int, weights: Any = weights) -> tuple[Any, Any]:
            part = slice(begin, end)
            return self.admit((x[part], y[part], None if weights is None else weights[part]))

        try:
            rows, targets = admitted(0, len(x))
        except (TypeError, ValueError) as whole:
            error, begin, end = whole, 0, len(x)
        else:
            if self.check and not rows.all_finite():
                self._not_finite(x, block, first)
            return rows, targets
        while end - begin > 1:  # the half that is wrong on its own
            middle = (begin + end) // 2
            halves = [(half, refused(*half)) for half in ((begin, middle), (middle, end))]
            half, found = next((each for each in halves if each[1]), ((begin, end), None))
            if found is None:
                break
            error, (begin, end) = found, half
        where = self.stream.where_in(
            block, first + begin, "y" if refused(begin, end, None) else "weights")
        raise type(error)(
            f"{error}, {'in' if end - begin == 1 else 'from'} {where}"
            f"{'' if end - begin == 1 else ' on'}") from None

    def look_again(self) -> None:
        """
        See that x of the last part is finite.

        Raises
        ------
        ValueError
            If it is not. The error names the row.
        """
        if self.buffer is not None:
            self._see_finite(self.buffer)

    def _see_finite(self, buffer: Buffer) -> None:
        n = 0
        if not buffer.rows.all_finite():
            for block, first, last in buffer.ranges:
                self._not_finite(buffer.x[n:n + last - first], block, first)
                n += last - first

    def _not_finite(self, x: NDArray[Any], block: int, first: int) -> None:
        """Raise ValueError if a number is not finite, and name the first."""
        with np.errstate(over="ignore"):
            wrong = np.argwhere(~np.isfinite(x.astype(self.real)))
        if len(wrong):
            row, column = map(int, wrong[0])
            value = x[row, column]
            raise ValueError(
                f"{arrays.part('x', self.name)} must be finite, got {value} in "
                f"{self.stream.column(column)} of {self.stream.where_in(block, first + row)}"
                f"{f', beyond {self.real}' if np.isfinite(value) else ''}")

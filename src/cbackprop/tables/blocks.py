"""
A table in files that are read block by block: it may be larger than memory.

A sample of it says what its columns and its target are; a `TableStream` gives all rows, as the
network takes them. Text of CSV and Excel has no blocks.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words, streams
from cbackprop.columns import MAX_CLASSES
from cbackprop.streams import opening
from cbackprop.streams.arrow_columns import BATCH, ArrowFile, pyarrow
from cbackprop.streams.stream import Joined, Stream

from . import target
from .frame import from_frame, with_target
from .preprocessing import Preprocessing
from .settings import TargetScale
from .table import Table
from .target import Target

PIECES = 64  # of about a megabyte, in the sample


class Part(Protocol):
    """A part of a table: a file, or arrays in several."""

    bounds: NDArray[np.intp]

    def pieces(self, block: int) -> Iterator[Any]:
        """Yield a block, piece by piece."""

    def table(self, pieces: Sequence[Any], first: int = 0) -> Table:
        """Return the table of some pieces; `first` is the row with which they begin."""

    def rows(self, piece: Any, chosen: NDArray[np.intp]) -> Any:
        """Return a piece of some rows of one."""

    def length(self, piece: Any) -> int:
        """Count the rows of a piece."""

    def where(self, row: int) -> str:
        """Name a row for an error."""


class ArrowPart:
    """A file of Parquet or Arrow."""

    def __init__(self, file: ArrowFile) -> None:
        self.file, self.bounds, self.names = file, file.bounds, list(file.schema.names)

    def pieces(self, block: int) -> Iterator[Any]:
        """Yield record batches."""
        return self.file.batches(self.names, block, max(1, BATCH // (8 * len(self.names))))

    def table(self, pieces: Sequence[Any], first: int = 0) -> Table:
        """Return the table of record batches."""
        return from_frame(pyarrow().Table.from_batches(pieces), self.file.path, first)

    def rows(self, piece: Any, chosen: NDArray[np.intp]) -> Any:
        """Return some rows of a record batch."""
        return piece.take(pyarrow().array(chosen))

    def length(self, piece: Any) -> int:
        """Count the rows of a record batch."""
        return int(piece.num_rows)

    def where(self, row: int) -> str:
        """Name a row and the file."""
        return f"row {row} of {self.file.path}"


class ArrayPart:
    """
    Arrays of NumPy, or HDF5: x and y, or one whose columns are both.

    Parameters
    ----------
    stream : Stream
    source : str
    apart : bool
        Whether x and y are apart in the file.
    """

    def __init__(self, stream: Stream, source: str, apart: bool) -> None:
        self.stream, self.source, self.apart = stream, source, apart
        self.bounds, self.where = stream.bounds, stream.where

    def pieces(self, block: int) -> Iterator[Any]:
        """Yield x and y."""
        return self.stream.batches(block)

    def table(self, pieces: Sequence[Any], first: int = 0) -> Table:
        """Return the table of some x and y."""
        x, y = map(np.concatenate, zip(*pieces, strict=True))
        if self.apart:
            return with_target(x, y, self.source, first)
        return from_frame(np.column_stack([x, y]), self.source, first)

    def rows(self, piece: Any, chosen: NDArray[np.intp]) -> Any:
        """Return some rows of x and y."""
        return tuple(values[chosen] for values in piece)

    def length(self, piece: Any) -> int:
        """Count the rows of x."""
        return len(piece[0])


def parts(source: str, memory: int | str) -> list[Part]:
    """
    Open a table in files, of which nothing but headers is read.

    Parameters
    ----------
    source : str
        A file, a folder of files, or a name with wildcards, as `streams.open` takes them.
    memory : int or str
        The bytes that reading may take.

    Raises
    ------
    TypeError, ValueError, OSError, ModuleNotFoundError
        As `streams.open`.
    """
    paths = opening.paths("DATA", source)
    module, function = opening.format_of(paths[0])
    if function not in opening.OF_RECORDS:
        apart = function not in opening.APART
        return [ArrayPart(streams.open(paths, target=None if apart else -1, memory=memory),
                          source, apart)]
    kind = getattr(importlib.import_module(f"{streams.__name__}.{module}"), function.capitalize())
    files = []
    for path in paths:
        opening.check_format(path, paths[0])
        files.append(kind(path))
        if not files[0].schema.equals(files[-1].schema, check_metadata=False):
            wanted, found = ([f"column {field.name!r} of {field.type}" for field in file.schema]
                             for file in (files[0], files[-1]))
            opening.check_alike(paths[0], wanted, path, found)
    filled = [ArrowPart(file) for file in files if file.bounds[-1]]
    if not filled:
        raise ValueError(f"{paths[0]} must hold at least one row, got none")
    return [*filled]


class Sample:
    """
    Some pieces of a table, from blocks that are spread evenly.

    Parameters
    ----------
    parts : sequence of Part
    memory : int
        The bytes of which it may take a quarter.
    """

    def __init__(self, parts: Sequence[Part], memory: int) -> None:
        self.parts = parts
        blocks = _blocks(parts)
        most = max(1, min(PIECES, memory // (4 * BATCH)))
        chosen = np.unique(np.linspace(0, len(blocks) - 1, most).astype(int)).tolist()
        self.located = list(itertools.chain.from_iterable(itertools.islice(
            _located(*blocks[at]), max(1, most // len(chosen))) for at in chosen))
        for part, first, piece in self.located:
            part.table([piece], first)  # whose errors know the row
        self.pieces = [piece for _, _, piece in self.located]

    def table(self) -> Table:
        """Return its table."""
        return self.parts[0].table(self.pieces)

    def check_targets(self, names: Sequence[str]) -> None:
        """See that these columns can be targets."""
        for part, first, piece in self.located:
            for name in names:
                target.check_column(part.table([piece], first), name)

    def add_classes(self, name: str) -> None:
        """
        Add a row for each class of a column that the sample lacks; all rows are read.

        Numbers are no classes if there are many.
        """
        table = self.table()
        seen = set(_values(table, name)[0].tolist())
        if table.columns[name].dtype.kind in "fM" and (
                len(seen) > MAX_CLASSES or any(value != np.trunc(value) for value in seen)):
            return
        for part, first, piece in itertools.chain.from_iterable(
                _located(*each) for each in _blocks(self.parts)):
            read = part.table([piece], first)
            target.check_column(read, name)
            values, rows = _values(read, name)
            new = [row for value, row in zip(values.tolist(), rows, strict=True)
                   if value not in seen]
            seen.update(values.tolist())
            if len(seen) > max(MAX_CLASSES, len(table)):
                return  # who looks at the sample says that there are too many
            if new:
                self.pieces.append(part.rows(piece, np.array(new)))


def _blocks(parts: Sequence[Part]) -> list[tuple[Part, int]]:
    """Return all blocks, each with its part."""
    return [(part, block) for part in parts for block in range(len(part.bounds) - 1)]


def _located(part: Part, block: int) -> Iterator[tuple[Part, int, Any]]:
    """Yield the pieces of a block, each with the number of its first row."""
    row = int(part.bounds[block])
    for piece in part.pieces(block):
        yield part, row, piece
        row += part.length(piece)


def _values(table: Table, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the different values of a column, text as strings, and a row that has each."""
    column = table.columns[name]
    return np.unique(column.astype(str) if column.dtype == object else column, return_index=True)


class TableStream(Stream):
    """
    The rows of a part of a table: inputs of a network, and targets.

    Parameters
    ----------
    part : Part
    preprocessing : Preprocessing
    learned : Target
        That of the sample.
    real : str
        The dtype of x.
    memory : int
    said : set of str
        Warnings that are not said again.
    scale : TargetScale, optional
        That of targets that are numbers.
    """

    keeps = True

    def __init__(
        self, part: Part, preprocessing: Preprocessing, learned: Target, real: str, memory: int,
        said: set[str], scale: TargetScale | None = None,
    ) -> None:
        self.read_from, self.preprocessing, self.target = part, preprocessing, learned
        self.real, self.memory, self.scale = real, memory, scale
        self.said = said

    @property
    def bounds(self) -> NDArray[np.intp]:
        """The first row of each block, and the number of rows."""
        return self.read_from.bounds

    @property
    def width(self) -> int:
        """The inputs of the network."""
        return len(self.preprocessing.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of x."""
        return np.dtype(self.real)

    def where(self, row: int) -> str:
        """Name a row and its file."""
        return self.read_from.where(row)

    def column(self, at: int) -> str:
        """Name an input."""
        return f"column {self.preprocessing.columns[at]!r}"

    def read(self, block: int) -> tuple[Any, ...]:
        """Return x and y of a block."""
        return tuple(map(np.concatenate, zip(*self.batches(block), strict=True)))

    def batches(self, block: int) -> Iterator[tuple[Any, ...]]:
        """Yield x and y of a block in parts."""
        for _, first, piece in _located(self.read_from, block):
            table = self.read_from.table([piece], first)
            x = self._quietly(partial(self.preprocessing.transform, table, self.real))
            yield x, self._targets(table)

    def _quietly(self, work: Callable[[], Any]) -> Any:
        """Do some work, and warn of what it warns of once, and not for each block."""
        said: list[str] = []
        token = _words.collected_messages.set(said)
        try:
            done = work()
        finally:
            _words.collected_messages.reset(token)
        for message in said:
            if message not in self.said:
                self.said.add(message)
                _words.warn(message)
        return done

    def _targets(self, table: Table) -> NDArray[Any]:
        """Return labels of classes, or numbers."""
        for name in self.target.names:
            target.check_column(table, name)
            if self.target.kind != "classes" and table.columns[name].dtype == object:
                raise ValueError(f"{table.where(0, name)}: must be a number, as in the sample, "
                                 f"got {_check.shown(table.columns[name][0])}")
        columns = [table.columns[name] for name in self.target.names]
        if self.target.kind == "classes":
            return self._labels(table, columns[0])
        y = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
        y = y.astype(float)
        return y if self.scale is None else self.scale.scaled(y)

    def _labels(self, table: Table, column: NDArray[Any]) -> NDArray[np.intp]:
        classes = self.target.classes
        assert classes is not None
        found = column.tolist()
        if column.dtype.kind == "f" and all(isinstance(name, str) for name in classes):
            # Of a column of words, those of this piece all look like numbers.
            found = [str(int(value)) if value.is_integer() else str(value) for value in found]
        place = {name: label for label, name in enumerate(classes)}
        try:
            return np.array([place[value] for value in found], np.intp)
        except KeyError:
            row = next(row for row, value in enumerate(found) if value not in place)
            raise ValueError(f"{table.where(row, self.target.names[0])} must be a class of the "
                             f"sample, {_check.shown(list(classes))}, got "
                             f"{_check.shown(found[row])}") from None


def stream(given: Iterable[Part], *args: Any, **named: Any) -> Stream:
    """Return the `TableStream` of all parts."""
    found: list[Stream] = [TableStream(part, *args, **named) for part in given]
    return found[0] if len(found) == 1 else Joined(found, found[0].memory)

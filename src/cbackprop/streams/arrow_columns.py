"""Columns of Arrow's tables as x, y and weights, for the formats that pyarrow reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _extras, _words, arrays

from .files import Asked, FileStream, Unchanged

BATCH = 2**20  # bytes of x that are made at a time


class ArrowFile(ABC):
    """
    A file of record batches, in blocks.

    Parameters
    ----------
    path : str
    schema : pyarrow.Schema
    rows : sequence of int
        Those of each block.
    """

    def __init__(self, path: str, schema: Any, rows: Sequence[int]) -> None:
        self.path, self.schema, self.unchanged = path, schema, Unchanged(path)
        self.bounds = np.concatenate([[0], np.cumsum(rows, dtype=np.intp)])

    def batches(self, names: Sequence[str], block: int, rows: int) -> Iterator[Any]:
        """
        Yield columns of a block, in record batches of at most so many rows.

        Raises
        ------
        OSError
            If the file was changed.
        """
        given = self._record_batches(names, block, rows)
        while True:
            with self.unchanged.reading():
                batch = next(given, None)
            if batch is None:
                return
            for first in range(0, batch.num_rows, rows):
                yield batch.slice(first, rows)

    @abstractmethod
    def _record_batches(self, names: Sequence[str], block: int, rows: int) -> Iterator[Any]:
        """Yield a block's record batches, of so many rows if the format can."""


class ArrowColumns(FileStream):
    """
    Columns of a file as x, y and weights.

    Parameters
    ----------
    file : ArrowFile
    asked : Asked

    Raises
    ------
    TypeError, ValueError
        If a column is missing or does not hold numbers.
    """

    def __init__(self, file: ArrowFile, asked: Asked) -> None:
        super().__init__(file.path, file.bounds, asked)
        self.file, path, schema = file, file.path, file.schema
        if asked.target is None:
            raise ValueError(f"target must name the column of {path} to be learned, out of "
                             f"{_check.shown(schema.names)}")
        self.targets = self._columns(schema, "target", asked.target)
        self.weights = self._columns(schema, "sample_weight", asked.weights or [])
        left_out = {*self.targets, *self.weights}
        self.names = self._columns(schema, "columns", asked.columns if asked.columns is not None
                                   else [name for name in schema.names if name not in left_out])
        if not self.names:
            raise ValueError(f"columns must be at least one of {path}, beside the target, got none")
        kinds = [self._kind(schema.field(name).type, name) for name in self.names]
        self.widths = [width for _, width in kinds]
        self._dtype = arrays.row_type(np.result_type(*(dtype for dtype, _ in kinds)))
        self.types = {name: schema.field(name).type
                      for name in (*self.names, *self.targets, *self.weights)}

    def _columns(self, schema: Any, argument: str, given: Any) -> list[str]:
        """Return the names of columns, which the file must have."""
        names = [given] if isinstance(given, str) else _check.items(
            given, f"{argument} must be a column's name, or a list of them")
        for name in names:
            if schema.names.count(name) != 1:
                twice = "one column each" if name in schema.names else "columns"
                raise ValueError(f"{argument} must name {twice} of {self.path}, got "
                                 f"{_check.shown(name)}{_words.meant(name, schema.names)}")
        return names

    def _kind(self, found: Any, name: str) -> tuple[np.dtype[Any], int]:
        """Return the type and the width of a column of x."""
        types = pyarrow().types
        width = 1
        if types.is_fixed_size_list(found):
            found, width = found.value_type, found.list_size
        if types.is_decimal(found):
            return np.dtype(np.float64), width
        if not (types.is_integer(found) or types.is_floating(found) or types.is_boolean(found)):
            raise TypeError(f"x must hold real numbers, got column {name!r} of {self.path} of type "
                            f"{found}: columns= leaves it out")
        return np.dtype(found.to_pandas_dtype()), width

    @property
    def width(self) -> int:
        """The columns of x."""
        return sum(self.widths)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of x, as the core takes it."""
        return self._dtype

    def column(self, at: int) -> str:
        """Name a column."""
        return f"column {self.names[int(np.searchsorted(np.cumsum(self.widths), at, 'right'))]!r}"

    def parts(self) -> list[str]:
        """Describe the columns."""
        return [f"column {name!r} of {found}" for name, found in self.types.items()]

    def read(self, block: int) -> tuple[Any, ...]:
        """Return x and y of a block, and the weights if there are any."""
        parts = zip(*self.batches(block), strict=True)
        return tuple(np.concatenate(part) for part in parts if part[0] is not None)

    def batches(self, block: int) -> Iterator[tuple[Any, ...]]:
        """Yield a block in parts of about `BATCH` bytes."""
        rows = max(1, BATCH // (self.width * self.dtype.itemsize))
        done = int(self._bounds[block])
        for batch in self.file.batches([*self.types], block, rows):
            yield self._arrays(batch, done)
            done += batch.num_rows

    def _arrays(self, batch: Any, row: int) -> tuple[Any, ...]:
        x = np.empty((batch.num_rows, self.width), self.dtype)
        pa, at = pyarrow(), 0
        for name, width in zip(self.names, self.widths, strict=True):
            x[:, at:at + width] = self._values(pa, batch, name, row).reshape(-1, width)
            at += width
        y = [self._values(pa, batch, name, row) for name in self.targets]
        weights = self._values(pa, batch, self.weights[0], row) if self.weights else None
        return x, y[0] if len(y) == 1 else np.stack(y, axis=1), weights

    def _values(self, pa: Any, batch: Any, name: str, row: int) -> NDArray[Any]:
        """Return a column, of which no value may be missing."""
        column = batch.column(batch.schema.get_field_index(name))
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if column.null_count:
            at = row + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise ValueError(f"column {name!r} must not have missing values, got one in "
                             f"{self.where(at)}")
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        if pa.types.is_fixed_size_list(column.type):
            column = column.flatten()
            if column.null_count:
                raise ValueError(f"column {name!r} must not have missing values, got one from "
                                 f"{self.where(row)} on")
        found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return found


def pyarrow() -> Any:
    """Import pyarrow."""
    return _extras.library("pyarrow", "to read Parquet and Arrow, streams.open", "arrow")

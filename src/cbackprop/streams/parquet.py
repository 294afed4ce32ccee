"""Files of Parquet, by pyarrow: a block is a row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cbackprop import _extras, storage

from .arrow_columns import ArrowColumns, pyarrow
from .files import Asked
from .stream import Stream

PAGES = 2**16  # bytes that are read of each column at a time, and not all of a row group


class Parquet(ArrowColumns):
    """Columns of a file of Parquet."""

    def _record_batches(self, block: int, rows: int) -> Iterator[Any]:
        names = [*self.names, *self.targets, *self.weights]
        with _opened(self.path) as file:
            yield from file.iter_batches(rows, row_groups=[block], columns=names, use_threads=False)


def parquet(path: str, y: str | None, weights: str | None, asked: Asked) -> Stream:
    """Return the Stream of a file."""
    with storage.damaged(f"{path} must be a whole file of Parquet, got "), _opened(path) as file:
        groups = [file.metadata.row_group(at).num_rows
                  for at in range(file.metadata.num_row_groups)]
        schema = file.schema_arrow
    return Parquet(path, schema, np.concatenate([[0], np.cumsum(groups, dtype=np.intp)]), asked)


def _opened(path: str) -> Any:
    pyarrow()
    library = _extras.library("pyarrow.parquet", "to read Parquet, streams.open", "arrow")
    return library.ParquetFile(path, buffer_size=PAGES, pre_buffer=False, memory_map=False)

"""Files of Parquet, by pyarrow: a block is a row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cbackprop import _extras, storage

from .arrow_columns import ArrowColumns, ArrowFile, pyarrow
from .files import Asked
from .stream import Stream

PAGES = 2**16  # bytes that are read of each column at a time, and not all of a row group


class Parquet(ArrowFile):
    """A file of Parquet, whose metadata is read."""

    def __init__(self, path: str) -> None:
        whole = storage.damaged(f"{path} must be a whole file of Parquet, got ")
        with whole, _opened(path) as file:
            self.metadata = file.metadata  # that of many row groups takes long to read again
            rows = [self.metadata.row_group(at).num_rows
                    for at in range(self.metadata.num_row_groups)]
            super().__init__(path, file.schema_arrow, rows)

    def _record_batches(self, names: Sequence[str], block: int, rows: int) -> Iterator[Any]:
        with _opened(self.path, self.metadata) as file:
            yield from file.iter_batches(
                rows, row_groups=[block], columns=[*names], use_threads=False)


def parquet(path: str, y: str | None, weights: str | None, asked: Asked) -> Stream:
    """Return the Stream of a file."""
    return ArrowColumns(Parquet(path), asked)


def _opened(path: str, metadata: Any = None) -> Any:
    pyarrow()
    library = _extras.library("pyarrow.parquet", "to read Parquet, streams.open", "arrow")
    return library.ParquetFile(path, metadata=metadata, buffer_size=PAGES, pre_buffer=False,
                               memory_map=False)

"""Files of Arrow's IPC format, which Feather is, by pyarrow: a block is a record batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cbackprop import storage

from .arrow_columns import ArrowColumns, ArrowFile, pyarrow
from .files import Asked
from .stream import Stream


class Feather(ArrowFile):
    """A file of Arrow, whose rows are counted."""

    def __init__(self, path: str) -> None:
        with storage.damaged(f"{path} must be a whole file of Arrow, got "):
            with _opened(path) as file:
                schema, count = file.schema, file.num_record_batches
            widths = {field.name: getattr(field.type, "bit_width", 64) if field.type.num_fields == 0
                      and not pyarrow().types.is_string(field.type) else 2**30 for field in schema}
            with _opened(path, [min(widths, key=widths.__getitem__)]) as file:  # to count its rows
                rows = [file.get_batch(at).num_rows for at in range(count)]
        super().__init__(path, schema, rows)

    def _record_batches(self, names: Sequence[str], block: int, rows: int) -> Iterator[Any]:
        with _opened(self.path, names) as file:
            yield file.get_batch(block)


def feather(path: str, y: str | None, weights: str | None, asked: Asked) -> Stream:
    """Return the Stream of a file."""
    return ArrowColumns(Feather(path), asked)


@contextmanager
def _opened(path: str, names: Sequence[str] | None = None) -> Iterator[Any]:
    """Open a file, for all columns or some."""
    pa = pyarrow()
    with pa.OSFile(path) as source:
        file = pa.ipc.open_file(source)
        if names is not None:
            fields = sorted(file.schema.get_field_index(name) for name in names)
            file = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(
                included_fields=fields, use_threads=False))
        yield file

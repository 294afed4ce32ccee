"""Tables from files. The first bytes of a file decide its format, not its name."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _extras, storage

from .frame import from_frame
from .table import Table
from .text import read_text

X_NAMES = ("x", "data", "images", "image", "features", "inputs", "input", "arr_0")  # in any case
Y_NAMES = ("y", "target", "targets", "labels", "label", "classes", "class", "outputs", "output",
           "arr_1")
PARTS = ("", "_train", "train_", "training_", "_training")  # prefixes and suffixes of a name
STREAM = b"\xff\xff\xff\xff"  # the first bytes of Arrow's stream format
XLS = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the first bytes of Excel until 2003
EXCEL = ("xl/workbook.xml", "xl/workbook.bin")


def read(
    source: storage.Target, *, header: bool | None = None, separator: str | None = None,
    text: Sequence[str] = (), max_bytes: int = storage.MAX_BYTES,
) -> Table:
    r"""
    Read a table from a file.

    It may be CSV in any dialect, ``.npy``, ``.npz``, Parquet, Arrow or Excel, compressed by gzip or
    not. Parquet, Arrow and Excel need the extra ``tables``, which also reads large CSV faster.

    Parameters
    ----------
    source : str, path-like or binary file
        "-" is the standard input.
    header : bool, optional
        Whether the first row of a text file holds the names. By default, this is guessed.
    separator : str, optional
        The character between the fields of a text file. By default, it is guessed.
    text : sequence of str
        Columns of a text file that stay text, whatever they look like. Unknown names are ignored.
    max_bytes : int
        The size to which a compressed file may unpack, unless it is larger itself.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the file is damaged or no table. The error names the file, the line and the column.
    OSError
        If the file cannot be opened.
    ModuleNotFoundError
        If the library that reads such a file is missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "people.csv")
    >>> path.write_text("age;height;sex\n31;1,70;f\n;1,85;m\n") > 0
    True
    >>> for name, column in read(path).columns.items():
    ...     print(name, column)
    age [31. nan]
    height [1.7  1.85]
    sex ['f' 'm']
    """
    max_bytes = _check.integer("max_bytes", max_bytes, 0)
    if separator is not None and (not isinstance(separator, str) or len(separator) != 1
                                  or separator in '"\n\r'):
        raise ValueError(f"separator must be one character, got {_check.shown(separator)}")
    content, name = _content(source, max_bytes)
    most = max(max_bytes, len(content))
    content = storage.unpacked(content, max_bytes, name)
    if content.startswith(b"\x93NUMPY"):
        with storage.damaged(f"{name}: must hold a whole numeric array, got "):
            array = np.lib.format.read_array(io.BytesIO(content))
        return _of_array(array, name)
    if content.startswith(b"PAR1"):
        return _by_polars("parquet", content, name, most)
    if content.startswith((b"ARROW1", STREAM)):
        return _by_polars("ipc", content, name, most)
    if content.startswith(XLS):
        return _excel(content, name)
    if content.startswith(b"PK\3\4"):
        return _of_zip(content, name, most)
    return read_text(content, name, header=header, separator=separator, text=text)


def _content(source: storage.Target, max_bytes: int) -> tuple[bytes, str]:
    """Return the bytes of a source, and its name for messages."""
    if isinstance(source, (str, os.PathLike)) and os.fspath(source) != "-":
        return Path(source).read_bytes(), os.fsdecode(source)
    is_stdin = isinstance(source, (str, os.PathLike))
    file, name = (sys.stdin.buffer, "standard input") if is_stdin else (
        source, storage.named(source))
    content = storage.whole(file, max_bytes, name)
    if not content:
        raise ValueError(f"{name}: must hold rows of values, got nothing")
    return content, name


def _of_zip(content: bytes, name: str, most: int) -> Table:
    """Read a NumPy archive or an Excel file; refuse other archives."""
    with storage.damaged(f"{name}: must hold whole numeric arrays, got "):
        archive = storage.Archive(io.BytesIO(content), most)
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            names, size = members.namelist(), sum(info.file_size for info in members.infolist())
    if len(archive):
        return _of_archive(archive, name)
    if not any(member in names for member in EXCEL):
        raise ValueError(f"{name}: must be a table, got a zip archive of "
                         f"{_check.shown(', '.join(names))}: unpack it first")
    if size > most:
        raise ValueError(f"{name}: must unpack to at most max_bytes = {most:,} bytes, got {size:,}")
    return _excel(content, name)


def _of_archive(archive: Mapping[str, NDArray[Any]], name: str) -> Table:
    """Make a table of x and y, or of columns that are all of one length."""
    plain = {key.casefold(): key for key in archive}
    for part in PARTS:
        def key_of(names: Sequence[str], part: str = part) -> str | None:
            spellings = (part + one if part.endswith("_") else one + part for one in names)
            return next((plain[one] for one in spellings if one in plain), None)

        x_key, y_key = key_of(X_NAMES), key_of(Y_NAMES)
        if x_key is not None:
            break
    with storage.damaged(f"{name}: must hold whole numeric arrays, got "):
        if x_key is None:
            columns = {key: archive[key] for key in archive}
        else:
            x, y = archive[x_key], None if y_key is None else archive[y_key]
    if x_key is None:
        if len({column.shape for column in columns.values()}) == 1 and all(
                column.ndim == 1 for column in columns.values()):
            return from_frame(columns, name)
        raise ValueError(f"{name}: must hold x and y, or another usual pair of names, "
                         f"got {_check.shown(', '.join(archive))}")
    if y is not None and (x.ndim < 2 or y.ndim not in (1, 2) or len(x) != len(y)):
        raise ValueError(f"{name}: {x_key} and {y_key} must be of shape (n, ...) and (n,), "
                         f"got {x.shape} and {y.shape}")
    table = _of_array(x, name)
    if y is not None:
        targets = y.reshape(len(y), -1).T if len(y) else y.reshape(-1, 0)
        names = [y_key] if len(targets) == 1 else [
            f"{y_key} {at + 1}" for at in range(len(targets))]
        table.columns |= from_frame(
            {str(one): column for one, column in zip(names, targets, strict=True)}, name).columns
        table.target = tuple(map(str, names))
    left = [key for key in archive if key not in (x_key, y_key)]
    if left:
        table.notes = (f"{name}: read {x_key}{f' and {y_key}' * (y_key is not None)}, and left out "
                       f"{', '.join(left)}",)
    return table


def _of_array(array: NDArray[Any], name: str) -> Table:
    """Make a table of the rows of an array; images are flattened."""
    if array.dtype.names is None and array.ndim > 2:
        array = array.reshape(len(array), int(np.prod(array.shape[1:])))
    if array.dtype.names is None and array.ndim < 2:
        raise ValueError(f"{name}: must hold an array of shape (n, k), got shape {array.shape}")
    return from_frame(array, name)


def _by_polars(kind: str, content: bytes, name: str, most: int) -> Table:
    """Read Parquet or Arrow's file format, also called Feather."""
    what = {"parquet": "Parquet", "ipc": "Arrow"}[kind]
    polars = _extras.library("polars", f"{name}: to read {what}", "tables")
    with storage.damaged(f"{name}: must be a whole file of {what}, got "):
        try:
            if content.startswith(STREAM):  # it does not state its length
                frame = polars.read_ipc_stream(io.BytesIO(content))
            else:
                plan = getattr(polars, f"scan_{kind}")(io.BytesIO(content))
                size = 8 * len(plan.collect_schema()) * plan.select(polars.len()).collect().item()
                if size > most:
                    raise ValueError(f"about {size:,} bytes, more than max_bytes = {most:,}")
                frame = plan.collect()
        except polars.exceptions.PanicException as error:  # it is no Exception
            raise ValueError(str(error)) from None
    return from_frame(frame, name)


def _excel(content: bytes, name: str) -> Table:
    """Read the first sheet."""
    polars = _extras.library("polars", f"{name}: to read Excel", "tables")
    is_old = content.startswith(XLS)  # which openpyxl does not read
    engine = "openpyxl" if (not is_old and importlib.util.find_spec("fastexcel") is None and
                            importlib.util.find_spec("openpyxl") is not None) else "calamine"
    if engine == "calamine":
        _extras.library("fastexcel", f"{name}: to read Excel", "tables")
    with storage.damaged(f"{name}: must be a whole file of Excel, got "):
        frame = polars.read_excel(io.BytesIO(content), engine=engine)
    return from_frame(frame, name)

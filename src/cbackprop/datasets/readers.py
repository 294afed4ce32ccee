"""Readers of the files that labelled examples come in.

Each returns arrays or raises one line: the file, the rule, what came.
"""

import gzip
import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

StrPath: TypeAlias = str | os.PathLike[str]
Pair: TypeAlias = tuple[np.ndarray, np.ndarray]  # x (n, k), y (n,) or (n, out)
Sets: TypeAlias = tuple[Pair, Pair | None]  # training set, test set

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LABEL_NAMES = ("label", "target", "class", "y")


def read_idx(path: StrPath) -> np.ndarray:
    """Read an array from an IDX file, the format MNIST is distributed in.

    Parameters
    ----------
    path : str or path-like
        The file, packed by gzip or not.

    Returns
    -------
    ndarray
        Of the type and shape that the file states, in native byte order.

    Raises
    ------
    ValueError
        If the file is not IDX, is truncated, or is longer than its header says.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "pair-idx1-ubyte")
    >>> path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    10
    >>> read_idx(path)
    array([7, 9], dtype=uint8)
    """
    data = _read_bytes(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_DTYPES:
        codes = ", ".join(f"{code:02x}" for code in IDX_DTYPES)
        got = data[:4].hex(" ") or "an empty file"
        raise ValueError(
            f"{path}: an IDX file must begin with 00 00, a type ({codes}) and a rank, got {got}"
        )
    dtype, rank = np.dtype(IDX_DTYPES[data[2]]), data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise ValueError(
            f"{path}: an IDX header of rank {rank} must take {start} bytes, got {len(data)}"
        )
    shape = struct.unpack(f">{rank}I", data[4:start])
    size = start + dtype.itemsize * math.prod(shape)
    if len(data) != size:
        raise ValueError(
            f"{path}: an IDX file of {dtype.name} {shape} must take {size} bytes, got {len(data)}"
        )
    # astype also copies, so that the caller may write to the array.
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def read_idx_pair(images: StrPath, labels: StrPath) -> Pair:
    """Read a file of images and the file of their labels.

    Parameters
    ----------
    images, labels : str or path-like
        Two IDX files, see `read_idx`.

    Returns
    -------
    x : ndarray, shape (n, k)
        The images, each one row.
    y : ndarray of int64, shape (n,)
        Their labels.

    Raises
    ------
    ValueError
        If a file is refused by `read_idx` or the two do not match.
    OSError
        If a file cannot be opened.
    """
    return _checked_pair(images, read_idx(images), read_idx(labels))


def read_mnist_pickle(path: StrPath) -> tuple[Pair, Pair, Pair]:
    """Read the book's ``mnist.pkl.gz``, written by Python 2.

    A pickle can name any function and have it called. This reader admits the
    few names that describe an array, each replaced by a class of its own, so
    that nothing a file asks for is ever imported or run.

    Parameters
    ----------
    path : str or path-like
        The file, packed by gzip or not.

    Returns
    -------
    training, validation, test : tuple of two ndarrays
        Each ``(x, y)``: x float32 of shape (n, k), y int64 of shape (n,). In the
        book's file n is 50,000, 10,000 and 10,000, and k is 784.

    Raises
    ------
    ValueError
        If the pickle is broken, names anything but arrays, or holds anything
        but three such pairs.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "small.pkl")
    >>> pair = np.zeros((2, 784), np.float32), np.array([3, 1])
    >>> path.write_bytes(pickle.dumps((pair, pair, pair), protocol=2)) > 0
    True
    >>> training, validation, test = read_mnist_pickle(path)
    >>> training[0].shape, training[1].tolist()
    ((2, 784), [3, 1])
    """
    data = _read_bytes(path)
    try:
        parts = _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a broken pickle may raise whatever its bytes lead to
        got = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: must be a pickle of numeric arrays, got {got}") from error
    match parts:
        case [
            [_Array() as x_train, _Array() as y_train],
            [_Array() as x_validation, _Array() as y_validation],
            [_Array() as x_test, _Array() as y_test],
        ]:
            return (
                _book_pair(path, x_train, y_train),
                _book_pair(path, x_validation, y_validation),
                _book_pair(path, x_test, y_test),
            )
    raise ValueError(f"{path}: must hold three (x, y) pairs, got another {type(parts).__name__}")


class _Dtype:
    """Stands in for ``numpy.dtype`` in a pickle: the code, and the byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands in for ``numpy.ndarray`` in a pickle.

    NumPy's own ``__setstate__`` believes what it is told: the bytes of an
    object array are taken for pointers. `numpy.frombuffer` checks.
    """

    values: np.ndarray

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, data = state
        if isinstance(data, str):  # Python 2's bytes, read as latin1
            data = data.encode("latin1")
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError(f"an array of type {dtype.code}")
        values = np.frombuffer(data, dtype.order + dtype.code)
        self.values = values.reshape(shape, order="F" if fortran_order else "C")


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles arrays; a pickle that names anything else is refused."""

    admitted: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): str.encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.admitted[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a reference to {module}.{name}") from None


def _book_pair(path: StrPath, x: _Array, y: _Array) -> Pair:
    """Check one part of the book's pickle and give it the types it should have."""
    rows, labels = _checked_pair(path, x.values, y.values)
    if rows.dtype.kind != "f" or labels.dtype != np.int64 or labels.ndim != 1:
        raise ValueError(
            f"{path}: x must be floats and y integers of shape (n,), "
            f"got {rows.dtype} and {labels.dtype} {labels.shape}"
        )
    return rows.astype(np.float32), labels


def read_npz(path: StrPath) -> Sets:
    """Read the arrays of a NumPy archive, under the names Keras gives them.

    Parameters
    ----------
    path : str or path-like
        An ``.npz`` file with ``x_train``, ``y_train``, ``x_test``, ``y_test``, or
        with ``x`` and ``y``.

    Returns
    -------
    training : tuple of two ndarrays
        ``(x, y)``: x of shape (n, k), images being flattened to rows; y int64 of
        shape (n,) if it holds labels, as stored otherwise.
    test : tuple of two ndarrays or None
        The same of the test set; None if the file holds only ``x`` and ``y``.

    Raises
    ------
    ValueError
        If the file is not such an archive, or an x does not match its y.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "small.npz")
    >>> np.savez(path, x=np.zeros((2, 28, 28)), y=[3, 1])
    >>> (x, y), test = read_npz(path)
    >>> x.shape, y.tolist(), test
    ((2, 784), [3, 1], None)
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: must be an archive as numpy.savez writes it, got none")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
        except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path}: must hold whole numeric arrays, got {error}") from error
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        training = _checked_pair(path, arrays["x_train"], arrays["y_train"])
        return training, _checked_pair(path, arrays["x_test"], arrays["y_test"])
    if {"x", "y"} <= arrays.keys():
        return _checked_pair(path, arrays["x"], arrays["y"]), None
    raise ValueError(
        f"{path}: must hold x_train, y_train, x_test and y_test, or x and y, "
        f"got {', '.join(arrays) or 'nothing'}"
    )


def read_csv(path: StrPath, label: int | str | None = None) -> Pair:
    r"""Read a table of comma-separated numbers, one of whose columns is the label.

    The first line is a header if none of its fields is a number, or if one of
    them is the label's name.

    Parameters
    ----------
    path : str or path-like
        The file, packed by gzip or not.
    label : int or str, optional
        The label's column: its index, or its name in the header. By default
        the column named label, target, class or y, or else the last.

    Returns
    -------
    x : ndarray of uint8 or float32, shape (n, k)
        The other columns; uint8 if every value is an integer in 0..255.
    y : ndarray of int64 or float64, shape (n,)
        The labels; int64 if every one is an integer.

    Raises
    ------
    ValueError
        If a line has another number of fields or something else than numbers,
        or `label` is not a column.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "small.csv")
    >>> path.write_text("label,a,b\n3,0.5,1\n1,2,0.25\n") > 0
    True
    >>> read_csv(path)
    (array([[0.5 , 1.  ],
           [2.  , 0.25]], dtype=float32), array([3, 1]))
    """
    try:
        lines = _read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a CSV file must be text, got {error}") from error
    # Blank lines are left out, yet an error has to name the line that an editor shows.
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    first = _csv_fields(rows[0][1]) if rows else []
    has_label = not {label, *LABEL_NAMES}.isdisjoint(first)
    header = first if has_label or not any(map(_is_number, first)) else []
    body = rows[1:] if header else rows
    if not body or len(first) < 2:
        raise ValueError(
            f"{path}: a CSV file must hold rows of two numbers or more, "
            f"got {len(body)} rows of {len(first)} fields"
        )
    try:
        table = np.loadtxt(
            [line for _, line in body], delimiter=",", quotechar='"', comments=None, ndmin=2
        )
        if table.shape[1] != len(first):
            raise ValueError("rows of another length than the header")
    except ValueError as error:
        raise ValueError(f"{path}: {_csv_fault(body, len(first)) or error}") from error
    column = _csv_label_column(path, label, header, len(first))
    x, y = np.delete(table, column, axis=1), table[:, column]
    fits_uint8 = np.all((x >= 0) & (x <= 255) & (x == np.trunc(x)))
    is_integral = np.all((np.abs(y) <= 2**53) & (y == np.trunc(y)))
    return (
        x.astype(np.uint8 if fits_uint8 else np.float32),
        y.astype(np.int64 if is_integral else np.float64),
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _csv_fields(line: str) -> list[str]:
    return [field.strip(' "') for field in line.split(",")]


def _csv_fault(rows: list[tuple[int, str]], width: int) -> str | None:
    """Find the first of the numbered rows that is not `width` numbers."""
    for number, line in rows:
        fields = _csv_fields(line)
        if len(fields) != width:
            return f"line {number} must have {width} fields like the first, got {len(fields)}"
        for field in fields:
            if not _is_number(field):
                return f"line {number} must hold numbers, got {field!r}"
    return None


def _csv_label_column(path: StrPath, label: int | str | None, header: list[str], width: int) -> int:
    if label is None:
        named = (header.index(name) for name in LABEL_NAMES if name in header)
        return next(named, width - 1)
    if isinstance(label, str) and label in header:
        return header.index(label)
    if isinstance(label, int) and -width <= label < width:
        return label
    raise ValueError(
        f"{path}: label must be a name in the header or an index below {width}, got {label!r}"
    )


def _read_bytes(path: StrPath) -> bytes:
    """Read the whole file, unpacked if its first bytes (not its name) say gzip."""
    data = Path(path).read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: a gzip file must unpack whole, got {error}") from error


def _checked_pair(path: StrPath, x: np.ndarray, y: np.ndarray) -> Pair:
    """Give x as rows and integer labels as int64, once they are seen to match."""
    numeric = x.dtype.kind in "biuf" and y.dtype.kind in "biuf"
    if not (numeric and x.ndim >= 2 and y.ndim >= 1 and len(x) == len(y)):
        raise ValueError(
            f"{path}: x and y must be numbers of shape (n, ...) and (n,), "
            f"got {x.dtype} {x.shape} and {y.dtype} {y.shape}"
        )
    if y.dtype.kind in "biu" and y.size == len(y):
        y = y.ravel().astype(np.int64)
    # Not reshape(n, -1): the -1 has no meaning when n is 0.
    rows = x.reshape(len(x), math.prod(x.shape[1:]))
    return _native(rows), _native(y)


def _native(array: np.ndarray) -> np.ndarray:
    """Give the array C-contiguous and in this machine's byte order, copied only if need be."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))

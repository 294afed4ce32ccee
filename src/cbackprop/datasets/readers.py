"""Readers of files with labelled examples.

Each returns arrays, or raises an error of one line: the file, the rule, what was found.
"""

import io
import itertools
import math
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeAlias

import numpy as np

from cbackprop import _check, columns, storage

MAX_BYTES = storage.MAX_BYTES

StrPath: TypeAlias = str | os.PathLike[str]
Pair: TypeAlias = tuple[np.ndarray, np.ndarray]  # x (n, k), y (n,) or (n, out)
Sets: TypeAlias = tuple[Pair, Pair | None]  # training set, test set

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
BEYOND_FLOAT32 = 2.0**128 - 2.0**103  # float32 rounds this and more to infinity
NOT_BLANK = re.compile(r"\S")
NPZ_NAMES = (("x_train", "y_train", "x_test", "y_test"), ("x", "y"))


def read_idx(path: StrPath, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read an array from an IDX file, the format MNIST is distributed in.

    Parameters
    ----------
    path : str or path-like
        The file, packed by gzip or not.
    max_bytes : int
        The most bytes that a packed file may unpack to, unless it is larger itself.

    Returns
    -------
    ndarray
        The type and shape are those in the file, the byte order is native.

    Raises
    ------
    ValueError
        If the file is not IDX, is truncated, or is longer than its header says.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "pair-idx1-ubyte")
    >>> path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    10
    >>> read_idx(path)
    array([7, 9], dtype=uint8)
    """
    content = storage.read_bytes(path, max_bytes)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_DTYPES:
        codes = ", ".join(f"{code:02x}" for code in IDX_DTYPES)
        got = content[:4].hex(" ") or "an empty file"
        raise ValueError(
            f"{path}: an IDX file must begin with 00 00, a type ({codes}) and a rank, got {got}"
        )
    dtype, rank = np.dtype(IDX_DTYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(
            f"{path}: an IDX header of rank {rank} must take {start} bytes, got {len(content)}"
        )
    shape = struct.unpack(f">{rank}I", content[4:start])
    size = start + dtype.itemsize * math.prod(shape)
    if len(content) != size:
        raise ValueError(
            f"{path}: an IDX file of {dtype.name} {shape} must take {size} bytes, "
            f"got {len(content)}"
        )
    with storage.damaged(f"{path}: an IDX file must hold an array, got "):
        array = np.frombuffer(content, dtype, offset=start).reshape(shape)
        # astype also copies, so that the caller may write to the array.
        return array.astype(dtype.newbyteorder("="))


def read_idx_pair(images: StrPath, labels: StrPath, *, max_bytes: int = MAX_BYTES) -> Pair:
    """Read a file of images and the file of their labels.

    Parameters
    ----------
    images, labels : str or path-like
        Two IDX files, see `read_idx`.
    max_bytes : int
        The most bytes that each may unpack to.

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
    arrays = (read_idx(path, max_bytes=max_bytes) for path in (images, labels))
    return _checked_pair(images, *arrays)


def read_mnist_pickle(
    path: StrPath, *, max_bytes: int = MAX_BYTES
) -> tuple[Pair, Pair, Pair]:
    """Read the book's ``mnist.pkl.gz``, written by Python 2.

    A pickle can name any function and have it called. This reader admits only
    the few names that describe an array, and replaces each by a class of its
    own, so that no name in a file is ever imported or run.

    Parameters
    ----------
    path : str or path-like
        The file, packed by gzip or not.
    max_bytes : int
        The most bytes that a packed file may unpack to, unless it is larger itself.

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
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "small.pkl")
    >>> pair = np.zeros((2, 784), np.float32), np.array([3, 1])
    >>> path.write_bytes(pickle.dumps((pair, pair, pair), protocol=2)) > 0
    True
    >>> training, validation, test = read_mnist_pickle(path)
    >>> training[0].shape, training[1].tolist()
    ((2, 784), [3, 1])
    """
    content = storage.read_bytes(path, max_bytes)
    with storage.damaged(f"{path}: must be a pickle of numeric arrays, got "):
        parts = _ArrayUnpickler(_Opcodes(content), encoding="latin1").load()
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
    """Stands in for ``numpy.dtype`` in a pickle: a code and a byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        """Return NumPy's dtype, if it is numeric."""
        if not (isinstance(self.code, str) and re.fullmatch("b1|[iu][1248]|f[248]", self.code)
                and self.order in ("<", ">", "=", "|")):
            raise pickle.UnpicklingError(f"an array of type {_brief(self.code)}")
        return np.dtype(self.order + self.code)


class _Array:
    """Stands in for ``numpy.ndarray`` in a pickle.

    NumPy's own ``__setstate__`` trusts the file, and would take the bytes of
    an object array for pointers. `numpy.frombuffer` checks.
    """

    values: np.ndarray

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, content = state
        if isinstance(content, str):  # Python 2's bytes, read as latin1
            content = content.encode("latin1")
        values = np.frombuffer(content, dtype.dtype())
        self.values = values.reshape(shape, order="F" if fortran_order else "C")


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, with which Python 3 pickles bytes for Python 2."""
    if encoding != "latin1":  # others are slow, or modules to be imported
        raise pickle.UnpicklingError(f"the encoding {_brief(encoding)}")
    return text.encode("latin1")


def _brief(value: object) -> str:
    """Show a string, or the type of anything else: tuples may hold each other a billion times."""
    return _check.shown(value) if isinstance(value, str) else f"of a {type(value).__name__}"


class _Opcodes(io.BytesIO):
    """A pickle that may have no more opcodes than a few arrays need; each is a read."""

    most = 10_000  # the book's file needs a few hundred

    def read(self, size: int | None = -1) -> bytes:
        self.most -= 1
        if self.most < 0:
            raise pickle.UnpicklingError("more than arrays")
        return super().read(size)


class _Admitted(dict[int, Callable[[Any], None]]):
    def __missing__(self, opcode: int) -> Callable[[Any], None]:
        raise pickle.UnpicklingError(f"the opcode {chr(opcode)!r}")


class _ArrayUnpickler(pickle._Unpickler):
    """Unpickles arrays; a pickle that names or does anything else is refused.

    It derives from the unpickler in Python, whose memo is a dict. The one in C
    makes a list as long as the largest index in the file.
    """

    admitted: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    read: Callable[[int], bytes]
    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.admitted[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a reference to {module}.{name}") from None

    def load_frame(self) -> None:
        """Skip the length of a frame; its contents are read as if there were none."""
        self.read(8)

    def load_build(self) -> None:
        """Pass a state to a stand-in; no other object gets one."""
        state = self.stack.pop()
        if type(self.stack[-1]) not in (_Array, _Dtype):
            raise pickle.UnpicklingError("a state of something else")
        self.stack[-1].__setstate__(state)

    dispatch: ClassVar[_Admitted] = _Admitted({
        opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in (
            pickle.PROTO, pickle.STOP, pickle.MARK, pickle.GLOBAL, pickle.STACK_GLOBAL,
            pickle.REDUCE, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT,
            pickle.BININT1, pickle.BININT2, pickle.LONG, pickle.LONG1, pickle.STRING,
            pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.UNICODE, pickle.BINUNICODE,
            pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES,
            pickle.BINBYTES8, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2,
            pickle.TUPLE3, pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS,
            pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GET,
            pickle.BINGET, pickle.LONG_BINGET)
    } | {pickle.FRAME[0]: load_frame, pickle.BUILD[0]: load_build})


def _book_pair(path: StrPath, x: _Array, y: _Array) -> Pair:
    """Check one part of the book's pickle, and convert it to its types."""
    rows, labels = _checked_pair(path, x.values, y.values)
    if rows.dtype.kind != "f" or labels.dtype != np.int64 or labels.ndim != 1:
        raise ValueError(
            f"{path}: x must be floats and y integers of shape (n,), "
            f"got {rows.dtype} and {labels.dtype} {labels.shape}"
        )
    return rows.astype(np.float32), labels


def read_npz(path: StrPath, *, max_bytes: int = MAX_BYTES) -> Sets:
    """Read the arrays of a NumPy archive, under the names that Keras gives them.

    Parameters
    ----------
    path : str or path-like
        An ``.npz`` file with ``x_train``, ``y_train``, ``x_test``, ``y_test``, or
        with ``x`` and ``y``.
    max_bytes : int
        The most bytes that these arrays may unpack to, unless the file is larger itself.

    Returns
    -------
    training : tuple of two ndarrays
        ``(x, y)``: x of shape (n, k), with images flattened to rows; y int64 of
        shape (n,) if it holds labels, otherwise as stored.
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
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "small.npz")
    >>> np.savez(path, x=np.zeros((2, 28, 28)), y=[3, 1])
    >>> (x, y), test = read_npz(path)
    >>> x.shape, y.tolist(), test
    ((2, 784), [3, 1], None)
    """
    max_bytes = _check.integer("max_bytes", max_bytes, 0)
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: must be an archive as numpy.savez writes it, got none")
        with storage.damaged(f"{path}: must hold whole numeric arrays, got "):
            archive = storage.Archive(file, max_bytes)
            names = next((names for names in NPZ_NAMES if archive.keys() >= set(names)), ())
            arrays = [archive[name] for name in names]
    if not arrays:
        raise ValueError(
            f"{path}: must hold x_train, y_train, x_test and y_test, or x and y, "
            f"got {_check.shown(', '.join(archive)) if archive else 'nothing'}"
        )
    training, *test = (_checked_pair(path, *arrays[at : at + 2]) for at in range(0, len(arrays), 2))
    return training, test[0] if test else None


def read_csv(
    path: StrPath, label: int | str | None = None, *, max_bytes: int = MAX_BYTES
) -> Pair:
    r"""Read a table of comma-separated numbers, one of whose columns is the label.

    The first line is a header if none of its fields is a number, or if one of
    them is the label's name. A column that has no name in it, and counts the
    rows, is an index, and is left out.

    Parameters
    ----------
    path : str or path-like
        The file, packed by gzip or not.
    label : int or str, optional
        The label's column: its index, or its name in the header. By default the
        column whose name means target, in any case (label, target, class, y,
        digit, outcome and the like); else the first, if it alone is integers of
        few values and all others are pixels, as in MNIST's usual file; else the
        last. `cbackprop.tables` has the same rule, and says what it took.
    max_bytes : int
        The most bytes that a packed file may unpack to, unless it is larger itself.

    Returns
    -------
    x : ndarray of uint8 or float32, shape (n, k)
        The other columns, but no index; uint8 if every value is an integer in 0..255.
    y : ndarray of int64 or float64, shape (n,)
        The labels; int64 if every one is an integer.

    Raises
    ------
    ValueError
        If a line has another number of fields, something else than finite
        numbers, or one beyond float32 outside the labels; or `label` is not a column.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "small.csv")
    >>> path.write_text("label,a,b\n3,0.5,1\n1,2,0.25\n") > 0
    True
    >>> read_csv(path)
    (array([[0.5 , 1.  ],
           [2.  , 0.25]], dtype=float32), array([3, 1]))
    """
    content = storage.read_bytes(path, max_bytes)
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a CSV file must be text, got {error}") from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    _, line = next(_csv_rows(text), (0, ""))
    first = _csv_fields(line) if line else []
    has_label = label in first or bool(columns.named_target(first))
    header = first if has_label or not any(map(_is_number, first)) else []

    def body() -> Iterator[tuple[int, str]]:
        return itertools.islice(_csv_rows(text), 1 if header else 0, None)

    if len(first) < 2 or not any(body()):
        rows = sum(1 for _ in itertools.islice(body(), 1000))
        raise ValueError(
            f"{path}: a CSV file must hold rows of two numbers or more, "
            f"got {rows}{' or more' * (rows == 1000)} rows of {len(first)} fields"
        )
    column = _csv_label_column(path, label, header, len(first))
    with storage.damaged(f"{path}: "):
        try:
            lines = (line for _, line in body())
            table = np.loadtxt(lines, delimiter=",", quotechar='"', comments=None, ndmin=2)
            if table.shape[1] != len(first):
                raise ValueError("rows of another length than the header")
        except ValueError as error:
            raise ValueError(_csv_fault(body(), len(first), column) or error) from None
        if label is None and not columns.named_target(header) and columns.are_labels_first(table.T):
            column = 0
        index = [at for at, name in enumerate(header) if columns.NAMELESS.fullmatch(name)
                 and at != column and columns.is_index(name, table[:, at])]
        x, y = np.delete(table, [column, *index], axis=1), table[:, column]
        with np.errstate(over="ignore"):
            small = x.astype(np.float32, order="C")
        finite = np.isfinite(small).all(axis=1) & np.isfinite(y)
        if not finite.all():
            rest = itertools.islice(body(), int(finite.argmin()), None)
            raise ValueError(_csv_fault(rest, len(first), column) or "numbers that are not finite")
    fits_uint8 = np.all((x >= 0) & (x <= 255) & (x == np.trunc(x)))
    is_integral = np.all((np.abs(y) <= 2**53) & (y == np.trunc(y)))
    return (
        x.astype(np.uint8, order="C") if fits_uint8 else small,
        y.astype(np.int64 if is_integral else np.float64),
    )


def _csv_rows(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their line numbers.

    A regular expression skips millions of blank lines in the time that Python takes for thousands.
    """
    number, end = 1, 0
    while found := NOT_BLANK.search(text, end):
        start = text.rfind("\n", end, found.start()) + 1 or end
        number += text.count("\n", end, start)
        end = text.find("\n", found.start())
        end = len(text) if end < 0 else end
        yield number, text[start:end]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _csv_fields(line: str) -> list[str]:
    return [field.strip(' "') for field in line.split(",")]


def _csv_fault(rows: Iterator[tuple[int, str]], width: int, label: int) -> str | None:
    """Describe the first numbered row that is not `width` finite numbers."""
    for number, line in rows:
        fields = _csv_fields(line)
        if len(fields) != width:
            return f"line {number} must have {width} fields like the first, got {len(fields)}"
        for at, field in enumerate(fields):
            if not _is_number(field):
                return f"line {number} must hold numbers, got {_check.shown(field)}"
            value, of = float(field), f"line {number}, column {at + 1} must hold"
            if not math.isfinite(value):
                return f"{of} finite numbers, got {_check.shown(field)}"
            if at != label and abs(value) >= BEYOND_FLOAT32:
                return f"{of} numbers within float32, got {_check.shown(field)}"
    return None


def _csv_label_column(path: StrPath, label: int | str | None, header: list[str], width: int) -> int:
    if label is None:
        return next(iter(columns.named_target(header)), width - 1)
    if isinstance(label, str) and label in header:
        return header.index(label)
    if isinstance(label, int) and -width <= label < width:
        return label % width
    raise ValueError(
        f"{path}: label must be a name in the header or an index below {width}, "
        f"got {_check.shown(label)}"
    )


def _checked_pair(path: StrPath, x: np.ndarray, y: np.ndarray) -> Pair:
    """Return x as rows and integer labels as int64, after checking that they match."""
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
    """Return the array C-contiguous and in native byte order, copied only if necessary."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))

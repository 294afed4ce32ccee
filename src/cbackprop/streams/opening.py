"""A Stream of the rows of files. The first bytes of a file decide its format, not its name."""

from __future__ import annotations

import builtins
import glob
import importlib
import itertools
import os
from collections.abc import Sequence
from typing import Any

from cbackprop import _check, _words

from .files import BLOCK, BLOCKS, Asked, FileStream
from .stream import MEMORY, Joined, Stream, size

Path = str | os.PathLike[str]

# The first bytes of a file; the module of its format, and the function there that opens one.
FORMATS = {
    b"\x93NUMPY": ("npy", "npy"),
    b"PK\x03\x04": ("npy", "npz"),
    b"PAR1": ("parquet", "parquet"),
    b"ARROW1": ("feather", "feather"),
    b"\x89HDF\r\n\x1a\n": ("hdf5", "hdf5"),
}
WORDS = ".npy, .npz, Parquet, Arrow (Feather) or HDF5"
APART = ("npy",)  # formats in which y and the weights are files of their own
OF_RECORDS = ("parquet", "feather")  # formats whose files are record batches of Arrow


@_words.answering
def open(
    x: Path | Sequence[Path], y: Path | Sequence[Path] | None = None, *, target: Any = None,
    columns: Any = None, sample_weight: Any = None, memory: int | str = MEMORY,
    block: int | str | None = None,
) -> Stream:
    """
    Return a Stream of the rows of one or more files.

    Nothing but headers is read. A file that is changed later is refused when it is read. Types
    other than uint8, float32 and float64 are converted block by block.

    Parameters
    ----------
    x : path, or sequence of paths
        Files of one format: .npy, an uncompressed .npz, Parquet (row groups are blocks), Arrow or
        Feather (record batches are), HDF5. A name with ``*``, ``?`` or ``[...]`` stands for all
        files that match, in the order of their names; a folder for those in it whose names begin
        neither with a dot nor with an underscore.
    y : path, or sequence of paths, optional
        Targets of a .npy: labels (n,) or rows (n, out), as many files as x.
    target : int, str or list of str, optional
        What to learn, where y is None. Of a .npy, the index of a column; of an .npz or HDF5, the
        name of an array, by default "y"; of Parquet and Arrow, the names of columns.
    columns : str or list of str, optional
        What x is. Of an .npz or HDF5, the name of an array, by default "x"; of Parquet and Arrow,
        the names of columns, by default all others. A column may hold lists of one length.
    sample_weight : path, sequence of paths, or str, optional
        Weights of the examples: as y for a .npy; the name of an array or column otherwise.
    memory : int or str
        The bytes of all buffers, such as "256MB". Half of it is trained on, and shuffled, while the
        other half is filled.
    block : int or str, optional
        About how many bytes are read at once, where the file does not decide it. By default 1 MiB,
        or a 128th of `memory`: larger blocks suit slow disks, smaller ones shuffle better.

    Returns
    -------
    Stream

    Raises
    ------
    TypeError, ValueError
        If an argument is bad, a file is no such file, or files differ in columns or types.
    OSError
        If a file cannot be read.
    ModuleNotFoundError
        If pyarrow (extra ``arrow``) or h5py (extra ``hdf5``) is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> folder = tempfile.mkdtemp()
    >>> x = np.random.default_rng(0).random((1000, 3), dtype=np.float32)
    >>> np.save(os.path.join(folder, "x.npy"), x)
    >>> np.save(os.path.join(folder, "y.npy"), x.sum(axis=1))
    >>> rows = open(os.path.join(folder, "x.npy"), os.path.join(folder, "y.npy"), memory="20KB")
    >>> net = cbackprop.Network([3, 8, 1], activation="tanh", output_activation="identity", seed=0)
    >>> history = net.SGD(rows, epochs=20, mini_batch_size=10, eta=0.1)
    >>> len(rows), net.total_cost(rows) < 0.001
    (1000, True)
    """
    memory = size("memory", memory)
    asked = Asked(columns, target, None, memory, min(BLOCK, max(1, memory // BLOCKS))
                  if block is None else size("block", block))
    files = paths("x", x)
    module, function = format_of(files[0])
    apart = function in APART
    if y is not None and not apart:
        raise ValueError(f"y must be None for {files[0]}, in which target names what to learn")
    if y is not None and target is not None:
        raise ValueError(f"y and target must not both be given, got target {_check.shown(target)}")
    ys = [None] * len(files) if y is None else paths("y", y, len(files))
    weights: Sequence[Any] = [sample_weight] * len(files)
    if apart and sample_weight is not None:
        weights = paths("sample_weight", sample_weight, len(files))
    streams: list[FileStream] = []
    for path, of_y, of_weights in zip(files, ys, weights, strict=True):
        check_format(path, files[0])
        opened = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        streams.append(opened(path, of_y, of_weights, asked._replace(weights=of_weights)))
        check_alike(streams[0].path, streams[0].parts(), path, streams[-1].parts())
    filled = [stream for stream in streams if len(stream)]
    if not filled:
        raise ValueError(f"{files[0]} must hold at least one row, got none")
    return filled[0] if len(filled) == 1 else Joined([*filled], memory)


def paths(argument: str, given: Any, count: int | None = None) -> list[str]:
    """Return paths, of which the names with wildcards are looked up."""
    rule = f"{argument} must be a path, or a list of paths"
    one = isinstance(given, (str, os.PathLike))
    found: list[str] = []
    for path in [given] if one else _check.items(given, rule):
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"{rule}, got {_check.shown(path)}")
        name = os.path.expanduser(os.fsdecode(path))
        if os.path.isdir(name):
            inside = sorted(each for each in os.listdir(name) if not each.startswith((".", "_")))
            if not inside:
                raise FileNotFoundError(f"{argument} must be a folder with files, got {name!r}")
            found += [os.path.join(name, each) for each in inside]
        elif glob.has_magic(name) and not os.path.exists(name):
            matches = sorted(glob.glob(name))
            if not matches:
                raise FileNotFoundError(f"{argument} must match a file, got {name!r}")
            found += matches
        else:
            found.append(name)
    if not found or (count is not None and len(found) != count):
        raise ValueError(f"{argument} must be {f'{count} files, as x' if count else 'a file'}, "
                         f"got {len(found)}")
    return found


def format_of(path: str) -> tuple[str, str]:
    """Return module and function of a file's format, by its first bytes."""
    with builtins.open(path, "rb") as file:  # this module's `open` is another
        begin = file.read(8)
    for magic, found in FORMATS.items():
        if begin.startswith(magic):
            return found
    raise ValueError(f"{path} must be a file of {WORDS}, got the first bytes {begin!r}")


def check_format(path: str, first: str) -> None:
    """Raise ValueError if a file has another format than the first."""
    found, wanted = format_of(path)[1], format_of(first)[1]
    if found != wanted:
        raise ValueError(f"{path} must be of the format of {first}, {wanted}, got {found}")


def check_alike(first: str, wanted: Sequence[str], path: str, found: Sequence[str]) -> None:
    """
    See that a file has the columns of the first, of the same types.

    Raises
    ------
    ValueError
        If they differ. The error names the file and the first difference.
    """
    for one, other in itertools.zip_longest(wanted, found):
        if one != other:
            raise ValueError(f"{path} must have the columns of {first}, "
                             f"got {other or 'none'} for {one or 'none'}")

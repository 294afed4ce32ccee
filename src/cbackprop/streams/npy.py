"""Files of NumPy: .npy, and the members of an .npz that are not compressed."""

from __future__ import annotations

import math
import os
import struct
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cbackprop import storage

from .files import Asked, Unchanged
from .matrices import Matrices, Reading
from .stream import Stream


class NpyMatrix:
    """
    An array in a file, of which the header has been read.

    Raises
    ------
    ValueError
        If the file is no whole .npy, or the array lies column by column.
    """

    def __init__(self, path: str, name: str, file: BinaryIO, room: int) -> None:
        self.name, self.file = name, Unchanged(path)
        start = file.tell()
        with storage.damaged(f"{name} must be a whole file of NumPy, got "):
            self.shape, by_columns, self.dtype = storage.npy_header(file)
        self.offset = file.tell()
        if by_columns and len(self.shape) > 1 and min(self.shape) > 1:
            raise ValueError(f"{name} must lie row by row, got an array in Fortran's order: copy "
                             "it to one of np.lib.format.open_memmap")
        wanted = self.offset - start + math.prod(self.shape) * self.dtype.itemsize
        if wanted != room and self.dtype != object:
            raise ValueError(f"{name} must be a whole file of NumPy, {wanted:,} bytes for shape "
                             f"{self.shape} of {self.dtype}, got {room:,}")

    def reading(self) -> Reading:
        """Open the file."""
        return _NpyReading(self)


class _NpyReading:
    def __init__(self, of: NpyMatrix) -> None:
        self.of = of
        of.file.check()
        self.file = open(of.file.path, "rb", buffering=0)  # noqa: SIM115  the reader closes it
        self.close = self.file.close
        self.row_bytes = math.prod(of.shape[1:]) * of.dtype.itemsize

    def into(self, first: int, last: int, out: NDArray[Any]) -> None:
        """Copy rows; without a copy in between, if they have the type of `out`."""
        direct = out.dtype == self.of.dtype and out.flags.c_contiguous
        to = out if direct else np.empty((last - first, math.prod(self.of.shape[1:])),
                                         self.of.dtype)
        with self.of.file.reading():
            self.file.seek(self.of.offset + first * self.row_bytes)
            left = memoryview(to.reshape(-1).view(np.uint8).data)
            while left:
                count = self.file.readinto(left)
                if not count:
                    raise OSError(f"{self.of.name} must be whole, but ends before row {last}")
                left = left[count:]
        if not direct:
            out[...] = to.reshape(out.shape)


def npy(path: str, y: str | None, weights: str | None, asked: Asked) -> Stream:
    """Return the Stream of a .npy, with those of y and the weights."""
    if asked.columns is not None:
        raise ValueError(f"columns must be None for {path}, a file of one array")
    return Matrices(path, _matrix(path), *(
        None if each is None else _matrix(each) for each in (y, weights)), asked=asked)


def npz(path: str, y: str | None, weights: str | None, asked: Asked) -> Stream:
    """Return the Stream of members of an .npz, which `columns`, `target` and `weights` name."""
    target = "y" if asked.target is None else asked.target
    with storage.damaged(f"{path} must be a whole file of NumPy, got "), (
            zipfile.ZipFile(path)) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    return Matrices(
        path, _member(path, members, asked.columns or "x"), _member(path, members, target),
        None if weights is None else _member(path, members, weights), asked=asked)


def _matrix(path: str) -> NpyMatrix:
    with open(path, "rb") as file:
        return NpyMatrix(path, path, file, os.fstat(file.fileno()).st_size)


def _member(path: str, members: dict[str, zipfile.ZipInfo], name: str) -> NpyMatrix:
    info = members.get(name)
    if info is None:
        raise ValueError(f"{path} must have an array {name!r}, got {sorted(members)}")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name!r} of {path} must not be compressed, for its rows are read where "
                         "they lie: np.savez writes it so, np.savez_compressed does not")
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)  # the local header: the lengths of its name and extra
        file.seek(info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))))
        return NpyMatrix(path, f"{name!r} of {path}", file, info.file_size)

"""Data sets in files of HDF5, by h5py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _extras, storage

from .files import Asked, Unchanged
from .matrices import Matrices, Reading
from .stream import Stream


class Dataset:
    """A data set of a file."""

    def __init__(self, path: str, key: str, found: Any) -> None:
        self.file, self.key = Unchanged(path), key
        self.name = f"{key!r} of {path}"
        self.shape, self.dtype = tuple(found.shape), found.dtype

    def reading(self) -> Reading:
        """Open the file."""
        return _DatasetReading(self)


class _DatasetReading:
    def __init__(self, of: Dataset) -> None:
        self.of = of
        of.file.check()
        self.file = _h5py().File(of.file.path, "r")
        self.close, self.found = self.file.close, self.file[of.key]

    def into(self, first: int, last: int, out: NDArray[Any]) -> None:
        """Copy rows, converted to the type of `out`."""
        with self.of.file.reading():
            if out.shape[1:] == self.found.shape[1:]:
                self.found.read_direct(out, np.s_[first:last])
            else:
                out[...] = self.found[first:last].reshape(out.shape)


def hdf5(path: str, y: str | None, weights: str | None, asked: Asked) -> Stream:
    """Return the Stream of data sets, which `columns`, `target` and `weights` name."""
    name, target = asked.columns or "x", "y" if asked.target is None else asked.target
    with storage.damaged(f"{path} must be a whole file of HDF5, got "):
        file = _h5py().File(path, "r")
    with file:
        found = Matrices(
            path, _dataset(file, path, name), _dataset(file, path, target),
            None if weights is None else _dataset(file, path, weights), asked=asked,
            multiple=(file[name].chunks or [1])[0])
    return found


def _dataset(file: Any, path: str, name: Any) -> Dataset:
    if not isinstance(name, str) or name not in file or not hasattr(file[name], "shape"):
        raise ValueError(f"{path} must have a data set {name!r}, got {sorted(file)}")
    return Dataset(path, name, file[name])


def _h5py() -> Any:
    return _extras.library("h5py", "to read HDF5, streams.open", "hdf5")

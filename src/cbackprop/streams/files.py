"""The base of the streams of files, of all formats."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .stream import Stream, described

BLOCK = 2**20  # bytes of rows that are read at once, where a file does not decide it
BLOCKS = 128  # that the memory should hold, for the sake of the shuffle


class Asked(NamedTuple):
    """The arguments of `open` for one file; `columns`, `target` and `weights` name its parts."""

    columns: Any
    target: Any
    weights: Any
    memory: int
    block: int


class Unchanged:
    """A file that must stay as it was when this was made."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stamp = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_size, found.st_mtime_ns

    def check(self) -> None:
        """
        See that the file is as it was.

        Raises
        ------
        OSError
            If it is not.
        """
        try:
            now = self._stamp()
        except FileNotFoundError:
            raise OSError(f"{self.path} must stay as it was opened, but is gone") from None
        if now != self.stamp:
            sizes = f", {now[0]:,} bytes where {self.stamp[0]:,} were" * (now[0] != self.stamp[0])
            raise OSError(f"{self.path} must stay as it was opened, but was changed{sizes}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let an error say that the file was changed, if that is why; see that it is unchanged."""
        try:
            yield
        except Exception:
            self.check()
            raise
        self.check()


class FileStream(Stream):
    """
    The rows of one file.

    Parameters
    ----------
    path : str
    bounds : array of int
    asked : Asked
    """

    keeps = True

    def __init__(self, path: str, bounds: NDArray[np.intp], asked: Asked) -> None:
        self.path, self._bounds, self.memory = path, bounds, asked.memory

    @property
    def bounds(self) -> NDArray[np.intp]:
        """The first row of each block, and the number of rows."""
        return self._bounds

    def __repr__(self) -> str:
        return described(self, self.path)

    def where(self, row: int) -> str:
        """Name a row and the file."""
        return f"row {row} of {self.path}"

    @abstractmethod
    def parts(self) -> list[str]:
        """Describe x, y and weights: what all files of a data set have in common."""


def blocks_of(n: int, row_bytes: int, asked: Asked, multiple: int = 1) -> NDArray[np.intp]:
    """Return the bounds of blocks of about the length that is asked, a multiple of some rows."""
    rows = max(1, round(asked.block / max(1, row_bytes * multiple))) * multiple
    return np.append(np.arange(0, n, rows), n)

"""Data by the name that the command line knows them by: images as they are, all else as a table."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import Network, datasets, storage, tables
from cbackprop.tables import Table
from cbackprop.tables.frame import with_target
from cbackprop.tables.target import find

NAMES = "mnist", "mnist-full"
SETS = ".pkl", ".pkl.gz", "idx3-ubyte", "idx3-ubyte.gz"  # which datasets.load reads


@dataclass(frozen=True)
class Data:
    """
    Rows and what is to be learned of them.

    Parameters
    ----------
    source : str
        What messages call them.
    x, y : arrays
        Images, and their labels; or None.
    table : Table
        Everything else; or None.
    training : int, optional
        How many rows come before those of the test set; None if no test set came with them.
    """

    source: str
    x: NDArray[Any] | None = None
    y: NDArray[Any] | None = None
    table: Table | None = None
    training: int | None = None

    def __len__(self) -> int:
        found = self.x if self.table is None else self.table
        assert found is not None  # one of the two is there
        return len(found)

    def as_table(self) -> Table:
        """Return images as a table, too."""
        if self.table is not None:
            return self.table
        assert self.x is not None
        return with_target(self.x, self.y, self.source)

    def where(self, row: int, name: str | None = None) -> str:
        """Name a row as an error does."""
        if self.table is None:
            return f"{self.source}, row {row}"
        return self.table.where(row, name)


def load(source: str, text: Sequence[str] = (), images: bool = True) -> Data:
    """
    Load data: "mnist", "mnist-full", a folder, a file, or "-" for the standard input.

    Parameters
    ----------
    source : str
    text : sequence of str
        Columns of a table that stay words.
    images : bool
        Whether images may stay as they are; else they become a table.

    Raises
    ------
    ValueError, OSError, ModuleNotFoundError
        As `datasets.load` and `tables.read`.
    """
    _check_size(source)
    if not _comes_in_sets(source):
        return Data(source, table=tables.read(source, text=text))
    (x, y), test = datasets.load(source)
    training = None if test is None else len(x)
    if test is not None:
        x, y = np.concatenate([x, test[0]]), np.concatenate([y, test[1]])
    if images and x.dtype == np.uint8 and y.ndim == 1 and y.dtype.kind in "iu":
        return Data(source, x, y, training=training)
    return Data(source, table=with_target(x, y, source), training=training)


def for_network(net: Network, data: Data) -> tuple[Any, Any | None, NDArray[np.intp]]:
    """
    Return x and y as a network takes them, y None where there is none, and which rows they are.

    They are the rows of the test set, if one came with the data, else all.

    Raises
    ------
    ValueError
        If the data do not fit the network.
    """
    rows = np.arange(data.training or 0, len(data))
    if net.preprocessing is not None:
        table = data.as_table().rows(rows)
        return net.inputs(table), net.preprocessing.targets(table), rows
    if data.table is None:
        assert data.x is not None
        return data.x[rows], None if data.y is None else data.y[rows], rows
    x, y = _numbers(net, data.table)
    return x[rows], None if y is None else y[rows], rows


def _numbers(net: Network, table: Table) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return what a network without `preprocessing` takes of a table."""
    names = list(table.columns)
    y = None
    if len(names) != net.sizes[0] or table.target:
        targets, _, left_out = find(table)
        columns = [table.columns[name] for name in targets]
        y = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
        if net.sizes[-1] > 1 and y.dtype == np.float64 and (y == np.trunc(y)).all():
            y = y.astype(np.int64)
        names = [name for name in names if name not in (*targets, *left_out)]
    if len(names) != net.sizes[0]:
        raise ValueError(f"{table.source} must have {net.sizes[0]} columns, the network's inputs, "
                         f"got {len(names)}{' beside the target' if y is not None else ''}")
    for name in names:
        if table.columns[name].dtype == object or table.columns[name].dtype.kind == "M":
            raise ValueError(f"{table.where(0, name)}: must hold numbers, for the network was not "
                             f"trained on a table, got {table.columns[name][0]!r}")
    return np.stack([table.columns[name].astype(np.float64) for name in names], axis=1), y


def _check_size(source: str) -> None:
    """Refuse, before hours of reading, a file that the machine's memory cannot hold."""
    most = machine_memory()
    size = Path(source).stat().st_size if most and Path(source).is_file() else 0
    if most and size > most:
        raise ValueError(f"{source} must fit in the memory of this machine, {most / 1e9:,.1f} GB, "
                         f"got {size / 1e9:,.1f} GB: \"cbackprop train\" reads .npy, Parquet "
                         f"and the like block by block, and streams.open does in Python")


def machine_memory() -> int | None:
    """Return the bytes of the machine's memory, if the system says it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _comes_in_sets(source: str) -> bool:
    """Tell what `datasets.load` reads: it knows test sets, and images."""
    path = Path(source)
    if source in NAMES or path.is_dir() or path.name.lower().endswith(SETS):
        return True
    if source != "-" and not path.exists() and not path.suffix:
        return True  # it says which names there are
    if not (path.is_file() and zipfile.is_zipfile(path)):
        return False
    with zipfile.ZipFile(path) as archive:
        arrays = {name.removesuffix(".npy") for name in archive.namelist()}
    return arrays >= {"x_train", "y_train", "x_test", "y_test"} or (
        arrays >= {"x", "y"} and _are_bytes(path))


def _are_bytes(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive, archive.open("x.npy") as file:
        return bool(storage.npy_header(file)[2] == np.uint8)

"""Tables from DataFrames, dicts of columns and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, frames, objects

from . import cells
from .table import Table


def from_frame(frame: Any, source: str | None = None, first: int = 0) -> Table:
    """
    Make a table of columns that are in memory.

    Text is read as in a file: "?" is a missing value, and text that is all numbers becomes numbers.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, Table of pyarrow, mapping, or array_like of shape (n, k)
        A mapping has a column for each name. An array may be structured.
    source : str, optional
        The table's name in messages; "the DataFrame" and the like by default.
    first : int
        The number that messages give to the first row.

    Returns
    -------
    Table
        The same columns, without the index of pandas.

    Raises
    ------
    TypeError
        If a column holds anything but numbers, booleans, text and dates.
    ValueError
        If columns share a name or differ in length, or a number is not finite.

    Examples
    --------
    >>> table = from_frame({"age": [31, None, 40], "sex": ["f", "m", "?"]})
    >>> table.columns["age"], table.columns["sex"]
    (array([31., nan, 40.]), array(['f', 'm', None], dtype=object))
    """
    if isinstance(frame, Table):
        return frame
    if frames.is_frame(frame) and not hasattr(frame, "to_numpy"):
        raise TypeError(f"a {type(frame).__name__} must be in memory: call collect()")
    names, columns, kind = _columns(frame)
    named = [str(name) for name in names] != [str(at) for at in range(len(names))] or not all(
        isinstance(name, (int, np.integer)) for name in names)
    words = [str(name) if named else f"column {at + 1}" for at, name in enumerate(names)]
    if len(set(words)) < len(words):
        twice = next(name for name in words if words.count(name) > 1)
        raise ValueError(f"{source or kind} must name each column differently, got {twice!r} "
                         f"{words.count(twice)} times")
    table = Table({}, source or kind, named, first=first)
    for name, column in zip(words, columns, strict=True):
        table.columns[name] = _typed(column, table, name)
    lengths = {len(column) for column in table.columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"{table.source} must have columns of one length, "
                         f"got {sorted(lengths) or 'no column'}")
    return table


def with_target(
    x: NDArray[Any], y: NDArray[Any] | None, source: str, first: int = 0
) -> Table:
    """Make a table of columns without names, and of the target that comes with them."""
    table = from_frame(x, source, first)
    if y is not None:
        targets = y.reshape(len(y), -1).T
        names = ["y"] if len(targets) == 1 else [f"y {at + 1}" for at in range(len(targets))]
        table.columns |= from_frame(
            dict(zip(names, targets, strict=True)), source, first).columns
        table.target = tuple(names)
    return table


def _columns(frame: Any) -> tuple[list[Any], list[Any], str]:
    """Return the names, the columns, and what messages call the frame."""
    if isinstance(frame, Mapping):
        return list(frame), list(frame.values()), "the dict"
    if hasattr(frame, "column_names") and hasattr(frame, "column"):  # pyarrow
        return list(frame.column_names), [
            frame.column(at) for at in range(len(frame.column_names))], "the Table"
    if frames.is_frame(frame):
        if len(frame.shape) == 1:
            raise TypeError(f"a table must have columns, got a {type(frame).__name__} of shape "
                            f"{frame.shape}: call to_frame()")
        if hasattr(frame, "iloc"):
            return list(frame.columns), [frame.iloc[:, at] for at in range(frame.shape[1])], (
                "the DataFrame")
        return list(frame.columns), frame.get_columns(), "the DataFrame"
    try:
        array = frame if isinstance(frame, np.ma.MaskedArray) else np.asarray(frame)
    except (TypeError, ValueError):  # rows differ in length
        raise ValueError(f"an array must be of shape (n, k), got {_check.shown(frame)}") from None
    if array.dtype.names and array.ndim == 1:
        return list(array.dtype.names), [array[name] for name in array.dtype.names], "the array"
    if array.ndim != 2:
        raise ValueError(f"an array must be of shape (n, k), got shape {array.shape}")
    return list(range(array.shape[1])), list(array.T), "the array"


def _typed(column: Any, table: Table, name: str) -> NDArray[Any]:
    """Return a column in a dtype that tables have."""
    missing, array = _missing(column), np.asarray(column)
    if array.ndim == 0:
        raise ValueError(f"{table.where(None, name)}: must be a list of values, one for each row, "
                         f"got {_check.shown(column)}")
    if array.ndim != 1:
        raise ValueError(f"{table.where(None, name)}: must have one value in each row, "
                         f"got shape {array.shape}")
    if array.dtype.kind == "b" and (missing is None or not missing.any()):
        return array
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
        if missing is not None:
            numbers[missing] = np.nan
        return _finite(numbers, table, name)
    if array.dtype.kind == "M":
        return array
    if array.dtype.kind not in "OUTb":
        raise TypeError(f"{table.where(None, name)}: must hold numbers, booleans, text or dates, "
                        f"got dtype {array.dtype}")
    return _of_objects(array.astype(object), missing, table, name)


def _of_objects(
    array: NDArray[Any], missing: NDArray[np.bool_] | None, table: Table, name: str
) -> NDArray[Any]:
    """Return a column of Python objects in the dtype for their common type."""
    nothing = np.array([value is None or value is np.ma.masked or (
        isinstance(value, (float, np.floating)) and value != value) for value in array], bool)
    nothing |= False if missing is None else missing
    present = array[~nothing]
    if all(isinstance(value, (bool, np.bool_)) for value in present) and present.size:
        if not nothing.any():
            return array.astype(bool)
        array = np.array([str(value) for value in array], object)  # as in a file
    elif all(isinstance(value, date) for value in present) and present.size:
        moments = np.full(len(array), "NaT", "datetime64[s]")
        moments[~nothing] = [np.datetime64(value.isoformat()[:19]) for value in present]
        return moments
    elif not objects.odd(present):
        numbers = np.full(len(array), np.nan)
        numbers[~nothing] = objects.converted(present)
        return _finite(numbers, table, name)
    for row in np.flatnonzero(~nothing):
        if not isinstance(array[row], (str, int, float, np.number, np.bool_)):
            raise TypeError(f"{table.where(int(row), name)}: must be a number, a boolean, text or "
                            f"a date, got {_check.shown(array[row])}")
    words = [None if no else str(value) for value, no in zip(array, nothing, strict=True)]
    return cells.typed(words, partial(table.where, name=name))


def _missing(column: Any) -> NDArray[np.bool_] | None:
    """Return where a Series or a masked array has no value, or None for other columns."""
    for ask in ("isna", "is_null"):  # pandas; polars and pyarrow
        if hasattr(column, ask):
            return np.asarray(getattr(column, ask)(), bool)
    mask = getattr(column, "mask", None)
    return np.ma.getmaskarray(column) if isinstance(mask, np.ndarray) else None


def _finite(numbers: NDArray[np.float64], table: Table, name: str) -> NDArray[np.float64]:
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"{table.where(row, name)}: must be a finite number, got {numbers[row]}")
    return numbers

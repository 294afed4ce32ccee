"""DataFrames and Series of pandas and polars as arrays. They are known by name, never imported."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import objects


def is_frame(values: object) -> bool:
    """Return whether this is a frame or series of pandas or polars, or of a derived class."""
    kind = type(values)
    return kind.__module__ != "builtins" and any(
        base.__module__.partition(".")[0] in ("pandas", "polars") for base in kind.__mro__)


def array(frame: Any, name: str) -> NDArray[Any]:
    """
    Return the numbers of a frame, not copied if it holds them as one array.

    Raises
    ------
    TypeError
        If a column holds no numbers.
    ValueError
        If a value is missing.
    """
    if not hasattr(frame, "to_numpy"):
        raise TypeError(f"{name} must be in memory, got {type(frame).__name__}: call collect()")
    missing = _missing(frame)
    if missing is not None:
        where = f"row {missing[0]}"
        if len(missing) == 2:
            where += f" of column {frame.columns[missing[1]]!r}"
        raise ValueError(f"{name} must not have missing values, got one in {where}")
    if len(frame.shape) == 1:
        return _numbers(frame, name)
    if len(set(frame.dtypes)) == 1:
        whole = np.asarray(frame)
        if whole.dtype != object:
            return _numbers(whole, name)
    # One by one: into a type for all, pandas puts objects, and polars makes numbers of dates.
    columns = [_numbers(column, name, f" in column {label!r}")
               for label, column in zip(frame.columns, _columns(frame), strict=True)]
    return np.stack(columns, axis=1) if columns else np.empty(frame.shape)


def _missing(frame: Any) -> list[int] | None:
    """Return the row, and column, of the first missing value."""
    if hasattr(frame, "isna"):  # pandas
        try:
            missing = np.asarray(frame.isna())
        except ArithmeticError:  # a decimal's signaling NaN, which is no number either
            return None
        return next(iter(np.argwhere(missing).tolist()), None)
    for at, series in enumerate(_columns(frame)):
        if series.null_count():
            return [series.is_null().arg_max(), *([at] if frame is not series else [])]
    return None


def _columns(frame: Any) -> list[Any]:
    if hasattr(frame, "iloc"):  # pandas; labels may occur twice
        return [frame.iloc[:, at] for at in range(frame.shape[1])]
    return frame.get_columns() if hasattr(frame, "get_columns") else [frame]


def _numbers(values: Any, name: str, where: str = "") -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype == object:
        odd = objects.odd(array)
        if odd:
            raise TypeError(f"{name} must hold real numbers, got {odd[0]!r:.40}{where}"
                            f"{objects.remedy(odd[0], name)}")
        return objects.converted(array)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}{where}"
                        f"{objects.remedy(next(array.flat, None), name)}")
    return array

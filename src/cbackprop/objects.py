"""Arrays of Python objects, made into arrays of numbers if the objects are numbers."""

from numbers import Complex, Number, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray


def odd(array: NDArray[Any]) -> list[Any]:
    """Return a list with the first object that is no real number or an integer beyond NumPy's."""
    return next(([value] for value in array.flat if not _is_real(value)), [])


def converted(array: NDArray[Any]) -> NDArray[Any]:
    """Return an integer array if all objects are integers, else float64. None may be odd."""
    kinds = set(map(type, array.flat))
    if kinds and all(issubclass(kind, (int, np.integer, np.bool_)) for kind in kinds):
        for whole in (np.int64, np.uint64):
            if np.iinfo(whole).min <= min(array.flat) and max(array.flat) <= np.iinfo(whole).max:
                return array.astype(whole)
    with np.errstate(over="ignore"):  # a later check finds infinities of longdouble
        return array.astype(np.float64)


def remedy(value: Any, name: str) -> str:
    """Return the remedy for an error: how to convert text to numbers."""
    if not isinstance(value, str):
        return ""
    try:
        float(value)
    except ValueError:
        classes = name.partition(" ")[0] == "y"
        return "; np.unique(y, return_inverse=True)[1] numbers the classes" if classes else ""
    return "; .astype(float) makes numbers of text"


def _is_real(value: Any) -> bool:
    if isinstance(value, int):
        return -2**63 <= value < 2**64
    if isinstance(value, (float, np.bool_)):
        return True
    if isinstance(value, np.timedelta64) or not isinstance(value, Number) or (
            isinstance(value, Complex) and not isinstance(value, Real)):
        return False
    try:
        float(value)  # type: ignore[arg-type]  # a Decimal is said to be no more than a Number
    except (OverflowError, TypeError, ValueError):
        return False
    return True

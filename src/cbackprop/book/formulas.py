"""The small functions of the book's modules, in NumPy: one example, a column, at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, _renamed, arrays
from cbackprop.core import _dispatch

DOUBLE = np.dtype(np.float64)
_sigmoid_of_short = _dispatch.load("float64").sigmoid_of_short


def sigmoid(z: ArrayLike) -> Any:
    """
    Return 1 / (1 + e^-z); where e^-z overflows, it is 0, without a warning.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0]))
    array([0. , 0.5])
    """
    short = _sigmoid_of_short(z)
    if short is not None:
        return short
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(np.negative(z)))


def vectorized_result(j: int, size: int = 10) -> NDArray[Any]:
    """
    Return a column of zeros with a 1 in row j: the output that the network should give for digit j.

    Examples
    --------
    >>> vectorized_result(2, 3).tolist()
    [[0.0], [0.0], [1.0]]
    """
    e = np.zeros((size, 1))
    e[j] = 1.0
    return e


def column(a: ArrayLike, size: int, name: str) -> NDArray[Any]:
    """
    Return an example as a column (size, 1), or several as (size, m).

    Raises
    ------
    TypeError, ValueError
        If it is not numbers, or has another length.
    """
    if type(a) is np.ndarray and a.dtype is DOUBLE and a.ndim == 2 and len(a) == size:
        return a  # nearly always, and often one at a time
    array = arrays.numbers(a, name)
    if array.shape == (size,):
        return array.reshape(size, 1)
    if array.ndim != 2 or len(array) != size:
        raise ValueError(f"{name} must be a column of shape ({size}, 1), or ({size},), "
                         f"got {array.shape}")
    return array


def target(y: ArrayLike, a: NDArray[Any]) -> NDArray[Any]:
    """
    Return the target for the output a: y itself if it has the shape of a, otherwise made from y.

    Raises
    ------
    TypeError, ValueError
        If y is not an array of a's shape or (out,), nor a label.

    Examples
    --------
    >>> target(1, np.zeros((3, 1))).ravel().tolist()
    [0.0, 1.0, 0.0]
    """
    y = arrays.numbers(y, "y")
    if y.shape == a.shape:
        return y
    if y.size == a.size:
        return y.reshape(a.shape)
    if y.size == 1 and 0 <= y.item() < len(a) and y.item() == int(y.item()):
        return vectorized_result(int(y.item()), len(a))
    raise ValueError(f"y must have shape {a.shape} or ({len(a)},), or be a label in "
                     f"0..{len(a) - 1}, got {_check.shown(y.tolist())}")


def is_correct(a: ArrayLike, y: ArrayLike) -> bool:
    """
    Whether an output has the class of y, which is a label or an output.

    The class is the index of the largest output, or of the first of equals. A single output is
    compared with 1/2.

    Examples
    --------
    >>> is_correct([[0.1], [0.9]], 1), is_correct([[0.9]], [[1.0]])
    (True, True)
    """
    if np.size(a) == 1:
        return (np.asarray(a).item() > 0.5) == (np.asarray(y).item() > 0.5)
    return bool(np.argmax(a) == (np.argmax(y) if np.size(y) > 1 else np.asarray(y).item()))


_renamed.install(__name__)

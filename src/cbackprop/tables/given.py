"""Tables and class names, made into the arrays of a network that knows its columns and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, arrays
from cbackprop.sources import RowSource
from cbackprop.tables.frame import from_frame
from cbackprop.tables.preprocessing import Preprocessing, is_table

Classes = tuple[Any, ...]


def checked_classes(classes: Any, outputs: int) -> Classes | None:
    """
    Return a network's classes as a tuple of Python strings, numbers and booleans.

    Raises
    ------
    TypeError, ValueError
        If there is not one for each output (two for a single output), or one occurs twice.
    """
    if classes is None:
        return None
    rule = f"classes must be {max(2, outputs)} different names or numbers, one for each class"
    given = _check.items(classes, rule)
    found = tuple(item.item() if isinstance(item, np.generic) else item for item in given)
    if isinstance(classes, (str, set, frozenset)) or not all(
            isinstance(item, (str, int, float)) and item == item for item in found):
        raise TypeError(f"{rule}, got {_check.shown(classes)}")
    if len(found) != max(2, outputs) or len(set(found)) < len(found):
        raise ValueError(f"{rule}, got {_check.shown(classes)}")
    return found


def array(classes: Classes) -> NDArray[Any]:
    """
    Return classes as an array in which each is what it was: NumPy turns True beside 2 into 1.

    Examples
    --------
    >>> array((True, False, 2)), array((3, 6))
    (array([True, False, 2], dtype=object), array([3, 6]))
    """
    kinds = {bool if isinstance(one, bool) else str if isinstance(one, str) else float
             for one in classes}
    return np.array(classes, dtype=object if len(kinds) > 1 else None)


def examples(
    preprocessing: Preprocessing | None, classes: Classes | None, width: int, real: str, data: Any,
    name: str,
) -> Any:
    """
    Return a data set with tables as arrays, and classes as labels 0, 1, 2, ...

    Parameters
    ----------
    preprocessing : Preprocessing, optional
        It transforms tables. Without it, tables stay as they are: `arrays` reads their numbers.
    classes : tuple, optional
        The classes that y holds, if y has one value for each example.
    width : int
        The number of columns of x.
    real : str
        The dtype of x.
    data : as `Network.SGD` takes it, or a table that includes the target
    name : str
        The name of the data in errors.

    Raises
    ------
    TypeError, ValueError
        If a table does not fit, or y holds a value that is no class.
    """
    if preprocessing is not None and is_table(data):
        table = from_frame(data)
        y = preprocessing.targets(table)
        if y is None:
            raise ValueError(f"{name or 'the table'} must hold the target, "
                             f"{_check.shown(list(preprocessing.target))}, or be (x, y)")
        data = table, y
    if isinstance(data, RowSource) or (classes is None and not _is_pair(data)):
        return data
    x, y = arrays.x_and_y(data, name, width)
    if preprocessing is not None:
        if is_table(x):
            x = preprocessing.transform(x, real)
        else:
            preprocessing.look_at(x)
    outputs = _is_vector(y) and len(y) > 1 and (  # of a single example
        _is_vector(x) or getattr(x, "shape", ()) == (width, 1) != (len(y), 1))
    if classes is not None and not outputs:
        y = labels(y, classes, arrays.part("y", name))
    return x, y


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2


def _is_vector(values: Any) -> bool:
    if isinstance(values, (list, tuple)):
        return bool(values) and isinstance(values[0], (int, float, np.number))
    return isinstance(values, np.ndarray) and values.ndim == 1


def labels(y: Any, classes: Classes, name: str = "y") -> Any:
    """
    Return classes as labels 0, 1, 2, ...; what is no vector of classes is returned as it is.

    Numbers are labels already, unless classes are numbers.

    Raises
    ------
    ValueError
        If y holds a value that is none of the classes, or misses one.
    """
    if arrays.is_sparse(y):
        return y
    try:
        values = np.asarray(y)
        if values.dtype.kind in "UT":  # NumPy turns numbers beside strings into strings
            values = np.asarray(y, dtype=object)
    except (TypeError, ValueError, RuntimeError):  # the next check says what is wrong
        return y
    if values.dtype.kind not in "biufO":
        return y
    column = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if column.ndim > 1:
        return y
    if column.dtype.kind in "biuf" and all(isinstance(item, str) for item in classes):
        return y
    if column.dtype.kind in "iu" and classes == tuple(range(len(classes))):
        return y
    place = {item: at for at, item in enumerate(classes)}
    found = np.empty(column.size, np.intp)
    for at, item in enumerate(column.ravel().tolist()):
        label = place.get(item) if item.__hash__ is not None else None
        if label is None:
            raise ValueError(f"{name} must hold classes of the network, "
                             f"{_check.shown(list(classes))}, got {_check.shown(item)} at {at}")
        found[at] = label
    return found.reshape(column.shape)


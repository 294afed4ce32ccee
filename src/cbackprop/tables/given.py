"""Tables and class names, made into the arrays of a network that knows its columns and classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbackprop import _check, arrays
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


def examples(
    preprocessing: Preprocessing | None, classes: Classes | None, real: str, data: Any, name: str
) -> Any:
    """
    Return a data set with tables as arrays, and classes as labels 0, 1, 2, ...

    Parameters
    ----------
    preprocessing : Preprocessing, optional
        It transforms tables. Without it, tables stay as they are: `arrays` reads their numbers.
    classes : tuple, optional
        The classes that y holds, if y has one value for each example.
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
    if not (isinstance(data, tuple) and len(data) == 2):
        return data
    x, y = data
    if preprocessing is not None and is_table(x):
        x = preprocessing.transform(x, real)
    if classes is not None and not (_is_vector(x) and _is_vector(y)):  # a single example
        y = labels(y, classes, arrays.part("y", name))
    return x, y


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


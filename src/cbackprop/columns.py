"""Rules that tell the target of a table, its index and its pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TARGETS = (  # the surest first: in Titanic, "survived" is the target, and not "class"
    "label", "labels", "target", "targets", "survived", "diagnosis", "outcome", "species", "digit",
    "digits", "class_label", "target_class", "label_name", "target_name", "class", "classes",
    "class_name", "class_type", "y", "y_true", "ground_truth", "response", "churn", "churned",
    "attrition", "spam", "is_spam", "fraud", "is_fraud", "isfraud", "sentiment", "cover_type",
    "income", "quality", "medv", "medhouseval", "median_house_value", "price", "saleprice",
    "sale_price", "mpg")
CLASSES = frozenset((  # targets in which whole numbers are classes
    "label", "labels", "survived", "diagnosis", "species", "digit", "digits", "churn", "churned",
    "attrition", "spam", "is_spam", "fraud", "is_fraud", "isfraud", "sentiment", "class", "classes",
    "class_label", "class_name", "class_type", "target_class", "target_name", "label_name",
    "cover_type"))
FEATURES = frozenset(("income",))  # if they are numbers of many values
INDICES = frozenset((
    "index", "idx", "id", "row", "rows", "row_id", "row_number", "rowid", "rownames", "row_names",
    "no", "nr", "num", "number", "sno", "s_no", "serial_no", "serno", "obs", "key"))
TIMES = frozenset((
    "year", "yr", "quarter", "month", "week", "day", "weekday", "date", "time", "datetime",
    "timestamp", "hour", "minute", "second"))  # "survival_time" may well be a target
NAMELESS = re.compile(r"(?:unnamed: \d+)?", re.I)
MIN_BESIDE_LABEL = 16  # columns of pixels, for the first column to be their label
MAX_CLASSES = 100


def normal(name: str) -> str:
    """Return a name in lower case, its words joined by underscores."""
    return re.sub(r"\W+", "_", name.strip().casefold()).strip("_")


def named_target(names: Sequence[str]) -> list[int]:
    """
    Return the indices of columns whose name means target, the surest first.

    A "y" beside a "z" is a coordinate, and no target.

    Examples
    --------
    >>> named_target(["Class", "x", "y", "z", "Survived"])
    [4, 0]
    """
    plain = [normal(name) for name in names]
    known = [name for name in TARGETS if name != "y" or "z" not in plain]
    return [plain.index(name) for name in known if name in plain]


def are_labels_first(columns: Sequence[NDArray[Any]]) -> bool:
    """
    Return whether these are images with labels in front.

    The first column alone is then integers of few values. Pixels are whole numbers from 0 to 255,
    or numbers from 0 to 1; in that case the last column, which might be a target, is constant.

    Examples
    --------
    >>> pixels = np.tile([0.0, 255.0, 31.0, 0.0], (8, 5))
    >>> are_labels_first([np.arange(8.0) % 2, *pixels.T])
    True
    """
    first, *pixels = columns
    if len(pixels) < MIN_BESIDE_LABEL or not _are_labels(first) or _are_labels(pixels[-1]):
        return False
    if all(map(_are_bytes, pixels)) and max(float(column.max()) for column in pixels) > first.max():
        return True
    return bool((pixels[-1] == pixels[-1][0]).all()) and all(
        column.dtype.kind == "f" and ((column >= 0) & (column <= 1)).all() for column in pixels)


def is_index(name: str | None, column: NDArray[Any]) -> bool:
    """
    Return whether a column is an index: it counts from 0 or 1, and its name is empty or means so.

    A column with an empty name need only differ in every row, as a shuffled index does. In a file
    without names (None), it must count at least ten rows.

    Examples
    --------
    >>> is_index("Unnamed: 0", np.arange(3.0)), is_index("age", np.arange(3.0))
    (True, False)
    """
    n = len(column)
    if column.dtype.kind != "f" or n < 2 or not np.isfinite(column).all():
        return False
    if np.array_equal(column - column[0], np.arange(n)) and column[0] in (0, 1):
        return n >= 10 if name is None else means_index(name)
    return (name is not None and NAMELESS.fullmatch(name.strip()) is not None
            and bool((column == np.trunc(column)).all()) and len(np.unique(column)) == n)


def means_index(name: str) -> bool:
    """
    Return whether a name means index, or is empty.

    Examples
    --------
    >>> [means_index(name) for name in ("PassengerId", "row id", "paid", "Unnamed: 0")]
    [True, True, False, True]
    """
    return (NAMELESS.fullmatch(name.strip()) is not None or normal(name) in INDICES
            or re.search(r"(?:[a-z]I[Dd]|[_\W][Ii][Dd])$", name.strip()) is not None)


def means_time(name: str) -> bool:
    """
    Return whether a name means a point in time.

    Examples
    --------
    >>> [means_time(name) for name in ("Year", "end_date", "survival time")]
    [True, True, False]
    """
    return normal(name) in TIMES or normal(name).endswith(("_date", "_year", "_timestamp"))


def _are_labels(column: NDArray[Any]) -> bool:
    """Return whether these are whole numbers below 100 that recur, none in nearly all rows."""
    if not _are_bytes(column) or column.max() >= MAX_CLASSES:
        return False
    n, counts = len(column), np.unique(column, return_counts=True)[1]
    return bool(len(counts) <= max(10, n // 2) and counts.max() <= 0.8 * n)


def _are_bytes(column: NDArray[Any]) -> bool:
    return column.dtype.kind in "fu" and bool(
        ((column >= 0) & (column <= 255) & (column == np.trunc(column))).all())

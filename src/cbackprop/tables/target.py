"""The target of a table: which columns it is, and of which kind. Each choice has its reason."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, columns

from .table import Table

KIND_BY_NAME = {"classes": "classes", "classification": "classes", "numbers": "numbers",
                "regression": "numbers", "counts": "counts", "labels": "labels"}
COUNTS = re.compile(r"(?:^(?:num|nb|number_of)_)|"
                    r"(?:^|_)(?:counts?|cnt|visits|claims|purchases|arrivals|accidents)(?:_|$)")
FEW_CLASSES = 20  # up to so many different whole numbers are classes
ENOUGH = 5  # rows of each, on average
GAPS = 5  # from so many different values on, labels would have no gaps
Label: TypeAlias = str | int | float | bool


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """
    The columns of a table that are to be learned.

    Parameters
    ----------
    names : tuple of str
        The names of the columns; usually there is one.
    kind : {"classes", "numbers", "counts", "labels"}
        "labels" are several columns of 0 and 1.
    y : ndarray, shape (n,) or (n, k)
        int64 labels from 0 for classes, else float64.
    classes : tuple or None
        For classes, the value for which each label stands: text, integers, numbers or booleans,
        sorted. For several labels, the names of the columns.
    why : str
        One line: the column that was taken, and the reason.
    kind_why : str
        One line: the kind that was taken, and the reason.
    left_out : dict of str to str
        The columns that are no features, with the reasons.
    """

    names: tuple[str, ...]
    kind: str
    y: NDArray[Any]
    classes: tuple[Label, ...] | None
    why: str
    kind_why: str
    left_out: dict[str, str]

    def __repr__(self) -> str:
        return f"Target {self.name!r}: {self.kind} of {len(self.y):,} rows"

    @property
    def name(self) -> str:
        """The name of the column, or all names, separated by commas."""
        return ", ".join(self.names)


def choose(
    table: Table, target: str | int | Sequence[str | int] | None = None, kind: str | None = None
) -> Target:
    r"""
    Choose the target of a table.

    If it is not given, it is the first of these that the table has: what the file itself separates
    as y; a column whose name means target; the first column, if it alone is integers of few values
    and all others are pixels; the last column whose name means neither a time nor an identity.

    Parameters
    ----------
    table : Table
    target : str, int, or sequence of these, optional
        Names or indices of columns. An index may be negative, and may be text.
    kind : str, optional
        "classification" (or "classes"), "regression" ("numbers"), "counts" or "labels". By default
        it is guessed.

    Returns
    -------
    Target

    Raises
    ------
    TypeError, ValueError
        If there is no such column or kind; if a row has no target, or all have the same; if the
        targets are not of this kind.

    Examples
    --------
    >>> table = Table({"": np.arange(4.0), "Species": np.array(["b", "a", "b", "a"], object),
    ...                "height": np.array([1.5, 2.0, 1.6, 2.1])}, "plants.csv")
    >>> found = choose(table)
    >>> found
    Target 'Species': classes of 4 rows
    >>> found.y, found.classes
    (array([1, 0, 1, 0]), ('a', 'b'))
    >>> print(found.why, *found.left_out.values(), sep="\n")
    target: column 'Species', whose name means target
    left out: the first column, without a name, which counts the rows
    """
    if kind is not None:
        kind = KIND_BY_NAME[_check.choice("kind", kind, KIND_BY_NAME)]
    names, why, left_out = find(table, target)
    if len(names) + len(left_out) == len(table.columns):
        raise ValueError(f"{table.source} must have a column beside the target {names[0]!r}"
                         f"{' and the index' * bool(left_out)}, got none")
    for name in names:
        check_column(table, name)
    of = _of_several(table, names, kind) if len(names) > 1 else _of_one(table, names[0], kind)
    kind, y, classes, kind_why = of
    return Target(tuple(names), kind, y, classes, f"target: {why}", kind_why, left_out)


# ---- which column ----


def find(
    table: Table, target: str | int | Sequence[str | int] | None = None
) -> tuple[list[str], str, dict[str, str]]:
    """
    Find the target as `choose` does, whatever it holds; and what is no feature.

    Returns
    -------
    names, why, left_out : list of str, str, dict of str to str

    Raises
    ------
    TypeError, ValueError
        If there are no rows, or no such column.

    Examples
    --------
    >>> find(Table({"label": np.zeros(2), "height": np.array([1.5, 2.0])}))[0]
    ['label']
    """
    if not len(table):
        raise ValueError(f"{table.source} must have rows, got none")
    names, why = _asked(table, target) if target is not None else _found(table)
    left_out = {name: reason for name in table.columns if name not in names
                if (reason := _no_feature(table, name)) is not None}
    return names, why, left_out


def _asked(table: Table, target: Any) -> tuple[list[str], str]:
    several = isinstance(target, (list, tuple, np.ndarray))
    names: list[str] = []
    for one in target if several else [target]:
        name = _column(table, one)
        if name in names:
            raise ValueError(f"target must name different columns, got {name!r} twice")
        names.append(name)
    if not names:
        raise ValueError("target must name a column or more, got none")
    called = [_called(table, name) for name in names]
    return names, f"{', '.join(called)}, as asked for"


def _column(table: Table, one: Any) -> str:
    """Return the name of a column that is given by name or index."""
    names = list(table.columns)
    if isinstance(one, bool) or not isinstance(one, (str, int, np.integer)):
        raise TypeError(f"target must be a column's name or index, got {_check.shown(one)}")
    if isinstance(one, str):
        if one in names:
            return one
        alike = [name for name in names if name.strip().casefold() == one.strip().casefold()]
        if len(alike) == 1:
            return alike[0]
        if not re.fullmatch(r"\s*[+-]?\d+\s*", one):
            close = difflib.get_close_matches(one, names, 1, 0.6)
            some = ", ".join(map(repr, names[:8])) + ", ..." * (len(names) > 8)
            raise ValueError(f"target must be a column of {table.source} ({some}), "
                             f"got {_check.shown(one)}"
                             f"{f': did you mean {close[0]!r}?' if close else ''}")
    at = int(one)
    if not -len(names) <= at < len(names):
        raise ValueError(f"target must be an index from {-len(names)} to {len(names) - 1}, for the "
                         f"{len(names)} columns of {table.source}, got {at}")
    return names[at]


def _found(table: Table) -> tuple[list[str], str]:
    """Guess the target, and return its names and the reason."""
    names = list(table.columns)
    if table.target:
        called = ", ".join(map(repr, table.target[:3])) + ", ..." * (len(table.target) > 3)
        return list(table.target), f"{called}, which the file stores separately"
    if table.named:
        known = [names[at] for at in columns.named_target(names)]
        fit = [name for name in known if not _unfit(name, table.columns[name])]
        known = [name for name in known if not _is_feature(name, table.columns[name])]
        for name in fit or known[:1]:
            others = [other for other in fit if other != name]
            return [name], f"column {name!r}, whose name means target" + (
                f" (so may {', '.join(map(repr, others))})" if others else "")
    features = [name for name in names if _no_feature(table, name) is None] or names
    if columns.are_labels_first([table.columns[name] for name in features]):
        called = repr(features[0]) if table.named else "1"
        return features[:1], (f"column {called}, the first, since it alone is integers of few "
                              f"values and all others are pixels")
    if not table.named:
        return features[-1:], f"{features[-1]}, the last, since columns have no names"
    likely = [name for name in features if not (
        columns.means_time(name) or columns.means_index(name)
        or table.columns[name].dtype.kind == "M")] or features
    later = features[features.index(likely[-1]) + 1:]
    last = "the last" if not later else (
        f"the last before {', '.join(map(repr, later))}, whose name"
        f"{'s mean' if len(later) > 1 else ' means'} a time or an identity")
    return likely[-1:], f"column {likely[-1]!r}, {last}, since no column's name means target"


def _called(table: Table, name: str) -> str:
    return f"column {name!r}" if table.named else name


def _no_feature(table: Table, name: str) -> str | None:
    """Return the reason to leave a column out, or None."""
    column, n = table.columns[name], len(table)
    at = list(table.columns).index(name)
    if columns.is_index(name if table.named else None, column):
        counts = np.array_equal(column, column[0] + np.arange(n))
        called = f"column {name!r}, which" if table.named else f"{name}, which"
        if table.named and columns.NAMELESS.fullmatch(name.strip()):
            where = "the first column" if at == 0 else f"column {at + 1}"
            called = f"{where}, without a name, which"
        return f"left out: {called} {'counts' if counts else 'numbers'} the rows"
    if (table.named and columns.means_index(name) and n >= FEW_CLASSES
            and _differs_in_every_row(column)):
        return f"left out: column {name!r}, which identifies the rows"
    return None


def _differs_in_every_row(column: NDArray[Any]) -> bool:
    if column.dtype.kind == "f":
        return (bool(np.isfinite(column).all() and (column == np.trunc(column)).all())
                and len(np.unique(column)) == len(column))
    return column.dtype == object and None not in column and len(set(column)) == len(column)


def _unfit(name: str, column: NDArray[Any]) -> bool:
    """Return whether a column cannot be a target: dates, a feature, or text with many values."""
    return column.dtype.kind == "M" or _is_feature(name, column) or (
        column.dtype == object and _are_too_many(len(set(column)), len(column)))


def _is_feature(name: str, column: NDArray[Any]) -> bool:
    return (columns.normal(name) in columns.FEATURES and column.dtype.kind == "f"
            and len(np.unique(column)) > 2)


def _are_too_many(classes: int, n: int) -> bool:
    return classes > max(FEW_CLASSES, n // 2)


# ---- of what kind ----


def check_column(table: Table, name: str) -> None:
    """
    See that a column can be a target.

    Raises
    ------
    ValueError
        If a row has no value, or they are dates.
    """
    column = table.columns[name]
    if column.dtype.kind == "M":
        raise ValueError(f"{table.where(None, name)}: a target must be classes or numbers, "
                         f"got dates")
    missing = np.isnan(column) if column.dtype.kind == "f" else (
        np.array([cell is None for cell in column]) if column.dtype == object
        else np.zeros(len(column), bool))
    if missing.any():
        rest = int(missing.sum()) - 1
        raise ValueError(f"{table.where(int(missing.argmax()), name)}: every row must have a "
                         f"target, got none{f' (nor in {rest:,} more rows)' if rest else ''}: "
                         f"leave out such rows")


def _of_several(
    table: Table, names: Sequence[str], kind: str | None
) -> tuple[str, NDArray[Any], tuple[Label, ...] | None, str]:
    """Return kind, y, classes and the reason for several columns."""
    for name in names:
        if table.columns[name].dtype == object:
            row = 0
            raise ValueError(f"{table.where(row, name)}: several targets must each be numbers, "
                             f"got {_check.shown(table.columns[name][row])}")
    y = np.stack([table.columns[name].astype(np.float64) for name in names], axis=1)
    if (y == y[0]).all():
        raise ValueError(f"{table.source}: targets must differ, got "
                         f"{_check.shown(y[0].tolist())} in all {len(table):,} rows")
    binary = np.isin(y, (0, 1))
    if kind == "counts":
        _check_counts(table, names, y)
        return "counts", y, None, "kind: counts, as asked for"
    if kind == "numbers":
        return "numbers", y, None, "kind: numbers, as asked for"
    if not binary.all():
        if kind is not None:
            row, at = np.argwhere(~binary)[0].tolist()
            raise ValueError(f"{table.where(row, names[at])}: several targets of classes must be 0 "
                             f"or 1, got {y[row, at]:g}")
        return "numbers", y, None, f"kind: numbers, in {len(names)} columns"
    if kind != "labels" and (y.sum(axis=1) == 1).all():
        return "classes", y.argmax(axis=1).astype(np.int64), tuple(names), (
            f"kind: classes, {len(names)}, since one of the columns is 1 in every row")
    if kind == "classes":
        row = int((y.sum(axis=1) != 1).argmax())
        raise ValueError(f"{table.where(row)}: several columns of classes must have one 1 in each "
                         f"row, got {y[row].sum():g}; kind='labels' takes any number")
    return "labels", y, tuple(names), (
        f"kind: {len(names)} labels, since all columns are 0 or 1" if kind is None
        else "kind: labels, as asked for")


def _of_one(
    table: Table, name: str, kind: str | None
) -> tuple[str, NDArray[Any], tuple[Label, ...] | None, str]:
    """Return kind, y, classes and the reason for one column."""
    column = table.columns[name]
    values, y = _distinct(column)
    if len(values) < 2:
        where = f"all {len(table):,} rows" if len(table) > 1 else "the only row"
        raise ValueError(f"{table.where(None, name)}: targets must differ, got "
                         f"{_check.shown(values[0])} in {where}; choose another "
                         f"column with target=")
    guess, reason = _guess(name if table.named else "", column, values)
    if kind is None:
        kind, why = guess, f"kind: {_described(guess, values)}, since {reason}"
    else:
        why = f"kind: {_described(kind, values)}, as asked for" + (
            f", not {guess}, as {reason}" if kind != guess else "")
    if kind == "labels":
        raise ValueError(f"kind 'labels' must have several columns as target, got {name!r} alone")
    if kind == "classes":
        if column.dtype != bool and _are_too_many(len(values), len(table)):
            raise ValueError(f"{table.where(None, name)}: classes must have several rows each, got "
                             f"{len(values):,} different values in {len(table):,} rows; choose "
                             f"another column with target=")
        return kind, y, values, why
    if column.dtype == object:
        raise ValueError(f"{table.where(0, name)}: a target of {kind} must be a column of numbers, "
                         f"got {_check.shown(column[0])}")
    numbers = column.astype(np.float64)
    if kind == "counts":
        _check_counts(table, [name], numbers[:, None])
    return kind, numbers, None, why


def _guess(name: str, column: NDArray[Any], values: Sequence[Label]) -> tuple[str, str]:
    """Guess the kind of one column; return it and the reason."""
    n, d = len(column), len(values)
    if column.dtype == object:
        return "classes", "they are words"
    if column.dtype == bool:
        return "classes", "they are true or false"
    if (column != np.trunc(column)).any():
        return "numbers", "not all are whole"
    plain, low, high = columns.normal(name), column.min(), column.max()
    if low >= 0 and d > 2 and COUNTS.search(plain):
        return "counts", f"the name {name!r} says so"
    if plain in columns.CLASSES and not _are_too_many(d, n):
        return "classes", f"the name {name!r} says so"
    if d == 2:
        return "classes", "there are two of them"
    from_0_or_1 = low in (0, 1) and high - low == d - 1
    counts = np.unique(column, return_counts=True)[1]
    are_small = low == 0 and counts.argmax() <= 1 and counts.max() >= 0.1 * n
    are_counts = are_small and not from_0_or_1 and d >= GAPS
    if d <= FEW_CLASSES and n >= (2 if from_0_or_1 else ENOUGH) * d and not are_counts:
        return "classes", f"they are whole numbers of {d} values"
    if from_0_or_1 and d <= columns.MAX_CLASSES and n >= FEW_CLASSES * d:
        return "classes", f"they are the whole numbers from {low:g} to {high:g}"
    if are_small:
        return "counts", "they are whole, from 0 up, and mostly small"
    return "numbers", f"they are whole numbers of {d:,} values"


def _described(kind: str, values: Sequence[Label]) -> str:
    if kind != "classes":
        return kind
    words = [" ".join(str(value).split())[:40] for value in values]
    if len(words) > 5:
        words[2:-1] = ["..."]
    return f"{len(values)} classes ({', '.join(words)})"


def _distinct(column: NDArray[Any]) -> tuple[tuple[Label, ...], NDArray[np.int64]]:
    """Return the different values in order, and for each row the index of its value."""
    if column.dtype == object:
        words = sorted(set(column), key=_in_order)
        index = {word: at for at, word in enumerate(words)}
        return tuple(words), np.array([index[word] for word in column], np.int64)
    values, y = np.unique(column, return_inverse=True)
    whole = values.dtype == np.float64 and (values == np.trunc(values)).all() and (
        np.abs(values) < 2**53).all()
    return tuple((values.astype(np.int64) if whole else values).tolist()), y.astype(np.int64)


def _in_order(word: str) -> tuple[bool, float, str]:
    """Return a key that sorts numbers by value, and before words."""
    try:
        return False, float(word), word
    except ValueError:
        return True, 0.0, word


def _check_counts(table: Table, names: Sequence[str], y: NDArray[np.float64]) -> None:
    odd = np.argwhere((y < 0) | (y != np.trunc(y)))
    if len(odd):
        row, at = odd[0].tolist()
        raise ValueError(f"{table.where(row, names[at])}: counts must be whole numbers of at least "
                         f"0, got {y[row, at]:g}")

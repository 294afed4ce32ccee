"""The preprocessing of a table's columns. It belongs to the network, and is saved with it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cbackprop import _check, _words, frames
from cbackprop._text import table as aligned
from cbackprop.tables import cells
from cbackprop.tables.frame import from_frame
from cbackprop.tables.table import Table

COLUMN_KINDS = ("number", "constant", "pixel", "boolean", "category")
MAX_CATEGORIES = 100  # of a column; rarer ones share the slot for unknown values
FEW_CATEGORIES = 10  # up to so many different words are categories in any number of rows
MIN_IMAGE = 48  # columns of a table that is divided by 255
LOOKED_AT = 100  # rows of an array that may be the table itself
LIKELIER = 3.0  # how much larger its logarithm of the likelihood has to be
TRUTHS = {"true": 1.0, "false": 0.0}


@dataclasses.dataclass(frozen=True)
class Column:
    """
    A column of a table, and its preprocessing.

    Attributes
    ----------
    name : str
    kind : {"number", "constant", "pixel", "boolean", "category"}
    mean, scale : float
        A number x becomes (x - mean) / scale.
    median : float
        The value that replaces a missing number.
    indicator : bool
        Whether there is an extra output that is 1 where a number is missing.
    categories : tuple of str
        Sorted. Each has an output; a last output is for all other values.
    """

    name: str
    kind: str
    mean: float = 0.0
    scale: float = 1.0
    median: float = 0.0
    indicator: bool = False
    categories: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[str]:
        """The names of the columns that it becomes."""
        if self.kind == "category":
            return [*(f"{self.name} = {category}" for category in self.categories),
                    f"{self.name} unknown"]
        return [self.name, f"{self.name} missing"][:1 + self.indicator]

    def described(self) -> str:
        """Return a description of the preprocessing."""
        if self.kind == "category":
            return f"one-hot: {_check.shown(list(self.categories))}, or unknown"
        moved = f"x {'+' if self.mean < 0 else '-'} {abs(self.mean):.6g}"
        what = {"number": f"({moved}) / {self.scale:.6g}", "constant": f"constant, {moved}",
                "pixel": f"x / {self.scale:g}", "boolean": "0 or 1"}[self.kind]
        if self.indicator:
            what += f"; missing: {self.median:.6g}, and an indicator"
        return what


class Preprocessing:
    """
    The preprocessing of a table, fitted on its training part by `fit`.

    Numbers are standardised by mean and standard deviation; a constant column has scale 1. Text is
    one-hot, in sorted order, with a last slot for missing and unknown values. Booleans are 0 or 1.
    The median replaces a missing number, and an indicator column is 1 there if numbers were missing
    in the training part. A table of pixels (whole numbers in 0..255, half of them 0) is divided by
    255.

    Parameters
    ----------
    columns : sequence of Column
        In the order of the network's inputs.
    names : sequence of str, optional
        The names of all columns of the table, in its order; by default those of `columns`.
    target : sequence of str
        The names among them that hold the target.
    left_out : dict of str to str
        The names among them that are left out, with the reasons.
    named : bool
        Whether the table has names for its columns. If not, columns are matched by position.

    Attributes
    ----------
    inputs : tuple of Column
        The parameter `columns`.
    columns : tuple of str
        The names of the columns that `transform` returns.
    names, target, left_out, named
        The parameters.
    """

    def __init__(
        self, columns: Iterable[Column], *, names: Sequence[str] | None = None,
        target: Sequence[str] = (), left_out: dict[str, str] | None = None, named: bool = True,
    ) -> None:
        self.inputs = tuple(columns)
        self.names = tuple(column.name for column in self.inputs) if names is None else tuple(names)
        self.target, self.left_out, self.named = tuple(target), dict(left_out or {}), named
        self.columns = tuple(itertools.chain.from_iterable(
            column.outputs for column in self.inputs))

    @classmethod
    def fit(
        cls, table: Any, *, target: str | Sequence[str] = (),
        left_out: str | Sequence[str] | dict[str, str] = (),
    ) -> Preprocessing:
        """
        Return the preprocessing for a table, of which `table` is the training part.

        Parameters
        ----------
        table : Table, DataFrame of pandas or polars, pyarrow Table, dict of columns, 2-D array
        target : str or sequence of str
            The columns of the target, which are no inputs.
        left_out : str, sequence of str, or dict {name: why}
            The columns that are left out.

        Returns
        -------
        Preprocessing

        Raises
        ------
        ValueError
            If there are no rows, no column remains, a column holds dates or infinite numbers, or a
            name is unknown.

        Examples
        --------
        >>> from cbackprop.tables.preprocessing import Preprocessing
        >>> fitted = Preprocessing.fit(
        ...     {"age": [20.0, 40.0, None], "city": ["Rome", "Oslo", "Rome"]})
        >>> fitted.columns
        ('age', 'age missing', 'city = Oslo', 'city = Rome', 'city unknown')
        >>> fitted.transform({"city": ["Bonn"], "age": [50.0]})
        array([[2., 0., 0., 0., 1.]], dtype=float32)
        """
        table = from_frame(table)
        target = _names("target", target)
        out = dict(left_out) if isinstance(left_out, dict) else dict.fromkeys(
            _names("left_out", left_out), "as asked")
        for argument, names in (("target", target), ("left_out", out)):
            unknown = [name for name in names if name not in table.columns]
            if unknown:
                raise ValueError(f"{argument} must name columns of {table.source}, "
                                 f"{_listed(table.columns)}, got {_check.shown(unknown[0])}")
        if not len(table):
            raise ValueError(f"{table.source} must have at least one row, got none")
        seen = {name: values for name, values in table.columns.items()
                if name not in target and name not in out}
        _check_dates(table, seen)
        pixels = _are_pixels(seen.values())
        columns = []
        for name, values in seen.items():
            column = _fitted(table, name, values, pixels)
            if isinstance(column, str):
                out[name] = column
            else:
                columns.append(column)
        if not columns:
            raise ValueError(f"{table.source} must have a column that a network can take beside "
                             f"the target, got {_listed(table.columns)}{_because(out)}")
        return cls(columns, names=tuple(table.columns), target=target, left_out=out,
                   named=table.named)

    def transform(self, table: Any, dtype: DTypeLike = "float32") -> NDArray[Any]:
        """
        Return the input of the network for a table: its rows, with the columns of `columns`.

        Columns are matched by name, in any order, or by position if there are no names. A
        UserWarning names unknown columns, which are ignored, and columns that miss values although
        none was missing in training: the median replaces these values.

        Parameters
        ----------
        table : Table, DataFrame of pandas or polars, pyarrow Table, dict of columns, 2-D array
        dtype : dtype

        Returns
        -------
        C-contiguous array of shape (n, len(columns))

        Raises
        ------
        ValueError
            If a column is missing, or holds values of another kind than in training. The error
            names the column and the place of the first such value.
        """
        if frames.is_frame(table) and len(getattr(table, "shape", ())) == 1:
            raise TypeError(f"a table must have columns, got a {type(table).__name__} of shape "
                            f"{table.shape}; of a row, frame.iloc[[0]] is a table")
        table = from_frame(table)
        found = self._matched(table)
        x = np.zeros((len(table), len(self.columns)), dtype)
        at, gaps = 0, []
        for column in self.inputs:
            values = _read(table, found[column.name], column)
            missing = column.kind != "category" and np.isnan(values)
            if np.any(missing):
                values = np.where(missing, column.median, values)
                if column.indicator:
                    x[:, at + 1] = missing
                else:
                    gaps.append(column.name)
            _write(x, at, column, values)
            at += len(column.outputs)
        if gaps:
            _words.warn(f"{table.source} misses values where the training part had none, in "
                        f"{_listed(gaps)}: the median replaces them")
        return x

    def look_at(self, x: Any) -> None:
        """
        Warn of an array that looks like the table itself, and not like what `transform` returns.

        That is if its rows are far likelier as numbers of such means and deviations than as
        standardised ones.

        Parameters
        ----------
        x : array_like
            As `Network.predict` takes it; of other things nothing is said.
        """
        if len(self.columns) != len(self.inputs) or not isinstance(x, (np.ndarray, list, tuple)):
            return
        try:
            given = np.asarray(x)
            given = (given[:LOOKED_AT] if given.ndim > 1 else given).astype(np.float64)
        except (TypeError, ValueError):  # who reads it next says what is wrong
            return
        rows = given if given.ndim == 2 else given.reshape(1, -1)
        if rows.shape[1] != len(self.columns) or not rows.size:
            return
        mean, scale = np.array([(column.mean, column.scale) for column in self.inputs]).T
        with np.errstate(all="ignore"):
            likelier = (np.square(rows) - np.square((rows - mean) / scale)).sum(axis=1) / 2
            if np.median(likelier - np.log(scale).sum()) > LIKELIER:
                _words.warn("x looks like the table itself, and not like what is made of it: "
                            "preprocessing.transform(x) makes that, and of a DataFrame or a dict "
                            "of columns the network does it")

    def targets(self, table: Any) -> NDArray[Any] | None:
        """
        Return the target: a column, or several side by side; None if the table lacks one.

        Parameters
        ----------
        table : as `transform` takes it
        """
        table = from_frame(table)
        names = self._position_names(table)
        columns = [table.columns[names[name]] for name in self.target if name in names]
        if not columns or len(columns) < len(self.target):
            return None
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    def words(self) -> str:
        """Return a line with the number of columns of each kind."""
        words = {"number": "standardised", "constant": "constant", "pixel": "divided by 255",
                 "boolean": "boolean", "category": "one-hot"}
        counts = {kind: sum(column.kind == kind for column in self.inputs) for kind in COLUMN_KINDS}
        parts = [f"{count} {words[kind]}" for kind, count in counts.items() if count]
        if self.left_out:
            parts.append(f"{len(self.left_out)} left out")
        return f"{len(self.inputs)} columns -> {len(self.columns)} inputs: {', '.join(parts)}"

    def __repr__(self) -> str:
        return f"Preprocessing({self.words()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Preprocessing):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def summary(self) -> str:
        """
        Return a table of the columns and their preprocessing. Equal neighbours share a line.

        Examples
        --------
        >>> from cbackprop.tables.preprocessing import Preprocessing
        >>> print(Preprocessing.fit({"age": [20.0, 40.0], "city": ["Rome", "Oslo"]}).summary())
        column  inputs  what is done
        age     1       (x - 30) / 10
        city    3       one-hot: ['Oslo', 'Rome'], or unknown
        """
        rows = []
        for what, group in itertools.groupby(self.inputs, Column.described):
            alike = list(group)
            name = alike[0].name if len(alike) == 1 else f"{alike[0].name} ... {alike[-1].name}"
            rows.append([name, str(sum(len(column.outputs) for column in alike)), what])
        rows += [[name, "0", f"left out: {why}"] for name, why in self.left_out.items()]
        rows += [[name, "0", "the target"] for name in self.target]
        return aligned(["column", "inputs", "what is done"], rows, left=(0, 1, 2))

    # ---- in files ----

    def state(self) -> dict[str, Any]:
        """Return all of it in types that JSON has, and one array, "numbers"."""
        return {
            "columns": [column.name for column in self.inputs],
            "kinds": [column.kind for column in self.inputs],
            "indicators": [column.indicator for column in self.inputs],
            "categories": [list(column.categories) for column in self.inputs],
            "names": list(self.names), "target": list(self.target), "left_out": self.left_out,
            "named": self.named,
            "numbers": np.array([[column.mean, column.scale, column.median]
                                 for column in self.inputs]),
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Preprocessing:
        """
        Return the preprocessing for which `state` returned this.

        Raises
        ------
        ValueError
            If the state is damaged.
        """
        rule = "preprocessing must be as it was saved"
        if not isinstance(state, dict) or set(state) != {
                "columns", "kinds", "indicators", "categories", "names", "target", "left_out",
                "named", "numbers"}:
            raise ValueError(f"{rule}, got {_check.shown(state)}")
        numbers = np.asarray(state["numbers"])
        count = len(_texts(state["columns"], f"{rule}: columns"))
        if count == 0 or numbers.shape != (count, 3) or numbers.dtype.kind != "f" or not (
                np.isfinite(numbers).all() and (numbers[:, 1] > 0).all()):
            raise ValueError(f"{rule}: three finite numbers for each of {count} columns")
        for key in ("kinds", "indicators", "categories"):
            if not isinstance(state[key], list) or len(state[key]) != count:
                raise ValueError(f"{rule}: {key} of {count} columns, "
                                 f"got {_check.shown(state[key])}")
        names = _texts(state["names"], f"{rule}: names")
        of = {"target": _texts(state["target"], f"{rule}: target"),
              "left_out": _texts(list(state["left_out"]), f"{rule}: left_out"),
              "columns": state["columns"]}
        known = list(itertools.chain.from_iterable(of.values()))
        if sorted(known) != sorted(names):
            raise ValueError(f"{rule}: names are those of columns, target and left_out, "
                             f"got {_check.shown(names)}")
        left_out = state["left_out"]
        if not isinstance(left_out, dict) or not all(
                isinstance(why, str) for why in left_out.values()):
            raise ValueError(f"{rule}: left_out, got {_check.shown(left_out)}")
        for kind, indicator in zip(state["kinds"], state["indicators"], strict=True):
            _check.choice("kind of a column", kind, COLUMN_KINDS)
            _check.instance("indicator of a column", indicator, bool)
        _check.instance("named", state["named"], bool)
        categories = [tuple(_texts(given, f"{rule}: categories")) for given in state["categories"]]
        for kind, found in zip(state["kinds"], categories, strict=True):
            if (kind == "category") != bool(found) or list(found) != sorted(found):
                raise ValueError(f"{rule}: categories of a {kind}, "
                                 f"got {_check.shown(list(found))}")
        columns = [
            Column(name, kind, mean, scale, median, indicator and kind != "category", found)
            for name, kind, (mean, scale, median), indicator, found in zip(
                state["columns"], state["kinds"], numbers.tolist(), state["indicators"],
                categories, strict=True)]
        return cls(columns, names=names, target=of["target"], left_out=left_out,
                   named=state["named"])

    # ---- matching columns ----

    def _position_names(self, table: Table) -> dict[str, str]:
        """Return the table's name for each known name that it has."""
        if table.named and self.named:
            return {name: name for name in self.names if name in table.columns}
        # A file for predictions has no target, and may lack the columns that are left out.
        without = [name for name in self.names if name not in self.target]
        seen = [column.name for column in self.inputs]
        if len(table.target) == len(self.target):  # kept apart, wherever it stood in training
            features = [name for name in table.columns if name not in table.target]
            for names in (without, seen):
                if len(names) == len(features):
                    return dict(zip([*names, *self.target], [*features, *table.target],
                                    strict=True))
        for names in (list(self.names), without, seen):
            if len(names) == len(table.columns):
                return dict(zip(names, table.columns, strict=True))
        counts = sorted({len(self.names), len(without), len(seen)})
        raise ValueError(f"{table.source} must have {' or '.join(map(str, counts))} columns, as in "
                         f"training, since they have no names, got {len(table.columns)}")

    def _matched(self, table: Table) -> dict[str, str]:
        found = self._position_names(table)
        lacking = [column.name for column in self.inputs if column.name not in found]
        if lacking:
            raise ValueError(
                f"{table.source} must have the columns of the training, lacks {_listed(lacking)}; "
                f"it has {_listed(table.columns)}")
        known = set(found.values())
        extra = [name for name in table.columns if name not in known]
        if extra:
            _words.warn(f"{table.source} has columns that the network was not trained with, "
                        f"which are ignored: {_listed(extra)}")
        return found


def is_table(values: object) -> bool:
    """Return whether this is a Table, a dict, a DataFrame, or a pyarrow Table."""
    if isinstance(values, (Table, dict)):
        return True
    if frames.is_frame(values):  # a Series too: `transform` refuses it, as it may be a row
        return True
    return type(values).__module__.partition(".")[0] == "pyarrow" and hasattr(
        values, "column_names")


# ---- one column ----


def _check_dates(table: Table, seen: dict[str, NDArray[Any]]) -> None:
    """Refuse columns of dates, all of them at once."""
    dates = [name for name, values in seen.items() if values.dtype.kind == "M"]
    if dates:
        several = len(dates) > 1
        raise ValueError(
            f"column{'s' * several} {_listed(dates, len(dates))} of {table.source} "
            f"hold{'s' * (not several)} dates, which a network cannot take: make numbers of them "
            f"(year, month, weekday, days since a date), or leave {'them' if several else 'it'} "
            f"out, left_out={dates!r}")


def _fitted(table: Table, name: str, values: NDArray[Any], pixels: bool) -> Column | str:
    """Return the preprocessing of a column, or the reason for which it is left out."""
    boolean = _truths(values)
    if values.dtype == object and boolean is None:
        return _categories(name, values)
    values = values if boolean is None else boolean
    _check_finite(table, name, values)
    missing = np.isnan(values)
    indicator = bool(missing.any())
    present = values[~missing] if indicator else values
    if not present.size:
        return "it has no values"
    if boolean is not None:
        return Column(name, "boolean", median=float(2 * present.sum() > present.size),
                      indicator=indicator)
    if pixels:
        return Column(name, "pixel", scale=255.0)
    low, high, median = float(present.min()), float(present.max()), float(np.median(present))
    if low == high:
        return Column(name, "constant", low, 1.0, low, indicator)
    unit = max(abs(low), abs(high))  # the squares of large numbers overflow
    scaled = present / unit
    mean, scale = float(scaled.mean()) * unit, float(scaled.std()) * unit
    if not (scale > 0 and math.isfinite(scale)):  # the differences underflow or overflow
        return Column(name, "constant", median, 1.0, median, indicator)
    return Column(name, "number", mean, scale, median, indicator)


def _categories(name: str, values: NDArray[Any]) -> Column | str:
    present = [value for value in values.tolist() if value is not None]
    found, counts = np.unique(np.array(present, dtype=object), return_counts=True)
    if not present:
        return "it has no values"
    if len(found) > FEW_CATEGORIES and 2 * len(found) > len(present):
        return (f"text with {len(found)} different values in {len(present)} rows; to use it, "
                f"make a few classes or numbers of it")
    if len(found) > MAX_CATEGORIES:
        found = np.sort(found[np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]])
    return Column(name, "category", categories=tuple(found.tolist()))


def _are_pixels(columns: Collection[NDArray[Any]]) -> bool:
    """Return whether columns are pixels: many, whole numbers in 0..255, and half of them 0."""
    if len(columns) < MIN_IMAGE:
        return False
    zeros = most = 0.0
    for values in columns:
        if values.dtype != np.float64 or not values.size:
            return False
        high = values.max()
        if not (high <= 255 and values.min() >= 0 and (values == np.floor(values)).all()):
            return False  # a missing value, NaN, ends here too
        zeros, most = zeros + float((values == 0).mean()), max(most, float(high))
    return most > 127 and 2 * zeros >= len(columns)


def _read(table: Table, name: str, column: Column) -> NDArray[Any]:
    """Return a column's numbers, NaN where one is missing, or the indices of its categories."""
    values = table.columns[name]
    if values.dtype.kind == "M":
        raise ValueError(f"column {name!r} of {table.source} holds dates, which it did "
                         f"not in training")
    if column.kind == "category":
        return _places(values, column.categories)
    boolean = _truths(values)
    values = values if boolean is None else boolean
    if values.dtype == object:
        a, fits = ("true or false", _is_truth) if column.kind == "boolean" else (
            "a number", cells.is_number)
        present = [row for row, value in enumerate(values) if value is not None]
        if present:
            wrong = next((row for row in present if not fits(values[row])), present[0])
            raise ValueError(f"{table.where(wrong, name)} must be {a}, as in training, "
                             f"got {_check.shown(values[wrong])}")
        return np.full(len(values), np.nan)
    if column.kind == "boolean":
        odd = np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
        if odd.size:
            raise ValueError(f"{table.where(int(odd[0]), name)} must be true or false, as in "
                             f"training, got {values[odd[0]]:g}")
    values = values.astype(np.float64, copy=False)
    _check_finite(table, name, values)
    return values


def _is_truth(word: str) -> bool:
    return word.casefold() in TRUTHS


def _truths(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return booleans, or text that spells them, as 0, 1 and NaN if missing; else None."""
    if values.dtype == bool:
        return values.astype(np.float64)
    if values.dtype != object:
        return None
    truths = {word: TRUTHS.get(str(word).casefold()) for word in set(values.tolist()) - {None}}
    if not truths or None in truths.values():
        return None
    return np.array([truths.get(word, math.nan) for word in values.tolist()], np.float64)


def _places(values: NDArray[Any], categories: tuple[str, ...]) -> NDArray[Any]:
    """Return the index of each value among the categories; unknown values come last."""
    place = {category: at for at, category in enumerate(categories)}
    if values.dtype != object:  # in this table, all values look like numbers
        values = np.array([str(int(value)) if value.is_integer() else str(value)
                           for value in values.astype(np.float64).tolist()], dtype=object)
    unknown = len(categories)
    return np.array([place.get(value, unknown) for value in values.tolist()], dtype=np.intp)


def _write(x: NDArray[Any], at: int, column: Column, values: NDArray[Any]) -> None:
    """Write a column's outputs into rows of zeros."""
    if column.kind == "category":
        x[np.arange(len(x)), at + values] = 1
        return
    # A number may be beyond x's type. The network refuses the infinity that results.
    with np.errstate(over="ignore"):
        x[:, at] = (values - column.mean) / column.scale


def _check_finite(table: Table, name: str, values: NDArray[Any]) -> None:
    wrong = np.flatnonzero(np.isinf(values))
    if wrong.size:
        raise ValueError(f"{table.where(int(wrong[0]), name)} must be finite, "
                         f"got {values[wrong[0]]}")


# ---- words ----


def _names(argument: str, names: str | Sequence[str]) -> tuple[str, ...]:
    given = (names,) if isinstance(names, str) else tuple(_check.items(
        names, f"{argument} must be the name of a column, or a list of them"))
    for name in given:
        _check.instance(f"a name of {argument}", name, str)
    return given


def _texts(values: Any, what: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{what}, got {_check.shown(values)}")
    if len(set(values)) < len(values):
        raise ValueError(f"{what}, each once, got {_check.shown(values)}")
    return values


def _listed(names: Iterable[str], most: int = 5) -> str:
    shown = [repr(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def _because(left_out: dict[str, str]) -> str:
    return "".join(f"; {name!r}: {why}" for name, why in itertools.islice(left_out.items(), 3))

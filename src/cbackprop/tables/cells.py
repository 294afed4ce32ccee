"""The types of cells: numbers, booleans, dates or text. One rule holds for every source."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check

MISSING = frozenset((  # compared without regard to case
    "", "na", "n/a", "#n/a", "<na>", "n.a.", "nan", "-nan", "null", "(null)", "#null!", "none",
    "nil", "?", "-", "--", ".", r"\n"))
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|infinity)", re.A | re.I)
WITH_COMMA = re.compile(r"[+-]?(?:\d*|\d{1,3}(?:\.\d{3})+),\d+(?:[eE][+-]?\d+)?", re.A)
WITH_COMMA_OR_WHOLE = re.compile(rf"{WITH_COMMA.pattern}|[+-]?\d+(?:[eE][+-]?\d+)?", re.A)
MONEY = "$€£¥%"
WITH_UNIT = {  # 1,234.5 where a point is decimal, and 1.234,5 where a comma is
    comma: re.compile(rf"(?:[+-]?[{MONEY}]? ?|[{MONEY}] ?[+-])(?:\d+|\d{{1,3}}(?:\{group}\d{{3}})+)"
                      rf"(?:\{point}\d+)? ?[{MONEY}]?", re.A)
    for comma, group, point in ((False, ",", "."), (True, ".", ","))}
BOOLEANS = {"true": True, "false": False}
DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}(?:[T ].*)?", re.A)
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y",
         "%m-%d-%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y")
TIMES = ("", " %H:%M:%S", " %H:%M:%S.%f", " %H:%M", " %H:%M:%S%z", " %H:%M:%S.%f%z", " %I:%M:%S %p",
         " %I:%M %p")
UTC = timedelta(0)


def is_missing(cell: str) -> bool:
    """Return whether a cell stands for a missing value."""
    return cell.strip().casefold() in MISSING


def is_number(cell: str, comma: bool = False) -> bool:
    """Return whether a cell is a number; with `comma`, one with a decimal comma or none."""
    rule = WITH_COMMA_OR_WHOLE if comma else NUMBER
    return rule.fullmatch(cell.strip()) is not None


def is_date(cell: str) -> bool:
    """Return whether a cell looks like a date."""
    return DATE.fullmatch(cell.strip()) is not None


def has_decimal_commas(column: Sequence[str | None]) -> bool:
    """Return whether all cells are numbers, some have a decimal comma, and none has a point."""
    present = [cell.strip() for cell in set(column) if cell is not None and not is_missing(cell)]
    return any(map(WITH_COMMA.fullmatch, present)) and all(
        map(WITH_COMMA_OR_WHOLE.fullmatch, present))


def number(word: str, comma: bool) -> float:
    """Return a number that may have groups of three digits, or a sign of money or percent."""
    group, point = (".", ",") if comma else (",", ".")
    plain = word.replace(group, "").replace(point, ".")
    return float("".join(sign for sign in plain if sign not in MONEY and sign != " "))


def typed(
    column: Sequence[str | None], where: Callable[[int], str], *, comma: bool = False,
    text: bool = False,
) -> NDArray[Any]:
    """
    Return a column of strings as the values that they stand for.

    Each different string is parsed once.

    Parameters
    ----------
    column : sequence of str or None
    where : callable
        It returns the name of a row's cell, for an error.
    comma : bool
        Whether numbers have decimal commas.
    text : bool
        Whether the column stays text, whatever it looks like.

    Returns
    -------
    ndarray of float64, bool, datetime64 or object

    Raises
    ------
    ValueError
        If nearly all cells are numbers, but not all; or a number is not finite.
    """
    cells = {cell: "" if cell is None else cell.strip() for cell in set(column)}
    present = {cell: word for cell, word in cells.items() if word.casefold() not in MISSING}
    if not text:
        rule = WITH_COMMA_OR_WHOLE if comma else NUMBER
        values = {cell: number(word, comma) if comma else float(word)
                  for cell, word in present.items() if rule.fullmatch(word)}
        if len(values) == len(present):
            return _numbers(column, values, where)
        if all(map(WITH_UNIT[comma].fullmatch, present.values())):
            return _numbers(column, {cell: number(word, comma) for cell, word in present.items()},
                            where)
        if comma:
            _refuse_points(column, present, where)
        if not values:
            truths = {cell: BOOLEANS.get(word.casefold()) for cell, word in present.items()}
            if len(present) == len(cells) and None not in truths.values():
                return np.array([truths[cell] for cell in column], bool)
            dates = _dates(present)
            if dates is not None:
                missing = np.datetime64("NaT")
                return np.array([dates.get(cell, missing) for cell in column], "datetime64[us]")
        else:
            _refuse_a_few(column, present, values, where)
    words = {cell: present.get(cell) for cell in cells}
    array = np.empty(len(column), object)
    array[:] = [words[cell] for cell in column]
    return array


def _numbers(
    column: Sequence[str | None], values: dict[str | None, float], where: Callable[[int], str]
) -> NDArray[np.float64]:
    whole = {cell: values.get(cell, np.nan) for cell in set(column)}
    array = np.fromiter(map(whole.__getitem__, column), np.float64, len(column))
    infinite = np.isinf(array)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"{where(row)}: must be a finite number, got {_check.shown(column[row])}")
    return array


def _refuse_points(
    column: Sequence[str | None], present: dict[str | None, str], where: Callable[[int], str]
) -> None:
    if all(NUMBER.fullmatch(word) for word in present.values()):
        row = next(row for row, cell in enumerate(column) if "." in present.get(cell, ""))
        raise ValueError(f"{where(row)}: must have a decimal comma, as other columns have, "
                         f"got {_check.shown(column[row])}")


def _refuse_a_few(
    column: Sequence[str | None], present: dict[str | None, str],
    values: dict[str | None, float], where: Callable[[int], str],
) -> None:
    """Refuse a few words among numbers as slips: as text, every number would be a category."""
    odd = present.keys() - values.keys()
    if len(odd) > max(1, len(column) // 100):
        return
    rows = [row for row, cell in enumerate(column) if cell in odd]
    numbers = sum(cell in values for cell in column)
    if numbers >= 2 and len(rows) <= max(1, (numbers + len(rows)) // 100):
        raise ValueError(f"{where(rows[0])}: must be a number like the rest of its column, "
                         f"got {_check.shown(column[rows[0]])}; columns in text= stay words")


def _dates(present: dict[str | None, str]) -> dict[str | None, np.datetime64] | None:
    """Return dates by the first format that fits all, or None if none does."""
    words = list(present.values())
    if not words or not all(map(DATE.fullmatch, words)):
        return None
    plain = [word.replace("T", " ", 1).replace("Z", "+0000") for word in words]
    for form in (date + time for date in DATES for time in TIMES):
        try:
            moments = [datetime.strptime(word, form) for word in plain]
        except ValueError:
            continue
        return {cell: np.datetime64(moment.replace(tzinfo=None) - (moment.utcoffset() or UTC), "us")
                for cell, moment in zip(present, moments, strict=True)}
    return None


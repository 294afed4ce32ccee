"""
Tables in text files: encoding, separator, header, and then the columns.

The csv module can read every table, and finds its errors. For speed, polars reads a large plain
table if it is installed; otherwise NumPy does if all cells are numbers. A table that these might
read differently is left to the csv module.
"""

from __future__ import annotations

import codecs
import csv
import importlib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import columns

from . import cells
from .table import Table

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"))
CONTROL = re.compile("[\0-\x08\x0e-\x1f]")
OTHERS = (  # other formats of text
    (re.compile(r"\s*<(?:!doctype|html|\?xml)\b", re.I),
     "a page of HTML or XML: download the file itself"),
    (re.compile(r"\s*(?:\{\s*\"|\[\s*[{[])"), "JSON: pandas.read_json makes a table of it"))
STATED = re.compile(r"sep=(.)\n")  # Excel's first line
HEAD = 2**16  # characters from which quotes are guessed
GUESS_ROWS = 200  # rows from which separator and header are guessed
LARGE = 2**20  # characters; below it, polars is not worth its import


def read_text(
    content: bytes, source: str, *, header: bool | None, separator: str | None,
    text: Sequence[str],
) -> Table:
    """
    Read a table of separated values.

    Parameters
    ----------
    content : bytes
    source : str
        The file's name in messages.
    header : bool, optional
        Whether the first row holds the names; guessed by default.
    separator : str, optional
        One character; guessed by default.
    text : sequence of str
        Columns that stay text. Unknown names are ignored.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the text is no such table.
    """
    written, notes = decoded(content, source)
    other = next((kind for begin, kind in OTHERS if begin.match(written)), None)
    if other is not None:
        raise ValueError(f"{source}: must be a table, got {other}")
    stated = STATED.match(written)
    if separator is None:
        separator = stated[1] if stated else guessed_separator(written)
    lines = Lines(written, source, separator)
    sample = list(itertools.islice(lines.rows(), GUESS_ROWS))
    if not sample:
        raise ValueError(f"{source}: must hold rows of values, got "
                         f"{'nothing but comments' if written.strip() else 'an empty file'}")
    (start, first), below = sample[0], [row for _, row in sample[1:]]
    comma = lines.separator != "," and any(map(cells.has_decimal_commas, across(below)))
    if header is None:
        header = is_header(first, below, comma)
    if header and not below:
        raise ValueError(f"{source}: must hold rows below its header, got the header alone")
    names = names_of(first, f"{source}, line {start}") if header else [
        f"column {at + 1}" for at in range(len(first))]
    table = Table({}, source, header)
    plain = None if comma else _of_plain_rows(lines, sample[header:], names, text)
    table.lines, found = plain or lines.columns(len(names), skip=int(header))
    commas = lines.separator != "," and next(
        (name for name, column in zip(names, found, strict=True) if name not in text
         and not isinstance(column, np.ndarray) and cells.has_decimal_commas(column)), None)
    if commas:
        notes.append(f"{source}: numbers have decimal commas, since they are separated by "
                     f"{SEPARATORS.get(lines.separator, repr(lines.separator))}, first in "
                     f"{table.where(None, commas).removeprefix(f'{source}, ')}")
        if plain:  # it was read with decimal points
            table.lines, found = lines.columns(len(names), skip=int(header))
    for name, column in zip(names, found, strict=True):
        table.columns[name] = column if isinstance(column, np.ndarray) else cells.typed(
            column, partial(table.where, name=name), comma=bool(commas), text=name in text)
    nothing = [name for name, column in table.columns.items()
               if columns.NAMELESS.fullmatch(name) and _is_empty(column)]
    if 0 < len(nothing) < len(names):
        table = table.without(nothing)
        notes.append(f"{source}: left out {len(nothing)} columns without a name and without values")
    table.notes = tuple(notes)
    return table


def decoded(content: bytes, source: str) -> tuple[str, list[str]]:
    """
    Return the text, its lines ended by newlines alone, and notes on its encoding.

    Raises
    ------
    ValueError
        If the content is no text.
    """
    head, notes = content[:4096], []
    encoding = next((encoding for bom, encoding in BOMS if content.startswith(bom)), None)
    if encoding is None and b"\0" in head:
        zeros = [head[at::2].count(0) / max(1, len(head[at::2])) for at in (0, 1)]
        encoding = "utf-16-le" if zeros[1] > 0.4 and not zeros[0] else (
            "utf-16-be" if zeros[0] > 0.4 and not zeros[1] else None)
    binary = (f"{source}: must be a table of text, or a file of NumPy, Parquet, Arrow or Excel, "
              f"got a binary file that begins with {content[:4].hex(' ')}")
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ValueError(f"{source}: must be text in {encoding}, as its first bytes say, got "
                             f"{error.reason} at byte {error.start}") from None
        text = content.decode("latin-1")
        if re.search("[\x80-\x9f]", text):  # not in Latin-1, but Windows has letters there
            text = content.decode("cp1252", "replace")
            if "\ufffd" in text:
                raise ValueError(binary) from None
        notes.append(f"{source}: read as Latin-1, since it is not UTF-8")
    if "\0" in text or CONTROL.search(text, 0, 4096):
        raise ValueError(binary)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, notes


class Lines:
    """
    The rows of a text, found by the csv module.

    Parameters
    ----------
    text : str
    source : str
        The file's name, for messages.
    separator : str
    """

    def __init__(self, text: str, source: str, separator: str) -> None:
        self.text = text
        self.source = source
        self.separator = separator
        self.quote = guessed_quote(text, separator)
        self._between = True  # whether the next line begins a row
        self._line = self._start = 0
        self._width = 0  # 0 while unknown: then every line with # is a comment
        widths = Counter(map(len, self.sample()))
        self._width = widths.most_common(1)[0][0] if widths else 0

    def sample(self) -> list[list[str]]:
        """Return the first rows, up to one that cannot be read."""
        rows = []
        with suppress(ValueError):
            for _, row in itertools.islice(self.rows(), GUESS_ROWS):
                rows.append(row)
        return rows

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with the line on which it begins. Comments are skipped."""
        self._line = 0
        reader = csv.reader(self._lines(), delimiter=self.separator, quotechar=self.quote,
                            strict=True, skipinitialspace=True)
        while True:
            self._between = True
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise ValueError(f"{self.source}, line {self._start}: must have quotes in pairs "
                                 f"around whole fields, got {error}") from None
            yield self._start, row

    def columns(self, width: int, skip: int) -> tuple[NDArray[np.int64], list[Sequence[str]]]:
        """
        Return the lines of the rows, and the columns as strings.

        Raises
        ------
        ValueError
            If a row has more or fewer fields.
        """
        lines, rows = [], []
        for line, row in itertools.islice(self.rows(), skip, None):
            if len(row) != width:
                raise ValueError(f"{self.source}, line {line}: must have {width} fields like the "
                                 f"first row, got {len(row)}")
            lines.append(line)
            rows.append(row)
        return np.array(lines, np.int64), list(zip(*rows, strict=True))

    def _lines(self) -> Iterator[str]:
        blank = " \n" if self.separator == "\t" else " \t\n"
        start, end = 0, len(self.text)
        while start < end:
            stop = self.text.find("\n", start) + 1 or end
            line, start = self.text[start:stop], stop
            self._line += 1
            if self._between:
                if not line.strip(blank) or self._is_comment(line):
                    continue
                self._start = self._line
            self._between = False
            yield line

    def _is_comment(self, line: str) -> bool:
        line = line.lstrip()
        if self._line == 1 and STATED.match(line):
            return True
        return line.startswith("#") and (
            line[1:2] in " \t#!" or len(next(csv.reader([line], delimiter=self.separator)))
            != self._width)


def guessed_quote(text: str, separator: str) -> str:
    """Return the quote character: single if these surround whole fields."""
    head, edge = text[:HEAD].rpartition("\n")[0] or text[:HEAD], re.escape(separator)
    if "'" not in head or re.search(f'(?:^|{edge}) *"', head, re.M):
        return '"'
    whole = re.findall(f"(?:^|{edge}) *'[^'\n]*' *(?={edge}|$)", head, re.M)
    return "'" if 2 * len(whole) == head.count("'") else '"'


def across(rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the columns of rows; short rows are filled with ""."""
    return list(itertools.zip_longest(*rows, fillvalue=""))


def guessed_separator(text: str) -> str:
    """Return the separator that gives most rows equally many fields, most of them numbers."""
    best, found = (0.0, 0.0, 0), ""
    for separator in SEPARATORS:
        rows = Lines(text, "", separator).sample()
        width, times = next(iter(Counter(map(len, rows)).most_common(1)), (0, 0))
        if width < 2:
            continue
        fields = [field for row in rows for field in row]
        numbers = sum(cells.is_number(field) or (separator != "," and cells.is_number(field, True))
                      for field in fields)
        best, found = max((best, found), (
            (round(times / len(rows), 1), numbers / len(fields), width), separator))
    if not found:  # columns may be separated by blanks if they are mostly numbers
        rows = Lines(text, "", " ").sample()
        if rows and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1 and all(
                sum(map(cells.is_number, row)) > len(row) / 2 for row in rows[1:]):
            return " "
    return found or ","


def is_header(first: Sequence[str], below: Sequence[Sequence[str]], comma: bool) -> bool:
    """Return whether the first row holds names, and not values."""
    columns_below = (across(below) + [()] * len(first))[:len(first)]
    given = [at for at, cell in enumerate(first) if not cells.is_missing(cell)]
    values = [at for at in given if cells.is_number(first[at], comma) or cells.is_date(first[at])]
    words = [at for at in given if at not in set(values)]

    def numbers_below(at: int) -> bool:
        present = [cell for cell in columns_below[at] if not cells.is_missing(cell)]
        return bool(present) and all(cells.is_number(cell, comma) for cell in present)

    def recurs(at: int) -> bool:
        return first[at] in columns_below[at]

    if not words:  # pandas names columns 0, 1, 2 if nobody else does
        return len(values) >= 3 and len(below) > 0 and [cell.strip() for cell in first if cell] == [
            str(at) for at in range(len(values))]
    if not values:
        return any(map(numbers_below, words)) or (
            len({first[at] for at in words}) == len(words) and not any(map(recurs, words)))
    whole = [int(first[at]) for at in values if first[at].strip().isdecimal()]
    count = len(whole) > 2 and whole == list(range(whole[0], whole[0] + len(whole)))  # as years do
    return (len(whole) == len(values) == len(set(whole)) and not any(map(recurs, words))
            and (count or bool(columns.named_target([first[at] for at in words]))
                 or (len(whole) > 1 and whole == sorted(whole) and any(map(numbers_below, words)))))


def names_of(first: Sequence[str], where: str) -> list[str]:
    """
    Return the names of a header. Empty ones become "Unnamed: 2" and the like, as in pandas.

    Raises
    ------
    ValueError
        If two are the same.
    """
    names = [" ".join(name.split()) for name in first]
    names[0] = names[0].removeprefix("#").strip()
    names = [name or f"Unnamed: {at}" for at, name in enumerate(names)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"{where}: must name each column differently, got {twice[0]!r} "
                         f"{names.count(twice[0])} times")
    return names


def _is_empty(column: NDArray[Any]) -> bool:
    return column.dtype.kind == "f" and bool(np.isnan(column).all())


def _of_plain_rows(
    lines: Lines, sample: Sequence[tuple[int, list[str]]], names: Sequence[str],
    text: Sequence[str],
) -> tuple[Sequence[int], list[Any]] | None:
    """
    Return the lines and columns of a large text faster than `Lines.columns`, numbers converted.

    It is None if the result might differ: each line must be one row, and each column of the kind
    that the sample has.
    """
    written, separator, (first, row) = lines.text, lines.separator, sample[0]
    if len(written) < LARGE or separator == " " or lines.quote != '"':
        return None
    start = 0
    for _ in range(first - 1):
        start = written.index("\n", start) + 1
    body = written[start:].rstrip("\n")
    if (len(row) != len(names) or "\n\n" in body or "\n#" in body or "\n " in body
            or ('"' in body and re.search(f'[{re.escape(separator)}] +"', body))):
        return None
    cells_of = list(zip(*(row for _, row in sample if len(row) == len(names)), strict=True))
    seen = {cell for column in cells_of for cell in set(column) if cells.is_missing(cell)} - {""}
    numeric = [name not in text and all(
        cells.is_missing(cell) or cells.is_number(cell) for cell in set(column))
        for name, column in zip(names, cells_of, strict=True)]
    found = _by_polars(body, separator, dict(zip(names, numeric, strict=True)), seen)
    if found is None and all(numeric):
        found = _by_numpy(body, separator)
    if (found is None or len(found[0]) != body.count("\n") + 1 or len(found) != len(names)
            or any(np.isinf(column).any() for column in found if isinstance(column, np.ndarray))):
        return None
    return range(first, first + len(found[0])), found


def _by_polars(
    body: str, separator: str, numeric: dict[str, bool], seen: Collection[str]
) -> list[Any] | None:
    """Return columns of numbers and of strings, or None if polars is missing or refuses."""
    try:
        polars = importlib.import_module("polars")
    except ModuleNotFoundError:
        return None
    schema = {name: polars.Float64 if is_number else polars.String
              for name, is_number in numeric.items()}
    known = {form for word in cells.MISSING if word for form in (word, word.upper(), word.title())}
    content, frame = body.encode(), None
    for missing in (seen, known.union(seen)):  # with all known words, it takes three times as long
        with suppress(polars.exceptions.PolarsError):
            frame = polars.read_csv(content, has_header=False, separator=separator, schema=schema,
                                    null_values=sorted(missing))
            break
    if frame is None:
        return None
    last = frame.get_columns()[-1]
    if last.null_count() if '"' in body else (  # polars fills short rows up
            body.count(separator) != frame.height * (len(schema) - 1)):
        return None
    return [column.fill_null(np.nan).to_numpy() if is_number else column.to_list()
            for column, is_number in zip(frame.get_columns(), numeric.values(), strict=True)]


def _by_numpy(body: str, separator: str) -> list[Any] | None:
    """Return columns of numbers, or None if NumPy refuses the text."""
    try:
        table = np.loadtxt(body.split("\n"), delimiter=separator, quotechar='"', comments=None,
                           ndmin=2)
    except ValueError:
        return None
    return list(np.ascontiguousarray(table.T))

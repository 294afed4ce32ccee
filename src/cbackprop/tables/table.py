"""A table in memory: named columns, and the place of each cell in its file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False, repr=False)
class Table:
    """
    Named columns of equal length.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        In the order of the file. The dtype is float64 for numbers (NaN if missing), object for text
        (None if missing), bool or datetime64.
    source : str
        The table's name in messages: the name of a file, or "the DataFrame".
    named : bool
        Whether the source has names for its columns; if not, they are "column 1", "column 2", ...
    lines : sequence of int, optional
        The line of the file on which each row begins. Without it, messages count rows from 0.
    target : tuple of str
        The columns that the source itself separates from the others, such as y of an ``.npz``.
    notes : tuple of str
        Decisions made while the table was read, a line each.
    first : int
        The number that messages give to the first row.

    Examples
    --------
    >>> table = Table({"age": np.array([31.0, np.nan]), "sex": np.array(["f", None], object)},
    ...               source="people.csv", lines=[2, 3])
    >>> table
    Table of people.csv: 2 rows of 2 columns
    >>> table.where(1, "age")
    "people.csv, line 3, column 'age'"
    """

    columns: dict[str, NDArray[Any]]
    source: str = "the table"
    named: bool = True
    lines: Sequence[int] | NDArray[np.int64] | None = None
    target: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        return f"Table of {self.source}: {len(self):,} rows of {len(self.columns):,} columns"

    def where(self, row: int | None = None, name: str | None = None) -> str:
        """
        Name a row, a column or a cell as an error does: "FILE, line 17, column 'age'".

        Parameters
        ----------
        row : int, optional
            Counted from 0; the line of the file is found from it.
        name : str, optional
            The column.

        Returns
        -------
        str
        """
        where = self.source
        if row is not None:
            where += (f", row {self.first + row}" if self.lines is None
                      else f", line {self.lines[row]}")
        if name is not None:
            numbered = not self.named and name.startswith("column ")
            where += f", {name}" if numbered else f", column {name!r}"
        return where

    def without(self, names: Collection[str]) -> Table:
        """
        Return a table of the other columns; the arrays are the same.

        Parameters
        ----------
        names : collection of str

        Returns
        -------
        Table
        """
        columns = {name: column for name, column in self.columns.items() if name not in names}
        target = tuple(name for name in self.target if name not in names)
        return Table(columns, self.source, self.named, self.lines, target, self.notes)

    def rows(self, chosen: Any) -> Table:
        """
        Return a table of some rows. They keep the numbers of their lines.

        Parameters
        ----------
        chosen : slice, or array of int or bool
            As NumPy's indexing takes them.

        Returns
        -------
        Table
        """
        columns = {name: column[chosen] for name, column in self.columns.items()}
        lines = None if self.lines is None else np.asarray(self.lines)[chosen]
        return Table(columns, self.source, self.named, lines, self.target, self.notes)

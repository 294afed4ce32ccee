"""Which rows form a mini-batch: ranks deal theirs in turn, as cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check


class Deal:
    """
    The rows of several ranks, dealt in turn: one of each rank, and again.

    A rank that has none left is passed over. The first m rows are the first mini-batch, the next m
    the second. So all ranks take the same number of steps; in one of them, a rank may have few rows
    or none.

    Parameters
    ----------
    rows : sequence of int
        How many rows each rank has.
    m : int
        The length of a mini-batch.

    Attributes
    ----------
    ends : array (steps + 1,) of int
        How many rows the mini-batches before each have.
    """

    def __init__(self, rows: Sequence[int], m: int) -> None:
        self.rows = np.array(rows, np.intp)
        n = int(self.rows.sum())
        self.ends = np.minimum(np.arange(-(-n // m) + 1) * m, n)
        # From one of these rounds to the next, the same ranks deal.
        self._rounds = np.unique([0, *rows])
        dealt = np.minimum(self.rows, self._rounds[:, None]).sum(axis=1)
        self._phase = np.searchsorted(dealt, self.ends, "right") - 1
        dealing = self._dealing(len(rows))[self._phase]
        rounds, self._more = np.divmod(self.ends - dealt[self._phase], np.maximum(1, dealing))
        self._rounds_of_phase = rounds

    def _dealing(self, ranks: int) -> NDArray[np.intp]:
        """Return how many of the first ranks deal in each phase."""
        return (self.rows[:ranks] > self._rounds[:, None]).sum(axis=1)

    def below(self, rank: int) -> NDArray[np.intp]:
        """Return how many of the rows before each mini-batch are of lower ranks."""
        whole = np.minimum(self.rows[:rank], self._rounds[:, None]).sum(axis=1)[self._phase]
        dealing = self._dealing(rank)[self._phase]
        return whole + self._rounds_of_phase * dealing + np.minimum(self._more, dealing)

    def of(self, rank: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """
        Return where a rank's rows of each mini-batch begin, and how many are before them.

        Returns
        -------
        starts : array (steps + 1,) of int
            In the rank's own order.
        before : array (steps,) of int
            How many rows of the mini-batch lower ranks have.
        """
        below = self.below(rank)
        return self.below(rank + 1) - below, np.diff(below)


def deal(rows: Sequence[int], mini_batch_size: int) -> NDArray[np.intp]:
    """
    Return how many rows each rank has in each mini-batch of an epoch.

    The ranks deal their rows in turn, each in its own order, until none is left: m rows form a
    mini-batch. In one process, the same mini-batch has the rows of rank 0 first, then those of
    rank 1, and so on.

    Parameters
    ----------
    rows : sequence of int
        How many rows each rank has.
    mini_batch_size : int
        The rows of a mini-batch, of all ranks together.

    Returns
    -------
    array of int, shape (mini-batches, ranks)

    Raises
    ------
    TypeError, ValueError
        If an argument is no positive integer.

    Examples
    --------
    >>> deal([5, 2], 3)
    array([[2, 1],
           [2, 1],
           [1, 0]])
    """
    counts = [_check.integer(f"rows[{rank}]", n, 1)
              for rank, n in enumerate(_check.items(rows, "rows must be a list of int"))]
    m = _check.integer("mini_batch_size", mini_batch_size, 1)
    dealt = Deal(counts, m)
    return np.stack([np.diff(dealt.of(rank)[0]) for rank in range(len(counts))], axis=1)


def share(data: Any, rank: int, of: int) -> Any:
    """
    Return a rank's part of the rows: one run of them, about as long as those of the other ranks.

    Parameters
    ----------
    data : array, tuple of arrays, DataFrame, or an object with a method `part`
        An array or a memory-mapped one is not copied, nor read: the part is a view. Of a tuple
        (x, y), each is divided. A stream of `cbackprop.streams` gives its own part.
    rank : int
        ``comm.rank``.
    of : int
        How many ranks there are: ``comm.size``.

    Returns
    -------
    as `data`

    Raises
    ------
    TypeError, ValueError
        If there are fewer rows than ranks, arrays of different lengths, or no such rank.

    Examples
    --------
    >>> import numpy as np
    >>> share((np.zeros((5, 2)), np.arange(5)), 1, 2)[1]
    array([2, 3, 4])
    """
    of = _check.integer("of", of, 1)
    rank = _check.index("rank", rank, of, "ranks")
    if isinstance(data, tuple):
        rows = {_count(each) for each in data if not hasattr(each, "part")}
        if len(rows) > 1:
            raise ValueError(f"data must have as many rows in each of its arrays, got "
                             f"{sorted(rows)}")
        return tuple(share(each, rank, of) for each in data)
    if hasattr(data, "part"):
        return data.part(rank, of)
    n = _count(data)
    if n < of:
        raise ValueError(f"data must have a row for each of {of} ranks, got {n}")
    own = slice(n * rank // of, n * (rank + 1) // of)
    return data.iloc[own] if hasattr(data, "iloc") else data[own]


def _count(data: Any) -> int:
    """Return the number of rows of what has rows, one after the other."""
    try:
        if isinstance(data, Mapping) or not hasattr(data, "__getitem__"):
            raise TypeError
        return int(data.shape[0]) if hasattr(data, "shape") else len(data)
    except (TypeError, IndexError):  # a single number
        raise TypeError(f"data must have rows to share, got {_check.shown(data)}") from None

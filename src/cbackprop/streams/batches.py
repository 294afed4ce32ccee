"""A Stream of batches that an iterable gives, in the order in which they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words

from .stream import MEMORY, Stream, as_batch, size

Source = Iterable[Any] | Callable[[], Iterable[Any]]


@_words.answering
def batches(source: Source, *, rows: int | None = None, memory: int | str = MEMORY) -> Stream:
    """
    Return a Stream of batches, which are read anew in each epoch and each evaluation.

    Parameters
    ----------
    source : iterable of (x, y) or (x, y, weights), or callable that returns one
        Such as a DataLoader, or a function that is a generator. The lengths of batches may differ;
        they are cut and shuffled in a buffer. x may have more than two dimensions, as images.
    rows : int, optional
        The number of rows. By default a first pass counts them.
    memory : int or str
        The bytes of the buffers, such as "256MB".

    Returns
    -------
    Stream

    Raises
    ------
    TypeError, ValueError
        If an argument is bad; a generator is read once, and so refused. What is wrong with a batch
        is found when it is read.

    Examples
    --------
    >>> import numpy as np
    >>> def squares():
    ...     for first in range(0, 1000, 100):
    ...         x = np.arange(first, first + 100)[:, None] / 1000
    ...         yield x, x**2
    >>> net = cbackprop.Network([1, 8, 1], activation="tanh", output_activation="identity", seed=0)
    >>> history = net.SGD(batches(squares), epochs=20, mini_batch_size=10, eta=0.1)
    >>> history.rows, net.total_cost(batches(squares)) < 0.001
    (1000, True)
    """
    rule = "source must be an iterable of (x, y) batches, or a function that returns one"
    if not callable(source):
        if not isinstance(source, Iterable):
            raise TypeError(f"{rule}, got {_check.shown(source)}")
        if isinstance(source, Iterator):
            raise TypeError(f"{rule}, for each epoch reads it anew, got {_check.shown(source)}: "
                            "give the function that makes it")
    if rows is not None:
        rows = _check.integer("rows", rows, 1)
    return Batches(source, rows, size("memory", memory))


class Batches(Stream):
    """Batches as one block, for they come in one order."""

    def __init__(self, source: Source, rows: int | None, memory: int) -> None:
        self.source, self.given, self.memory = source, rows, memory

    @cached_property
    def bounds(self) -> NDArray[np.intp]:
        """The ends of the block; if the caller did not say them, a pass counts the rows."""
        n = self.given
        if n is None:
            n = sum(len(batch[0]) for batch in self._pass())
        return np.array([0, n])

    def read(self, block: int) -> tuple[Any, ...]:
        """Return all rows."""
        parts = zip(*self.batches(block), strict=True)
        return tuple(None if part[0] is None else np.concatenate(part) for part in parts)

    def batches(self, block: int) -> Iterator[tuple[Any, ...]]:
        """
        Yield the batches.

        Raises
        ------
        ValueError
            If they have another number of rows than the first time.
        """
        n, total, last = len(self), 0, None
        rule = f"batches must have {n} rows in every pass"
        for batch in self._pass():
            # A copy, since a generator may reuse its memory.
            copied = tuple(None if each is None else np.array(each) for each in batch)
            total += len(batch[0])
            if total > n:
                raise ValueError(f"{rule}, got more")
            if last is not None:  # one is held back: who has all rows does not ask for more
                yield last
            last = copied
        if total != n:
            raise ValueError(f"{rule}, got {total}")
        if last is not None:
            yield last

    def _pass(self) -> Iterator[tuple[Any, Any, Any]]:
        source, n, first = self.source, 0, None
        given = source() if callable(source) else source
        if not isinstance(given, Iterable):
            raise TypeError(f"source must return an iterable of (x, y) batches, "
                            f"got {_check.shown(given)}")
        for each in given:
            batch = as_batch(each, None, self.where(n))
            first = batch if first is None else first
            for what, ours, theirs in (("weights", batch[2], first[2]), ("y", batch[1], first[1])):
                if np.shape(ours)[1:] != np.shape(theirs)[1:] or (ours is None) != (theirs is None):
                    raise ValueError(f"batches must be alike in {what}, got {_form(theirs)} in the "
                                     f"first and {_form(ours)} in the one from {self.where(n)}")
            n += len(batch[0])
            yield batch

    def where(self, row: int) -> str:
        """Name a row for an error."""
        return f"row {row} of the batches"


def _form(values: Any) -> str:
    """Say what of a batch must be as in the first."""
    if values is None:
        return "None"
    return f"rows of shape {np.shape(values)[1:]}"

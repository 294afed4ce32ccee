"""An iterator whose next item another thread makes while this one is used."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """
    Iterates over what a generator yields. One thread runs it, one item ahead.

    An error of the generator is raised where its item was wanted.

    Parameters
    ----------
    items : generator
    stop : threading.Event
        Set by `close`; the generator may look at it, and return.

    Examples
    --------
    >>> squares = Prefetcher((n * n for n in range(4)), threading.Event())
    >>> list(squares)
    [0, 1, 4, 9]
    >>> squares.close()
    """

    def __init__(self, items: Generator[T, None, None], stop: threading.Event) -> None:
        self.items, self.stop = items, stop
        self.pool = ThreadPoolExecutor(1, "cbackprop-reader")
        self.next = self.pool.submit(next, items, None)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item = self.next.result()
        if item is None:
            raise StopIteration
        self.next = self.pool.submit(next, self.items, None)
        return item

    def close(self) -> None:
        """Close the generator, and wait for the thread."""
        self.stop.set()
        self.next.cancel()
        self.pool.submit(self.items.close)  # in the thread that it ran in
        self.pool.shutdown()

"""A training in one process: what several ranks do together, it does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from numpy.typing import NDArray

from cbackprop import thread_choice

T = TypeVar("T")


class SingleProcess:
    """
    The one process of a training. `Ranks` has the same methods, for several.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    waited : float
        The seconds that the last `train` waited, for rows or for other ranks.
    shared : dict
        What trainings must have in common besides the arguments, to go on from a checkpoint.
    """

    rank, size, waited = 0, 1, 0.0
    shared: dict[str, Any] = {}  # noqa: RUF012  nobody changes it

    def together(self, work: Callable[[], T]) -> T:
        """Do some work on all ranks. What one of them raises, all raise."""
        return work()

    def from_rank_0(self, work: Callable[[], T]) -> T:
        """Do some work on rank 0, and return its result on all ranks."""
        return work()

    def merged(self, value: T, merge: Callable[[T, T], T]) -> T:
        """Return the values of all ranks, merged in their order."""
        return value

    def share(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return this rank's part of rows that all ranks have."""
        return rows

    def total_rows(self, n: int) -> int:
        """Return how many rows all ranks have, if this one has n."""
        return n

    def callbacks(self, found: list[Any]) -> list[Any]:
        """Return the callbacks that this rank calls."""
        return found

    def check(self, class_weight: Any) -> None:
        """Check the arguments that only one process can take."""

    def agree(self, training: Any) -> None:
        """See that all ranks train alike, and begin where rank 0 is."""

    def synchronize(self, engine: Any) -> None:
        """Give all ranks the parameters of rank 0, where they differ."""

    def running(self, engine: Any) -> AbstractContextManager[None]:
        """Count the training of an engine while it runs, so that several share the cores."""
        return thread_choice.running()

    def order(self, examples: Any, seed: int | None, m: int) -> Any:
        """Return the order of an epoch for a seed."""
        return examples.order(seed, m)

    def own_rows(self, m: int) -> int:
        """Return about how many rows of a mini-batch this rank has."""
        return m

    def train(
        self, training: Any, order: Any, etas: Any, done: int, until: int, costs: Sequence[float],
        team: int,
    ) -> tuple[Any, int, int, Sequence[float]]:
        """
        Train on the mini-batches done:until of an epoch.

        Returns
        -------
        rows, asked, done, costs
            The rows; the mini-batches that were asked for, which a part of the data may not reach,
            and those that are done; the sum of costs of each rank, with those before.
        """
        m, n, before = training.m, len(training.examples), time.perf_counter()
        rows, targets, order, begin, last = training.examples.part(
            order, done * m, min(n, until * m))
        self.waited = time.perf_counter() - before  # for rows, which says nothing of the team
        end, cost = training.engine.train(
            rows, targets, order, m, etas[done:until], begin, last, costs[0], team)
        return rows, done + -(-(last - begin) // m), done + -(-(end - begin) // m), (cost,)

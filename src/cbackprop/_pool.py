"""A pool of threads. They work until all items are done or one has failed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from typing import Any


class Pool:
    """
    `concurrent.futures` gives up if one of its threads cannot be started; this pool goes on.

    Parameters
    ----------
    most : int
        The most threads. The caller's thread always works.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.changed = Condition()
        self.ended = False

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """
        Return work(item) for each item.

        Raises
        ------
        BaseException
            What the first piece that failed has raised; or KeyboardInterrupt. No piece is at work
            then, and none begins any more.
        """
        count = len(items)
        results: list[Any] = [None] * count
        errors: dict[int, BaseException] = {}
        left, done, at_work = iter(range(count)), 0, 0
        threads: list[Thread] = []

        def take() -> None:
            nonlocal done, at_work
            while True:
                with self.changed:
                    number = None if self.ended else next(left, None)
                    if number is None:
                        return
                    at_work += 1
                try:
                    results[number] = work(items[number])
                except BaseException as error:
                    errors[number], self.ended = error, True
                with self.changed:
                    done, at_work = done + 1, at_work - 1
                    self.changed.notify_all()

        try:
            for started in range(self.most):
                thread = Thread(target=take, name=f"cbackprop-{started}", daemon=True)
                try:
                    thread.start()
                    threads.append(thread)
                except RuntimeError as error:  # no memory, or a limit on processes
                    warnings.warn(f"train_many goes on with {max(1, started)} of {self.most} "
                                  f"threads: {error}", RuntimeWarning, stacklevel=3)
                    if started == 0:
                        take()
                    break
            with self.changed:
                self.changed.wait_for(lambda: done == count or self.ended)
        except BaseException:  # Ctrl-C: a thread that starts later finds nothing to do
            self.ended = True
            raise
        finally:
            with self.changed:
                self.changed.wait_for(lambda: at_work == 0)
            for thread in threads:
                thread.join()
        if errors:
            raise errors[min(errors)]
        return results

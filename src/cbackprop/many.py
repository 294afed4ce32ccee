"""Several networks trained at once, each by one of a few threads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Condition, Thread
from typing import Any

from cbackprop import data
from cbackprop import threads as teams
from cbackprop.callbacks import Callback, StopTraining
from cbackprop.history import History
from cbackprop.network import DivergenceError, Network


def train_many(
    jobs: Sequence[Network | tuple[Network, dict[str, Any]]],
    *args: Any,
    threads: int | None = None,
    **kwargs: Any,
) -> list[History | DivergenceError]:
    """
    Train independent networks at the same time: a sweep over learning rates, seeds, or sizes.

    Each is trained as its own `SGD` would train it alone, to the same bits. The arguments of all
    jobs are checked before the first training; data that `SGD` converts are converted twice. Where
    threads cannot be started, a RuntimeWarning says so, and those that could do all the work.

    Parameters
    ----------
    jobs : list of Network, or of (Network, dict)
        The dict has arguments of `Network.SGD` for this network alone.
    *args, **kwargs
        Arguments of `Network.SGD` for all of them.
    threads : int, optional
        How many are trained at a time, each by a thread; by default as many as this process has
        cores.

    Returns
    -------
    list of History
        In the order of the jobs. A network that diverged has its DivergenceError there, and the
        parameters from before that epoch: one bad learning rate does not end a sweep.

    Raises
    ------
    TypeError, ValueError
        If an argument of any job is bad; no network is changed then.
    Exception
        What a callback raises; all other trainings stop as well.

    Examples
    --------
    >>> (x, y), _ = cbackprop.datasets.load_mnist()
    >>> nets = [cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=s) for s in range(3)]
    >>> histories = cbackprop.train_many(
    ...     [(net, {"eta": eta}) for net, eta in zip(nets, (0.3, 1.0, 3.0))],
    ...     training_data=(x, y), epochs=1, mini_batch_size=10)
    >>> [len(history) for history in histories]
    [1, 1, 1]
    """
    chosen = _checked(jobs)
    most = min(len(chosen), teams.most(teams.checked(threads)))
    args = tuple(map(_again, args))
    kwargs = {name: _again(kwargs[name], name) for name in kwargs}
    chosen = [(network, {**kwargs, **{name: _again(own[name], name) for name in own}})
              for network, own in chosen]
    pool = _Pool()

    def check(number: int) -> None:
        network, own = chosen[number]
        own = _calling(_Before(), own)
        if own.get("progress") is True:  # no bar yet
            own["progress"] = None
        network.SGD(*args, **own)

    def train(number: int) -> History | DivergenceError:
        network, own = chosen[number]
        try:
            return network.SGD(*args, **_calling(_While(pool), own))
        except DivergenceError as error:
            return error

    pool.run(check, len(chosen), most)
    return pool.run(train, len(chosen), most)


class _Pool:
    """
    Threads that do numbered pieces of work, until all are done or one has failed.

    Not `concurrent.futures`, which gives up where one of its threads cannot be started.
    """

    def __init__(self) -> None:
        self.changed = Condition()
        self.ended = False

    def run(self, work: Callable[[int], Any], count: int, most: int) -> list[Any]:
        """
        Return what work(0), work(1), ... return; by at most so many threads, and by one at least.

        Raises
        ------
        BaseException
            What the first piece that failed has raised; or KeyboardInterrupt. No piece is at work
            then, and none begins any more.
        """
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
                    results[number] = work(number)
                except BaseException as error:
                    errors[number], self.ended = error, True
                with self.changed:
                    done, at_work = done + 1, at_work - 1
                    self.changed.notify_all()

        try:
            for started in range(most):
                thread = Thread(target=take, name=f"cbackprop-{started}", daemon=True)
                try:
                    thread.start()
                    threads.append(thread)
                except RuntimeError as error:  # for want of memory, or by a limit on processes
                    warnings.warn(f"train_many goes on with {max(1, started)} of {most} threads: "
                                  f"{error}", RuntimeWarning, stacklevel=3)
                    if started == 0:
                        take()
                    break
            with self.changed:
                self.changed.wait_for(lambda: done == count or self.ended)
        except BaseException:  # Ctrl-C: a thread that is only just starting finds nothing to do
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


class _Before(Callback):
    """Ends a training before it begins: all that is wrong with its arguments is found by then."""

    def on_train_begin(self, network: Network, history: History) -> None:
        raise StopTraining


class _While(Callback):
    """Lets a training go on while no other has failed."""

    def __init__(self, pool: _Pool) -> None:
        self.pool = pool

    def on_batches(self, network: Network, history: History, step: int) -> bool:
        return self.pool.ended


def _calling(callback: Callback, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with one more callback, before the others."""
    others = arguments.get("callbacks", ())
    if isinstance(others, (str, bytes, memoryview)) or not isinstance(others, Iterable):
        return arguments.copy()  # SGD says what is wrong with them
    return {**arguments, "callbacks": [callback, *others]}


def _again(value: Any, name: str = "training_data") -> Any:
    """Return what can be read more than once: by the check and by every training."""
    if data.is_loader(value):
        return data.batches(value, name)
    return list(value) if isinstance(value, Iterator) else value


def _checked(jobs: Any) -> list[tuple[Network, dict[str, Any]]]:
    rule = "jobs must be a list of networks, or of (network, dict of SGD's arguments)"
    try:
        pairs = [(job, {}) if isinstance(job, Network) else tuple(data.items(job, rule))
                 for job in data.items(jobs, rule)]
    except TypeError:
        raise TypeError(f"{rule}, got {data.shown(jobs)}") from None
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], Network) or not isinstance(pair[1], dict):
            raise TypeError(f"{rule}, got {data.shown(pair)}")
    if len({id(network) for network, _ in pairs}) < len(pairs):
        raise ValueError(f"{rule}, each network once, got one twice")
    return pairs

"""Several networks trained at once, each by its own thread."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Condition, Event, Lock
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

    Each is trained as its own `SGD` would train it alone, to the same bits, in a thread of its own.

    Parameters
    ----------
    jobs : list of Network, or of (Network, dict)
        The dict has arguments of `Network.SGD` for this network alone.
    *args, **kwargs
        Arguments of `Network.SGD` for all of them.
    threads : int, optional
        How many are trained at a time; by default as many as this process has cores.

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
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait  # 15 ms of import

    chosen = _checked(jobs)
    sweep = _Sweep(len(chosen), teams.most(teams.checked(threads)))

    def train(number: int, network: Network, own: dict[str, Any]) -> History | DivergenceError:
        arguments = {**kwargs, **own}
        arguments["callbacks"] = [_Turn(sweep, number), *arguments.get("callbacks", ())]
        try:
            return network.SGD(*args, **arguments)
        except DivergenceError as error:
            return error
        except BaseException:
            sweep.end()
            raise

    if not chosen:
        return []
    with ThreadPoolExecutor(len(chosen), "cbackprop") as pool:
        futures = [pool.submit(train, number, *job) for number, job in enumerate(chosen)]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:  # Ctrl-C
            sweep.end()
            raise
    return [future.result() for future in futures]


class _Sweep:
    """Where trainings wait until the arguments of all are checked, and there is room."""

    def __init__(self, jobs: int, at_a_time: int) -> None:
        self.unchecked, self.lock = jobs, Lock()
        self.checked, self.ended = Event(), Event()
        self.room, self.admitted = Condition(), at_a_time  # the first so many, in their order

    def arrive(self) -> None:
        """One more is checked."""
        with self.lock:
            self.unchecked -= 1
            if self.unchecked == 0:
                self.checked.set()

    def end(self) -> None:
        """Stop them all."""
        self.ended.set()
        self.checked.set()
        with self.room:
            self.room.notify_all()


class _Turn(Callback):
    """One training of a sweep."""

    def __init__(self, sweep: _Sweep, number: int) -> None:
        self.sweep, self.number = sweep, number

    def on_train_begin(self, network: Network, history: History) -> None:
        self.sweep.arrive()
        self.sweep.checked.wait()
        with self.sweep.room:
            self.sweep.room.wait_for(
                lambda: self.number < self.sweep.admitted or self.sweep.ended.is_set())
        if self.sweep.ended.is_set():
            raise StopTraining

    def on_batches(self, network: Network, history: History, step: int) -> bool:
        return self.sweep.ended.is_set()

    def on_train_end(self, network: Network, history: History) -> None:
        with self.sweep.room:
            self.sweep.admitted += 1
            self.sweep.room.notify_all()


def _checked(jobs: Any) -> list[tuple[Network, dict[str, Any]]]:
    rule = "jobs must be a list of networks, or of (network, dict of SGD's arguments)"
    try:
        pairs = [(job, {}) if isinstance(job, Network) else tuple(job) for job in jobs]
    except TypeError:
        raise TypeError(f"{rule}, got {data.shown(jobs)}") from None
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], Network) or not isinstance(pair[1], dict):
            raise TypeError(f"{rule}, got {data.shown(pair)}")
    if len({id(network) for network, _ in pairs}) < len(pairs):
        raise ValueError(f"{rule}, each network once, got one twice")
    return pairs

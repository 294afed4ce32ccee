"""Several networks trained at the same time, one in each thread, and their mean output."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays, checkpoints, lanes, lockstep, thread_choice
from cbackprop._endings import DivergenceError
from cbackprop._pool import Pool
from cbackprop.callbacks import Callback, copies, written
from cbackprop.history import History
from cbackprop.network import Network
from cbackprop.training import Training


def train_many(
    jobs: Sequence[Network | tuple[Network, dict[str, Any]]],
    *args: Any,
    threads: int | None = None,
    in_lanes: bool | None = None,
    **kwargs: Any,
) -> list[History | DivergenceError]:
    """
    Train independent networks at the same time: a sweep over learning rates, seeds, or sizes.

    Each gets the same bits as from its own `SGD`; or the same up to rounding, where equal small
    networks are quicker as lanes of vectors, as in an `Ensemble` (docs/ensembles.md). The arguments
    of all jobs are checked before the first training; data that `SGD` converts are converted twice.
    If some threads cannot be started, a RuntimeWarning says so, and the others do all the work.

    Parameters
    ----------
    jobs : list of Network, or of (Network, dict)
        The dict has arguments of `Network.SGD` for this network alone.
    *args, **kwargs
        Arguments of `Network.SGD` for all of them. Each network has copies of the callbacks.
    threads : int, optional
        The number of networks that are trained at a time, each by one thread; by default the number
        of cores of this process.
    in_lanes : bool, optional
        Whether networks that can be are trained as lanes; by default, where that is quicker. False
        gives the bits of their own `SGD`.

    Returns
    -------
    list of History
        The histories, in the order of the jobs. A network that diverged has its DivergenceError in
        the list, and the parameters from before that epoch: the other trainings continue.

    Raises
    ------
    TypeError, ValueError
        If an argument of any job is bad; no network is changed then.
    Exception
        The error of a callback. All other trainings stop as well.

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
    if in_lanes is not None:
        in_lanes = _check.boolean("in_lanes", in_lanes)
    candidates = lanes.Candidates()
    args, kwargs = tuple(map(again, args)), {name: again(kwargs[name], name) for name in kwargs}
    chosen = [(network, {**kwargs, **{name: again(own[name], name) for name in own}})
              for network, own in chosen]
    check_files(chosen)
    common = kwargs.get("callbacks")
    if len(chosen) > 1 and isinstance(common, (list, tuple)):
        for _, own in chosen:
            if own["callbacks"] is common:
                own["callbacks"] = copies(common)
    most = thread_choice.most(thread_choice.checked(threads))
    pool = Pool(min(len(chosen), most))

    def prepare(number: int) -> Training:
        network, own = chosen[number]
        return network.prepare(*args, **own)

    def check(number: int) -> None:
        training = prepare(number)
        if in_lanes is not False:
            candidates.add(number, training)
        # else not kept: the converted data of all jobs would fill the memory

    def train(number: int) -> None:
        training = prepare(number)
        training.callbacks.insert(0, _While(pool))
        try:
            outcomes[number] = training.run()
        except DivergenceError as error:
            outcomes[number] = error

    pool.map(check, range(len(chosen)))
    outcomes: dict[int, History | DivergenceError] = {}
    for alike in candidates:
        numbers, trainings = zip(*alike, strict=True)
        taken = len(alike) if in_lanes else lanes.worthwhile(trainings, most)
        if taken:
            outcomes |= zip(numbers, lockstep.run(trainings[:taken], threads), strict=False)
    candidates.clear()  # the data that it keeps
    pool.map(train, [number for number in range(len(chosen)) if number not in outcomes])
    return [outcomes[number] for number in range(len(chosen))]


def check_files(chosen: Sequence[tuple[Network, dict[str, Any]]]) -> None:
    """Check that no two trainings write the same file, or go on from the same one."""
    taken: set[str] = set()
    for _, own in chosen:
        given = own.get("callbacks")
        named = written(given) if isinstance(given, (list, tuple)) else set()
        resume = checkpoints.checked_resume(own.get("resume", False))
        if not isinstance(resume, bool):
            named.add(os.path.realpath(resume))
        if named & taken:
            raise ValueError("callbacks and resume must name files of each network's own, got "
                             f"{min(named & taken)!r} twice: train_many takes them in "
                             "the dict of each job")
        taken |= named


def mean_output(networks: Sequence[Network], a: ArrayLike) -> NDArray[Any]:
    """
    Return the mean of the networks' outputs: an ensemble is often better than each network.

    Parameters
    ----------
    networks : list of Network
        They have the same numbers of inputs and outputs; hidden layers may differ.
    a : array
        As `Network.feedforward` takes it.

    Returns
    -------
    array
        The shape is that of `feedforward`, the dtype the larger of the networks' real types. Sums
        are in float64.

    Raises
    ------
    TypeError, ValueError
        If there is no network, or they do not fit each other, or as `feedforward`.

    Examples
    --------
    >>> (x, y), (test_x, test_y) = cbackprop.datasets.load_mnist()
    >>> nets = [cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=s) for s in range(5)]
    >>> histories = cbackprop.train_many(nets, (x, y), 2, 10, 3.0)
    >>> right = cbackprop.mean_output(nets, test_x).argmax(axis=1) == test_y
    >>> bool(right.mean() > sum(net.accuracy((test_x, test_y)) for net in nets) / 5)
    True
    """
    rule = "networks must be a list of networks with the same inputs and outputs"
    networks = _check.items(networks, rule)
    if not networks or not all(isinstance(network, Network) for network in networks):
        raise TypeError(f"{rule}, got {_check.shown(networks)}")
    ends = {(network.sizes[0], network.sizes[-1]) for network in networks}
    if len(ends) > 1:
        raise ValueError(f"{rule}, got {sorted(ends)}")
    total = sum(network.feedforward(a).astype(np.float64) for network in networks)
    return (total / len(networks)).astype(np.result_type(*(net.dtype for net in networks)))


class _While(Callback):
    """Stops a training when another has failed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def on_batches(self, network: Network, history: History, step: int) -> bool:
        return self.pool.ended


def again(value: Any, name: str = "training_data") -> Any:
    """Return data that can be read more than once, by the check and by every training."""
    if arrays.is_loader(value):
        return arrays.batches(value, name)
    if not isinstance(value, Iterator):
        return value
    # Copies of pairs, since the iterator may reuse its memory.
    return [tuple(map(copy.deepcopy, one)) if type(one) is tuple else one for one in value]


def _checked(jobs: Any) -> list[tuple[Network, dict[str, Any]]]:
    rule = "jobs must be a list of networks, or of (network, dict of SGD's arguments)"
    try:
        pairs = [(job, {}) if isinstance(job, Network) else tuple(_check.items(job, rule))
                 for job in _check.items(jobs, rule)]
    except TypeError:
        raise TypeError(f"{rule}, got {_check.shown(jobs)}") from None
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], Network) or not isinstance(pair[1], dict):
            raise TypeError(f"{rule}, got {_check.shown(pair)}")
    if len({id(network) for network, _ in pairs}) < len(pairs):
        raise ValueError(f"{rule}, each network once, got one twice")
    return pairs

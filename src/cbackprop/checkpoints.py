"""Checkpoints: what they hold besides the network, and what a call that goes on must share."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cbackprop import _check, files, schedules, storage
from cbackprop.callbacks import Callback, Checkpoint
from cbackprop.history import History
from cbackprop.model import Model
from cbackprop.sources import Examples


class Position(NamedTuple):
    """
    A place in an epoch, between two mini-batches; by default its beginning.

    Attributes
    ----------
    seed : int or None
        The seed of the epoch's order, if it was drawn.
    done : int
        The number of mini-batches done.
    costs : sequence of float
        The sum of costs so far in this epoch, of each rank. Sums of sums would depend on where a
        chunk ends.
    seconds : float
        The training time so far in this epoch.
    """

    seed: int | None = None
    done: int = 0
    costs: Sequence[float] = (0.0,)
    seconds: float = 0.0


class Point(NamedTuple):
    """
    A checkpoint that was read.

    Attributes
    ----------
    network : Model
        The network of that moment.
    history : History
        The history of the training, which may have no epoch yet.
    position : Position
    stopped : bool
        Whether a callback had stopped the training.
    callbacks : list
        What each of `stateful` callbacks keeps.
    """

    network: Model
    history: History
    position: Position
    stopped: bool
    callbacks: list[Any]


def stateful(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks that a checkpoint keeps something of; not those that only write it."""
    return [one for one in callbacks if type(one).to_checkpoint is not Callback.to_checkpoint
            and not (isinstance(one, Checkpoint) and one.path is None)]


def written(
    network: Model, position: Position, stopped: bool, callbacks: Iterable[Callback],
    asked: dict[str, Any],
) -> dict[str, Any]:
    """Return what a checkpoint holds besides the network and the history."""
    return {"asked": asked, "position": position._asdict(), "stopped": stopped,
            "callbacks": [one.to_checkpoint(network) for one in stateful(callbacks)]}


def read(path: storage.Path_, network: Model, asked: dict[str, Any]) -> Point:
    """
    Read a checkpoint that a training of this network can go on from.

    Parameters
    ----------
    path : str or path-like
    network : Model
    asked : dict
        As in `written`.

    Raises
    ------
    OSError, ModuleNotFoundError
        If the file cannot be read.
    ValueError
        If it is no whole checkpoint, or of another training; it names what differs.
    """
    state, name = files.load(path), storage.named(path)
    saved = state["training"]
    if saved is None or state["random"] is None:
        raise ValueError(f"resume must name a checkpoint, got {name!r}, a network without a "
                         f"training: Checkpoint(last=...) writes one")
    then, now = ({**_plain(settings), **asked_} for settings, asked_ in (
        (state["settings"], saved["asked"]), (network.settings(), asked)))
    for argument in {**then, **now}:
        if then.get(argument) != now.get(argument):
            further = ("; to train further, call SGD with resume=True after it"
                       if argument == "epochs" else "")
            raise ValueError(f"resume must go on as {name!r} began, with {argument} = "
                             f"{_check.shown(then.get(argument))}, "
                             f"got {_check.shown(now.get(argument))}{further}")
    with storage.damaged(f"{name} is not a usable checkpoint: "):
        history, position = state["history"], Position(**saved["position"])
        steps = -(-history.rows // history.mini_batch_size)
        _check.integer("done", position.done, 0, steps)
        if position.seed is not None:
            _check.integer("seed", position.seed, 0, 2**64 - 1)
        if not position.costs or not math.isfinite(sum(position.costs) + position.seconds):
            raise ValueError(f"costs {position.costs} and seconds {position.seconds}")
        # One type of products has one layout of the parameters.
        state["settings"]["compute_dtype"] = network.compute_dtype
        return Point(type(network).of(state, name), history, position,
                     _check.boolean("stopped", saved["stopped"]),
                     _check.items(saved["callbacks"], "callbacks must be a list"))


def checked_resume(resume: Any) -> bool | str:
    """
    Return the argument `resume` of SGD: whether to go on, or a path.

    Raises
    ------
    TypeError
        If it is neither True, nor False, nor a path.
    """
    if isinstance(resume, (bool, np.bool_)):
        return bool(resume)
    if not isinstance(resume, (str, bytes, os.PathLike)):
        raise TypeError(f"resume must be True, False or the path of a checkpoint, "
                        f"got {_check.shown(resume)}")
    return os.fsdecode(resume)


def is_begun(path: storage.Path_, callbacks: Iterable[Callback]) -> bool:
    """
    Return whether there is a checkpoint; without one, a training that writes it begins.

    Raises
    ------
    FileNotFoundError
        If there is none, and none of the callbacks writes it.
    """
    if os.path.exists(path):
        return True
    path = os.fsdecode(path)
    will_be = [os.path.realpath(one.last) for one in callbacks
               if isinstance(one, Checkpoint) and one.last is not None]
    if os.path.realpath(path) not in will_be:
        raise FileNotFoundError(
            errno.ENOENT, "resume must name a checkpoint, or the file that Checkpoint(last=...) "
            "in callbacks will write", path)
    return False


def asked(
    training: Mapping[str, Any], callbacks: Iterable[Callback], data: Examples
) -> dict[str, Any]:
    """
    Return all that the call that goes on must have in common with the first, as JSON has it.

    Parameters
    ----------
    training : dict
        Arguments by their names in SGD.
    callbacks : iterable of Callback
    data : Examples
        All that are given.
    """
    names = [type(one).__name__ for one in stateful(callbacks)]
    return _plain({**training, "training_data": data.fingerprint(), "callbacks": names})


def _plain(value: Any) -> Any:
    """Make JSON of arguments, the same for equal ones in another process."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, schedules.Called):
        return f"function {getattr(value.eta, '__qualname__', type(value.eta).__name__)}"
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)

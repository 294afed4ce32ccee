"""Callbacks of a training: they may watch, report, save, and stop it."""

from __future__ import annotations

import copy
import itertools
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words, files, metrics, storage
from cbackprop._check import number
from cbackprop._endings import StopTraining as StopTraining
from cbackprop.history import History

Report = Callable[[int, int, int], object]
Parameters = tuple[list[NDArray[Any]], list[NDArray[Any]]]  # weights and biases


class Callback:
    """
    The methods that `Network.SGD` calls; a subclass overrides those that it needs.

    `on_train_begin` resets the state of a training, so that an object may be used again.

    Attributes
    ----------
    every : int or None
        The number of steps (mini-batches) between two calls of `on_batches`. None stands for some
        tens of milliseconds, and the end of every epoch.
    asked : callable ()
        Returns the arguments of the training, by their names in SGD. SGD sets it before it begins.
    training_state : callable ()
        Returns where the training stands, for a checkpoint. SGD sets it before it begins.

    Examples
    --------
    >>> import numpy as np
    >>> class Steps(Callback):
    ...     every = 4
    ...     def on_batches(self, network, history, step):
    ...         print("step", step, "epoch", len(history))
    >>> net = cbackprop.Network([1, 1], seed=0)
    >>> history = net.SGD((np.ones((5, 1)), np.ones((5, 1))), 2, 1, 0.5, callbacks=[Steps()])
    step 4 epoch 0
    step 8 epoch 1
    """

    every: int | None = None
    asked: Callable[[], dict[str, Any]] = dict
    training_state: Callable[[], dict[str, Any]] = dict

    def on_train_begin(self, network: Any, history: History) -> object:
        """
        Run before the first step.

        `history` is empty, unless the training continues it (`resume`).
        """

    def on_epoch_begin(self, network: Any, history: History) -> object:
        """Run before the first step of each epoch, and of one that is continued in its middle."""

    def on_batches(self, network: Any, history: History, step: int) -> object:
        """Run after `step` mini-batches; `history` has the completed epochs."""

    def on_measure(self, network: Any, history: History) -> object:
        """Run after the last step of each epoch, before metrics are measured."""

    def on_epoch_end(self, network: Any, history: History) -> object:
        """Run after each epoch, when its metrics are in the history."""

    def on_train_end(self, network: Any, history: History) -> object:
        """Run once at the end of the training, also after an error or Ctrl-C."""

    def writes(self) -> Sequence[str]:
        """Return the files and folders that it writes, which no two networks can share."""
        return ()

    def to_checkpoint(self, network: Any) -> Any:
        """
        Return what this callback needs to go on in another process; by default nothing.

        That is numbers, strings, arrays, lists and dicts whose keys are strings.
        """

    def from_checkpoint(self, network: Any, state: Any) -> None:
        """Take what `to_checkpoint` returned; lists stand for tuples. `on_train_begin` has run."""


class OnEpochEnd(Callback):
    """The simple form: a function (network, history), called after each epoch."""

    def __init__(self, function: Callable[[Any, History], object]) -> None:
        self.function = function

    def on_epoch_end(self, network: Any, history: History) -> object:
        """Call it."""
        return self.function(network, history)


class OnProgress(Callback):
    """A function (epoch, rows done, rows), called every some tens of milliseconds."""

    def __init__(self, function: Report) -> None:
        self.function = function

    def on_batches(self, network: Any, history: History, step: int) -> None:
        """Say how many rows of this epoch are done."""
        self.function(len(history), _rows(history, step), history.rows)


class ProgressBar(Callback):
    """
    The bar of ``progress=True``, in a terminal or a notebook, by tqdm (extra ``progress``).

    Parameters
    ----------
    measured : bool
        Whether to write the last metrics beside it.

    Raises
    ------
    ModuleNotFoundError
        When training begins, if tqdm is missing.
    """

    def __init__(self, measured: bool = True) -> None:
        self.measured = measured

    def on_train_begin(self, network: Any, history: History) -> None:
        """Draw it empty."""
        try:
            tqdm = bar()
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "progress=True needs tqdm: pip install 'cbackprop[progress]'") from None
        self._first = len(history)
        self._bar = tqdm(total=(history.epochs - self._first) * history.rows, unit=" rows",
                         unit_scale=True)

    def on_batches(self, network: Any, history: History, step: int) -> None:
        """Fill it so far."""
        before = (len(history) - self._first) * history.rows
        self._bar.update(before + _rows(history, step) - self._bar.n)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Write the last metrics beside it."""
        if not self.measured:
            return
        shown = [n for n in history.recorded if n not in ("eta", "seconds", "rows_per_second")]
        self._bar.set_postfix({name: f"{history.series(name)[-1]:.4g}" for name in shown})

    def on_train_end(self, network: Any, history: History) -> None:
        """Leave it as it is."""
        self._bar.close()


class Lines(Callback):
    """Prints a line after every epoch, for ``verbose=True``."""

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Print it, above a bar if there is one."""
        tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
        if tqdm is None:
            print(history.line(), flush=True)
        else:
            tqdm.write(history.line())
            sys.stdout.flush()


@_words.suggesting("__init__")
class CSVLog(Callback):
    """
    A table that grows by a line with every epoch, so that it can be looked at meanwhile.

    Parameters
    ----------
    path : str or path-like
        The file; one that is there is replaced when training begins. The epochs of a history that
        is continued (`resume`) are written again.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
    >>> net = cbackprop.Network([2, 1], seed=0)
    >>> history = net.SGD(([[0.0, 1.0]], [[1.0]]), 2, 1, 0.5, callbacks=[CSVLog(path)])
    >>> with open(path) as file:
    ...     print(file.readline(), file.readline()[:6])
    epoch,eta,cost,seconds,rows_per_second
     1,0.5,
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = _path(path)

    def writes(self) -> Sequence[str]:
        """Return the path."""
        return (self.path,)

    def on_train_begin(self, network: Any, history: History) -> None:
        """Write the names of the columns, and the epochs of a history that is continued."""
        storage.check_folder(Path(os.path.realpath(self.path)))
        with open(self.path, "w", encoding="utf-8") as file:
            print("epoch", *history.recorded, sep=",", file=file)
            self._write(file, history, range(len(history)))

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Write a line."""
        with open(self.path, "a", encoding="utf-8") as file:
            self._write(file, history, [len(history) - 1])

    def _write(self, file: TextIO, history: History, epochs: Iterable[int]) -> None:
        for epoch in epochs:
            print(epoch + 1, *(repr(history.series(name)[epoch]) for name in history.recorded),
                  sep=",", file=file)


class Best(Callback):
    """
    The base of `EarlyStopping` and `Checkpoint`: it tells whether an epoch was the best so far.

    Parameters
    ----------
    watched : str, or data
        The name of an entry of the history, or examples to evaluate, as `SGD` takes them.
    metric : str, Metric, or callable (network, watched)
        The metric of these examples, such as "cost", "accuracy" or "r2"; `metrics.TABLE` has all
        names. A callable returns a number.
    min_delta : float
        By how much at least an epoch has to better the best before it.
    minimize : bool, optional
        Whether less is better. By default the metric decides, or the end of a callable's name:
        ``_cost``, ``_loss``, ``_error`` or ``_deviance``, against ``_score`` or ``_accuracy``. A
        callable with another name needs it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or nothing says whether less is better.
    """

    def __init__(
        self,
        watched: Any,
        metric: str | metrics.Metric | Callable[[Any, Any], float] = "cost",
        *,
        min_delta: float = 0.0,
        minimize: bool | None = None,
    ) -> None:
        if isinstance(metric, str) and metric in metrics.TABLE:
            metric = metrics.TABLE[metric]
        if not callable(metric):
            raise ValueError(f"metric must be one of {list(metrics.TABLE)}, a Metric or a "
                             f"callable, got {_check.shown(metric)}")
        if not isinstance(metric, metrics.Metric):
            _check.function("metric", metric, "network", "watched")
        if not (minimize is None or isinstance(minimize, (bool, np.bool_))):
            raise TypeError(f"minimize must be True, False or None, got {_check.shown(minimize)}")
        self.watched, self.metric = watched, metric
        self._history: History | None = None
        self.min_delta = number("min_delta", min_delta, 0, boolean=True)
        if minimize is None and not isinstance(watched, str):
            minimize = (not metric.maximize if isinstance(metric, metrics.Metric)
                        else metrics.falls_by_name(metric, "minimize"))
        self.minimize = minimize  # None: the entry of the history decides

    def on_train_begin(self, network: Any, history: History) -> None:
        """Start anew, or continue with the history; check that the watched entry exists."""
        self._goes_on = len(history) > 0 and history is self._history
        if self._goes_on:
            return
        self.best, self.best_epoch, self._history = -math.inf, 0, history
        self._falls = self.minimize
        if isinstance(self.watched, str):
            values = history.series(self.watched)
            if self.minimize is None:
                self._falls = history.smaller_is_better(self.watched)
            for epoch, value in enumerate(values, 1):
                self._betters(value, epoch)
        elif isinstance(self.metric, metrics.Metric):
            self._examples = network.engine.examples(self.watched, "the watched data")
            self._kind = metrics.kind_for(network.engine, self._examples, network.trained_on)
            metrics.check(self.metric, self._kind, network.engine,
                          f"the watched metric {self.metric.name!r}")

    def on_epoch_end(self, network: Any, history: History) -> object:
        """Measure, and compare."""
        if self._betters(self._measure(network, history), len(history)):
            self.on_better(network)
        return None

    def _betters(self, value: float, epoch: int) -> bool:
        score = -value if self._falls else value
        better = score > self.best + self.min_delta
        if better:
            self.best, self.best_epoch = score, epoch
        return better

    def on_better(self, network: Any) -> None:
        """Run after an epoch that was the best so far."""

    def to_checkpoint(self, network: Any) -> dict[str, Any]:
        """Return the best so far."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def from_checkpoint(self, network: Any, state: dict[str, Any]) -> None:
        """Continue with the best so far."""
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])

    def _measure(self, network: Any, history: History) -> float:
        if isinstance(self.watched, str):
            return history.series(self.watched)[-1]
        if isinstance(self.metric, metrics.Metric):
            (value,) = metrics.measure(
                network.engine, self._examples, [self.metric], self._kind).values()
            return value
        value = self.metric(network, self.watched)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(f"metric must return a number, got {_check.shown(value)}") from None


@_words.suggesting("__init__")
class EarlyStopping(Best):
    """
    Stop when validation has not improved for `patience` epochs, and restore the best weights.

    If a training continues (`resume`) with the same object, it continues from the last weights, and
    with the best so far. Another object reads the best so far from the entry that it watches.

    Parameters
    ----------
    watched : str, or data
        The name of an entry of the history (such as "accuracy" or "test_r2", of `test_data`), or
        validation data of its own, as `SGD` takes them.
    metric : str, Metric, or callable (network, watched)
        The metric of validation data, such as "cost", "accuracy" or "r2"; `metrics.TABLE` has all
        names. A callable returns a number; NaN is never better.
    patience : int
        How many epochs in a row may fail to better the best.
    min_delta : float
        By how much at least an epoch has to better the best before it.
    restore_best : bool
        Whether the parameters of the best epoch are put back when training ends, however it does.
    minimize : bool, optional
        Whether less is better. By default the metric or the entry decides, or the end of a
        callable's name: ``_cost``, ``_loss``, ``_error`` or ``_deviance``, against ``_score`` or
        ``_accuracy``. A callable with another name needs it.

    Attributes
    ----------
    best_epoch : int
        The best epoch of the last training, counted from 1; 0 if there was none.
    best_parameters, last_parameters : (weights, biases), or None
        Copies of the parameters after the best epoch and at the end of the training, as lists of
        arrays that `Network.weights` and `biases` take.

    Examples
    --------
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> stopping = EarlyStopping("evaluation_accuracy", patience=2)
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), 50, 10, 0.5, validation_split=0.2, callbacks=[stopping])
    >>> len(history) == stopping.best_epoch + 2
    True
    >>> last = net.copy()
    >>> last.weights, last.biases = stopping.last_parameters
    """

    def __init__(
        self,
        watched: Any,
        metric: str | metrics.Metric | Callable[[Any, Any], float] = "cost",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
        minimize: bool | None = None,
    ) -> None:
        super().__init__(watched, metric, min_delta=min_delta, minimize=minimize)
        self.patience = _check.integer("patience", patience, 1)
        self.restore_best = restore_best
        self.best_parameters: Parameters | None = None
        self.last_parameters: Parameters | None = None

    def on_train_begin(self, network: Any, history: History) -> None:
        """Start anew, or continue from the last parameters."""
        super().on_train_begin(network, history)
        if not self._goes_on:
            self.best_parameters = self.last_parameters = None
            self._begun = 0 if self.best_epoch else len(history)
        elif self.restore_best and _has(network, self.best_parameters):  # nobody changed them since
            assert self.last_parameters is not None  # set together with the best
            network.weights, network.biases = self.last_parameters

    def on_epoch_end(self, network: Any, history: History) -> bool:
        """Measure, compare, and say whether to stop."""
        super().on_epoch_end(network, history)
        return len(history) - max(self.best_epoch, self._begun) >= self.patience

    def on_better(self, network: Any) -> None:
        """Keep the parameters."""
        self.best_parameters = _copies(network)

    def on_train_end(self, network: Any, history: History) -> None:
        """Put the best parameters back."""
        self.last_parameters = _copies(network)
        if self.restore_best and self.best_parameters is not None:
            network.weights, network.biases = self.best_parameters

    def to_checkpoint(self, network: Any) -> dict[str, Any]:
        """Return the best so far, and its parameters."""
        return {**super().to_checkpoint(network), "begun": self._begun,
                "parameters": self.best_parameters}

    def from_checkpoint(self, network: Any, state: dict[str, Any]) -> None:
        """Continue with the best so far."""
        super().from_checkpoint(network, state)
        self._begun = int(state["begun"])
        if state["parameters"] is not None:
            weights, biases = state["parameters"]
            self.best_parameters = weights, biases


@_words.suggesting("__init__")
class Checkpoint(Best):
    """
    Save the network after every epoch that was the best so far, and where the training stands.

    Each file is written whole or not at all: what was there is kept until then. If one cannot be
    written, training does not begin.

    Parameters
    ----------
    path : str or path-like, optional
        The file for the best network, as `Network.save` writes it.
    watched, metric, min_delta, minimize
        As `EarlyStopping` takes them; by default the training cost.
    last : str or path-like, optional
        Another file, for the network as it is and all that ``SGD(..., resume=last)`` needs to go
        on, to the bit. It is written after every epoch, or as often as the next two say and at the
        end, always when all other callbacks have run.
    every_steps, every_seconds : int; float; optional
        After how many steps (mini-batches), or seconds, `last` is written again, also in the middle
        of an epoch.

    Raises
    ------
    TypeError, ValueError
        If there is no file, or an argument is of the wrong kind or outside its range.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "best.npz")
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> history = net.SGD(([[0.0, 1.0]], [[1.0]]), 3, 1, 0.5, callbacks=[Checkpoint(path)])
    >>> bool(net.feedforward([0.0, 1.0]) == cbackprop.Network.load(path).feedforward([0.0, 1.0]))
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        watched: Any = "cost",
        metric: str | metrics.Metric | Callable[[Any, Any], float] = "cost",
        *,
        min_delta: float = 0.0,
        minimize: bool | None = None,
        last: str | os.PathLike[str] | None = None,
        every_steps: int | None = None,
        every_seconds: float | None = None,
    ) -> None:
        super().__init__(watched, metric, min_delta=min_delta, minimize=minimize)
        self.last = None if last is None else _path(last, "last")
        self.path = None if last is not None and path is None else _path(path)
        if self.path is not None and self.last is not None and (
                os.path.realpath(self.path) == os.path.realpath(self.last)):
            raise ValueError(f"last must be another file than path, got {self.last}")
        if every_steps is not None:
            self.every = _check.integer("every_steps", every_steps, 1)
        self.every_seconds = (None if every_seconds is None
                              else number("every_seconds", every_seconds, 0))
        if None not in (every_steps, every_seconds):
            raise ValueError("every_steps must be None where there is every_seconds, "
                             f"got {every_steps} and {every_seconds}")
        if last is None and not every_steps is every_seconds is None:
            raise ValueError("every_steps and every_seconds need last, the file to write, got None")

    def writes(self) -> Sequence[str]:
        """Return both paths."""
        return [path for path in (self.path, self.last) if path is not None]

    def on_train_begin(self, network: Any, history: History) -> None:
        """Start anew, or continue; check that the network can be saved there."""
        super().on_train_begin(network, history)
        for path in filter(None, (self.path, self.last)):
            files.check(path, network.settings())
        kind = type(network.engine.random.bit_generator).__name__
        if self.last is not None and kind not in files.BIT_GENERATORS:
            raise TypeError(f"last needs a seed whose bit generator is one of "
                            f"{list(files.BIT_GENERATORS)}, got {kind}")
        self._written = time.monotonic()

    def on_batches(self, network: Any, history: History, step: int) -> None:
        """Write `last` if it is time, unless the epoch is at its end."""
        within = _rows(history, step) < history.rows
        if within and self._is_due(step) and network.engine.core.all_finite():
            self._write_last(network, history)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Measure, compare, and save."""
        super().on_epoch_end(network, history)
        if self.last is not None and (
                self.every is self.every_seconds is None or self._is_due(history.steps)
                or len(history) == history.epochs or self.training_state()["stopped"]):
            self._write_last(network, history)

    def on_better(self, network: Any) -> None:
        """Save the best network."""
        if self.path is not None:
            network.save(self.path)

    def _is_due(self, step: int) -> bool:
        if self.every_seconds is not None:
            return time.monotonic() - self._written >= self.every_seconds
        return self.every is not None and step % self.every == 0

    def _write_last(self, network: Any, history: History) -> None:
        assert self.last is not None
        network.engine.check_parameters()
        files.save(self.last, {**network.__getstate__(), "history": history,
                               "training": self.training_state()})
        self._written = time.monotonic()


class Snapshots(Callback):
    """
    Copies of the network from before the training and after its epochs, to look at them later.

    Parameters
    ----------
    every : int
        The number of epochs from one copy to the next.

    Attributes
    ----------
    networks : list of Network
    epochs : list of int
        How many epochs of the history came before each of them.

    Raises
    ------
    TypeError, ValueError
        If `every` is no positive integer.

    Examples
    --------
    >>> seen = Snapshots(every=2)
    >>> net = cbackprop.Network([2, 1], seed=0)
    >>> history = net.SGD(([[0.0, 1.0]], [[1.0]]), 4, 1, 0.5, callbacks=[seen])
    >>> seen.epochs, [network.feedforward([0.0, 1.0]).shape for network in seen.networks]
    ([0, 2, 4], [(1,), (1,), (1,)])
    """

    def __init__(self, every: int = 1) -> None:
        self.every_epochs = _check.integer("every", every, 1)
        self.networks: list[Any] = []
        self.epochs: list[int] = []

    def on_train_begin(self, network: Any, history: History) -> None:
        """Keep the network as it is before the first epoch."""
        self._keep(network, len(history))

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Keep it after an epoch whose turn it is."""
        if len(history) % self.every_epochs == 0:
            self._keep(network, len(history))

    def _keep(self, network: Any, epoch: int) -> None:
        self.networks.append(network.copy())
        self.epochs.append(epoch)


class WeightAverage(Callback):
    """
    Keeps an exponential average of the parameters, with which the network is measured and saved.

    The network trains with its own parameters. After the last step of an epoch the average replaces
    them, for `test_data`, monitors, `EarlyStopping`, `Checkpoint` and other callbacks at the end of
    an epoch. Before the next epoch they are restored. When training ends, in whatever way, the
    network has the average. If a training continues (`resume`) with the same object, it continues
    from the network's own parameters; so does that of a copy, or of a network loaded from a file.

    The average begins with the parameters after the first `every` steps, as PyTorch's
    ``AveragedModel`` does. Every `every` steps it then becomes d average + (1 - d) parameters with
    d = decay^every: `decay` is the factor of one step.

    Parameters
    ----------
    decay : float
        The factor of the average in one step: 0.999 averages over about a thousand steps.
    every : int
        The number of steps between two updates. An update costs a few passes over the parameters
        and a return from compiled code: with small mini-batches, more than the step itself.

    Attributes
    ----------
    last_parameters : (weights, biases), or None
        Copies of the network's own parameters after the last training.

    Examples
    --------
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), 3, 10, 0.5, test_data, callbacks=[WeightAverage(0.99)])
    >>> history.accuracy[-1] == net.accuracy(test_data)
    True
    """

    every: int

    def __init__(self, decay: float = 0.999, *, every: int = 10) -> None:
        self.decay = number("decay", decay, 0, 1)
        self.every = _check.integer("every", every, 1)
        self.last_parameters: Parameters | None = None
        self._average: Any = None
        self._own: Any = None  # the network's own parameters, while it has the average

    def on_train_begin(self, network: Any, history: History) -> None:
        """Start anew, or continue from the network's own parameters."""
        arena = network.engine.core.parameters
        # A copy, or a file that was loaded, has the average, too.
        if not (len(history) and np.array_equal(arena, self._average)):
            self._average, self._own = None, arena.copy()

    def on_epoch_begin(self, network: Any, history: History) -> None:
        """Restore the network's own parameters."""
        network.engine.core.parameters[...] = self._own
        self._before = self._own, None if self._average is None else self._average.copy()
        self._own = None

    def on_batches(self, network: Any, history: History, step: int) -> None:
        """Update the average."""
        arena = network.engine.core.parameters
        if self._average is None:
            self._average = arena.copy()
        else:
            self._average += (arena - self._average) * arena.dtype.type(1 - self.decay**self.every)

    def on_measure(self, network: Any, history: History) -> None:
        """Replace the parameters by the average."""
        arena = network.engine.core.parameters
        self._own = arena.copy()
        if self._average is None:  # the epoch was shorter than `every`
            self._average = arena.copy()
        arena[...] = self._average

    def on_train_end(self, network: Any, history: History) -> None:
        """Leave the network with the average. After a failed epoch, it is the one before it."""
        core = network.engine.core
        if self._own is None:
            own, average = self._before
            if np.array_equal(core.parameters, own):
                self._average = average
            self.on_measure(network, history)
        self.last_parameters = core.views(self._own.copy())

    def to_checkpoint(self, network: Any) -> dict[str, Any]:
        """Return the average, and the network's own parameters while it has the average."""
        return {"average": self._average, "own": self._own}

    def from_checkpoint(self, network: Any, state: dict[str, Any]) -> None:
        """Continue with the average, and the network's own parameters."""
        self._average = state["average"]
        if state["own"] is not None:  # else it has them, as in the middle of an epoch
            self._own = state["own"]


def _copies(network: Any) -> Parameters:
    return [w.copy() for w in network.weights], [b.copy() for b in network.biases]


def _has(network: Any, parameters: Parameters | None) -> bool:
    return parameters is not None and all(
        np.array_equal(view, kept)
        for views, copies in zip((network.weights, network.biases), parameters, strict=True)
        for view, kept in zip(views, copies, strict=True))


def bar() -> Any:
    """Return tqdm's bar, for a terminal or a notebook, without its warning of missing widgets."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Warning, message=".*IProgress")
        from tqdm.auto import tqdm
    return tqdm


def _path(path: str | os.PathLike[str] | None, argument: str = "path") -> str:
    try:
        return os.fsdecode(path)  # type: ignore[arg-type]  # None raises, too
    except TypeError:
        raise TypeError(
            f"{argument} must be a str or path-like, got {_check.shown(path)}") from None


def copies(callbacks: Iterable[Any]) -> list[Any]:
    """
    Return callbacks for one of many trainings: what they remember is of one alone.

    Raises
    ------
    TypeError
        If they are no list.
    """
    return [copy.copy(one) if isinstance(one, Callback) else one for one in _listed(callbacks)]


def _listed(callbacks: Any) -> Iterable[Any]:
    if isinstance(callbacks, (str, bytes, memoryview)) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a list of callbacks, got {_check.shown(callbacks)}")
    return callbacks


def written(callbacks: Iterable[Any]) -> set[str]:
    """Return the files and folders that callbacks write, with links followed."""
    return {os.path.realpath(path) for one in callbacks if isinstance(one, Callback)
            for path in one.writes()}


def collected(
    callbacks: Iterable[Any], callback: Any, progress: bool | Report | None,
    verbose: bool | int = False,
) -> list[Callback]:
    """
    Return a list of callbacks for these arguments of `SGD`.

    Raises
    ------
    TypeError, ValueError
        If one of them is no callback, or its `every` is no positive integer.
    """
    if not (callback is None or callable(callback)):
        raise TypeError(f"callback must be callable or None, got {_check.shown(callback)}")
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"progress must be True, a callable or None, got {_check.shown(progress)}")
    if not isinstance(verbose, (int, np.integer, np.bool_)):
        raise TypeError(f"verbose must be True or False, got {_check.shown(verbose)}")
    callbacks = _listed(callbacks)
    found: list[Callback] = []
    if callable(progress):
        _check.function("progress", progress, "epoch", "done", "rows")
    if progress:
        found.append(ProgressBar(not verbose) if progress is True else OnProgress(progress))
    if verbose:
        found.append(Lines())
    for one in itertools.chain(callbacks, [] if callback is None else [callback]):
        if not (isinstance(one, Callback) or callable(one)) or isinstance(one, type):
            raise TypeError(f"callbacks must be objects of Callback or functions "
                            f"(network, history), got {_check.shown(one)}")
        if not isinstance(one, Callback):
            _check.function("callback", one, "network", "history")
            one = OnEpochEnd(one)
        found.append(one)
        if one.every is not None:
            _check.integer(f"every of {type(one).__name__}", one.every, 1)
    if not found:
        return found
    # Callbacks end in reverse order: one that restores the best parameters must end last. A
    # checkpoint holds what all others did at this step.
    found.sort(key=lambda one: (isinstance(one, Checkpoint) and one.last is not None,
                                isinstance(one, WeightAverage)))
    averages = sum(isinstance(one, WeightAverage) for one in found)
    if averages > 1:
        raise ValueError("callbacks must hold one WeightAverage at most, for each replaces the "
                         f"network's parameters, got {averages}")
    return found


def _rows(history: History, step: int) -> int:
    """Return the number of rows of this epoch that are done."""
    return min(history.rows, (step - history.steps) * history.mini_batch_size)

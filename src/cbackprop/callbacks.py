"""What is called while a network trains; it may look, report, save, and stop the training."""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cbackprop import _check, _words, files, storage
from cbackprop._check import number
from cbackprop._endings import StopTraining as StopTraining
from cbackprop.history import History, smaller_is_better

Report = Callable[[int, int, int], object]
FALLING = "_cost", "_loss", "_error", "_deviance"  # endings of names of metrics
RISING = "_score", "_accuracy"


class Callback:
    """
    What `Network.SGD` calls; a class of one's own overrides what it needs.

    The state of one training begins in `on_train_begin`, so that an object may be used again.

    Attributes
    ----------
    every : int or None
        How many steps (mini-batches) lie between two calls of `on_batches`. None: some tens of
        milliseconds, and the end of every epoch.

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

    def on_train_begin(self, network: Any, history: History) -> object:
        """Before the first step; `history` is empty, and says what was asked for."""

    def on_batches(self, network: Any, history: History, step: int) -> object:
        """After `step` mini-batches of this training; `history` has the whole epochs so far."""

    def on_epoch_end(self, network: Any, history: History) -> object:
        """After each epoch, once it is measured."""

    def on_train_end(self, network: Any, history: History) -> object:
        """Once at the end, however it comes: an error and Ctrl-C are ends, too."""


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
        self.function(len(history), _rows(history, step) - len(history) * history.rows,
                      history.rows)


class ProgressBar(Callback):
    """
    A bar, in a terminal or a notebook, by tqdm (extra ``progress``): what ``progress=True`` shows.

    Parameters
    ----------
    measured : bool
        Whether to write the last of what was measured beside it.

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
        self._bar = tqdm(total=history.epochs * history.rows, unit=" rows", unit_scale=True)

    def on_batches(self, network: Any, history: History, step: int) -> None:
        """Fill it so far."""
        self._bar.update(_rows(history, step) - self._bar.n)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Write the last of what was measured beside it."""
        if not self.measured:
            return
        shown = [n for n in history.recorded if n.endswith(("cost", "accuracy"))]
        self._bar.set_postfix({name: f"{history.series(name)[-1]:.4g}" for name in shown})

    def on_train_end(self, network: Any, history: History) -> None:
        """Leave it as it is."""
        self._bar.close()


class Lines(Callback):
    """A line printed after every epoch: what ``verbose=True`` shows."""

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
        The file; one that is there is replaced when training begins.

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

    def on_train_begin(self, network: Any, history: History) -> None:
        """Write the names of the columns."""
        storage.check_folder(Path(os.path.realpath(self.path)))
        with open(self.path, "w", encoding="utf-8") as file:
            print("epoch", *history.recorded, sep=",", file=file)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Write a line."""
        with open(self.path, "a", encoding="utf-8") as file:
            print(len(history), *(repr(history.series(name)[-1]) for name in history.recorded),
                  sep=",", file=file)


class Best(Callback):
    """
    What `EarlyStopping` and `Checkpoint` share: after each epoch, whether it was the best so far.

    Parameters
    ----------
    watched : str, or data
        The name of an entry of the history, or examples to evaluate, as `SGD` takes them.
    metric : {"cost", "accuracy"}, or callable (network, watched)
        Of examples: what to evaluate. A callable returns a number.
    min_delta : float
        By how much at least an epoch has to better the best before it.
    minimize : bool, optional
        Whether less is better; by default so for costs, and as a callable's name ends: ``_cost``,
        ``_loss``, ``_error`` or ``_deviance``, or ``_score`` or ``_accuracy``. A callable of
        another name needs it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or it cannot be told whether less is better.
    """

    def __init__(
        self,
        watched: Any,
        metric: str | Callable[[Any, Any], float] = "cost",
        *,
        min_delta: float = 0.0,
        minimize: bool | None = None,
    ) -> None:
        if not (callable(metric) or metric in ("cost", "accuracy")):
            raise ValueError(f"metric must be 'cost', 'accuracy' or a callable, "
                             f"got {_check.shown(metric)}")
        if callable(metric):
            _check.function("metric", metric, "network", "watched")
        if not (minimize is None or isinstance(minimize, (bool, np.bool_))):
            raise TypeError(f"minimize must be True, False or None, got {_check.shown(minimize)}")
        self.watched, self.metric = watched, metric
        self.min_delta = number("min_delta", min_delta, 0, boolean=True)
        name = watched if isinstance(watched, str) else metric
        if minimize is None:
            minimize = smaller_is_better(name) if isinstance(name, str) else _less_is_better(name)
        self.minimize = bool(minimize)

    def on_train_begin(self, network: Any, history: History) -> None:
        """Begin anew, and see that what is watched is there."""
        self.best, self.best_epoch = -math.inf, 0
        if isinstance(self.watched, str):
            history.series(self.watched)
        elif not callable(self.metric):
            self._examples = network.engine.examples(self.watched, "the watched data")

    def on_epoch_end(self, network: Any, history: History) -> object:
        """Measure, and compare."""
        value = self._measure(network, history)
        score = -value if self.minimize else value
        if score > self.best + self.min_delta:
            self.best, self.best_epoch = score, len(history)
            self.on_better(network)
        return None

    def on_better(self, network: Any) -> None:
        """After an epoch that was the best so far."""

    def _measure(self, network: Any, history: History) -> float:
        if isinstance(self.watched, str):
            return history.series(self.watched)[-1]
        if callable(self.metric):
            value = self.metric(network, self.watched)
            try:
                return float(value)
            except (TypeError, ValueError):
                raise TypeError(f"metric must return a number, got {_check.shown(value)}") from None
        cost, accuracy = network.engine.measure(self._examples)
        return cost if self.metric == "cost" else accuracy


@_words.suggesting("__init__")
class EarlyStopping(Best):
    """
    Stop when validation has not improved for `patience` epochs, and go back to the best weights.

    Parameters
    ----------
    watched : str, or data
        The name of an entry of the history (such as "accuracy", of `test_data`), or validation data
        of its own, as `SGD` takes them.
    metric : {"cost", "accuracy"}, or callable (network, watched)
        Of validation data: what to evaluate. A callable returns a number; NaN is no better than
        any.
    patience : int
        How many epochs in a row may fail to better the best.
    min_delta : float
        By how much at least an epoch has to better the best before it.
    restore_best : bool
        Whether the parameters of the best epoch are put back when training ends, however it does.
    minimize : bool, optional
        Whether less is better; by default so for costs, and as a callable's name ends: ``_cost``,
        ``_loss``, ``_error`` or ``_deviance``, or ``_score`` or ``_accuracy``. A callable of
        another name needs it.

    Attributes
    ----------
    best_epoch : int
        Of the last training, the first being 1; 0 if there was none.

    Examples
    --------
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> validation_data = x[4000:], y[4000:]
    >>> stopping = EarlyStopping(validation_data, "accuracy", patience=2)
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x[:4000], y[:4000]), 50, 10, 0.5, callbacks=[stopping])
    >>> len(history) == stopping.best_epoch + 2
    True
    """

    def __init__(
        self,
        watched: Any,
        metric: str | Callable[[Any, Any], float] = "cost",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best: bool = True,
        minimize: bool | None = None,
    ) -> None:
        super().__init__(watched, metric, min_delta=min_delta, minimize=minimize)
        self.patience = _check.integer("patience", patience, 1)
        self.restore_best = restore_best

    def on_train_begin(self, network: Any, history: History) -> None:
        """Begin anew."""
        self._saved: Any = None
        super().on_train_begin(network, history)

    def on_epoch_end(self, network: Any, history: History) -> bool:
        """Measure, compare, and say whether to stop."""
        super().on_epoch_end(network, history)
        return len(history) - self.best_epoch >= self.patience

    def on_better(self, network: Any) -> None:
        """Keep the parameters."""
        if self.restore_best:
            self._saved = [[p.copy() for p in views] for views in (network.weights, network.biases)]

    def on_train_end(self, network: Any, history: History) -> None:
        """Put the best parameters back."""
        if self._saved is not None:
            network.weights, network.biases = self._saved
            self._saved = None


@_words.suggesting("__init__")
class Checkpoint(Best):
    """
    Save the network after every epoch that was the best so far, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file, as `Network.save` writes it; if it could not, training does not begin.
    watched, metric, min_delta, minimize
        As `EarlyStopping` takes them; by default the training cost.

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
        path: str | os.PathLike[str],
        watched: Any = "cost",
        metric: str | Callable[[Any, Any], float] = "cost",
        *,
        min_delta: float = 0.0,
        minimize: bool | None = None,
    ) -> None:
        super().__init__(watched, metric, min_delta=min_delta, minimize=minimize)
        self.path = _path(path)

    def on_train_begin(self, network: Any, history: History) -> None:
        """Begin anew, and see that the network can be saved there."""
        super().on_train_begin(network, history)
        files.check(self.path, network.settings())

    def on_better(self, network: Any) -> None:
        """Save it."""
        network.save(self.path)


def bar() -> Any:
    """Return tqdm's bar, for a terminal or a notebook; that one without widgets is no news."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Warning, message=".*IProgress")
        from tqdm.auto import tqdm
    return tqdm


def _path(path: str | os.PathLike[str]) -> str:
    try:
        return os.fspath(path)
    except TypeError:
        raise TypeError(f"path must be a str or path-like, got {_check.shown(path)}") from None


def _less_is_better(metric: Callable[..., object]) -> bool:
    """
    Tell by a metric's name, as scikit-learn names its own.

    Raises
    ------
    ValueError
        If that does not say it.
    """
    function: Any = metric
    while isinstance(function, functools.partial):
        function = function.func
    name = f"_{getattr(function, '__name__', type(function).__name__)}".lower()
    for endings, less in ((FALLING, True), (RISING, False)):
        if name.endswith(endings):
            return less
    raise ValueError(f"minimize must be True or False for a metric whose name does not say whether "
                     f"less is better, as *_error and *_score do, got {_check.shown(metric)}")


def collected(
    callbacks: Iterable[Any], callback: Any, progress: bool | Report | None,
    verbose: bool | int = False,
) -> list[Callback]:
    """
    Return what `SGD` was given to call as a list of callbacks.

    Raises
    ------
    TypeError, ValueError
        If something in it is no callback, or calls for another number of steps than 1 or more.
    """
    if not (callback is None or callable(callback)):
        raise TypeError(f"callback must be callable or None, got {_check.shown(callback)}")
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"progress must be True, a callable or None, got {_check.shown(progress)}")
    if not isinstance(verbose, (int, np.integer, np.bool_)):
        raise TypeError(f"verbose must be True or False, got {_check.shown(verbose)}")
    if isinstance(callbacks, (str, bytes, memoryview)) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a list of callbacks, got {_check.shown(callbacks)}")
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
    return found


def _rows(history: History, step: int) -> int:
    """Count the rows in so many steps."""
    m, n = history.mini_batch_size, history.rows
    epochs, rest = divmod(step, -(-n // m))
    return epochs * n + rest * m

"""One call of SGD: prepared, that is checked; then run, chunk of mini-batches by chunk."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, optimizers, schedules, thread_choice
from cbackprop._endings import StopTraining
from cbackprop.callbacks import Callback, collected
from cbackprop.diagnosis import Diagnosis
from cbackprop.history import MEASURED, MONITORS, History
from cbackprop.model import Model
from cbackprop.sources import Examples

CHUNK_SECONDS = 0.03  # how long the core keeps the interpreter waiting
FIRST_CHUNK = 3e7  # weights times examples: a few milliseconds


def prepare(
    network: Model, training_data: Any, epochs: int, mini_batch_size: int, eta: Any,
    test_data: Any = None, *, evaluation_data: Any = None, monitor: Any = None,
    progress: Any = None, callback: Any = None, callbacks: Any = (), sample_weight: Any = None,
    class_weight: Any = None, threads: int | None = None, skip_zeros: bool = False,
    **options: Any,
) -> Training:
    """
    Check the arguments of `Network.SGD`, and return what `run` trains; nothing is changed.

    Parameters
    ----------
    **options
        The optimizer and regularisation.

    Raises
    ------
    TypeError, ValueError
        If an argument or the data is bad.
    """
    engine = network.engine
    examples = engine.examples(
        training_data, "training_data", False, engine.target_values.trained, sample_weight,
        class_weight, skip_zeros)
    epochs = _check.integer("epochs", epochs, 0)
    m = _check.integer("mini_batch_size", mini_batch_size, 1, len(examples))
    eta = schedules.schedule(eta)
    evaluation, test = (
        None if given is None else engine.examples(
            given, name, admit=engine.target_values.measured)
        for given, name in ((evaluation_data, "evaluation_data"), (test_data, "test_data")))
    training = Training(
        network, examples, epochs, m, eta,
        optimizers.training_options(len(network.sizes) - 1, **options),
        monitors=monitors(monitor, examples, evaluation, test),
        callbacks=[*collected(callbacks, callback, progress), Diagnosis(examples, epochs)],
        threads=engine.threads if threads is None else thread_choice.checked(threads))
    if callback is not None:
        warnings.warn("callback is deprecated, and will go in the next version: callbacks=[f] "
                      "takes the same function", DeprecationWarning, stacklevel=3)
    return training


class Training:
    """
    A training whose arguments are checked; it changes nothing before it runs.

    Parameters
    ----------
    network : Model
    examples : Examples
    epochs, mini_batch_size : int
    eta : Schedule
    options : TrainingOptions
        What a step does, and regularisation.
    monitors : dict
        Name of an entry of the history -> the examples that it is measured on.
    callbacks : sequence of Callback
    threads : int, optional
        As `Network` has it.
    order : callable, optional
        Returns the order of the next epoch; by default one that the network's generator draws.
    by_weight : float, optional
        Let a step divide by what its mini-batch weighs, not by its length. Each mini-batch's cost
        then has this number times the squares of all w in it.
    """

    def __init__(
        self, network: Model, examples: Examples, epochs: int, mini_batch_size: int,
        eta: schedules.Schedule, options: optimizers.TrainingOptions, *,
        monitors: dict[str, Examples] | None = None, callbacks: Sequence[Callback] = (),
        threads: int | None = None, order: Callable[[], NDArray[Any]] | None = None,
        by_weight: float | None = None,
    ) -> None:
        self.network, self.engine = network, network.engine
        self.examples, self.epochs, self.m = examples, epochs, mini_batch_size
        self.eta, self.options, self.threads = eta, options, threads
        self.monitors, self.callbacks = monitors or {}, list(callbacks)
        self.order = order or (lambda: self.engine.order(len(examples)))
        self.by_weight = by_weight

    def run(self) -> History:
        """
        Train until the epochs are over, or something stops it.

        Raises
        ------
        DivergenceError
            If NaN or infinity arises; the parameters from before that epoch are kept.
        RuntimeError
            If another training is at this network.
        """
        with self.engine.exclusive():
            self.tuner = self.engine.tuner(self.m)
            self.steps = -(-len(self.examples) // self.m)  # of an epoch
            # Steps that take about CHUNK_SECONDS: a guess on the safe side, until they are timed.
            work = self.engine.core.parameters.size * self.m
            self.chunk = max(1, int(FIRST_CHUNK / work))
            recorded = {"eta", "cost", "seconds", "rows_per_second", *self.monitors}
            self.history = History(
                recorded=tuple(name for name in MEASURED if name in recorded),
                epochs=self.epochs, rows=len(self.examples), mini_batch_size=self.m)
            with suppress(StopTraining), thread_choice.running(), ExitStack() as ends:
                for callback in self.callbacks:
                    callback.on_train_begin(self.network, self.history)
                    ends.callback(callback.on_train_end, self.network, self.history)
                for epoch in range(self.epochs):
                    self.epoch(epoch)
                    self.call([callback.on_epoch_end for callback in self.callbacks])
            return self.history

    def epoch(self, epoch: int) -> None:
        """Train one epoch, chunk by chunk, and record what it was like."""
        engine, n = self.engine, len(self.examples)
        step, start = epoch * self.steps, time.perf_counter()
        etas = schedules.rates(self.eta.watch(self.history), step, self.steps)
        if epoch == 0:
            engine.prepare(self.options, n, float(etas[0]), self.by_weight)
        saved = engine.snapshot()
        order = self.order()
        cost, done, seconds = 0.0, 0, time.perf_counter() - start
        while done < self.steps:
            before = time.perf_counter()
            until = self.until(step + done) - step
            team = self.tuner.threads(self.threads)
            try:
                rows, targets, order_, first, last = self.examples.part(
                    order, done * self.m, min(n, until * self.m))
                end, cost = engine.train(
                    rows, targets, order_, self.m, etas[done:until], first, last, cost, team)
                asked, until = until, done + -(-(end - first) // self.m)
                if not math.isfinite(cost) or (
                        until == self.steps and not engine.core.all_finite()):
                    raise engine.diverged(f"training diverged in epoch {epoch + 1}",
                                          etas[until - 1], rows)
            except Exception:
                engine.restore(saved)
                raise
            took = time.perf_counter() - before
            self.tuner.record(team, until - done, took, until < asked)
            fits = (until - done) * CHUNK_SECONDS / max(took, 1e-9)
            self.chunk = max(1, int(min(8 * self.chunk, fits)))
            seconds, done = seconds + took, until
            self.call([callback.on_batches for callback in self.callbacks
                       if (step + done) % (callback.every or 1) == 0], step + done)
        self.history.add(cost=cost / n, eta=float(etas[-1]), seconds=seconds,
                         rows_per_second=n / seconds, **self.monitored())
        self.network.history = self.history

    def until(self, step: int) -> int:
        """Return the step that a chunk from `step` ends before."""
        room = max(1, self.examples.most // self.m)
        ends = [step + min(self.chunk, room), (step // self.steps + 1) * self.steps]
        return min(ends + [(step // c.every + 1) * c.every for c in self.callbacks if c.every])

    def monitored(self) -> dict[str, float]:
        """Measure what is monitored, each set of examples once."""
        seen: dict[int, tuple[float, float]] = {}
        for examples in self.monitors.values():
            if id(examples) not in seen:
                seen[id(examples)] = self.engine.measure(examples)
        return {name: seen[id(examples)][name.endswith("accuracy")]
                for name, examples in self.monitors.items()}

    def call(self, methods: list[Callable[..., object]], *step: int) -> None:
        """Call them all, and then stop, if one of them says so."""
        stop = False
        for method in methods:
            try:
                stop |= is_true(method(self.network, self.history, *step))
            except StopTraining:
                stop = True
        if stop:
            raise StopTraining


def monitors(
    names: Any, training: Examples, evaluation: Examples | None, test: Examples | None
) -> dict[str, Examples]:
    """
    Return which entries of the history are measured after every epoch, and on what.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, or its data missing.
    """
    if names is None:
        names = () if evaluation is None else MONITORS[2:]
    if isinstance(names, str):
        names = (names,)
    rule = f"monitor must be names out of {list(MONITORS)}"
    names = _check.items(names, rule)
    measured = {} if test is None else {"accuracy": test}
    for name in names:
        if not isinstance(name, str) or name not in MONITORS:
            raise ValueError(f"{rule}, got {_check.shown(name)}")
        examples = training if name.startswith("training") else evaluation
        if examples is None:
            raise ValueError(f"monitor {name!r} needs evaluation_data, got None")
        measured[name] = examples
    return measured


def is_true(answer: object) -> bool:
    """Tell a plain True from whatever else a function may happen to return."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)

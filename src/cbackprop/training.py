"""The epochs of SGD: chunks of mini-batches, and between them learning rates and callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import data, schedules, threads
from cbackprop.callbacks import Callback, StopTraining
from cbackprop.core import _runtime
from cbackprop.history import MEASURED, MONITORS, History
from cbackprop.optimizers import TrainingOptions
from cbackprop.rowsource import Examples

if TYPE_CHECKING:
    from cbackprop.network import Network

CHUNK_SECONDS = 0.03  # how long the core keeps the interpreter waiting
FIRST_CHUNK = 3e7  # weights times examples: a few milliseconds


class Training:
    """
    One call of SGD.

    Parameters
    ----------
    network : Network
    examples : Examples
    mini_batch_size : int
    eta : Schedule
    rules : TrainingOptions
        What a step does, and regularisation.
    monitors : dict
        Name of an entry of the history -> the examples that it is measured on.
    callbacks : sequence of Callback
    most_threads : int or None
        As `Network` has it.
    """

    def __init__(
        self, network: Network, examples: Examples, mini_batch_size: int,
        eta: schedules.Schedule, rules: TrainingOptions, monitors: dict[str, Examples],
        callbacks: Sequence[Callback], most_threads: int | None = None,
    ) -> None:
        self.pace, self.most_threads = network._pace(mini_batch_size), most_threads
        self.network, self.examples, self.m = network, examples, mini_batch_size
        self.eta, self.rules, self.monitors, self.callbacks = eta, rules, monitors, callbacks
        self.steps = -(-len(examples) // mini_batch_size)  # of an epoch
        # Steps that take about CHUNK_SECONDS: a guess on the safe side, until they are timed.
        self.chunk = max(1, int(FIRST_CHUNK / (network._core.parameters.size * mini_batch_size)))
        recorded = {"eta", "cost", "seconds", "rows_per_second", *monitors}
        self.history = History(
            recorded=tuple(name for name in MEASURED if name in recorded),
            rows=len(examples), mini_batch_size=mini_batch_size)

    def run(self, epochs: int) -> History:
        """Train until the epochs are over, or something stops it."""
        self.history.epochs = epochs
        with suppress(StopTraining), threads.running(), ExitStack() as ends:
            for callback in self.callbacks:
                callback.on_train_begin(self.network, self.history)
                ends.callback(callback.on_train_end, self.network, self.history)
            for epoch in range(epochs):
                self.epoch(epoch)
                self.call([callback.on_epoch_end for callback in self.callbacks])
        return self.history

    def epoch(self, epoch: int) -> None:
        """Train one epoch, chunk by chunk, and record what it was like."""
        core, n = self.network._core, len(self.examples)
        step, start = epoch * self.steps, time.perf_counter()
        etas = schedules.rates(self.eta.watch(self.history), step, self.steps)
        if epoch == 0:
            self.begin(float(etas[0]))
        saved = self.network._state()
        order = self.order()
        cost, done, seconds = 0.0, 0, time.perf_counter() - start
        while done < self.steps:
            before = time.perf_counter()
            until = self.until(step + done) - step
            team = self.pace.threads(self.most_threads)
            try:
                part = self.examples.part(order, done * self.m, min(n, until * self.m))
                end, cost = self.train(*part, etas[done:until], cost, team)
                asked, until = until, done + -(-(end - part[3]) // self.m)
                if not math.isfinite(cost) or (until == self.steps and not core.all_finite()):
                    raise self.network._diverged(f"training diverged in epoch {epoch + 1}",
                                                 etas[until - 1], part[0])
            except Exception:
                self.network._go_back(saved)
                raise
            took = time.perf_counter() - before
            self.pace.record(team, until - done, took, until < asked)
            fits = (until - done) * CHUNK_SECONDS / max(took, 1e-9)
            self.chunk = max(1, int(min(8 * self.chunk, fits)))
            seconds, done = seconds + took, until
            self.call([callback.on_batches for callback in self.callbacks
                       if (step + done) % (callback.every or 1) == 0], step + done)
        self.history.add(cost=cost / n, eta=float(etas[-1]), seconds=seconds,
                         rows_per_second=n / seconds, **self.monitored())
        self.network.history = self.history

    def begin(self, eta: float) -> None:
        """Set up the optimizer."""
        self.network._remember(self.rules, len(self.examples), eta)

    def order(self) -> NDArray[Any]:
        """Draw the order of an epoch."""
        seed = self.network._random.integers(2**64, dtype=np.uint64)
        return _runtime.random_order(len(self.examples), seed)

    def until(self, step: int) -> int:
        """Return the step that a chunk from `step` ends before."""
        room = max(1, self.examples.most // self.m)
        ends = [step + min(self.chunk, room), (step // self.steps + 1) * self.steps]
        return min(ends + [(step // c.every + 1) * c.every for c in self.callbacks if c.every])

    def train(
        self, rows: Any, targets: Any, order: NDArray[Any], first: int, last: int,
        etas: NDArray[Any], cost: float, team: int,
    ) -> tuple[int, float]:
        """Train on mini-batches in order[first:last]; return where to go on, and add up costs."""
        memory = self.network._memory
        return self.network._core.sgd(rows, targets, order, self.m, etas, first, last,
                                      memory.in_core if memory else None, cost, team)

    def monitored(self) -> dict[str, float]:
        """Measure what is monitored, each set of examples once."""
        seen: dict[int, tuple[float, float]] = {}
        for examples in self.monitors.values():
            if id(examples) not in seen:
                seen[id(examples)] = self.network._measure(examples)
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
    names = data.items(names, rule)
    measured = {} if test is None else {"accuracy": test}
    for name in names:
        if not isinstance(name, str) or name not in MONITORS:
            raise ValueError(f"{rule}, got {data.shown(name)}")
        examples = training if name.startswith("training") else evaluation
        if examples is None:
            raise ValueError(f"monitor {name!r} needs evaluation_data, got None")
        measured[name] = examples
    return measured


def is_true(answer: object) -> bool:
    """Tell a plain True from whatever else a function may happen to return."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)

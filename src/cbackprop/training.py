"""One call of SGD: prepared, that is checked; then run, chunk of mini-batches by chunk."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np

from cbackprop import (
    _check,
    _words,
    checkpoints,
    default_eta,
    held_out,
    metrics,
    mpi,
    optimizers,
    schedules,
    storage,
    thread_choice,
)
from cbackprop._endings import StopTraining
from cbackprop.callbacks import Callback, collected
from cbackprop.checkpoints import Position
from cbackprop.diagnosis import Diagnosis
from cbackprop.engine import Snapshot
from cbackprop.history import MEASURED, History, in_order
from cbackprop.model import Model
from cbackprop.monitors import Monitors, monitors
from cbackprop.mpi.single_process import SingleProcess
from cbackprop.sources import Examples

CHUNK_SECONDS = 0.03  # how long the core keeps the interpreter waiting
FIRST_CHUNK = 3e7  # weights times examples: a few milliseconds


def prepare(
    network: Model, *args: Any, comm: Any = None, average_every: Any = None,
    reduce_dtype: Any = None, **given: Any,
) -> Training:
    """
    Check the arguments of `Network.SGD`, and return the training; nothing is changed.

    Raises
    ------
    TypeError, ValueError
        If an argument or the data is bad.
    """
    ranks = mpi.processes(comm, average_every, reduce_dtype)
    return ranks.together(lambda: _prepared(network, ranks, *args, **given))


def _prepared(
    network: Model, ranks: SingleProcess, training_data: Any, epochs: int, mini_batch_size: int,
    eta: Any = None, test_data: Any = None, *, evaluation_data: Any = None, monitor: Any = None,
    progress: Any = None, verbose: Any = False, callback: Any = None, callbacks: Any = (),
    sample_weight: Any = None, class_weight: Any = None, threads: int | None = None,
    skip_zeros: bool = False, validation_split: Any = None, shuffle: bool = True,
    resume: bool | storage.Path_ = False, **options: Any,
) -> Training:
    engine = network.engine
    ranks.check(class_weight)
    shuffle = _check.boolean("shuffle", shuffle)
    resume = checkpoints.checked_resume(resume)
    share = 0.0
    if validation_split is not None:
        share = _check.number("validation_split", validation_split, 0, 1)
    if share and evaluation_data is not None:
        raise ValueError("validation_split must be None where there is evaluation_data, "
                         f"got {share:g}")
    given = engine.examples(  # what is not finite shows in training; in what is held out, nowhere
        training_data, "training_data", share > 0, engine.target_values.trained, sample_weight,
        class_weight, skip_zeros)
    split = held_out.Split(given, share, shuffle) if share else None
    examples = split.training if split else given
    epochs = _check.integer("epochs", epochs, 0)
    m = _check.integer("mini_batch_size", mini_batch_size, 1, ranks.total_rows(len(examples)))
    settings = optimizers.training_options(len(network.sizes) - 1, **options)
    chosen = ranks.from_rank_0(lambda: None if eta is not None else default_eta.for_training(
        engine, examples, settings.optimizer, m))
    eta = schedules.schedule(chosen if eta is None else eta)
    measured = engine.target_values.measured
    evaluation = None if evaluation_data is None else engine.examples(
        evaluation_data, "evaluation_data", admit=measured)
    test = None if test_data is None else engine.examples(test_data, "test_data", admit=measured)
    kind = metrics.kind_for(engine, examples, network.trained_on if not network.history else None,
                            ranks.merged)
    metrics.check_class_weight(class_weight, kind)
    training = Training(
        network, examples, epochs, m, eta, settings,
        monitors=monitors(
            monitor, engine, kind, examples, split.held_out if split else evaluation, test),
        kind=kind,
        callbacks=ranks.callbacks([
            *collected(callbacks, callback, progress, verbose), Diagnosis(given, epochs)]),
        threads=engine.threads if threads is None else thread_choice.checked(threads),
        order=None if shuffle else itertools.repeat(examples.order(None, m)).__next__,
        split=split, resume=resume,
        others={"shuffle": shuffle, "validation_split": share, "skip_zeros": skip_zeros,
                "compute_dtype": network.compute_dtype},
        given=given, ranks=ranks)
    if callback is not None:
        _words.warn("callback is deprecated, and will be removed in the next version: "
                    "callbacks=[f] takes the same function", DeprecationWarning)
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
        The optimizer and the regularisation.
    monitors : dict
        The metric and its examples, for each name of an entry of the history.
    kind : Kind, optional
        The kind of the targets. The network remembers it.
    callbacks : sequence of Callback
    threads : int, optional
        The most threads, as `Network` takes it.
    order : callable, optional
        Returns the order of the next epoch. By default it is the examples' own, for a seed that the
        network's generator draws.
    by_weight : float, optional
        If given, a step divides by the weight of its mini-batch, and not by its length. The cost of
        a mini-batch then includes this number times the squares of all w.
    split : Split, optional
        The split whose training part the examples are.
    resume : bool, str or path-like
        Whether the training continues the network's history and its steps; or the checkpoint from
        which it goes on.
    others : dict, optional
        Other arguments of SGD that a checkpoint has to have in common.
    given : Examples, optional
        All examples, before the split.
    ranks : SingleProcess or Ranks, optional
        What is common to all processes that train the network; by default there is one.

    Raises
    ------
    ValueError
        If that history has other entries, or the checkpoint is of another training.
    OSError
        If the checkpoint cannot be read, or there is none and none will be written.
    """

    def __init__(
        self, network: Model, examples: Examples, epochs: int, mini_batch_size: int,
        eta: schedules.Schedule, options: optimizers.TrainingOptions, *,
        monitors: Monitors | None = None, kind: metrics.Kind | None = None,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None, order: Callable[[], Any] | None = None,
        by_weight: float | None = None, split: held_out.Split | None = None,
        resume: bool | storage.Path_ = False, others: Mapping[str, Any] | None = None,
        given: Examples | None = None, ranks: SingleProcess | None = None,
    ) -> None:
        self.ranks = ranks or SingleProcess()
        self.n = self.ranks.total_rows(len(examples))
        self.network, self.engine = network, network.engine
        self.examples, self.epochs, self.m = examples, epochs, mini_batch_size
        self.eta, self.options, self.threads = eta, options, threads
        self.monitors, self.kind, self.callbacks = monitors or {}, kind, list(callbacks)
        self.order, self.by_weight, self.split = order, by_weight, split
        self.steps = -(-self.n // self.m)  # of an epoch
        self.others = dict(others or {})
        self.given = examples if given is None else given
        self.resume, before = resume is True, network.history
        self.checkpoint: checkpoints.Point | None = None
        if not isinstance(resume, bool):
            self.checkpoint = self.ranks.from_rank_0(lambda: checkpoints.read(
                resume, network, self.shared) if checkpoints.is_begun(resume, self.callbacks)
                else None)
        if self.resume and before is not None and before.recorded != self.recorded():
            raise ValueError(f"resume must find in network.history the entries that are recorded, "
                             f"{list(self.recorded())}, got {list(before.recorded)}")

    def run(self) -> History:
        """
        Train for all epochs, or until something stops the training.

        Raises
        ------
        DivergenceError
            If NaN or infinity arises; the parameters from before that epoch are kept.
        RuntimeError
            If another training of this network is running.
        """
        return self.ranks.together(self._run)

    def _run(self) -> History:
        with self.engine.exclusive():
            self.ranks.agree(self)
            self.tuner = self.engine.tuner(self.ranks.own_rows(self.m))
            # Steps that take about CHUNK_SECONDS: a guess on the safe side, until they are timed.
            work = self.engine.core.parameters.size * self.m
            self.chunk = max(1, int(FIRST_CHUNK / work))
            self.saved: Snapshot | None = None  # from before the epoch
            point, self.checkpoint = self.checkpoint, None
            self.history = history = self.go_on(point) if point else self.first_history()
            with suppress(StopTraining), self.ranks.running(self.engine), ExitStack() as ends:
                self.ranks.together(lambda: self.train_epochs(ends, point))
            return history

    def train_epochs(self, ends: ExitStack, point: checkpoints.Point | None) -> None:
        """Train for all epochs that are left; `ends` has what follows, however that goes."""
        self.enter(ends)
        if point:
            self.callbacks_go_on(self.ranks.callbacks(point.callbacks))
        for epoch in range(0 if self.stopped else self.history.epochs - len(self.history)):
            self.epoch(first=epoch == 0)
            self.call([callback.on_epoch_end for callback in self.callbacks])
            self.ranks.synchronize(self.engine)

    def enter(self, ends: ExitStack) -> None:
        """Begin with what the callbacks do first; `ends` calls what they do last."""
        ends.callback(self.leave, self.network.trained_on)
        self.network.trained_on = self.kind or self.network.trained_on
        for callback in self.callbacks:
            callback.asked, callback.training_state = self.asked, self.state
            callback.on_train_begin(self.network, self.history)
            ends.callback(callback.on_train_end, self.network, self.history)

    def first_history(self) -> History:
        """Return the history that the training fills from its beginning: new, or the network's."""
        self.position, self.stopped = Position(), False
        history = (self.resume and self.network.history) or History(
            metrics={name: [] for name in self.monitors if name not in MEASURED},
            minimized=tuple(name for name, (metric, _) in self.monitors.items()
                            if not metric.maximize))
        history.recorded, history.epochs = self.recorded(), len(history) + self.epochs
        history.rows, history.mini_batch_size = self.n, self.m
        return history

    def go_on(self, point: checkpoints.Point) -> History:
        """Go to where a checkpoint was written, and return the history of that moment."""
        self.engine.take_over(point.network.engine)
        self.position, self.stopped = point.position, point.stopped
        if point.history:
            self.network.history, self.network.trained_on = point.history, point.network.trained_on
        return point.history

    def callbacks_go_on(self, kept: Sequence[Any]) -> None:
        """Give the callbacks what the checkpoint keeps of them."""
        for callback, state in zip(checkpoints.stateful(self.callbacks), kept, strict=True):
            callback.from_checkpoint(self.network, state)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds besides the network and the history."""
        return checkpoints.written(
            self.network, self.position, self.stopped, self.callbacks, self.shared)

    @functools.cached_property
    def shared(self) -> dict[str, Any]:
        """The arguments that a training from a checkpoint of this one must share."""
        arguments = self.asked() | self.others | self.ranks.shared | {
            "entries of the history": self.recorded()}
        return checkpoints.asked(arguments, self.callbacks, self.given)

    def leave(self, trained_on: metrics.Kind | None) -> None:
        """Restore what the network remembered before, if no epoch was completed; end the reader."""
        if not self.history:
            self.network.trained_on = trained_on
        self.examples.close()

    def recorded(self) -> tuple[str, ...]:
        """Return the entries of the history that are filled."""
        return in_order(["eta", "cost", "seconds", "rows_per_second", *self.monitors])

    def asked(self) -> dict[str, Any]:
        """Return the arguments of the training, by their names in SGD."""
        constant = isinstance(self.eta, schedules.Constant)
        return {"epochs": self.epochs, "mini_batch_size": self.m, "rows": self.n,
                "eta": self.eta.eta if constant else self.eta, **self.options.asked()}

    def begin(self, eta: float) -> None:
        """Draw the seed and the split, once in a training, and set up the optimizer."""
        history = self.history
        if self.split or self.options.noisy:
            if history.seed is None:
                history.seed = self.engine.seed()
            if self.split:
                self.split.draw(history.seed)
        self.engine.prepare(
            self.options, self.n, eta, self.by_weight, history.seed)

    def epoch(self, first: bool) -> None:
        """Train one epoch, chunk by chunk, and add it to the history."""
        engine, ranks = self.engine, self.ranks
        for callback in self.callbacks:
            callback.on_epoch_begin(self.network, self.history)
        ranks.synchronize(engine)
        step, start = self.history.steps, time.perf_counter()
        etas = ranks.from_rank_0(
            lambda: schedules.rates(self.eta.watch(self.history), step, self.steps))
        if first:
            self.begin(float(etas[0]))
        saved = self.saved = engine.snapshot(self.saved)
        at = self.position  # the epoch's beginning, or where a checkpoint was written
        costs, done, seed = at.costs, at.done, at.seed
        if self.order is None and seed is None:
            seed = engine.seed()
        order = (ranks.order(self.examples, seed, self.m) if self.order is None
                 else self.order())
        seconds = at.seconds + time.perf_counter() - start
        while done < self.steps:
            before = time.perf_counter()
            until = ranks.from_rank_0(functools.partial(self.until, step + done)) - step
            team = self.tuner.threads(self.threads)
            try:
                rows, asked, until, costs = ranks.train(
                    self, order, etas, done, until, costs, team)
                if not math.isfinite(sum(costs)) or (
                        until == self.steps and not engine.core.all_finite()):
                    self.examples.look_again()
                    raise engine.diverged(f"training diverged in epoch {len(self.history) + 1}",
                                          etas[until - 1], rows)
            except Exception:
                engine.restore(saved)
                raise
            took = time.perf_counter() - before
            self.tuner.record(team, until - done, took - ranks.waited, until < asked)
            fits = (until - done) * CHUNK_SECONDS / max(took, 1e-9)
            self.chunk = max(1, int(min(8 * self.chunk, fits)))
            seconds, done = seconds + took, until
            self.position = Position(seed, done, costs, seconds)
            self.call([callback.on_batches for callback in self.callbacks
                       if (step + done) % (callback.every or 1) == 0], step + done)
        for callback in self.callbacks:
            callback.on_measure(self.network, self.history)
        ranks.synchronize(engine)
        self.record([sum(costs)], float(etas[-1]), ranks.from_rank_0(lambda: seconds))

    def record(self, costs: Sequence[float], eta: float, seconds: float) -> None:
        """
        Add epochs to the history: the sum of costs, the last learning rate and the time of each.

        If anything is monitored, there is one epoch.
        """
        n, epochs = self.n, len(costs)
        self.history.add(
            cost=[cost / n for cost in costs], eta=[eta] * epochs, seconds=[seconds] * epochs,
            rows_per_second=[n / seconds] * epochs,
            **{name: [value] for name, value in self.monitored().items()})
        self.history.steps += self.steps * epochs
        self.position = Position()
        self.network.history = self.history

    def until(self, step: int) -> int:
        """Return the step at which a chunk from `step` ends."""
        room = max(1, self.examples.most // self.m)
        ends = [step + min(self.chunk, room), self.history.steps + self.steps]
        return min(ends + [(step // c.every + 1) * c.every for c in self.callbacks if c.every])

    def monitored(self) -> dict[str, float]:
        """Return the monitored metrics; each set of examples is read once."""
        if not self.monitors:
            return {}
        asked: dict[int, list[metrics.Metric]] = {}
        for metric, examples in self.monitors.values():
            asked.setdefault(id(examples), []).append(metric)
        sets = {id(examples): examples for _, examples in self.monitors.values()}
        kind = self.kind or metrics.Kind(metrics.CLASSES)
        found = {which: metrics.measure(
            self.engine, sets[which], asked[which], kind, self.ranks.merged) for which in sets}
        return {name: found[id(examples)][metric]
                for name, (metric, examples) in self.monitors.items()}

    def call(self, methods: list[Callable[..., object]], *step: int) -> None:
        """Call all methods, and then stop the training if one of them says so."""
        for method in methods:
            try:
                self.stopped |= is_true(method(self.network, self.history, *step))
            except StopTraining:
                self.stopped = True
        if self.stopped:
            raise StopTraining


def is_true(answer: object) -> bool:
    """Tell a plain True from whatever else a function may happen to return."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)

"""Trainings of equal networks in lockstep: each network is a lane of the core's vectors."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import arrays, layers, schedules, thread_choice
from cbackprop._endings import DivergenceError, StopTraining
from cbackprop.callbacks import Callback
from cbackprop.diagnosis import Diagnosis
from cbackprop.history import History
from cbackprop.model import Model
from cbackprop.mpi.alone import Alone
from cbackprop.optimizer_state import OptimizerState
from cbackprop.sources import ArrayExamples, SelectedExamples
from cbackprop.training import Training

CALL_SECONDS = 0.3  # about how long one call of the core may take, in epochs
MOST_BYTES = 2**24  # of x; networks that are small enough for lanes have no more
# A step of a full group takes that of one network times its lanes times this times log2(weights):
# docs/ensembles.md has the measurements.
SHARE_OF_SINGLE = 0.06
BY_EPOCH = ("on_epoch_begin", "on_measure", "on_epoch_end")

Outcome = History | DivergenceError


def obstacle(network: Model) -> str | None:
    """Return what keeps a network from being a lane, or None."""
    engine = network.engine
    if layers.has_own(engine.cost, engine.activations):
        return "an activation or a cost of the user's own"
    return None


def obstacle_in_training(training: Training) -> str | None:
    """Return what a training asks for that lanes cannot do, or None."""
    options, examples = training.options, training.examples
    whole = examples.of if isinstance(examples, SelectedExamples) else examples
    if not isinstance(whole, ArrayExamples) or arrays.is_sparse(whole.rows.x):
        return "examples that are not in dense arrays"
    if whole.rows.skips_zeros:
        return "skip_zeros"
    if set(options.eta_factors) != {1.0}:
        return "eta_factors"
    if any(options.nonnegative):
        return "nonnegative"
    if type(training.ranks) is not Alone:
        return "comm"
    if training.by_weight is not None or training.checkpoint is not None:
        return "a training that goes on from a checkpoint"
    if any(each.every is not None or overrides(each, "on_batches") for each in training.callbacks):
        return "callbacks that are called during an epoch, such as progress"
    return obstacle(training.network)


def overrides(callback: Callback, method: str) -> bool:
    """Return whether a callback has this method of its own."""
    return getattr(type(callback), method) is not getattr(Callback, method)


def kind(network: Model) -> tuple[Any, ...]:
    """Return what networks must have in common to be lanes of the same vectors."""
    engine = network.engine
    return (network.sizes, repr(engine.activations), repr(engine.cost), engine.dtype,
            np.asarray(engine.input_scale).tobytes(), engine.biased)


def kind_of_training(training: Training) -> tuple[Any, ...]:
    """Return what trainings must have in common, beside their rows."""
    return (*kind(training.network), training.m, len(training.examples),
            training.options.optimizer.NAME, whole(training).weights is None,
            training.order is None)


def whole(training: Training) -> ArrayExamples:
    """Return all examples, from which each training may select its own."""
    examples = training.examples
    found: Any = examples.of if isinstance(examples, SelectedExamples) else examples
    return found


def same_rows(one: Training, other: Training) -> bool:
    """Return whether two trainings read the same x and y."""
    a, b = whole(one), whole(other)
    return _same(a.rows.x, b.rows.x) and _same(a.targets.y, b.targets.y)


def _number(numbered: tuple[int, Training]) -> int:
    return numbered[0]


def share_rows(training: Training, other: Training) -> None:
    """Let a training read another's rows, which are equal; its weights stay its own."""
    own, others = whole(training), whole(other)
    own.rows = others.rows
    if own.weights is None:
        own.targets = others.targets


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b))


def worthwhile(trainings: Sequence[Training], threads: int) -> int:
    """
    Return how many of these trainings, of one kind, to run as lanes, where that is quicker.

    That is none, those that fill groups, or all. The others take a thread each.
    """
    first, n = trainings[0], len(trainings)
    width = first.engine.build.group_size()
    sizes = first.network.sizes
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    group = max(1.0, width * SHARE_OF_SINGLE * math.log2(weights + 1))

    def duration(taken: int) -> float:
        groups, singles = math.ceil(taken / width), n - taken
        return math.ceil(groups / threads) * group + math.ceil(singles / threads)

    return min((0, n - n % width, n), key=duration)


class Kinds:
    """Trainings that may become lanes, by their kinds and rows."""

    def __init__(self) -> None:
        self._found: list[list[tuple[int, Training]]] = []
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget them all."""
        self._found.clear()

    def __iter__(self) -> Iterator[list[tuple[int, Training]]]:
        """Yield the numbered trainings of each kind; both are in the order of the numbers."""
        return iter(sorted((sorted(kind, key=_number) for kind in self._found),
                           key=lambda kind: _number(kind[0])))

    def add(self, number: int, training: Training) -> None:
        """Keep a training, unless it has an obstacle; equal data is kept once."""
        if obstacle_in_training(training) or whole(training).rows.x.nbytes > MOST_BYTES:
            return
        with self._lock:
            for kind in self._found:
                first = kind[0][1]
                if kind_of_training(first) == kind_of_training(training) and same_rows(
                        first, training):
                    share_rows(training, first)
                    kind.append((number, training))
                    return
            self._found.append([(number, training)])


def run(
    trainings: Sequence[Training], threads: int | None = None, same_order: bool = False
) -> list[Outcome]:
    """
    Train networks of one `kind_of_training` on the same rows.

    Each gets the result of its own `run`, to rounding: its order of examples, its dropout, its
    history. A network that diverges or stops does not keep the others.

    Parameters
    ----------
    trainings : list of Training
        None has an `obstacle_in_training`.
    threads : int, optional
        The most threads. Each trains a group of networks at a time.
    same_order : bool
        Whether all networks see the rows in the order of the first one.

    Returns
    -------
    list of History or DivergenceError

    Raises
    ------
    RuntimeError
        If another training of one of the networks is running.
    Exception
        The error of a callback; all trainings end.
    """
    with ExitStack() as ends:
        for training in trainings:
            ends.enter_context(training.engine.exclusive())
        ends.enter_context(thread_choice.running())
        return _Lockstep(trainings, threads, same_order).run(ends)


def _indices(chosen: NDArray[Any]) -> list[int]:
    found: list[int] = np.flatnonzero(chosen).tolist()
    return found


class _Lockstep:
    """Trainings, and the state that they share."""

    def __init__(
        self, trainings: Sequence[Training], threads: int | None, same_order: bool
    ) -> None:
        self.trainings, self.same_order = trainings, same_order
        self.threads = thread_choice.most(threads)
        first = trainings[0]
        self.engines = [training.engine for training in trainings]
        self.lanes = first.engine.build.Lanes([engine.core for engine in self.engines])
        self.m, self.n, self.steps = first.m, len(first.examples), first.steps
        rows, targets = whole(first).rows, whole(first).targets
        self.examples = self.lanes.examples(rows, targets)
        self.weights = [whole(training).weights for training in trainings]
        self.active = np.ones(len(trainings), np.uint8)
        self.outcomes: list[Any] = [None] * len(trainings)
        self.states: list[Any] = []

    def run(self, ends: ExitStack) -> list[Outcome]:
        for at, training in enumerate(self.trainings):
            self.outcomes[at] = training.history = training.first_history()
            training.enter(ends)
            self.active[at] = self.left(at) > 0
        seconds = 0.0
        while self.active.any():
            epochs = self.epochs(seconds)
            start = time.perf_counter()
            costs, etas, before = self.train(epochs)
            seconds = (time.perf_counter() - start) / epochs
            share = seconds / len(self.trainings)
            for at in _indices(before):
                self.settle(at, costs[:, at].tolist(), float(etas[at, -1]), share)
        return self.outcomes

    def left(self, at: int) -> int:
        """Return the number of epochs that a training has before it."""
        history = self.trainings[at].history
        return history.epochs - len(history)

    def epochs(self, seconds: float) -> int:
        """Return the number of epochs of the next call of the core."""
        ongoing = [self.trainings[at] for at in _indices(self.active)]
        if any(self.looks(training) for training in ongoing):
            return 1
        left = min(self.left(at) for at in _indices(self.active))
        return min(left, max(1, int(CALL_SECONDS / seconds))) if seconds else 1

    def looks(self, training: Training) -> bool:
        """Return whether something of a training needs to be asked after each epoch."""
        if training.monitors or not isinstance(training.eta, schedules.Constant) or training.order:
            return True
        return any(overrides(each, method) for each in training.callbacks
                   if not isinstance(each, Diagnosis) for method in BY_EPOCH)

    def train(self, epochs: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Train all active networks; return costs, learning rates, and which were active."""
        before = self.active.copy()
        etas = np.zeros((len(self.trainings), self.steps))
        seeds = np.zeros((epochs, len(self.trainings)), np.uint64)
        begins = not self.states
        for at in _indices(before):
            training = self.trainings[at]
            for callback in training.callbacks:
                callback.on_epoch_begin(training.network, training.history)
            etas[at] = schedules.rates(
                training.eta.watch(training.history), training.history.steps, self.steps)
            if begins:
                training.begin(float(etas[at, 0]))
        if begins:
            self.states = [self.state(training, float(eta[0]))
                           for training, eta in zip(self.trainings, etas, strict=True)]
        orders: list[Any] = [None] * len(self.trainings)
        random = [engine.random.bit_generator.state for engine in self.engines]
        try:
            for at in _indices(before):
                order = self.trainings[at].order
                if order is None:
                    seeds[:, at] = self.engines[at].random.integers(
                        2**64, dtype=np.uint64, size=epochs)
                else:
                    orders[at] = order()
            shuffled = self.trainings[0].order is None
            numbers = self.numbers(orders, shuffled)
            costs = self.lanes.sgd(
                self.examples, [state.in_core for state in self.states], etas,
                seeds if shuffled else None, numbers, self.weights, self.active, self.m, epochs,
                self.same_order and numbers is None, self.threads)
        except BaseException:
            for engine, state in zip(self.engines, random, strict=True):
                engine.random.bit_generator.state = state
            raise
        for at in _indices(before & ~self.active):  # as `Training` restores it
            self.engines[at].random.bit_generator.state = random[at]
            done = np.isfinite(costs[:, at]).sum()
            if self.trainings[at].order is None:
                self.engines[at].random.integers(2**64, dtype=np.uint64, size=done)
        return costs, etas, before

    def state(self, training: Training, eta: float) -> OptimizerState:
        """Return the optimizer's state; plain descent has one for this training alone."""
        engine = training.engine
        if engine.optimizer_state is not None:
            return engine.optimizer_state
        state = OptimizerState(engine.build, engine.core, training.options.optimizer.NAME)
        state.set(training.options, self.n, eta, training.history.seed or 0)
        return state

    def numbers(self, orders: list[Any], shuffled: bool) -> NDArray[np.int32] | None:
        """Return the rows that are each network's examples, or None if all are everyone's."""
        selected = [training.examples.numbers if isinstance(training.examples, SelectedExamples)
                    else None for training in self.trainings]
        if shuffled and all(each is None for each in selected):
            return None
        every = np.arange(self.n)
        return np.array([
            (every if own is None else own)[every if order is None else order]
            for own, order in zip(selected, orders, strict=True)], np.int32)

    def settle(self, at: int, costs: Iterable[float], eta: float, seconds: float) -> None:
        """Record the epochs of one network, and ask its callbacks whether to go on."""
        training = self.trainings[at]
        measure, end = ([getattr(each, method) for each in training.callbacks
                         if overrides(each, method)] for method in ("on_measure", "on_epoch_end"))
        for cost in costs:
            if not math.isfinite(cost):
                self.outcomes[at] = training.engine.diverged(
                    f"training diverged in epoch {len(training.history) + 1}", eta,
                    whole(training).rows)
                return
            for method in measure:
                method(training.network, training.history)
            training.record(cost, eta, seconds)
            try:
                training.call(end)
            except StopTraining:
                self.active[at] = 0
                return
        self.active[at] &= self.left(at) > 0

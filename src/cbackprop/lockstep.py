"""Trainings of equal networks in lockstep: each network is a lane of the core's vectors."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import schedules, thread_choice
from cbackprop._endings import DivergenceError, StopTraining
from cbackprop.diagnosis import Diagnosis
from cbackprop.history import History
from cbackprop.lanes import all_examples, overrides
from cbackprop.optimizer_state import OptimizerState
from cbackprop.sources import SelectedExamples
from cbackprop.training import Training

CALL_SECONDS = 0.3  # about how long one call of the core may take, in epochs
BY_EPOCH = ("on_epoch_begin", "on_measure", "on_epoch_end")

Outcome = History | DivergenceError


def run(
    trainings: Sequence[Training], threads: int | None = None, same_order: bool = False
) -> list[Outcome]:
    """
    Train networks of one `training_structure` on the same rows.

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
        rows, targets = all_examples(first).rows, all_examples(first).targets
        self.examples = self.lanes.examples(rows, targets)
        self.weights = [all_examples(training).weights for training in trainings]
        self.active = np.ones(len(trainings), np.uint8)
        self.outcomes: list[Any] = [None] * len(trainings)
        self.states: list[Any] = []

    def run(self, ends: ExitStack) -> list[Outcome]:
        for at, training in enumerate(self.trainings):
            self.outcomes[at] = training.history = training.first_history()
            training.enter(ends)
            self.active[at] = self.epochs_left(at) > 0
        seconds = 0.0
        while self.active.any():
            epochs = self.epochs(seconds)
            start = time.perf_counter()
            costs, etas, before = self.train(epochs)
            seconds = (time.perf_counter() - start) / epochs
            share = seconds / len(self.trainings)
            for at in _indices(before):
                self.record(at, costs[:, at].tolist(), float(etas[at, -1]), share)
        return self.outcomes

    def epochs_left(self, at: int) -> int:
        """Return the number of epochs that a training has before it."""
        history = self.trainings[at].history
        return history.epochs - len(history)

    def epochs(self, seconds: float) -> int:
        """Return the number of epochs of the next call of the core."""
        ongoing = [self.trainings[at] for at in _indices(self.active)]
        if any(self.is_watched(training) for training in ongoing):
            return 1
        left = min(self.epochs_left(at) for at in _indices(self.active))
        return min(left, max(1, int(CALL_SECONDS / seconds))) if seconds else 1

    def is_watched(self, training: Training) -> bool:
        """Return whether something has to see a training after each epoch."""
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

    def record(self, at: int, costs: Sequence[float], eta: float, seconds: float) -> None:
        """Record the epochs of one network, and ask its callbacks whether to go on."""
        training = self.trainings[at]
        done = next((epoch for epoch, cost in enumerate(costs) if not math.isfinite(cost)),
                    len(costs))
        if done:  # if a callback has to see each epoch, it is one
            measure, end = ([getattr(each, method) for each in training.callbacks
                             if overrides(each, method)]
                            for method in ("on_measure", "on_epoch_end"))
            for method in measure:
                method(training.network, training.history)
            training.record(costs[:done], eta, seconds)
            try:
                training.call(end)
            except StopTraining:
                self.active[at] = 0
                return
        if done < len(costs):
            self.outcomes[at] = training.engine.diverged(
                f"training diverged in epoch {len(training.history) + 1}", eta,
                all_examples(training).rows)
            return
        self.active[at] &= self.epochs_left(at) > 0

"""The ranks of a communicator that train one network: what they agree on, and how they step."""

from __future__ import annotations

import functools
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, thread_choice
from cbackprop._endings import sendable
from cbackprop.mpi import communicator, endings, messages
from cbackprop.mpi.exchange import SUMS, Exchange, Stopped
from cbackprop.mpi.shares import Deal, share
from cbackprop.mpi.single_process import SingleProcess
from cbackprop.optimizer_state import OptimizerState
from cbackprop.parameters import blocks

T = TypeVar("T")

PIECE_BYTES = 2**18  # of a gradient whose sum is started on its own: fewer cost a latency each
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio: seeds that differ by it are unrelated


class Ranks(SingleProcess):
    """
    The ranks of a communicator.

    What they tell each other between steps goes through `_gather`, where each says what it has, or
    which error. A rank whose work fails goes there at once, through `together`, and so reaches the
    others wherever they are: they raise the same error.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    average_every : int, optional
        How many steps each rank takes by itself before parameters are averaged. By default, the
        ranks take each step together.
    reduce_dtype : {"bfloat16"}, optional
        The type in which gradients travel; by default, the parameters' own.

    Raises
    ------
    TypeError, ValueError
        If an argument is bad.
    """

    def __init__(self, comm: Any, average_every: Any = None, reduce_dtype: Any = None) -> None:
        self._comm, self._sharing = communicator.duplicated(comm)
        self.rank, self.size = self._comm.rank, self._comm.size
        self._interrupts = endings.Interrupts()
        self.together(lambda: self._set(average_every, reduce_dtype))

    def _set(self, average_every: Any, reduce_dtype: Any) -> None:
        self.average_every = average_every
        if average_every is not None:
            self.average_every = _check.integer("average_every", average_every, 1)
        if reduce_dtype not in SUMS:
            raise ValueError(f"reduce_dtype must be one of {list(SUMS)}, "
                             f"got {_check.shown(reduce_dtype)}")
        if average_every is not None and reduce_dtype is not None:
            raise ValueError(f"reduce_dtype must be None with average_every, for no gradients "
                             f"travel, got {reduce_dtype!r}")
        self.reduce_dtype = reduce_dtype

    # ---- what all say to each other ----

    def _gather(
        self, what: str, value: Any = None, error: BaseException | None = None
    ) -> list[Any]:
        """
        Return the values of all ranks.

        Raises
        ------
        BaseException
            If a rank has an error, or was interrupted: the error, on all ranks.
        """
        error = error or self._interrupts.error()
        said = messages.gathered(
            self._comm, (what, value, None if error is None else sendable(error)))
        errors = {rank: theirs for rank, (_, _, theirs) in enumerate(said) if theirs is not None}
        if errors:
            raise endings.common(errors, self.rank, self.size, error) from None
        names = [name for name, _, _ in said]
        for rank, name in enumerate(names):
            if name != names[0]:
                raise endings.of_all_ranks(ValueError(
                    f"all ranks must call SGD alike, got {names[0]} on rank 0 and {name} on rank "
                    f"{rank}"), self.rank)
        return [theirs for _, theirs, _ in said]

    def together(self, work: Callable[[], T]) -> T:
        """Do some work on all ranks. What one of them raises, all raise."""
        with self._interrupts:
            try:
                result = work()
            except BaseException as error:
                if not endings.is_of_all_ranks(error):
                    self._gather("an error", error=error)
                raise
            self._gather("an end")
        return result

    def from_rank_0(self, work: Callable[[], T]) -> T:
        """Do some work on rank 0, and return its result on all ranks."""
        result: T = self._gather("a result", work() if self.rank == 0 else None)[0]
        return result

    def merged(self, value: T, merge: Callable[[T, T], T]) -> T:
        """Return the values of all ranks, merged in their order."""
        return functools.reduce(merge, self._gather("a measurement", value))

    def share(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return this rank's part of rows that all ranks have."""
        return share(rows, self.rank, self.size) if len(rows) else rows

    def total_rows(self, n: int) -> int:
        """Return how many rows all ranks have, if this one has n."""
        rows = self._gather("the number of rows", n)
        self.shared = {"rows of each rank": rows, "average_every": self.average_every,
                       "reduce_dtype": self.reduce_dtype}
        return sum(rows)

    def callbacks(self, found: list[Any]) -> list[Any]:
        """
        Return the callbacks that this rank calls: rank 0 calls all.

        Raises
        ------
        ValueError
            If one is to be called between two averages.
        """
        for one in found:
            every = getattr(one, "every", None)
            if self.average_every is not None and (every or 0) % self.average_every:
                raise ValueError(f"every of {type(one).__name__} must be a multiple of "
                                 f"average_every = {self.average_every}, got {every}")
        return found if self.rank == 0 else []

    def check(self, class_weight: Any) -> None:
        """
        Check the arguments that only one process can take.

        Raises
        ------
        ValueError
            If class_weight would have to count the rows of all ranks.
        """
        if isinstance(class_weight, str):
            raise ValueError(f"class_weight must be a dict of labels with comm, got "
                             f"{class_weight!r}, which would count the rows of one rank")

    # ---- before training ----

    def agree(self, training: Any) -> None:
        """
        See that all ranks train alike, deal the rows, and begin where rank 0 is.

        Raises
        ------
        ValueError
            If an argument differs; the error names it, and the ranks. If the optimizer is lazy, and
            the ranks take each step together.
        """
        facts = self._gather("the arguments", self._facts(training))
        for rank, theirs in enumerate(facts):
            for name, fact in theirs.items():
                if fact != facts[0].get(name):
                    raise ValueError(f"{name} must be the same on all ranks, got "
                                     f"{facts[0].get(name)} on rank 0 and {fact} on rank {rank}")
        optimizer = training.options.optimizer
        if optimizer.lazy and self.average_every is None:  # each rank touches other rows of w
            raise ValueError("optimizer must not be lazy with comm, unless average_every is given, "
                             f"got {optimizer.name!r}")
        deal = Deal(self.shared["rows of each rank"], training.m)
        self._starts, self._before = deal.of(self.rank)
        self._ends, self._order = deal.ends, None
        self._weighted = any(self._gather("weights", _weights(training.examples) is not None))
        self._take_over(training.network)
        engine = training.network.engine
        if training.options.plain:  # of which an engine keeps no state
            self._descent = OptimizerState(engine.build, engine.core, "sgd")
            self._descent.set(training.options, int(self._ends[-1]), 1.0, 0)
        self._exchange = self._new_exchange(engine, training.options)

    def _facts(self, training: Any) -> dict[str, str]:
        asked = training.asked() | {
            "monitor": list(training.monitors), "kind of targets": training.kind,
            "resume": training.resume, "validation_split": training.split is not None,
            "average_every": self.average_every, "reduce_dtype": self.reduce_dtype}
        del asked["rows"]
        return {name: _fact(value) for name, value in (training.network.settings() | asked).items()}

    def _take_over(self, network: Any) -> None:
        """Take the parameters, random state, optimizer's state and history of rank 0."""
        engine = network.engine
        random, memory, history = self.from_rank_0(lambda: (
            engine.random, engine.optimizer_state and engine.optimizer_state.__getstate__(),
            network.history))
        self._broadcast(engine.core.parameters)
        if self.rank:
            engine.random, network.history = random, history
            engine.optimizer_state = memory and OptimizerState.of(
                engine.build, engine.core, memory)

    def _new_exchange(self, engine: Any, options: Any) -> Exchange:
        """Return the exchange of the gradient; or, to average, of parameters and state."""
        size, item = engine.core.parameters.size, engine.core.parameters.itemsize
        if self.average_every is not None:
            slots = 0 if options.plain else len(
                OptimizerState(engine.build, engine.core, options.optimizer.NAME).in_core.slots)
            pieces = [(0, (1 + slots) * size)]
        else:
            begins = [block.offset for block in blocks(engine.core) if block.kind == "weights"]
            pieces, self._layers, last = [], [], size
            for layer in range(len(begins) - 1, -1, -1):
                if layer == 0 or (last - begins[layer]) * item >= PIECE_BYTES:
                    pieces.append((begins[layer], last))
                    self._layers.append(layer)
                    last = begins[layer]
        return Exchange(self._comm, engine.build.aligned, pieces, SUMS[self.reduce_dtype])

    def synchronize(self, engine: Any) -> None:
        """Give all ranks the parameters of rank 0, where they differ."""
        parameters = engine.core.parameters
        if len(set(self._gather("a checksum", zlib.crc32(parameters)))) > 1:
            self._broadcast(parameters)

    def _broadcast(self, arena: NDArray[Any]) -> None:
        """Copy rank 0's arena to all ranks."""
        messages.wait(self._comm.Ibcast(arena, root=0).Test)

    @contextmanager
    def running(self, engine: Any) -> Iterator[None]:
        """Count the training as often as ranks share cores; all end with rank 0's parameters."""
        with thread_choice.running(self._sharing):
            try:
                yield
            finally:
                self.synchronize(engine)

    # ---- an epoch ----

    def order(self, examples: Any, seed: int | None, m: int) -> Any:
        """Return the order of this rank's rows; rank 0 has that of one process."""
        assert seed is not None  # it was drawn just before
        return examples.order((seed + self.rank * GOLDEN) % 2**64, m)

    def own_rows(self, m: int) -> int:
        """Return about how many rows of a mini-batch this rank has."""
        return -(-m // self.size)

    def train(
        self, training: Any, order: Any, etas: Any, done: int, until: int, costs: Sequence[float],
        team: int,
    ) -> tuple[Any, int, int, Sequence[float]]:
        """
        Train on this rank's rows of the mini-batches done:until.

        Returns
        -------
        rows, asked, done, costs
            As `SingleProcess.train`; all of them are done, and more, up to the next average.
        """
        if done == 0 or self._order is not order:  # an epoch, or the rest of one
            self._order, self._since = order, done
            self._divisors = self._lengths(training, order)
        if self.average_every is not None:
            step = training.history.steps + until
            until = min(training.steps, until + -step % self.average_every)
        try:
            own = costs[self.rank] if len(costs) == self.size else 0.0  # at an epoch's beginning
            rows, own = self._steps(training, order, etas, done, until, own, team)
        except BaseException as error:
            self._exchange.fail()
            self._gather("the cost", error=None if isinstance(error, Stopped) else error)
            raise
        self.waited = self._exchange.waited
        return rows, until, until, self._gather("the cost", own)

    def _lengths(self, training: Any, order: Any) -> NDArray[np.float64]:
        """Return what each mini-batch's sums are divided by: its rows, or 0 if they weigh 0."""
        lengths = np.diff(self._ends).astype(np.float64)
        if not self._weighted:
            return lengths
        totals, weights = np.diff(self._starts).astype(np.float64), _weights(training.examples)
        if weights is not None:
            totals = np.diff(np.cumsum([0.0, *weights[order]])[self._starts])
        return np.where(self.merged(totals, np.add) == 0, 0, lengths)

    def _steps(
        self, training: Any, order: Any, etas: Any, done: int, until: int, own: float, team: int
    ) -> tuple[Any, float]:
        """Take steps; return the last rows, and `own` with this rank's costs added."""
        engine, exchange = training.engine, self._exchange
        state = (engine.optimizer_state or self._descent).in_core
        epoch, k = training.history.steps, self.average_every
        averages = [] if k is None else [
            step for step in range(done + 1, until + 1)
            if (epoch + step) % k == 0 or step == training.steps]
        exchange.begin(until - done if k is None else len(averages))
        self._steps_taken = state.steps
        while done < until:
            part = self._part(engine, training.examples, order, done,
                              averages[0] if averages else until)
            rows, targets, numbers, reached = part
            while done < reached:
                starts = self._starts[done:reached + 1]
                taken, own = engine.core.sgd_together(
                    rows, targets, numbers, starts - self._starts[part.reached] + len(numbers),
                    self._before[done:reached], self._divisors[done:reached], etas[done:reached],
                    state, None if k else self._layer_done, None if k else exchange.arena, own,
                    team)
                done, team = done + taken, 1  # one thread, if a team waited too long
            if not math.isfinite(own):  # later parts would hide the rows that are the cause
                self._see_finite(engine, training.examples, rows)
            if averages and done == averages[0]:
                self._average(state, engine.core.parameters, done)
                del averages[0]
        return rows, own

    def _layer_done(self, layer: int) -> None:
        """Start the sum of a layer's gradient, or wait for all of them."""
        if layer < 0:
            self._exchange.wait()
        elif layer in self._layers:
            self._exchange.start()
        else:
            self._exchange.poll()

    def _average(self, state: Any, parameters: NDArray[Any], done: int) -> None:
        """
        Average parameters and the optimizer's state, by the rows since the last time.

        Ranks then agree on the number of steps, too: one without rows of a mini-batch took none.
        """
        since, self._since = self._since, done
        self._steps_taken += np.count_nonzero(self._divisors[since:done])
        state.steps = self._steps_taken
        share = (self._starts[done] - self._starts[since]) / (self._ends[done] - self._ends[since])
        arenas = parameters, *state.slots
        summed = self._exchange.arena.reshape(len(arenas), -1)
        for to, arena in zip(summed, arenas, strict=True):
            np.multiply(arena, arena.dtype.type(share), out=to)
        self._exchange.start()
        self._exchange.wait()
        for arena, average in zip(arenas, summed, strict=True):
            arena[...] = average

    def _part(self, engine: Any, examples: Any, order: Any, done: int, until: int) -> Part:
        """Return this rank's rows of the next mini-batches, as far as they are in memory."""
        first, last = int(self._starts[done]), int(self._starts[until])
        if first == last:
            none = np.zeros((0, engine.sizes[0]), engine.dtype)
            return Part(engine.build.Rows(none), engine.build.Targets(np.zeros(
                (0, engine.sizes[-1]), engine.dtype)), np.arange(0), until)
        rows, targets, numbers, begin, end = examples.part(order, first, last)
        end = min(end, begin + last - first)
        reached = min(until, int(np.searchsorted(
            self._starts, first + end - begin, "right")) - 1)
        if reached > done:
            end = begin + int(self._starts[reached]) - first
            return Part(rows, targets, numbers[begin:end], reached)
        # The part ends within a mini-batch: the rest is in the next one.
        rest = int(self._starts[done + 1]) - first - (end - begin)
        x, y, weights = _copied(rows, targets, numbers[begin:end])
        if not type(rows)(x).all_finite():
            self._see_finite(engine, examples, rows)
        rows, targets, numbers, begin, end = examples.part(
            order, int(self._starts[done + 1]) - rest, int(self._starts[done + 1]))
        x2, y2, weights2 = _copied(rows, targets, numbers[begin:begin + rest])
        targets = type(targets)(np.concatenate([y, y2]), None if weights is None else
                                np.concatenate([weights, weights2]))
        return Part(type(rows)(np.concatenate([x, x2])), targets, np.arange(len(x) + rest),
                    done + 1)

    @staticmethod
    def _see_finite(engine: Any, examples: Any, rows: Any) -> None:
        """Raise ValueError if x of the last part is not finite."""
        examples.look_again()
        engine.check_finite(rows, "x of training_data")


class Part(NamedTuple):
    """Rows and targets, their order, and the mini-batch before which they end."""

    rows: Any
    targets: Any
    numbers: NDArray[Any]
    reached: int


def _copied(rows: Any, targets: Any, numbers: NDArray[Any]) -> tuple[Any, Any, Any]:
    weights = targets.weights
    return rows.x[numbers], targets.y[numbers], None if weights is None else weights[numbers]


def _weights(examples: Any) -> NDArray[Any] | None:
    """Return the weights of all examples; a stream knows those of its buffers only."""
    weights: NDArray[Any] | None = getattr(examples, "weights", None)
    return weights


def _fact(value: Any) -> str:
    """Return an argument in words that are the same in all processes."""
    if isinstance(value, np.ndarray):
        checksum = zlib.crc32(np.ascontiguousarray(value).tobytes())
        return f"an array of shape {value.shape} and checksum {checksum:08x}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))

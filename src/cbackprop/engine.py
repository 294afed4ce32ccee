"""A network that can be trained: its core, and the state that a training changes or continues."""

from __future__ import annotations  # naming numpy.random would import it, for 8 ms

import copy
import functools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays, example_weights, thread_choice
from cbackprop._endings import DivergenceError
from cbackprop.arrays import Admit
from cbackprop.core import _dispatch
from cbackprop.optimizer_state import OptimizerState
from cbackprop.optimizers import TrainingOptions
from cbackprop.parameters import NAMES, Views, blocks
from cbackprop.sources import (
    ArrayExamples,
    Examples,
    RowSource,
    SparseTargets,
    StreamedExamples,
    listed,
)
from cbackprop.streams import Stream
from cbackprop.streams.examples import BufferedExamples
from cbackprop.target_values import Rule
from cbackprop.thread_choice import ThreadTuner

if TYPE_CHECKING:
    from cbackprop.core.builds._baseline_float32 import Core, Rows, Targets

Snapshot = tuple[NDArray[Any], Any, Any]


class Engine:
    """
    Trains and evaluates a `Network`. Its arguments have been checked.

    Parameters
    ----------
    sizes : tuple of int
    activations : list
        One for each layer of weights, as the core takes them.
    cost : str, tuple or Cost
    dtype : str
        The type of the parameters and sums.
    compute_dtype : str
        The type that products multiply.
    input_scale : float or array
    biased : tuple of bool
        Whether each layer of weights has biases.
    random : numpy.random.Generator
        It draws initial parameters, orders and seeds.
    threads : int or None
        The most threads to use.

    Attributes
    ----------
    build : module
        The build of the core for `compute_dtype`.
    core : Core
    blocks : tuple of Block
        All parameters: the weights of every layer, then the biases of those that have any.
    weights, biases : Views
    target_values : Rule
        The rule for targets.
    optimizer_state : OptimizerState or None
        The state that an optimizer keeps from one training to the next.
    unseen_seconds : float
        The training time since the last checks of `Diagnosis`; infinite before the first.
    look_seconds : float
        The time that these checks took.
    as_arrays : callable (data, name), optional
        Returns a data set with arrays for its tables and classes. Networks that know these set it.
    """

    def __init__(
        self, sizes: tuple[int, ...], activations: list[Any], cost: Any, dtype: str,
        compute_dtype: str, input_scale: float | NDArray[Any], biased: tuple[bool, ...],
        random: np.random.Generator, threads: int | None,
    ) -> None:
        self.sizes, self.activations, self.cost = sizes, activations, cost
        self.dtype, self.compute_dtype, self.input_scale = dtype, compute_dtype, input_scale
        self.biased = biased
        self.target_values = Rule(cost, activations[-1])
        self.build = _dispatch.load(compute_dtype)
        self.random = random
        self.optimizer_state: OptimizerState | None = None
        self.as_arrays: Callable[[Any, str], Any] | None = None
        self._set_up()
        self.threads = threads
        self.unseen_seconds, self.look_seconds = math.inf, 0.0

    def _set_up(self) -> None:
        """Make a core, which is not being trained."""
        self.core: Core = self.build.Core(
            self.sizes, self.activations, self.cost, self.input_scale, self.biased)
        self.blocks = blocks(self.core)
        weights, biases = self.core.views(self.core.parameters)
        for b, has_any in zip(biases, self.biased, strict=True):
            b.flags.writeable = has_any
        self.weights, self.biases = map(Views, NAMES, (weights, biases))
        self._in_training = threading.Lock()
        self._trained_by: int | None = None  # the number of a thread

    def successor(self) -> Engine:
        """
        Return an engine with parameters of its own, all zero, which takes over all other state.

        This takes a tenth of the time of a new engine, whose settings would be checked again.
        """
        made = copy.copy(self)
        made._set_up()
        made.core.threads_for = self.core.threads_for
        self.optimizer_state = None
        if made.optimizer_state is not None:
            made.optimizer_state.follow(made.core)
        return made

    @property
    def threads(self) -> int | None:
        """The most threads to use; None leaves it to the library."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self._threads = thread_choice.checked(threads)
        self.core.threads_for = functools.partial(thread_choice.for_reading, self._threads)
        self._tuners: dict[int, ThreadTuner] = {}

    def tuner(self, m: int) -> ThreadTuner:
        """Return the thread tuner for mini-batches of m; it remembers earlier trainings."""
        if m not in self._tuners:
            self._tuners[m] = ThreadTuner(self.sizes, m, self.core.parameters.itemsize)
        return self._tuners[m]

    # ---- examples ----

    def examples(
        self, examples: Any, name: str, check: bool = True, admit: Admit | None = None,
        sample_weight: ArrayLike | None = None, class_weight: Any = None,
        skip_zeros: bool = False,
    ) -> Examples:
        """
        Return the examples of a data set, checked; what is not in arrays is checked part by part.

        Raises
        ------
        TypeError, ValueError
            If it does not fit the network, or, where `check` says so, x is not finite; if all of
            it weighs 0; what `admit` raises of y.
        """
        is_pair = isinstance(examples, tuple) and len(examples) == 2
        if is_pair and arrays.is_sparse(examples[1]):
            x, y = examples if self.as_arrays is None else self.as_arrays(examples, name)
            examples = self._sparse_targets(x, y, name, sample_weight, class_weight)
        elif is_pair or not isinstance(examples, (RowSource, Stream)):
            in_arrays = ArrayExamples(*self.arrays(
                examples, name, check, admit, sample_weight, class_weight, skip_zeros))
            example_weights.not_all_zero(in_arrays.weights, name)
            return in_arrays
        elif sample_weight is not None or class_weight is not None:
            has_own = "; its rows have their own weights" * isinstance(examples, Stream)
            raise TypeError("sample_weight and class_weight need examples in arrays, got "
                            f"{type(examples).__name__}{has_own}")
        if isinstance(examples, Stream):
            return BufferedExamples(
                examples, lambda part: self.arrays(part[:2], name, False, admit, *part[2:]), name,
                check, self.sizes, self.dtype)
        row_of_y = self.sizes[-1] * np.dtype(self.dtype).itemsize
        return StreamedExamples(
            examples, lambda part: self.arrays(part[:2], name, check, admit, *part[2:]), name,
            row_of_y)

    def _sparse_targets(
        self, x: Any, y: Any, name: str, sample_weight: Any, class_weight: Any
    ) -> SparseTargets:
        """Check the shapes of examples with sparse y; the values are checked part by part."""
        x = arrays.rows_or_sparse(x, self.sizes[0], arrays.part("x", name))
        n, outputs = x.shape[0], self.sizes[-1]
        if y.shape != (n, outputs):
            arrays.targets(y, n, outputs, self.dtype, arrays.part("y", name))
        y = y.tocsr()
        weights = example_weights.weights(sample_weight, class_weight, y, outputs, self.dtype)
        return SparseTargets(x, y, example_weights.not_all_zero(weights, name))

    def arrays(
        self, examples: Any, name: str, check: bool = True, admit: Admit | None = None,
        sample_weight: ArrayLike | None = None, class_weight: Any = None,
        skip_zeros: bool = False,
    ) -> tuple[Rows, Targets]:
        """Return the core's rows and targets for a data set in arrays, checked as in `examples`."""
        if self.as_arrays is not None:
            examples = self.as_arrays(examples, name)
        if sample_weight is None and class_weight is None and not skip_zeros:
            as_they_are = self.core.in_place(examples, check)
            if as_they_are is not None:
                y = as_they_are[1].y
                if y.ndim == 2 and admit is not None:
                    admit(y, *as_they_are[1].extremes(), arrays.part("y", name))
                return as_they_are
        if sample_weight is not None and arrays.is_loader(examples):
            raise TypeError("sample_weight needs examples in arrays, for a DataLoader may shuffle "
                            f"them, got {type(examples).__name__}")
        x, y = arrays.examples(examples, self.sizes, self.dtype, name, admit)
        rows = self.rows(x, arrays.part("x", name), skip_zeros)
        if check:
            self.check_finite(rows, arrays.part("x", name))
        weights = example_weights.weights(
            sample_weight, class_weight, y, self.sizes[-1], self.dtype)
        return rows, self.build.Targets(y, weights)

    def rows(self, x: Any, name: str, skip_zeros: bool = False) -> Rows:
        """Return the core's rows for dense or sparse x, not checked for finite numbers."""
        if arrays.is_sparse(x):
            scales = np.asarray(self.input_scale, self.dtype)
            rows: Rows = listed(self.build, x, name, scales if scales.ndim else None)
            return rows
        return self.build.Rows(x, skip_zeros)

    def check_finite(self, rows: Rows, name: str) -> None:
        """Raise ValueError if a number is not finite, and name the first."""
        if not rows.all_finite():
            self.not_finite(rows, name)

    def not_finite(self, rows: Rows, name: str) -> None:
        """Raise ValueError, and name the first number that is not finite."""
        look = arrays.stored_finite if arrays.is_sparse(rows.x) else arrays.finite
        look(rows.x, self.dtype, name)

    # ---- what the core computes ----

    def zeros(self) -> NDArray[Any]:
        """Return an arena of zeros for a gradient, laid out as the parameters."""
        return np.zeros_like(self.core.parameters)

    def gradient(self, rows: Rows, targets: Targets, nabla: NDArray[Any]) -> float:
        """Write the average gradient into an arena of zeros; return the mean cost."""
        return self.tuner(len(rows)).timed(
            self.threads, functools.partial(self.core.backprop, rows, targets, nabla))

    def mean_cost(self, examples: Examples) -> float:
        """Return the mean cost."""
        return sum(self.core.evaluate(*part)[1] for part in examples.all()) / len(examples)

    # ---- training ----

    def prepare(
        self, options: TrainingOptions, n: int, eta: float, by_weight: float | None = None,
        seed: int | None = None,
    ) -> None:
        """
        Set up the core's optimizer. The last one is continued; plain descent needs none.

        Parameters
        ----------
        options : TrainingOptions
        n : int
            The number of examples, by which `lmbda` is divided; by_weight divides by their weight.
        eta : float
            The first learning rate.
        by_weight : float, optional
            As in `Training`; not for plain descent.
        seed : int, optional
            The seed of dropout and noise.
        """
        if options.plain:
            self.optimizer_state = None
            return
        name = options.optimizer.NAME
        if self.optimizer_state is None or self.optimizer_state.optimizer != name:
            self.optimizer_state = OptimizerState(self.build, self.core, name)
        self.optimizer_state.set(options, n if by_weight is None else 1, eta, seed or 0)
        if by_weight is not None:
            self.optimizer_state.in_core.divide_by_weight(by_weight)

    def train(
        self, rows: Rows, targets: Targets, order: NDArray[Any], m: int, etas: NDArray[Any],
        first: int, last: int, cost: float = 0.0, threads: int = 1,
    ) -> tuple[int, float]:
        """Train on order[first:last]; return where to continue, and `cost` with the costs added."""
        state = self.optimizer_state
        return self.core.sgd(rows, targets, order, m, etas, first, last,
                             state.in_core if state else None, cost, threads)

    def seed(self) -> int:
        """Draw a seed."""
        return int(self.random.integers(2**64, dtype=np.uint64))

    def snapshot(self, last: Snapshot | None = None) -> Snapshot:
        """
        Return a copy of all that training changes.

        It takes the memory of the last one, if given: for the wide layers of sparse rows, new
        memory costs as much as an epoch.
        """
        parameters, _, state = last or (np.empty_like(self.core.parameters), None, None)
        np.copyto(parameters, self.core.parameters)
        return (parameters, self.random.bit_generator.state,
                self.optimizer_state and self.optimizer_state.copies(state))

    def restore(self, snapshot: Snapshot) -> None:
        """Restore what `snapshot` returned."""
        self.core.parameters[...], self.random.bit_generator.state, state = snapshot
        if self.optimizer_state is not None:
            self.optimizer_state.restore(state)

    def diverged(self, what: str, eta: float | None, rows: Rows) -> DivergenceError:
        """Say so; or, if these rows are the cause, that they are not finite."""
        self.check_finite(rows, "x of training_data")  # only now: it costs a tenth of an epoch
        cause = "" if eta is None else f"; eta = {eta:g} may be too large"
        return DivergenceError(
            f"{what}: the cost or a parameter is no longer finite; the parameters from before are "
            f"kept{cause}")

    # ---- copies and files ----

    def state(self) -> dict[str, Any]:
        """Return a copy of all that a file or another process needs, with the settings."""
        return {
            "weights": [np.array(w) for w in self.weights],
            "biases": [np.array(b) for b in self.biases],
            "random": self.random,
            "memory": self.optimizer_state and self.optimizer_state.__getstate__(),
            "threads": self.threads,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Take what `state` returned, perhaps by way of a file, of an engine of these settings."""
        self.threads = state.get("threads")
        self.weights.assign(state["weights"])
        self.biases.assign(state["biases"])
        self.random = copy.deepcopy(state["random"]) or self.random
        if state.get("memory"):
            self.optimizer_state = OptimizerState.of(self.build, self.core, state["memory"])

    def take_over(self, other: Engine) -> None:
        """Take all that training changes from another engine of these settings, to the bit."""
        self.core.parameters[...] = other.core.parameters
        self.random, self.optimizer_state = other.random, other.optimizer_state
        other.optimizer_state = None
        if self.optimizer_state is not None:
            self.optimizer_state.follow(self.core)

    def check_parameters(self) -> None:
        """Raise ValueError if a number is not finite, and name the first."""
        if not self.core.all_finite():
            for kind, views in (("weights", self.weights), ("biases", self.biases)):
                for layer, view in enumerate(views):
                    arrays.finite(view, self.dtype, f"{kind}[{layer}]")

    def c_handle(self, mini_batch_size: int) -> Any:
        """Return the capsule that `Network.c_handle` does."""
        m = _check.integer("mini_batch_size", mini_batch_size, 1)
        handle = self.build.handle(self.core, m)
        if handle is None:
            raise ValueError("c_handle needs compiled functions: an Activation or a Cost of this "
                             "network is in Python")
        return handle

    # ---- one at a time ----

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """
        Let nobody else train meanwhile.

        Raises
        ------
        RuntimeError
            If another thread, or the training that the caller belongs to, is at it.
        """
        here = threading.get_ident()
        if not self._in_training.acquire(blocking=False):
            if self._trained_by == here:
                raise RuntimeError("this network is being trained: a callback, metric or schedule "
                                   "of that training cannot train it; train a copy, or wait")
            raise RuntimeError("this network is being trained by another thread; "
                               "train a copy, or wait")
        self._trained_by = here
        try:
            yield
        finally:
            self._trained_by = None
            self._in_training.release()

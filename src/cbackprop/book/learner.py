"""
Shared by the book's two networks: parameters in lists, and two ways to train.

One way is the book's: an example at a time, in NumPy, so that whatever a script has replaced is
called as the book calls it. If nothing was replaced, the core does the work. `weights` and `biases`
are plain lists of plain arrays, which are new after every epoch: as in the book, a list that you
keep has the parameters of that moment. The core has a copy while it trains.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, _renamed, arrays, optimizers
from cbackprop.book import few
from cbackprop.book.formulas import column, is_correct
from cbackprop.book.pairs import REAL, Pairs
from cbackprop.network import Network

FUNCTIONS = {"sigmoid", "sigmoid_prime", "vectorized_result"}  # of a module; the rest are methods


class Learner(ABC):
    """
    The book's network, without its costs.

    It has few names that are not the book's, so that a subclass is free to use others.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.

    Raises
    ------
    TypeError, ValueError
        If they are not at least two positive integers.
    """

    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]
    update_mini_batch: Callable[..., None]
    _fast: Network | None = None
    _module: ClassVar[ModuleType]  # where scripts find, and may replace, sigmoid and the like
    _book: ClassVar[dict[str, Any]]  # the functions and the methods as they are here

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__.rpartition(".")[0] == __package__:
            cls._module = sys.modules[cls.__module__]
            cls._book = {name: value for of in (cls._module, *reversed(cls.__mro__))
                         for name, value in vars(of).items()}

    def __init__(self, sizes: Sequence[int]) -> None:
        _check.sizes(sizes)
        self.num_layers = len(sizes)
        self.sizes = sizes

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_fast"}

    # ---- chapter 2, an example at a time ----

    def feedforward(self, a: ArrayLike) -> NDArray[Any]:
        """
        Return the output for a column (in, 1), or (in,); or for columns (in, m).

        Raises
        ------
        TypeError, ValueError
            If it is not numbers, or has another length.
        """
        out = column(a, np.shape(self.weights[0])[1], "a")
        for b, w in zip(self.biases, self.weights, strict=False):  # as the book's
            out = self._module.sigmoid(np.dot(w, out) + b)
        return out if np.ndim(a) > 1 else out.ravel()

    def backprop(self, x: ArrayLike, y: Any) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """
        Return the gradient for one example: lists shaped as `biases` and `weights`.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit the network.
        """
        activations, zs = [column(x, np.shape(self.weights[0])[1], "x")], []
        for b, w in zip(self.biases, self.weights, strict=False):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(self._module.sigmoid(zs[-1]))
        delta = self._output_error(zs[-1], activations[-1], y)
        nabla_b, nabla_w = [delta], [np.dot(delta, activations[-2].T)]
        for l in range(2, self.num_layers):  # noqa: E741  the book's, from the end
            delta = np.dot(self.weights[-l + 1].T, delta) * self._module.sigmoid_prime(zs[-l])
            nabla_b.insert(0, delta)
            nabla_w.insert(0, np.dot(delta, activations[-l - 1].T))
        below = len(zs) - len(nabla_b)  # the layers that a script's own num_layers leaves out
        return zeros(self.biases[:below]) + nabla_b, zeros(self.weights[:below]) + nabla_w

    @abstractmethod
    def _output_error(self, z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return delta of the output layer."""

    # ---- the same in the core ----

    @abstractmethod
    def _core_cost(self) -> str | None:
        """Return the name of the core's cost with the same error of the output layer, or None."""

    def _in_core(self) -> Network:
        """
        Return a network in the core with this one's current parameters.

        Raises
        ------
        TypeError, ValueError
            If `weights` or `biases` are not lists of arrays that fit each other.
        """
        sizes = widths(self)
        cost: Any = self._core_cost() or "quadratic"
        if self._fast is None or (self._fast.sizes, self._fast.cost) != (sizes, cost):
            self._fast = Network(sizes, cost=cost, dtype=REAL, initializer="zeros")
        self._fast.weights, self._fast.biases = self.weights, self.biases
        return self._fast


def drawn(sizes: Sequence[int]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Draw all biases, and then all weights, from N(0, 1); return weights and biases."""
    biases = [np.random.randn(j, 1) for j in sizes[1:]]  # noqa: NPY002  what the book draws from
    weights = [np.random.randn(j, k)  # noqa: NPY002
               for k, j in itertools.pairwise(sizes)]
    return weights, biases


def widths(net: Learner) -> tuple[int, ...]:
    """Return the sizes by the shapes of `weights`: later, the book's code asks no others."""
    try:
        return (net.weights[0].shape[1], *[len(w) for w in net.weights])
    except (AttributeError, IndexError, NotImplementedError, TypeError):  # lists, or worse
        return tuple(map(int, net.sizes))


def zeros(parameters: Sequence[ArrayLike]) -> list[NDArray[Any]]:
    """Return zeros of the same shapes."""
    return [np.zeros(np.shape(p)) for p in parameters]


# ---- what a script has replaced ----


def replaced(net: Learner, *names: str) -> bool:
    """
    Whether a script has replaced any of these.

    A method may belong to a subclass, to the object itself or to another object. A method, or a
    function of the module, may also have been assigned.
    """
    for name in names:
        if name in FUNCTIONS:
            found = getattr(net._module, name, None)
        else:
            found = getattr(net, name)
            if getattr(found, "__self__", None) is net:
                found = getattr(found, "__func__", None)
        if found is not net._book[name]:
            return True
    return False


def core_cost(net: Learner) -> str | None:
    """Return the cost with which the core trains as the book's loop would, or None."""
    kind = type(net)
    if (replaced(net, "backprop", "sigmoid", "sigmoid_prime")
            # With a script's own number of layers, the book trains only the last of them.
            or net.num_layers - 1 != len(net.weights) == len(net.biases)
            # Such a class sees every step.
            or kind.__setattr__ is not object.__setattr__
            or hasattr(kind, "weights") or hasattr(kind, "biases")):
        return None
    return net._core_cost()


def reading_core(net: Learner) -> Any:
    """Return the core if its outputs are those of `feedforward`, else None."""
    if replaced(net, "feedforward", "sigmoid"):
        return None
    core = net._in_core().engine.core
    return core if moderate(core.parameters) else None


def moderate(parameters: NDArray[Any]) -> bool:
    """Whether all are finite, and so small that no sum overflows: its order would then matter."""
    return bool(parameters.max() < 1e100 and parameters.min() > -1e100)


def quiet(net: Learner) -> Any:
    """Return a context without NumPy's warnings, unless the script's own code may warn."""
    own = replaced(net, "feedforward", "sigmoid")
    return contextlib.nullcontext() if own else np.errstate(all="ignore")


# ---- training ----


def run_epochs(
    net: Learner, training_data: Pairs, count: int, mini_batch_size: int, eta: float,
    lmbda: float | None = None,
) -> Iterator[int]:
    """
    Train, and yield each epoch's number when it is over.

    Raises
    ------
    TypeError, ValueError
        If an argument is bad.

    Warns
    -----
    RuntimeWarning
        Once, when a parameter is no longer finite.
    """
    n = len(training_data)
    if n == 0:
        remedy = "; this iterator has been used up: list(training_data) would keep it"
        raise ValueError("training_data must hold at least one example, got none"
                         + training_data.used_up * remedy)
    count = _check.integer("epochs", count, 0)
    m = min(n, _check.integer("mini_batch_size", mini_batch_size, 1))
    regularisation = () if lmbda is None else (lmbda, n)

    def in_core() -> bool:  # asked again: code between epochs may replace something
        return core_cost(net) is not None and not replaced(net, "update_mini_batch")

    if in_core():   # errors come before anything is shuffled
        rule, y = net._in_core().engine.target_values, training_data.arrays[1]
        if y.ndim == 2:
            rule.trained(y, *arrays.extremes(y), f"y of {training_data.name}")
        _ = training_data.core
        _check.number("eta", eta, finite=False, boolean=True)
        _check.number("lmbda", lmbda or 0.0, 0)
    for epoch in range(count):
        training_data.shuffle(net._module.random.shuffle)
        if in_core():
            train(net, training_data, m, eta, *regularisation)
        else:
            for k in range(0, n, m):
                net.update_mini_batch(training_data.pairs[k:k + m], eta, *regularisation)
        yield epoch


def update(net: Learner, mini_batch: Any, eta: float, *regularisation: Any) -> None:
    """Take one step of gradient descent; `regularisation` is lmbda and n, or empty."""
    if core_cost(net) is None:
        step(net, mini_batch, eta, *regularisation)
        return
    sizes = widths(net)
    after = few.stepped(net, sizes, mini_batch, eta, *regularisation)
    if after is not None:
        net.weights, net.biases = after
        return
    pairs = Pairs(mini_batch, "mini_batch", sizes)
    train(net, pairs, len(pairs), eta, *regularisation)


def train(net: Learner, examples: Pairs, m: int, eta: float, *regularisation: Any) -> None:
    """Train on all examples, m at a time: in the core, as long as no parameter is huge."""
    rate = _check.number("eta", eta, finite=False, boolean=True)
    if train_in_core(net, examples, m, rate, *regularisation):
        return
    was_finite = all_finite(net)
    # The book's loop goes on, and its output depends on how infinities and NaN spread.
    with np.errstate(all="ignore"):
        for k in range(0, len(examples), m):
            step(net, examples.pairs[k:k + m], eta, *regularisation)
    if was_finite and not all_finite(net):
        warnings.warn(diverged(float(eta), *regularisation), RuntimeWarning, stacklevel=4)


def train_in_core(
    net: Learner, examples: Pairs, m: int, eta: float, lmbda: float = 0.0, n: int = 1
) -> bool:
    """Train. If a parameter is not finite, or huge, change nothing and return False."""
    rows, targets = examples.core
    order = examples.order
    etas = np.full(-(-len(order) // m), eta)
    fast = net._in_core()
    engine, core = fast.engine, fast.engine.core
    engine.prepare(optimizers.training_options(len(net.weights), lmbda=lmbda), n, eta)
    try:
        engine.train(rows, targets, order, m, etas, 0, len(order))
    finally:    # where Ctrl-C ends it, the mini-batches before that are done
        # For a single step, the second test would take a fifth of the time.
        stays = core.all_finite() and (len(order) <= m or moderate(core.parameters))
        if stays:
            net.weights, net.biases = (
                [np.array(view, order="C") for view in views]
                for views in (fast.weights, fast.biases))
    return stays


def step(
    net: Learner, mini_batch: Any, eta: float, lmbda: float | None = None, n: int = 1
) -> None:
    """Take the book's step of gradient descent, through `backprop`."""
    pairs = list(mini_batch)
    nabla_b, nabla_w = zeros(net.biases), zeros(net.weights)
    for x, y in pairs:
        for nabla, of_one in zip((nabla_b, nabla_w), net.backprop(x, y), strict=True):
            nabla[:] = [g + g_x for g, g_x in zip(nabla, of_one, strict=True)]
    rate = eta / len(pairs)
    decay = 1 if lmbda is None else 1 - eta * (lmbda / n)
    net.weights = [decay * w - rate * g
                   for w, g in zip(net.weights, nabla_w, strict=True)]
    net.biases = [b - rate * g for b, g in zip(net.biases, nabla_b, strict=True)]


def all_finite(net: Learner) -> bool:
    """Whether no parameter is infinite or NaN."""
    return all(np.isfinite(p).all() for p in (*net.weights, *net.biases))


def diverged(eta: float, lmbda: float = 0.0, n: int = 1) -> str:
    """Return the warning that a parameter is no longer finite, with the possible cause."""
    cause = f"eta = {eta:g} may be too large"
    if lmbda:
        decay = eta * (lmbda / n)
        cause = f"eta = {eta:g}, lmbda = {lmbda:g} and n = {n} make eta lmbda / n = {decay:g}"
        if decay > 2:
            cause += ", and each step multiplies the weights by 1 minus that"
    return (f"training diverges: a parameter is no longer finite; {cause}; it goes on, as the "
            "book's code does")


# ---- evaluation ----


def correct(net: Learner, examples: Pairs) -> int:
    """Count the correct examples; of no examples, 0, unless an iterator has been used up."""
    if not examples and not examples.used_up:
        return 0
    if not replaced(net, "feedforward", "sigmoid"):
        right = few.correct(net, widths(net), examples.pairs)
        if right is not None:
            return right
    core = reading_core(net)
    if core is not None and not examples.labels_outside:
        return int(core.evaluate(*examples.core)[0])
    with quiet(net):
        return sum(is_correct(net.feedforward(x), y) for x, y in examples.pairs)


def look_at(net: Learner, examples: Pairs, costs: bool = False) -> None:
    """Check the examples for evaluation before training changes anything."""
    if not replaced(net, "feedforward", "sigmoid") and (costs or not examples.labels_outside):
        _ = examples.core


_renamed.install(__name__)

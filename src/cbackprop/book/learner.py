"""
What the book's two networks share: parameters in lists, and two ways to train.

One way is the book's: an example at a time, in NumPy, so that every method a subclass brings is
called as the book calls it. The other is the core's, which is taken where no method is in the way.
`weights` and `biases` are plain lists of plain arrays, new ones after every epoch: as in the book,
whoever keeps one keeps the parameters of that moment. The core has a copy while it trains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import data, optimizers
from cbackprop.book import few
from cbackprop.book.formulas import column, is_correct, sigmoid, sigmoid_prime
from cbackprop.book.pairs import REAL, Pairs
from cbackprop.network import DivergenceError, Network, _sizes


class Learner(ABC):
    """
    A network of the book's, without its costs.

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
    _book: ClassVar[dict[str, Any]]  # the methods as they are here

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__.rpartition(".")[0] == __package__:
            cls._book = {name: value for of in reversed(cls.__mro__)
                         for name, value in vars(of).items()}

    def __init__(self, sizes: Sequence[int]) -> None:
        _sizes(sizes)
        self.num_layers = len(sizes)
        self.sizes = sizes

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_fast"}

    def large_weight_initializer(self) -> None:
        """Draw all biases, and then all weights, from N(0, 1)."""
        self.biases = [np.random.randn(j, 1)  # noqa: NPY002  what the book draws from
                       for j in self.sizes[1:]]
        self.weights = [np.random.randn(j, k)  # noqa: NPY002
                        for k, j in zip(self.sizes[:-1], self.sizes[1:], strict=True)]

    # ---- chapter 2, an example at a time ----

    def feedforward(self, a: ArrayLike) -> NDArray[Any]:
        """
        Return the output for a column (in, 1), or (in,); or for columns (in, m).

        Raises
        ------
        TypeError, ValueError
            If it is not numbers, or of another length.
        """
        out = column(a, self.sizes[0], "a")
        for b, w in zip(self.biases, self.weights, strict=True):
            out = sigmoid(np.dot(w, out) + b)
        return out if np.ndim(a) > 1 else out.ravel()

    def backprop(self, x: ArrayLike, y: Any) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """
        Return the gradient for one example: lists shaped as `biases` and `weights`.

        Raises
        ------
        TypeError, ValueError
            If x or y does not fit the network.
        """
        activations, zs = [column(x, self.sizes[0], "x")], []
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigmoid(zs[-1]))
        delta = self._output_error(zs[-1], activations[-1], y)
        nabla_b, nabla_w = [delta], [np.dot(delta, activations[-2].T)]
        for l in range(len(zs) - 2, -1, -1):  # noqa: E741  the book's
            delta = np.dot(self.weights[l + 1].T, delta) * sigmoid_prime(zs[l])
            nabla_b.insert(0, delta)
            nabla_w.insert(0, np.dot(delta, activations[l].T))
        return nabla_b, nabla_w

    @abstractmethod
    def _output_error(self, z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return delta of the output layer."""

    def _step(self, mini_batch: Any, eta: float, lmbda: float = 0.0, n: int = 1) -> None:
        """Take one step of gradient descent, through `backprop`."""
        pairs = list(mini_batch)
        nabla_b = [np.zeros(np.shape(b)) for b in self.biases]
        nabla_w = [np.zeros(np.shape(w)) for w in self.weights]
        for x, y in pairs:
            for nabla, of_one in zip((nabla_b, nabla_w), self.backprop(x, y), strict=True):
                nabla[:] = [g + g_x for g, g_x in zip(nabla, of_one, strict=True)]
        step = eta / len(pairs)
        self.weights = [(1 - eta * (lmbda / n)) * w - step * g
                        for w, g in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - step * g for b, g in zip(self.biases, nabla_b, strict=True)]

    # ---- the same in the core ----

    @abstractmethod
    def _core_cost(self) -> str | None:
        """Name the core's cost with which it trains as the methods would; None if it cannot."""

    def _epochs(
        self, training_data: Pairs, epochs: int, mini_batch_size: int, eta: float,
        lmbda: float | None = None,
    ) -> Iterator[int]:
        """
        Train, and yield each epoch's number when it is over.

        Raises
        ------
        TypeError, ValueError
            If an argument is bad.
        DivergenceError
            If a parameter is no longer finite; they are then those from before that epoch.
        """
        n = len(training_data)
        if n == 0:
            raise ValueError("training_data must hold at least one example, got none")
        epochs = data.integer("epochs", epochs, 0)
        m = min(n, data.integer("mini_batch_size", mini_batch_size, 1))
        regularisation = () if lmbda is None else (lmbda, n)
        in_core = self._core_cost() and not overridden(self, "update_mini_batch")
        if in_core:     # what is wrong is said before anything is shuffled
            _ = training_data.core
            eta = number("eta", eta)
            optimizers.number("lmbda", lmbda or 0.0, 0)
        for epoch in range(epochs):
            training_data.shuffle()
            if in_core:
                self._train(training_data, m, eta, *regularisation)
            else:
                for k in range(0, n, m):
                    self.update_mini_batch(training_data.pairs[k:k + m], eta, *regularisation)
            yield epoch

    def _update(self, mini_batch: Any, eta: float, lmbda: float = 0.0, n: int = 1) -> None:
        if not self._core_cost():
            self._step(mini_batch, eta, lmbda, n)
            return
        after = few.stepped(self, mini_batch, eta, lmbda, n)
        if after is not None:
            self.weights, self.biases = after
            return
        pairs = Pairs(mini_batch, "mini_batch", self.sizes)
        self._train(pairs, len(pairs), eta, lmbda, n)

    def _train(
        self, examples: Pairs, m: int, eta: float, lmbda: float = 0.0, n: int = 1
    ) -> None:
        """Train on all of them, m at a time."""
        rows, targets = examples.core
        order = examples.order
        etas = np.full(-(-len(order) // m), number("eta", eta))
        fast = self._in_core()
        fast._remember(optimizers.rules(len(self.weights), lmbda=lmbda), n, etas[0])
        core, memory = fast._core, fast._memory
        try:
            core.sgd(rows, targets, order, m, etas, 0, len(order),
                     memory.learning if memory else None)
        finally:    # where Ctrl-C ends it, the mini-batches before that are done
            finite = core.all_finite()
            if finite:
                self.weights, self.biases = (
                    [np.array(view, order="C") for view in views]
                    for views in (fast.weights, fast.biases))
        if not finite:
            raise DivergenceError("training diverged: a parameter is no longer finite; those from "
                                  f"before are kept; eta = {etas[0]:g} may be too large")

    def _in_core(self) -> Network:
        """
        Return a network of the core that has this one's parameters now.

        Raises
        ------
        TypeError, ValueError
            If `weights` or `biases` are not lists of arrays that fit the sizes.
        """
        sizes, cost = tuple(self.sizes), self._core_cost() or "quadratic"
        if self._fast is None or (self._fast.sizes, self._fast.cost) != (sizes, cost):
            self._fast = Network(sizes, cost=cost, dtype=REAL, initializer="zeros")
        self._fast.weights, self._fast.biases = self.weights, self.biases
        return self._fast

    # ---- evaluation ----

    def _correct(self, examples: Pairs) -> int:
        """Count the examples that are classified as y says."""
        if overridden(self, "feedforward"):
            return sum(is_correct(self.feedforward(x), y) for x, y in examples.pairs)
        correct = few.correct(self, examples.pairs)
        return self._in_core()._core.evaluate(*examples.core)[0] if correct is None else correct

    def _outputs(self, examples: Pairs) -> NDArray[Any]:
        """Return the core's outputs, in rows, pair by pair."""
        out = self._in_core()._core.feedforward(examples.arrays[0])
        assert out is not None  # they were checked
        return out[examples.order]

    def _look_at(self, examples: Pairs) -> None:
        """Say what is wrong with examples to be evaluated before training has changed anything."""
        if not overridden(self, "feedforward"):
            _ = examples.core


def overridden(learner: Learner, *names: str) -> bool:
    """Whether any of these methods is not the book's, but a subclass's or the object's own."""
    return any(getattr(getattr(learner, name), "__func__", None) is not learner._book[name]
               for name in names)


def number(name: str, value: Any) -> float:
    """
    Return a float.

    Raises
    ------
    TypeError
        If it is not a number.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {data.shown(value)}") from None

"""The loop of the book's network.py."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from common import Work, stopwatch
from numpy.typing import NDArray

from opponents.contestant import Contestant, Examples


class Book(Contestant):
    """
    The loop of the book's network.py: columns, one example at a time, in NumPy's float64.

    Where an epoch takes longer than `limit` seconds, rows for about half that time are timed, and
    the time is scaled: whole mini-batches, or if one takes too long, examples of it and a step.
    """

    opponent = "the book's loop"
    few_in_check = True

    def __init__(self, work: Work, examples: Examples) -> None:
        super().__init__(work, examples, "float64", "float64")
        self.name = self.opponent
        self.shuffle = random.Random(3).shuffle
        self.partly = False
        self.sigma, self.sigma_prime = FUNCTIONS[work.activation]
        self.pairs = self.columns(range(work.rows))

    def columns(self, order: Iterable[int]) -> list[tuple[NDArray, NDArray]]:
        """Return examples as the book has them."""
        return [(self.x[i].reshape(-1, 1), self.y[i].reshape(-1, 1)) for i in order]

    def begin(self) -> None:  # noqa: D102
        self.weights, self.biases = ([p.copy() for p in ps] for ps in self.start)

    def train(self, batches: NDArray) -> None:  # noqa: D102
        for batch in batches:
            self.update_mini_batch(self.columns(batch))

    def parameters(self) -> list[NDArray]:  # noqa: D102
        return [*self.weights, *self.biases]

    def epoch(self) -> None:  # noqa: D102
        m = self.work.mini_batch_size
        self.shuffle(self.pairs)
        mini_batches = [self.pairs[k:k + m] for k in range(0, len(self.pairs), m)]
        for mini_batch in mini_batches:
            self.update_mini_batch(mini_batch)

    def update_mini_batch(self, mini_batch: list[tuple[NDArray, NDArray]]) -> None:
        """Take one step of gradient descent."""
        self.step(*self.sum_of_gradients(mini_batch), len(mini_batch))

    def sum_of_gradients(self, mini_batch: list[tuple[NDArray, NDArray]]) -> tuple[Any, Any]:
        """Run backprop for each example, and add."""
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        return nabla_b, nabla_w

    def step(self, nabla_b: list[NDArray], nabla_w: list[NDArray], m: int) -> None:
        """Subtract eta/m times the gradients."""
        eta = self.work.eta
        self.weights = [w - (eta / m) * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - (eta / m) * nb for b, nb in zip(self.biases, nabla_b, strict=True)]

    def backprop(self, x: NDArray, y: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        """Return the gradient for one example, by BP1 to BP4."""
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation = x
        activations = [x]
        zs = []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = self.sigma(z)
            activations.append(activation)
        delta = (activations[-1] - y) * self.sigma_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for layer in range(2, len(self.weights) + 1):
            sp = self.sigma_prime(zs[-layer])
            delta = np.dot(self.weights[-layer + 1].transpose(), delta) * sp
            nabla_b[-layer] = delta
            nabla_w[-layer] = np.dot(delta, activations[-layer - 1].transpose())
        return nabla_b, nabla_w

    def choose_rows(self, least: float, limit: float) -> None:  # noqa: D102
        self.begin()
        n, m = self.work.rows, self.work.mini_batch_size
        few = self.pairs[:min(m, 3)]
        per_row = min(stopwatch(lambda: self.sum_of_gradients(few)) for _ in range(2)) / len(few)
        if n * per_row <= limit:
            return
        self.partly = m * per_row > limit
        wanted = limit / 2 / per_row
        self.rows_timed = max(2, int(wanted)) if self.partly else max(1, int(wanted / m)) * m
        del self.pairs[self.rows_timed:]

    def seconds(self) -> float:
        """Measure an epoch, or a part of it and scale."""
        if not self.partly:
            return super().seconds()
        self.begin()
        nabla = []
        m = self.work.mini_batch_size
        rows = stopwatch(lambda: nabla.extend(self.sum_of_gradients(self.pairs)))
        step = stopwatch(lambda: self.step(*nabla, m))
        return self.work.rows * (rows / self.rows_timed + step / m)


def sigmoid(z: NDArray) -> NDArray:
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z: NDArray) -> NDArray:
    return sigmoid(z) * (1 - sigmoid(z))


def tanh_prime(z: NDArray) -> NDArray:
    return 1 - np.tanh(z) ** 2


FUNCTIONS = {"sigmoid": (sigmoid, sigmoid_prime), "tanh": (np.tanh, tanh_prime)}


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    yield Book(work, examples)

"""The book's network.py: chapter 1's network, with the quadratic cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from cbackprop.book.formulas import sigmoid, sigmoid_prime, target
from cbackprop.book.learner import Learner, overridden
from cbackprop.book.pairs import Pairs

__all__ = ["Network", "sigmoid", "sigmoid_prime"]


class Network(Learner):
    """
    A network of sigmoid neurons, its biases and then its weights drawn from N(0, 1).

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    weights, biases : lists of arrays
        (out, in) and (out, 1), one for each layer but the inputs.

    Raises
    ------
    TypeError, ValueError
        If the sizes are not at least two positive integers.

    Examples
    --------
    >>> import random
    >>> import numpy as np
    >>> random.seed(11)
    >>> np.random.seed(11)
    >>> either = [(np.array([[a], [b]]), np.array([[a | b]])) for a in (0, 1) for b in (0, 1)]
    >>> net = Network([2, 3, 1])
    >>> net.SGD(either, 2, 1, 9.0, test_data=either)
    Epoch 0: 1 / 4
    Epoch 1: 3 / 4
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self.large_weight_initializer()

    def SGD(  # noqa: N802  the book's name
        self, training_data: Any, epochs: int, mini_batch_size: int, eta: float,
        test_data: Any = None,
    ) -> None:
        """
        Train by stochastic gradient descent, and print a line after every epoch.

        Parameters
        ----------
        training_data : list of (x, y)
            Columns (in, 1) and (out, 1). A list is shuffled in place. Also: any iterable of pairs,
            (x, y) arrays, x as (in,), y as (out,) or a label.
        epochs, mini_batch_size : int
        eta : float
            The learning rate.
        test_data : list of (x, label), optional
            If there is any, the line says how many of it are classified correctly. It may be all
            that training_data may be.

        Raises
        ------
        TypeError, ValueError
            If an argument or the data is bad.
        DivergenceError
            If a parameter is no longer finite; they are then those from before that epoch.
        """
        training = Pairs(training_data, "training_data", self.sizes)
        test = Pairs(() if test_data is None else test_data, "test_data", self.sizes)
        if test and not overridden(self, "evaluate"):
            self._look_at(test)
        for epoch in self._epochs(training, epochs, mini_batch_size, eta):
            if test:
                correct = (self.evaluate(test.pairs) if overridden(self, "evaluate")
                           else self._correct(test))
                print(f"Epoch {epoch}: {correct} / {len(test)}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch: Any, eta: float) -> None:
        """
        Take one step of gradient descent on a list of pairs.

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As `SGD`.
        """
        self._update(mini_batch, eta)

    def evaluate(self, test_data: Any) -> int:
        """
        Count the examples whose largest output is that of their label.

        A single output is a class against 1/2.

        Raises
        ------
        TypeError, ValueError
            If the data is bad.
        """
        return self._correct(Pairs(test_data, "test_data", self.sizes))

    def cost_derivative(self, output_activations: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return dC_x/da for the outputs of one example."""
        return output_activations - target(y, output_activations)

    def _output_error(self, z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        return self.cost_derivative(a, y) * sigmoid_prime(z)

    def _core_cost(self) -> str | None:
        return None if overridden(self, "backprop", "cost_derivative") else "quadratic"

"""The book's network.py: the network of chapter 1, with the quadratic cost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop.book import learner
from cbackprop.book.formulas import sigmoid, target
from cbackprop.book.learner import Learner
from cbackprop.book.pairs import Pairs

__all__ = ["Network", "np", "random", "sigmoid", "sigmoid_prime"]


def sigmoid_prime(z: ArrayLike) -> Any:
    """
    Return the derivative of this module's `sigmoid`, which a script may have replaced.

    Examples
    --------
    >>> sigmoid_prime(np.array([-1000.0, 0.0]))
    array([0.  , 0.25])
    """
    s = sigmoid(z)
    return s * (1 - s)


class Network(Learner):
    """
    A network of sigmoid neurons. Biases, and then weights, are drawn from N(0, 1).

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    weights, biases : lists of arrays
        (out, in) and (out, 1), one for each layer except the inputs.

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
        self.weights, self.biases = learner.drawn(sizes)

    def SGD(  # noqa: N802  the book's name
        self, training_data: Any, epochs: int, mini_batch_size: int, eta: float,
        test_data: Any = None,
    ) -> None:
        """
        Train by stochastic gradient descent, and print a line after every epoch.

        Parameters
        ----------
        training_data : list of (x, y)
            Columns (in, 1) and (out, 1). A list is shuffled in place. Any iterable of pairs, (x, y)
            arrays, x of shape (in,), and y of shape (out,) or labels are taken too.
        epochs, mini_batch_size : int
        eta : float
            The learning rate.
        test_data : list of (x, label), optional
            If it is given, the line says how many examples are classified correctly. It may have
            all forms of training_data.

        Raises
        ------
        TypeError, ValueError
            If an argument or the data is bad.

        Warns
        -----
        RuntimeWarning
            Once, when a parameter is no longer finite; training goes on, as the book's does.
        """
        training = Pairs(training_data, "training_data", learner.widths(self))
        test = Pairs(() if test_data is None else test_data, "test_data", learner.widths(self))
        if test and not learner.replaced(self, "evaluate"):
            learner.look_at(self, test)
        for epoch in learner.run_epochs(self, training, epochs, mini_batch_size, eta):
            if test:
                correct = (self.evaluate(test.pairs) if learner.replaced(self, "evaluate")
                           else learner.correct(self, test))
                print(f"Epoch {epoch}: {correct} / {len(test)}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch: Any, eta: float) -> None:
        """
        Take one step of gradient descent on a list of pairs.

        Raises
        ------
        TypeError, ValueError
            As `SGD`. It also warns as `SGD` does.
        """
        learner.update(self, mini_batch, eta)

    def evaluate(self, test_data: Any) -> int:
        """
        Count the examples whose largest output is that of their label.

        A single output is compared with 1/2.

        Raises
        ------
        TypeError, ValueError
            If the data is bad.
        """
        return learner.correct(self, Pairs(test_data, "test_data", learner.widths(self)))

    def cost_derivative(self, output_activations: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return dC_x/da for the outputs of one example."""
        return output_activations - target(y, output_activations)

    def _output_error(self, z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        return self.cost_derivative(a, y) * sigmoid_prime(z)

    def _core_cost(self) -> str | None:
        return None if learner.replaced(self, "cost_derivative") else "quadratic"

"""The book's network2.py: costs, regularisation, better initial weights, monitors, files."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
from collections.abc import Sequence
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from cbackprop import data, storage
from cbackprop.book.formulas import column, sigmoid, sigmoid_prime, target, vectorized_result
from cbackprop.book.learner import Learner, overridden
from cbackprop.book.pairs import Pairs

__all__ = ["CrossEntropyCost", "Network", "QuadraticCost", "load", "sigmoid", "sigmoid_prime",
           "vectorized_result"]


class QuadraticCost:
    """Half the square of the distance between an output and what it should be."""

    @staticmethod
    def fn(a: NDArray[Any], y: Any) -> float:
        """Return the cost of an output."""
        return np.sum(QuadraticCost.terms(a, target(y, a)))

    @staticmethod
    def delta(z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return the error of the output layer, BP1."""
        return (a - target(y, a)) * sigmoid_prime(z)

    @staticmethod
    def terms(a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """Return what each number of an output adds to the cost."""
        return 0.5 * (a - y) ** 2


class CrossEntropyCost:
    """The cross-entropy, with which a sigmoid output learns fastest where it is most wrong."""

    @staticmethod
    def fn(a: NDArray[Any], y: Any) -> float:
        """Return the cost of an output."""
        return np.sum(CrossEntropyCost.terms(a, target(y, a)))

    @staticmethod
    def delta(z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return the error of the output layer, BP1, in which sigma' has cancelled."""
        return a - target(y, a)

    @staticmethod
    def terms(a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """Return what each number of an output adds to the cost: 0 log 0 is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a))


KNOWN = {QuadraticCost: "quadratic", CrossEntropyCost: "cross_entropy"}


class Network(Learner):
    """
    A network of sigmoid neurons.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.
    cost : class or object with fn(a, y) and delta(z, a, y)

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    cost : as given
    weights, biases : lists of arrays
        (out, in) and (out, 1), one for each layer but the inputs.

    Raises
    ------
    TypeError, ValueError
        If the sizes are not at least two positive integers, or the cost lacks a method.

    Examples
    --------
    >>> import random
    >>> random.seed(1)
    >>> np.random.seed(1)
    >>> xor = [(np.array([[a], [b]]), np.array([[a ^ b]])) for a in (0, 1) for b in (0, 1)]
    >>> net = Network([2, 3, 1], cost=QuadraticCost)
    >>> _, _, _, accuracy = net.SGD(xor, 1, 2, 5.0, monitor_training_accuracy=True)
    Epoch 0 training complete
    Accuracy on training data: 2 / 4
    <BLANKLINE>
    >>> accuracy
    [2]
    """

    def __init__(self, sizes: Sequence[int], cost: Any = CrossEntropyCost) -> None:
        super().__init__(sizes)
        for name in ("fn", "delta"):
            if not callable(getattr(cost, name, None)):
                raise TypeError(f"cost must have {name}, as QuadraticCost has, "
                                f"got {data.shown(cost)}")
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self) -> None:
        """Draw all biases from N(0, 1), and then all weights from N(0, 1 / inputs)."""
        self.large_weight_initializer()
        self.weights = [w / np.sqrt(w.shape[1]) for w in self.weights]

    def SGD(  # noqa: N802  the book's name
        self, training_data: Any, epochs: int, mini_batch_size: int, eta: float,
        lmbda: float = 0.0,
        evaluation_data: Any = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
    ) -> tuple[list[float], list[int], list[float], list[int]]:
        """
        Train by stochastic gradient descent, and print after every epoch what is monitored.

        Parameters
        ----------
        training_data : list of (x, y)
            Columns (in, 1) and (out, 1). A list is shuffled in place. Also: any iterable of pairs,
            (x, y) arrays, x as (in,), y as (out,) or a label.
        epochs, mini_batch_size : int
        eta : float
            The learning rate.
        lmbda : float
            Of L2 regularisation.
        evaluation_data : list of (x, label), optional
            It may be all that training_data may be.
        monitor_evaluation_cost, monitor_evaluation_accuracy : bool
        monitor_training_cost, monitor_training_accuracy : bool

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : lists
            One entry for each epoch, or none if that is not monitored.

        Raises
        ------
        TypeError, ValueError
            If an argument or the data is bad, or evaluation data is to be monitored and missing.
        DivergenceError
            If a parameter is no longer finite; they are then those from before that epoch.
        """
        training = Pairs(training_data, "training_data", self.sizes)
        evaluation = Pairs(() if evaluation_data is None else evaluation_data, "evaluation_data",
                           self.sizes)
        if not evaluation and (monitor_evaluation_cost or monitor_evaluation_accuracy):
            raise ValueError("monitor_evaluation_cost and monitor_evaluation_accuracy need "
                             f"evaluation_data, got {data.shown(evaluation_data)}")
        if ((monitor_evaluation_cost or monitor_evaluation_accuracy)
                and not overridden(self, "accuracy", "total_cost")):
            self._look_at(evaluation)
        monitored: tuple[list[float], list[int], list[float], list[int]] = [], [], [], []
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = monitored
        for epoch in self._epochs(training, epochs, mini_batch_size, eta, lmbda):
            print(f"Epoch {epoch} training complete")
            if monitor_training_cost:
                training_cost.append(self._cost(training, lmbda, False))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                training_accuracy.append(self._accuracy(training, True))
                print(f"Accuracy on training data: {training_accuracy[-1]} / {len(training)}")
            if monitor_evaluation_cost:
                evaluation_cost.append(self._cost(evaluation, lmbda, True))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                evaluation_accuracy.append(self._accuracy(evaluation, False))
                print(f"Accuracy on evaluation data: {evaluation_accuracy[-1]} / "
                      f"{len(evaluation)}")
            print()
        return monitored

    def update_mini_batch(
        self, mini_batch: Any, eta: float, lmbda: float, n: int
    ) -> None:
        """
        Take one step of gradient descent on a list of pairs, out of n examples in all.

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As `SGD`.
        """
        self._update(mini_batch, eta, lmbda, n)

    def accuracy(self, data: Any, convert: bool = False) -> int:
        """
        Count the examples that are classified as y, a label or an output, says.

        Parameters
        ----------
        data : list of (x, y)
        convert : bool
            The book's, for training data. Here y tells by itself which of the two it is.

        Raises
        ------
        TypeError, ValueError
            If the data is bad.
        """
        return self._correct(Pairs(data, "data", self.sizes))

    def total_cost(self, data: Any, lmbda: float, convert: bool = False) -> float:
        """
        Return the mean cost of the examples, and lmbda / 2n times the sum of squared weights.

        Parameters
        ----------
        data : list of (x, y)
        lmbda : float
        convert : bool
            Whether y is a label, for a cost of the caller's own. The book's two see that.

        Raises
        ------
        TypeError, ValueError
            If the data is bad.
        """
        return self._total_cost(Pairs(data, "data", self.sizes), lmbda, convert)

    def _total_cost(self, examples: Pairs, lmbda: float, convert: bool) -> float:
        n, known, cost = len(examples), self._known("fn"), 0.0
        if known and not overridden(self, "feedforward"):
            with np.errstate(over="ignore"):
                cost = np.sum(known.terms(self._outputs(examples), examples.wanted) / n)
        else:
            for x, y in examples.pairs:
                a = self.feedforward(column(x, self.sizes[0], "x"))
                cost += self.cost.fn(a, target(y, a) if convert else y) / n
        return cost + 0.5 * (lmbda / n) * sum(np.linalg.norm(w) ** 2 for w in self.weights)

    def _cost(self, examples: Pairs, lmbda: float, convert: bool) -> float:
        if overridden(self, "total_cost"):
            return self.total_cost(examples.pairs, lmbda, convert=convert)
        return self._total_cost(examples, lmbda, convert)

    def _accuracy(self, examples: Pairs, convert: bool) -> int:
        if overridden(self, "accuracy"):
            return self.accuracy(examples.pairs, convert=convert)
        return self._correct(examples)

    def _known(self, name: str) -> Any:
        """Return which of the book's costs this method of our cost is of, or None."""
        return next((known for known in KNOWN
                     if getattr(self.cost, name) is getattr(known, name)), None)

    def _output_error(self, z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        return self.cost.delta(z, a, y)

    def _core_cost(self) -> str | None:
        return None if overridden(self, "backprop") else KNOWN.get(self._known("delta"))

    def save(self, filename: str | os.PathLike[str] | IO[Any]) -> None:
        """
        Write sizes, weights, biases and the cost's name to a JSON file, whole or not at all.

        Parameters
        ----------
        filename : str, path-like or file object, for text or bytes

        Raises
        ------
        OSError
            If the file cannot be written; one that was there is kept.
        """
        text = json.dumps({
            "sizes": [int(size) for size in self.sizes],
            "weights": [np.asarray(w).tolist() for w in self.weights],
            "biases": [np.asarray(b).tolist() for b in self.biases],
            "cost": getattr(self.cost, "__name__", type(self.cost).__name__),
        })
        if isinstance(filename, io.TextIOBase):
            filename.write(text)
            return
        with storage.replacing(cast(storage.Target, filename)) as file:
            file.write(text.encode())


def load(filename: str | os.PathLike[str] | IO[Any]) -> Network:
    """
    Read a network that `save`, or the book's, wrote.

    Parameters
    ----------
    filename : str, path-like or file object, of text or bytes

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, holds numbers that are not finite, or its cost is not one of this
        module's.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "net.json")
    >>> Network([2, 3, 1]).save(path)
    >>> load(path).sizes
    [2, 3, 1]
    """
    if not isinstance(filename, io.TextIOBase) and storage.is_path(filename, "read"):
        with open(filename, "rb") as file:
            text = file.read()
    else:
        text = cast(IO[Any], filename).read()
    with storage.damaged(f"{storage.named(filename)} is not a network of the book's: "):
        saved = json.loads(text)
        name = saved["cost"]
        cost = getattr(sys.modules[__name__], name, None)
        if not hasattr(cost, "delta"):
            raise ValueError(f"its cost {name!r} is unknown: network2.{name} = {name} tells it")
        weights, biases = (
            [data.finite(np.array(array, dtype=np.float64), "float64", f"{name}[{layer}]")
             for layer, array in enumerate(saved[name])] for name in ("weights", "biases"))
        shapes = [w.shape for w in weights]
        if shapes != [(j, k) for k, j in itertools.pairwise(saved["sizes"])]:
            raise ValueError(f"weights of shapes {data.shown(shapes)} "
                             f"for sizes {data.shown(saved['sizes'])}")
        net = Network(saved["sizes"], cost=cost)  # only now: it draws as many numbers as sizes say
        net.weights, net.biases = weights, biases
        net._in_core()  # which sees that all fits
        return net

"""The book's network2.py: costs, regularisation, better initial weights, monitors, files."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays, storage
from cbackprop.book import learner
from cbackprop.book.formulas import sigmoid, target, vectorized_result
from cbackprop.book.learner import Learner
from cbackprop.book.pairs import Pairs

__all__ = ["CrossEntropyCost", "Network", "QuadraticCost", "json", "load", "np", "random",
           "sigmoid", "sigmoid_prime", "sys", "vectorized_result"]


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


def quadratic(a: NDArray[Any], y: NDArray[Any], axis: int | None = None) -> Any:
    """Return the quadratic cost of an output, or of each row of them along an axis."""
    return 0.5 * np.linalg.norm(a - y, axis=axis) ** 2


def cross_entropy(a: NDArray[Any], y: NDArray[Any], axis: int | None = None) -> Any:
    """Return the cross-entropy of an output, or of each row of them; 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)), axis=axis)


class QuadraticCost:
    """Half the squared distance between an output and its target."""

    @staticmethod
    def fn(a: NDArray[Any], y: Any) -> float:
        """Return the cost of an output."""
        return quadratic(a, target(y, a))

    @staticmethod
    def delta(z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return the error of the output layer, BP1."""
        return (a - target(y, a)) * sigmoid_prime(z)


class CrossEntropyCost:
    """The cross-entropy: a sigmoid output learns fastest where it is most wrong."""

    @staticmethod
    def fn(a: NDArray[Any], y: Any) -> float:
        """Return the cost of an output."""
        return cross_entropy(a, target(y, a))

    @staticmethod
    def delta(z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        """Return the error of the output layer, BP1; sigma' has cancelled."""
        return a - target(y, a)


# The functions that the core, or NumPy on rows, can stand in for, as long as they are these.
CORE_COSTS = ((QuadraticCost.delta, "quadratic"), (CrossEntropyCost.delta, "cross_entropy"))
COSTS_OF_ROWS = ((QuadraticCost.fn, quadratic), (CrossEntropyCost.fn, cross_entropy))


class Network(Learner):
    """
    A network of sigmoid neurons.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.
    cost : class or object with fn(a, y) and delta(z, a, y)
        A method that is not called may be missing. None means that the cost is set later.

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    cost : as given
    weights, biases : lists of arrays
        (out, in) and (out, 1), one for each layer except the inputs.

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
        if cost is not None and not any(
                callable(getattr(cost, name, None)) for name in ("fn", "delta")):
            raise TypeError(f"cost must have fn, as QuadraticCost has, got {_check.shown(cost)}")
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self) -> None:
        """Draw all biases from N(0, 1), and then all weights from N(0, 1 / inputs)."""
        weights, self.biases = learner.drawn(self.sizes)
        self.weights = [w / np.sqrt(w.shape[1]) for w in weights]

    def large_weight_initializer(self) -> None:
        """Draw all biases, and then all weights, from N(0, 1)."""
        self.weights, self.biases = learner.drawn(self.sizes)

    def SGD(  # noqa: N802  the book's name
        self, training_data: Any, epochs: int, mini_batch_size: int, eta: float,
        lmbda: float = 0.0,
        evaluation_data: Any = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
        early_stopping_n: int = 0,
    ) -> tuple[list[float], list[int], list[float], list[int]]:
        """
        Train by stochastic gradient descent, and print the monitored values after every epoch.

        Parameters
        ----------
        training_data : list of (x, y)
            Columns (in, 1) and (out, 1). A list is shuffled in place. Any iterable of pairs, (x, y)
            arrays, x of shape (in,), and y of shape (out,) or labels are taken too.
        epochs, mini_batch_size : int
        eta : float
            The learning rate.
        lmbda : float
            The parameter of L2 regularisation.
        evaluation_data : list of (x, label), optional
            It may have all forms of training_data.
        monitor_evaluation_cost, monitor_evaluation_accuracy : bool
        monitor_training_cost, monitor_training_accuracy : bool
        early_stopping_n : int
            The argument of a well-known fork: training ends after this many epochs in which the
            accuracy on the evaluation data (or, if that is not monitored, on the training data) has
            not risen above its best. 0 never ends it.

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : lists
            One entry for each epoch; empty if it is not monitored.

        Raises
        ------
        TypeError, ValueError
            If an argument or the data is bad, or needed data or a needed accuracy is missing.

        Warns
        -----
        RuntimeWarning
            Once, when a parameter is no longer finite; training goes on, as the book's does.
        """
        training = Pairs(training_data, "training_data", learner.widths(self))
        evaluation = Pairs(() if evaluation_data is None else evaluation_data, "evaluation_data",
                           learner.widths(self))
        if not evaluation and (monitor_evaluation_cost or monitor_evaluation_accuracy):
            raise ValueError("monitor_evaluation_cost and monitor_evaluation_accuracy need "
                             f"evaluation_data, got {_check.shown(evaluation_data)}")
        if _check.integer("early_stopping_n", early_stopping_n, 0) and not (
                monitor_evaluation_accuracy or monitor_training_accuracy):
            raise ValueError("early_stopping_n needs monitor_evaluation_accuracy or "
                             "monitor_training_accuracy")
        if ((monitor_evaluation_cost or monitor_evaluation_accuracy)
                and not learner.replaced(self, "accuracy", "total_cost")):
            learner.look_at(self, evaluation, costs=monitor_evaluation_cost)

        def cost(examples: Pairs, **convert: bool) -> float:
            if learner.replaced(self, "total_cost"):
                return self.total_cost(examples.pairs, lmbda, **convert)
            return total_cost(self, examples, lmbda, **convert)

        def accuracy(examples: Pairs, **convert: bool) -> int:
            if learner.replaced(self, "accuracy"):
                return self.accuracy(examples.pairs, **convert)
            return learner.correct(self, examples)

        monitored: tuple[list[float], list[int], list[float], list[int]] = [], [], [], []
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = monitored
        best, since = 0, 0
        for epoch in learner.run_epochs(self, training, epochs, mini_batch_size, eta, lmbda):
            print(f"Epoch {epoch} training complete")
            if monitor_training_cost:
                training_cost.append(cost(training))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                training_accuracy.append(accuracy(training, convert=True))
                print(f"Accuracy on training data: {training_accuracy[-1]} / {len(training)}")
            if monitor_evaluation_cost:
                evaluation_cost.append(cost(evaluation, convert=True))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                evaluation_accuracy.append(accuracy(evaluation))
                print(f"Accuracy on evaluation data: {evaluation_accuracy[-1]} / "
                      f"{len(evaluation)}")
            print()
            if early_stopping_n:
                latest = (evaluation_accuracy or training_accuracy)[-1]
                best, since = (latest, 0) if latest > best else (best, since + 1)
                if since == early_stopping_n:
                    break
        return monitored

    def update_mini_batch(
        self, mini_batch: Any, eta: float, lmbda: float, n: int
    ) -> None:
        """
        Take one step of gradient descent on a list of pairs, out of n examples in all.

        Raises
        ------
        TypeError, ValueError
            As `SGD`. It also warns as `SGD` does.
        """
        learner.update(self, mini_batch, eta, lmbda, n)

    def accuracy(self, data: Any, convert: bool = False) -> int:
        """
        Count the examples whose output has the class of y, which is a label or an output.

        Parameters
        ----------
        data : list of (x, y)
        convert : bool
            The book needs it for training data. Here it has no effect, since y shows its form.

        Raises
        ------
        TypeError, ValueError
            If the data is bad.
        """
        return learner.correct(self, Pairs(data, "data", learner.widths(self)))

    def total_cost(self, data: Any, lmbda: float, convert: bool = False) -> float:
        """
        Return the mean cost of the examples, and lmbda / 2n times the sum of squared weights.

        Parameters
        ----------
        data : list of (x, y)
        lmbda : float
        convert : bool
            Whether y is a label. Only a cost of your own needs it.

        Raises
        ------
        TypeError, ValueError
            If the data is bad.
        """
        return total_cost(self, Pairs(data, "data", learner.widths(self)), lmbda, convert)

    def _output_error(self, z: NDArray[Any], a: NDArray[Any], y: Any) -> NDArray[Any]:
        return self.cost.delta(z, a, y)

    def _core_cost(self) -> str | None:
        return known(CORE_COSTS, getattr(self.cost, "delta", None))

    def save(self, filename: str | os.PathLike[str] | IO[Any]) -> None:
        """
        Write sizes, weights, biases and the cost's name to a JSON file, whole or not at all.

        Parameters
        ----------
        filename : str, path-like or file object, for text or bytes

        Raises
        ------
        OSError
            If the file cannot be written; an existing one is kept.

        Warns
        -----
        RuntimeWarning
            If a weight or a bias is not finite, which `load` refuses.
        """
        if not learner.all_finite(self):
            warnings.warn("network2.save writes weights or biases that are NaN or infinite, as the "
                          "book's code does; load refuses them", RuntimeWarning, stacklevel=2)
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


def _only_numbers(name: str, values: Any, kinds: set[type]) -> None:
    """Check that JSON has numbers there: NumPy would also convert strings and booleans."""
    if not isinstance(values, list) or not set(map(type, values)) <= kinds:
        raise ValueError(f"{name} must hold numbers, got {_check.shown(values)}")


def known(table: tuple[tuple[Callable[..., Any], Any], ...], function: Any) -> Any:
    """Return the value of a function in a table, or None."""
    for key, value in table:
        if key is function:
            return value
    return None


FAR = 30.0  # costs above it come from outputs next to 0 whose target is 1, or next to 1


def total_cost(net: Network, examples: Pairs, lmbda: float, convert: bool = False) -> float:
    """Return what `Network.total_cost` does; costs are added in the book's order."""
    n, of_rows = len(examples), known(COSTS_OF_ROWS, net.cost.fn)
    own_columns = convert and learner.replaced(net, "vectorized_result")
    core = None if of_rows is None or own_columns else learner.reading_core(net)

    def cost_of(x: Any, y: Any) -> Any:
        a = net.feedforward(x)
        if a.ndim == 1 and not learner.replaced(net, "feedforward"):
            a = a[:, np.newaxis]
        if convert:
            y = vectorized_result(y) if own_columns else target(y, a)
        return net.cost.fn(a, y) / n

    with learner.quiet(net):
        if core is not None:
            a = core.feedforward(examples.arrays[0])[examples.order]
            costs = of_rows(a, examples.wanted, axis=1) / n
            # Here the last bit of a decides the cost, and a = 0 would make it 1e308.
            for i in np.flatnonzero(costs > FAR / n):
                costs[i] = cost_of(*examples.pairs[i])
            cost = np.cumsum(costs)[-1]
        else:
            cost = 0.0
            for x, y in examples.pairs:
                cost += cost_of(x, y)
        return cost + 0.5 * (lmbda / n) * sum(np.linalg.norm(w) ** 2 for w in net.weights)


def load(filename: str | os.PathLike[str] | IO[Any]) -> Network:
    """
    Read a network that `save`, or the book's code, wrote.

    Parameters
    ----------
    filename : str, path-like or file object, of text or bytes

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file, its numbers are strings, booleans or not finite, or its cost is
        not one of this module's.

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
        _only_numbers("sizes", saved["sizes"], {int})
        for parameters in ("weights", "biases"):
            for layer, array in enumerate(saved[parameters]):
                for row in array:
                    _only_numbers(f"{parameters}[{layer}]", row, {int, float})
        weights, biases = (
            [arrays.finite(np.array(array, dtype=np.float64), "float64", f"{name}[{layer}]")
             for layer, array in enumerate(saved[name])] for name in ("weights", "biases"))
        shapes = [w.shape for w in weights]
        if shapes != [(j, k) for k, j in itertools.pairwise(saved["sizes"])]:
            raise ValueError(f"weights of shapes {_check.shown(shapes)} "
                             f"for sizes {_check.shown(saved['sizes'])}")
        net = Network(saved["sizes"], cost=cost)  # not before: it draws numbers
        net.weights, net.biases = weights, biases
        net._in_core()  # checks that all fits
        return net

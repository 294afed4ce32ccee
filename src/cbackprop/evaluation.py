"""Predictions of a network, and how good they are."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _words, metrics
from cbackprop.metrics import CLASSES, LABELS
from cbackprop.model import Model
from cbackprop.sources import Examples
from cbackprop.tables import given


@_words.suggesting("total_cost")
class Evaluation(Model):
    """The methods of `Network` that predict and measure. `metrics` says what fits the targets."""

    @abstractmethod
    def feedforward(self, a: ArrayLike) -> NDArray[Any]:
        """Return the output of the network; `Network` implements it."""

    def predict(self, x: ArrayLike) -> NDArray[Any]:
        """
        Return the class of each example, or its labels or numbers if the targets were these.

        The class is that of the largest output. A single output stands for one of the two targets
        in training: for the larger one, if it is above their middle. Before training, the settings
        decide: a cost for classes, or outputs between 0 and 1, as the book's, mean classes.

        Parameters
        ----------
        x : array of shape (n, in), (in,), or a column (in, 1)
            As `feedforward` takes it.

        Returns
        -------
        array of shape (n,) or (n, out)
            Classes have shape (n,), and are named if `classes` is set. Several labels have shape
            (n, out), each 0 or 1. Numbers are the outputs: (n, out), or (n,) if there is one.

        Raises
        ------
        TypeError, ValueError
            As `feedforward`; or if an output that should be a class is NaN.

        Examples
        --------
        >>> (x, y), _ = cbackprop.datasets.load_mnist()
        >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
        >>> history = net.SGD((x, y), epochs=2, mini_batch_size=10, eta=0.5)
        >>> net.predict(x[:3]).shape, bool((net.predict(x) == y).mean() > 0.8)
        ((3,), True)
        """
        outputs, kind = self._outputs(x), self._kind()
        if kind.name not in (CLASSES, LABELS):
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        found = metrics.decided(outputs, kind)
        if found.min(initial=0) < 0:
            row = int(np.argwhere(found < 0)[0, 0])
            raise ValueError(f"predict needs outputs that are numbers, got NaN for example {row}")
        if self.classes is not None and kind.name == CLASSES:
            return given.array(self.classes)[found]
        if kind.name == LABELS or outputs.shape[1] == 1:
            pair = np.array([kind.low, kind.high])
            whole = (pair == np.rint(pair)).all()
            return pair.astype(np.intp)[found] if whole else found.astype(np.intp)
        return found

    def predict_proba(self, x: ArrayLike) -> NDArray[Any]:
        """
        Return the probability of each class, or of each of several labels.

        Parameters
        ----------
        x : array of shape (n, in), (in,), or a column (in, 1)

        Returns
        -------
        array of shape (n, classes) or (n, out)
            For classes, each row sums to 1: outputs of softmax as they are, those of sigmoid
            divided by their sum (as scikit-learn's one-vs-rest), and 1 - a and a for a single
            output a. For several labels, the outputs as they are.

        Raises
        ------
        TypeError, ValueError
            As `feedforward`; or if the network was trained on numbers, or its outputs may lie
            outside 0 and 1.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], seed=0)
        >>> net.predict_proba([[0.0, 1.0], [1.0, 1.0]]).sum(axis=1)
        array([1., 1.], dtype=float32)
        """
        kind = self._kind()
        if kind.name not in (CLASSES, LABELS):
            raise ValueError(f"predict_proba needs a network of classes or labels, got one of "
                             f"{kind.name}: predict returns them")
        if not metrics.are_probabilities(self.engine):
            raise ValueError(f"predict_proba needs outputs that are probabilities, as those of "
                             f"sigmoid and softmax are, got output_activation "
                             f"{self.output_activation!r}: feedforward returns them")
        outputs = self._outputs(x)
        if self.engine.activations[-1] == "softmax":
            return outputs
        return metrics.probabilities(outputs, kind)

    def evaluate(self, test_data: Any) -> int:
        """
        Return how many examples the network classifies correctly.

        The class is the largest output, as in the book. A single output is compared with the middle
        of its two targets, such as 1/2 for 0 and 1; with a hinge cost, it is compared with 0. If
        there are several labels, all must be right. An example with an output of NaN is wrong.

        Raises
        ------
        ValueError
            If the targets are numbers or counts, which have no classes.

        Examples
        --------
        >>> _, test_data = cbackprop.datasets.load_mnist()
        >>> 0 <= cbackprop.Network([784, 10], seed=0).evaluate(test_data) <= 1000
        True
        """
        examples = self.engine.examples(test_data, "test_data")
        return round(self._measured(metrics.accuracy, examples, "evaluate") * len(examples))

    def accuracy(self, test_data: Any) -> float:
        """
        Return the share of examples that the network classifies correctly; see `evaluate`.

        Raises
        ------
        ValueError
            If the targets are numbers or counts, which have no classes.

        Examples
        --------
        >>> _, test_data = cbackprop.datasets.load_mnist()
        >>> 0 <= cbackprop.Network([784, 10], seed=0).accuracy(test_data) <= 1
        True
        """
        examples = self.engine.examples(test_data, "test_data")
        return self._measured(metrics.accuracy, examples, "accuracy")

    def measure(self, test_data: Any) -> dict[str, float]:
        """
        Return the cost and every metric that fits the targets, by name.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.linspace(0, 1, 50)[:, None]
        >>> net = cbackprop.Network([1, 1], output_activation="identity", seed=0)
        >>> history = net.SGD((x, 2 + 3 * x), epochs=200, mini_batch_size=10, eta=0.5)
        >>> found = net.measure((x, 2 + 3 * x))
        >>> list(found), round(found["r2"], 3)
        (['cost', 'r2', 'mae', 'rmse'], 1.0)
        """
        examples = self.engine.examples(test_data, "test_data")
        kind = metrics.kind_for(self.engine, examples, self.trained_on)
        found = metrics.measure(self.engine, examples, metrics.fitting(kind, self.engine), kind)
        return {metric.name: value for metric, value in found.items()}

    def total_cost(self, test_data: Any, *, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the mean cost of the examples, weighted by `sample_weight` if it is given.

        Examples
        --------
        >>> net = cbackprop.Network([2, 1], seed=0)
        >>> net.total_cost(([[0.0, 1.0]], [[1.0]])) > 0
        True
        """
        return self.engine.mean_cost(
            self.engine.examples(test_data, "test_data", sample_weight=sample_weight))

    def _outputs(self, x: ArrayLike) -> NDArray[Any]:
        if self.preprocessing is not None:
            self.preprocessing.look_at(x)
        return self.feedforward(x).reshape(-1, self.sizes[-1])

    def _kind(self) -> metrics.Kind:
        return metrics.kind_of(self.engine, None, self.trained_on)

    def _measured(self, metric: metrics.Metric, examples: Examples, what: str) -> float:
        kind = metrics.kind_for(self.engine, examples, self.trained_on)
        metrics.check(metric, kind, self.engine, what)
        (value,) = metrics.measure(self.engine, examples, [metric], kind).values()
        return value

"""scikit-learn's multilayer perceptron."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from common import REALS, Work
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor

from opponents.contestant import Contestant, Examples
from opponents.feedforward import Call, Trained

ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh"}


def own_arithmetic(work: Work) -> Work:
    """
    Return the work as scikit-learn can do it.

    Its classifiers have sigmoids and cross-entropy at the output, given targets as one row of zeros
    and ones, and its regressors the identity and the quadratic cost: a few operations fewer in BP1.
    """
    if work.autoencoder:
        return replace(work, output_activation="identity")
    return replace(work, output_activation="sigmoid", cost="cross_entropy")


def perceptron(work: Work, eta: float, m: int) -> MLPClassifier | MLPRegressor:
    """Return a network that takes plain steps of gradient descent."""
    kind = MLPRegressor if work.autoencoder else MLPClassifier
    return kind(
        hidden_layer_sizes=work.sizes[1:-1], activation=ACTIVATIONS[work.activation],
        solver="sgd", alpha=0.0, batch_size=m, learning_rate="constant", learning_rate_init=eta,
        momentum=0.0, nesterovs_momentum=False, random_state=np.random.RandomState(3))


def fill(net: MLPClassifier | MLPRegressor, weights: list[NDArray], biases: list[NDArray]) -> None:
    """Copy parameters (out, in) and (out, 1) into a network that was fitted before."""
    for w, start in zip(net.coefs_, weights, strict=True):
        w[...] = start.T
    for b, start in zip(net.intercepts_, biases, strict=True):
        b[...] = start[:, 0]


class Sklearn(Contestant):
    """`partial_fit`, which takes one epoch of mini-batches, by a cost of its own."""

    opponent = "scikit-learn"
    form = "its own cost"

    def __init__(self, work: Work, examples: Examples, real: str) -> None:
        super().__init__(own_arithmetic(work), examples, real, real)
        if not work.autoencoder:
            self.y = self.y.astype(int) if work.sizes[-1] > 1 else self.y[:, 0].astype(int)
        m = work.mini_batch_size
        self.net = perceptron(self.work, work.eta, m)
        first = {} if work.autoencoder else {"classes": np.arange(max(work.sizes[-1], 2))}
        self.net.partial_fit(self.x[:m], self.y[:m], **first)

    def begin(self) -> None:  # noqa: D102
        fill(self.net, *self.start)

    def parameters(self) -> list[NDArray]:  # noqa: D102
        return [*(w.T for w in self.net.coefs_), *(b.reshape(-1, 1) for b in self.net.intercepts_)]

    def train(self, batches: NDArray) -> None:  # noqa: D102
        for batch in batches:
            self.net.partial_fit(self.x[batch], self.y[batch])

    def epoch(self) -> None:  # noqa: D102
        self.net.partial_fit(self.x[:self.rows_timed], self.y[:self.rows_timed])


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    for real in REALS[::-1]:
        yield Sklearn(work, examples, real)


def feedforwards(net: Trained, x: NDArray) -> Iterator[Call]:
    """Yield `predict_proba` of targets that are rows of zeros and ones: sigmoids, one by one."""
    m = 10
    work = Work(net.sizes, m, m, 1.0)
    own = perceptron(work, work.eta, m)
    classes = np.arange(net.sizes[-1])
    own.partial_fit(np.zeros((m, net.sizes[0]), np.float32), np.eye(m, net.sizes[-1], dtype=int),
                    classes=classes)
    fill(own, net.weights, [b.reshape(-1, 1) for b in net.biases])
    yield Call(Sklearn.opponent, "predict_proba", lambda: own.predict_proba(x))

"""The book's two training loops, in NumPy's float64: whole mini-batches as columns of a matrix."""

import itertools
import random

import numpy as np


def sigmoid(z):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def parameters(sizes, scaled):
    """Draw as the book does: every bias, then every weight; scaled by the root of the inputs."""
    draw = np.random.standard_normal
    biases = [draw((j, 1)) for j in sizes[1:]]
    weights = [draw((j, k)) / (np.sqrt(k) if scaled else 1) for k, j in itertools.pairwise(sizes)]
    return weights, biases


def outputs(weights, biases, x):
    """Return the activations of every layer, for columns x."""
    layers = [x]
    for w, b in zip(weights, biases, strict=True):
        layers.append(sigmoid(w @ layers[-1] + b))
    return layers


def delta_quadratic(a, y):
    return (a - y) * a * (1 - a)


def delta_cross_entropy(a, y):
    return a - y


def step(weights, biases, x, y, eta, decay=1.0, delta=delta_quadratic):
    """Take a step for the columns x, y; return new parameters."""
    layers, m = outputs(weights, biases, x), x.shape[1]
    error, weights, biases = delta(layers[-1], y), list(weights), list(biases)
    for layer in reversed(range(len(weights))):
        w, a = weights[layer], layers[layer]
        weights[layer] = decay * w - eta / m * error @ a.T
        biases[layer] = biases[layer] - eta / m * error.sum(axis=1, keepdims=True)
        error = w.T @ error * a * (1 - a)
    return weights, biases


def columns(pairs):
    return (np.hstack([np.reshape(x, (-1, 1)).astype(float) for x, _ in pairs]),
            np.hstack([np.reshape(y, (-1, 1)).astype(float) for _, y in pairs]))


def epochs(weights, biases, pairs, count, m, eta, lmbda=0.0, delta=delta_quadratic):
    """Yield the parameters after each epoch; shuffle the list in place, as Python's random does."""
    for _ in range(count):
        random.shuffle(pairs)
        for k in range(0, len(pairs), m):
            weights, biases = step(weights, biases, *columns(pairs[k:k + m]), eta,
                                   1 - eta * (lmbda / len(pairs)), delta)
        yield weights, biases


def correct(weights, biases, pairs):
    """Count the pairs (x, label) that are classified so."""
    x, labels = columns(pairs)
    return int((outputs(weights, biases, x)[-1].argmax(axis=0) == labels).sum())


def cost(weights, biases, x, y, lmbda, cross_entropy):
    a, n = outputs(weights, biases, x)[-1], x.shape[1]
    if cross_entropy:
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = -np.nan_to_num(y * np.log(a)) - np.nan_to_num((1 - y) * np.log1p(-a))
    else:
        terms = (a - y) ** 2 / 2
    return terms.sum() / n + lmbda / (2 * n) * sum((w**2).sum() for w in weights)


# ---- the same an example at a time: what calls what, which is what a script may replace ----


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def vectorized_result(j):
    return np.eye(4)[:, [j]]


class QuadraticCost:
    @staticmethod
    def fn(a, y):
        return np.linalg.norm(a - y) ** 2 / 2

    @staticmethod
    def delta(z, a, y):
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    @staticmethod
    def fn(a, y):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)).sum()

    @staticmethod
    def delta(z, a, y):
        return a - y


class Network1:
    """Chapter 1's."""

    scaled = False

    def __init__(self, sizes):
        self.num_layers = len(sizes)
        self.weights, self.biases = parameters(sizes, self.scaled)

    def feedforward(self, a):
        for w, b in zip(self.weights, self.biases, strict=True):
            a = sigmoid(w @ a + b)
        return a

    def SGD(self, training_data, epochs, m, eta, test_data):  # noqa: N802
        for epoch in range(epochs):
            random.shuffle(training_data)
            for k in range(0, len(training_data), m):
                self.update_mini_batch(training_data[k:k + m], eta)
            print(f"Epoch {epoch}: {self.evaluate(test_data)} / {len(test_data)}")

    def update_mini_batch(self, mini_batch, eta, lmbda=0.0, n=1):
        of_all = [self.backprop(x, y) for x, y in mini_batch]
        nabla_b, nabla_w = ([sum(layer) for layer in zip(*part, strict=True)]
                            for part in zip(*of_all, strict=True))
        m = len(mini_batch)
        self.weights = [(1 - eta * (lmbda / n)) * w - eta / m * g
                        for w, g in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - eta / m * g for b, g in zip(self.biases, nabla_b, strict=True)]

    def backprop(self, x, y):
        layers, zs = [x], []
        for w, b in zip(self.weights, self.biases, strict=True):
            zs.append(w @ layers[-1] + b)
            layers.append(sigmoid(zs[-1]))
        nabla_b, nabla_w = ([0 * p for p in part] for part in (self.biases, self.weights))
        delta = self.output_error(zs[-1], layers[-1], y)
        for at in range(1, self.num_layers):
            if at > 1:
                delta = self.weights[1 - at].T @ delta * sigmoid_prime(zs[-at])
            nabla_b[-at], nabla_w[-at] = delta, delta @ layers[-at - 1].T
        return nabla_b, nabla_w

    def output_error(self, z, a, y):
        return self.cost_derivative(a, y) * sigmoid_prime(z)

    def cost_derivative(self, output_activations, y):
        return output_activations - y

    def evaluate(self, test_data):
        return sum(int(np.argmax(self.feedforward(x)) == y) for x, y in test_data)


class Network2(Network1):
    """Chapter 3's."""

    scaled = True

    def __init__(self, sizes, cost=CrossEntropyCost):
        super().__init__(sizes)
        self.cost = cost

    def SGD(self, training_data, epochs, m, eta, lmbda, evaluation_data, *_):  # noqa: N802
        """Monitor everything, whatever is asked for."""
        n = len(training_data)
        for epoch in range(epochs):
            random.shuffle(training_data)
            for k in range(0, n, m):
                self.update_mini_batch(training_data[k:k + m], eta, lmbda, n)
            print(f"Epoch {epoch} training complete\n"
                  f"Cost on training data: {self.total_cost(training_data, lmbda)}\n"
                  f"Accuracy on training data: {self.accuracy(training_data, convert=True)} / {n}\n"
                  "Cost on evaluation data: "
                  f"{self.total_cost(evaluation_data, lmbda, convert=True)}\n"
                  "Accuracy on evaluation data: "
                  f"{self.accuracy(evaluation_data)} / {len(evaluation_data)}\n")

    def output_error(self, z, a, y):
        return self.cost.delta(z, a, y)

    def accuracy(self, data, convert=False):
        return self.evaluate([(x, np.argmax(y) if convert else y) for x, y in data])

    def total_cost(self, data, lmbda, convert=False):
        total = 0.0
        for x, y in data:
            total += self.cost.fn(self.feedforward(x),
                                  vectorized_result(y) if convert else y) / len(data)
        return total + 0.5 * (lmbda / len(data)) * sum(
            np.linalg.norm(w) ** 2 for w in self.weights)

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

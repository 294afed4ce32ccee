"""
Initial parameters: a new scheme is one function and its entry in the table.

All parameters are zero when a function gets them. Only the book's two draw biases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words

Layers = Sequence[NDArray[Any]]
InitializerName = Literal[
    "default", "large", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_uniform", "lecun_normal", "orthogonal", "zeros"]
Variance = Callable[[int, int], float]  # of weights, from (in, out)


def default(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Biases N(0, 1), weights N(0, 1) / sqrt(in): no neuron starts saturated (chapter 3)."""
    large(random, weights, biases)
    for w in weights:
        w /= np.sqrt(w.shape[1])


def large(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Biases and weights N(0, 1), as in the book's first network."""
    for b in biases:
        b[...] = random.standard_normal(b.shape)
    normal(random, weights, lambda n_in, out: 1)


def glorot_uniform(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights uniform, of variance 2 / (in + out): for tanh (Glorot, Bengio, 2010)."""
    uniform(random, weights, lambda n_in, out: 2 / (n_in + out))


def glorot_normal(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights normal, of variance 2 / (in + out)."""
    normal(random, weights, lambda n_in, out: 2 / (n_in + out))


def he_uniform(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights uniform, of variance 2 / in: for relu (He and others, 2015)."""
    uniform(random, weights, lambda n_in, out: 2 / n_in)


def he_normal(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights normal, of variance 2 / in."""
    normal(random, weights, lambda n_in, out: 2 / n_in)


def lecun_uniform(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights uniform, of variance 1 / in: for selu (LeCun and others, 1998)."""
    uniform(random, weights, lambda n_in, out: 1 / n_in)


def lecun_normal(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights normal, of variance 1 / in."""
    normal(random, weights, lambda n_in, out: 1 / n_in)


def orthogonal(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Weights with orthonormal rows, or columns if they are fewer (Saxe and others, 2014)."""
    for w in weights:
        q, r = np.linalg.qr(random.standard_normal((max(w.shape), min(w.shape))))
        q *= np.where(np.diag(r) < 0, -1, 1)  # without this, not every q is equally likely
        w[...] = q if q.shape == w.shape else q.T


def zeros(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Leave everything at zero, for parameters that are set afterwards."""


def normal(random: np.random.Generator, weights: Layers, variance: Variance) -> None:
    """Draw weights from N(0, variance(in, out))."""
    for w in weights:
        out, n_in = w.shape
        w[...] = random.standard_normal(w.shape) * math.sqrt(variance(n_in, out))


def uniform(random: np.random.Generator, weights: Layers, variance: Variance) -> None:
    """Draw weights evenly between -limit and limit, of which the variance is limit^2 / 3."""
    for w in weights:
        out, n_in = w.shape
        limit = math.sqrt(3 * variance(n_in, out))
        w[...] = random.uniform(-limit, limit, w.shape)


KNOWN: dict[str, Callable[[np.random.Generator, Layers, Layers], None]] = {
    "default": default,
    "large": large,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "zeros": zeros,
}


def fill(initializer: Any, random: np.random.Generator, weights: Any, biases: Any) -> None:
    """
    Fill the parameters by a scheme's name, or with arrays: (weights, biases).

    Raises
    ------
    TypeError, ValueError
        If the name is unknown, or the arrays do not fit.

    Examples
    --------
    >>> net = cbackprop.Network([2, 1], initializer=([[[0.5, 2.0]]], [[[1.0]]]))
    >>> net.weights[0], net.biases[0]
    (array([[0.5, 2. ]], dtype=float32), array([[1.]], dtype=float32))
    """
    if isinstance(initializer, str) and initializer in KNOWN:
        KNOWN[initializer](random, weights, biases.writable)
    elif isinstance(initializer, (tuple, list)) and len(initializer) == 2:
        for layers, given in zip((weights, biases), initializer, strict=True):
            layers.assign(given)
    else:
        raise ValueError(f"initializer must be one of {sorted(KNOWN)}, or (weights, biases), "
                         f"got {_check.shown(initializer)}{_words.meant(initializer, KNOWN)}")

"""Initial parameters: a new scheme is one function and its entry in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Layers = Iterable[NDArray]


def default(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Biases N(0, 1), weights N(0, 1) / sqrt(in): no neuron starts saturated (chapter 3)."""
    large(random, weights, biases)
    for w in weights:
        w /= np.sqrt(w.shape[1])


def large(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Biases and weights N(0, 1), as in the book's first network."""
    for b in biases:
        b[...] = random.standard_normal(b.shape)
    for w in weights:
        w[...] = random.standard_normal(w.shape)


def zeros(random: np.random.Generator, weights: Layers, biases: Layers) -> None:
    """Leave everything at zero, for parameters that are set afterwards."""


KNOWN: dict[str, Callable[[np.random.Generator, Layers, Layers], None]] = {
    "default": default,
    "large": large,
    "zeros": zeros,
}

"""What inference is measured on: a network that all have, and their ways to call it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trained:
    """
    A network of sigmoids in float32.

    Attributes
    ----------
    sizes : tuple of int
    weights, biases : lists of arrays
        (out, in) and (out,).
    """

    sizes: tuple[int, ...]
    weights: list[NDArray]
    biases: list[NDArray]

    @classmethod
    def drawn(cls, sizes: tuple[int, ...]) -> "Trained":
        """Return one with weights as they are before training."""
        rng = np.random.default_rng(5)
        weights = [(rng.standard_normal((j, k)) / k**0.5).astype(np.float32)
                   for k, j in pairwise(sizes)]
        return cls(sizes, weights, [rng.standard_normal(j).astype(np.float32) for j in sizes[1:]])

    def feedforward(self, x: NDArray) -> NDArray:
        """Return the outputs, computed in float64: what others are compared with."""
        a = x.astype(np.float64)
        for w, b in zip(self.weights, self.biases, strict=True):
            a = 1 / (1 + np.exp(-(a @ w.T.astype(np.float64) + b)))
        return a

    @property
    def flops_per_row(self) -> int:
        """Of the products."""
        return 2 * sum(w.size for w in self.weights)


@dataclass(frozen=True)
class Call:
    """One way to have all outputs of rows given beforehand, in the library's own kind of array."""

    opponent: str
    form: str
    function: Callable[[], Any]

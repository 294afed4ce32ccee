"""The problems that a page offers: small ones, and the digits. Each is a row of PROBLEMS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.datasets import load_mnist, one_hot

Examples = tuple[NDArray[Any], NDArray[Any]]
CLOUD = 200  # points of moons and of spirals


@dataclass(frozen=True)
class Problem:
    """
    Examples, and the network and the training that a page begins with.

    Attributes
    ----------
    name : str
        What the page calls it.
    make : callable ()
        Returns x of shape (n, in) and y of shape (n, out).
    hidden : sequence of int
        The neurons of the hidden layers.
    network : dict
        Further arguments of `Network`.
    eta : float or None
        By default, one that suits the network.
    batch : int
    pace : int
        Epochs in a second, or 0 for as many as there can be.
    inputs, classes : sequence of str, optional
        The names of inputs and classes.
    """

    name: str
    make: Callable[[], Examples]
    hidden: Sequence[int]
    eta: float | None
    batch: int
    pace: int
    network: dict[str, Any] = field(default_factory=dict)
    inputs: Sequence[str] | None = None
    classes: Sequence[str] | None = None


def xor() -> Examples:
    """Return the four points of exclusive or."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return x, (x.sum(axis=1, keepdims=True) == 1).astype(float)


def moons() -> Examples:
    """Return two half moons, each around the end of the other."""
    angle = np.linspace(0, np.pi, CLOUD // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _cloud(upper, np.array([1.0, 0.5]) - upper, noise=0.1)


def spirals() -> Examples:
    """Return two spirals, one within the other."""
    turn = np.sqrt(np.linspace(0.02, 1, CLOUD // 2)) * 3 * np.pi
    arm = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (turn / (3 * np.pi))[:, None]
    return _cloud(arm, -arm, noise=0.02)


def digits() -> Examples:
    """Return the training images of the MNIST subset that comes with the package."""
    (x, y), _ = load_mnist()
    return x, one_hot(y, 10).astype(float)


def _cloud(zeros: NDArray[Any], ones: NDArray[Any], noise: float) -> Examples:
    x = np.concatenate([zeros, ones])
    y = np.repeat([[0.0], [1.0]], CLOUD // 2, axis=0)
    return x + noise * np.random.default_rng(0).standard_normal(x.shape), y


CROSS_ENTROPY = {"cost": "cross_entropy"}
PROBLEMS = (
    Problem("XOR", xor, [4], 2.0, 4, 250, CROSS_ENTROPY),
    Problem("two moons", moons, [6], 0.5, 10, 25, CROSS_ENTROPY | {"activation": "tanh"}),
    Problem("two spirals", spirals, [10, 6], 0.1, 10, 25, CROSS_ENTROPY | {"activation": "tanh"}),
    Problem("digits (MNIST)", digits, [30], 3.0, 10, 0, {"input_scale": 1 / 255},
            classes=tuple("0123456789")),
)

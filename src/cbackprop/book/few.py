"""
A few pairs, an example at a time in NumPy: copying all parameters to the core would take longer.

This path is taken only if all types and shapes are the usual ones. Otherwise the core does the work
and reports errors; the parameters are unchanged until then.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cbackprop.book.formulas import is_correct
from cbackprop.core import _dispatch

MAX_PAIRS = 4
_core = _dispatch.load("float64")


class Lists(Protocol):
    """The part of the book's network that is needed here."""

    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]

    def feedforward(self, a: Any) -> NDArray[Any]:
        """Return the output."""

    def backprop(self, x: Any, y: Any) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return nabla_b and nabla_w of one example."""


def stepped(
    net: Lists, sizes: tuple[int, ...], pairs: Any, eta: Any, lmbda: Any = 0.0, n: Any = 1
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]] | None:
    """Return weights and biases after one step on a few pairs; None if the core should take it."""
    if not (_are_few(net, sizes, pairs) and type(eta) is float and type(lmbda) in (int, float)
            and type(n) is int and lmbda >= 0 < n):
        return None
    with np.errstate(all="ignore"):
        nabla_b, nabla_w = net.backprop(*pairs[0])
        for x, y in pairs[1:]:
            of_b, of_w = net.backprop(x, y)
            nabla_b = [g + g_x for g, g_x in zip(nabla_b, of_b, strict=True)]
            nabla_w = [g + g_x for g, g_x in zip(nabla_w, of_w, strict=True)]
        step, decay = eta / len(pairs), 1 - eta * (lmbda / n)
        weights = [(w if decay == 1 else decay * w) - step * g
                   for w, g in zip(net.weights, nabla_w, strict=True)]
        biases = [b - step * g for b, g in zip(net.biases, nabla_b, strict=True)]
    return (weights, biases) if _core.arrays_match(weights, biases, sizes) else None


def correct(net: Lists, sizes: tuple[int, ...], pairs: Any) -> int | None:
    """Count the correct ones of a few pairs; None if the core should do it."""
    if not _are_few(net, sizes, pairs):
        return None
    right = 0
    for x, y in pairs:
        a = net.feedforward(x)
        if a.size > 1 and not isinstance(y, np.ndarray):
            right += int(a.argmax()) == y  # `is_correct`, at half the price
        else:
            right += is_correct(a, y)
    return int(right)


def _are_few(net: Lists, sizes: tuple[int, ...], pairs: Any) -> bool:
    """Whether these are a few pairs that fit the network, and its parameters fit each other."""
    return (type(pairs) is type(net.weights) is type(net.biases) is list
            and 0 < len(pairs) <= MAX_PAIRS and _core.pairs_match(pairs, sizes[0], sizes[-1])
            and _core.arrays_match(net.weights, net.biases, sizes))

"""
Epochs of cbackprop and of NumPy, side by side.

``cbackprop bench`` runs this file in a process of its own: a BLAS reads how many threads it may
take when it is loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import Network

ETA = 0.5
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}  # of the largest parameter, after an epoch


class NumPyNetwork:
    """
    The book's network and step over whole mini-batches, as fast as NumPy is: all in place.

    Parameters lie in one array, and their gradients in another: one addition is the update. They
    are kept negated, for 1 / (1 + exp(z)) is a call less. BP1 takes the factor -eta/m.

    Parameters
    ----------
    sizes : sequence of int
    m : int
        Rows of a mini-batch.
    real : {"float32", "float64"}
    weights, biases : sequences of arrays
        To begin with, as `Network` has them.
    """

    def __init__(
        self, sizes: Sequence[int], m: int, real: str, weights: Sequence[NDArray[Any]],
        biases: Sequence[NDArray[Any]],
    ) -> None:
        shapes = [w.T.shape for w in weights] + [(len(b),) for b in biases]
        self.parameters, parts = carved(shapes, real)
        self.nabla, nablas = carved(shapes, real)
        layers = len(weights)
        self.w, self.b = parts[:layers], parts[layers:]
        self.nabla_w, self.nabla_b = nablas[:layers], nablas[layers:]
        for part, value in zip(parts, [*(w.T for w in weights), *(b[:, 0] for b in biases)],
                               strict=True):
            part[...] = -value
        self.sizes, self.m, self.real = sizes, m, real
        rows = [(m, size) for size in sizes[1:]]
        self.a_all, self.a = carved(rows, real)
        self.prime_all, self.prime = carved(rows, real)
        self.delta = [np.empty(shape, real) for shape in rows]
        self.x, self.y = np.empty((m, sizes[0]), real), np.empty((m, sizes[-1]), real)

    def epoch(self, x: NDArray[Any], y: NDArray[Any], order: NDArray[Any], eta: float) -> None:
        """Take a step for every whole mini-batch of rows in this order."""
        dot, add, multiply, exp, reciprocal = np.dot, np.add, np.multiply, np.exp, np.reciprocal
        one, step = np.array(1, self.real), np.array(-eta / self.m, self.real)
        ones = np.ones(self.m, self.real)
        inputs = [self.x, *self.a[:-1]]
        forward = list(zip(inputs, self.w, self.b, self.a, strict=True))
        backward = list(zip(self.delta[:0:-1], [w.T for w in self.w[:0:-1]], self.delta[-2::-1],
                            self.prime[-2::-1], strict=True))
        gradients = list(zip([a.T for a in inputs], self.delta, self.nabla_w, self.nabla_b,
                             strict=True))
        output, prime, delta = self.a[-1], self.prime[-1], self.delta[-1]
        for batch in order.reshape(-1, self.m):
            x.take(batch, 0, self.x, "clip")  # "raise" would copy once more
            y.take(batch, 0, self.y, "clip")
            for a, w, b, z in forward:  # (25)
                dot(a, w, z)
                add(z, b, z)
                exp(z, z)
                add(z, one, z)
                reciprocal(z, z)
            np.subtract(self.a_all, one, self.prime_all)
            multiply(self.prime_all, self.a_all, self.prime_all)
            np.subtract(output, self.y, delta)  # BP1
            multiply(delta, step, delta)
            multiply(delta, prime, delta)
            for after, w_t, before, sigma_prime in backward:  # BP2
                dot(after, w_t, before)
                multiply(before, sigma_prime, before)
            for a_t, d, nabla_w, nabla_b in gradients:  # BP4, BP3
                dot(a_t, d, nabla_w)
                dot(ones, d, nabla_b)
            add(self.parameters, self.nabla, self.parameters)

    def apart(self, net: Network) -> float:
        """Return the largest difference of a parameter, by the largest parameter."""
        ours = [*net.weights, *net.biases]
        theirs = [*(-w.T for w in self.w), *(-b[:, None] for b in self.b)]
        far = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
        return far / max(float(np.abs(a).max()) for a in ours)


def carved(
    shapes: Sequence[tuple[int, ...]], real: str
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return one array, and views of these shapes that follow in it."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    whole = np.zeros(ends[-1], real)
    parts = np.split(whole, ends[:-1])
    return whole, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def race(
    sizes: list[int], batch: int, rows: int, real: str, repeat: int, threads: int, seed: int
) -> dict[str, Any]:
    """
    Check that both reach the same parameters after an epoch, then time them by turns.

    Raises
    ------
    ValueError
        If an argument is bad, or they do not agree.
    """
    rng = np.random.default_rng(seed)
    rows -= rows % batch  # whole mini-batches alone
    x = rng.random((rows, sizes[0]), np.float32).astype(real)
    labels = rng.integers(0, sizes[-1], rows) if sizes[-1] > 1 else None
    y = (rng.random((rows, 1)) < 0.5).astype(real) if labels is None else np.eye(
        sizes[-1], dtype=real)[labels]
    net = Network(sizes, dtype=real, seed=seed, threads=threads)
    theirs = NumPyNetwork(sizes, batch, real, net.weights, net.biases)
    order = np.arange(rows)
    net.SGD((x, y), 1, batch, ETA, shuffle=False)
    theirs.epoch(x, y, order, ETA)
    apart = theirs.apart(net)
    if not apart <= TOLERANCE[real]:
        raise ValueError(f"cbackprop and NumPy must agree to {TOLERANCE[real]:g} of the largest "
                         f"parameter after an epoch, got {apart:.3g}")
    runs: dict[str, Callable[[], Any]] = {
        "cbackprop": lambda: net.SGD((x, y), 1, batch, ETA),
        "NumPy": lambda: theirs.epoch(x, y, rng.permutation(rows), ETA)}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeat):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {"rows": rows, "apart": apart, "tolerance": TOLERANCE[real], "seconds": seconds}


def main() -> None:
    """Read the arguments as JSON, and print what was found."""
    given = json.loads(sys.argv[1])
    cores = given.pop("cores")
    if cores:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
    try:
        found = race(**given)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        found = {"error": str(error) or type(error).__name__}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""
Problem: the matrix form over a mini-batch
==========================================

Run it from the root of the repository::

    python examples/chapter2/matrix_form.py

The book's code loops over the examples of a mini-batch. Instead of a vector x, take a matrix with
an example in each row: BP1 to BP4 are the same products, of matrices. How much does it gain?
"""

import time

import numpy as np

import cbackprop


def sigmoid(z):
    """Return sigma(z)."""
    return 1 / (1 + np.exp(-z))


def backprop(w, b, x, y):
    """Return the sums of the gradients over all rows of x, by (25) and BP1 to BP4."""
    a = [x]
    for wl, bl in zip(w, b, strict=True):
        a.append(sigmoid(a[-1] @ wl.T + bl.T))  # (25)
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])  # BP1
    nabla = []
    for l in range(len(w) - 1, -1, -1):  # noqa: E741  the book's l
        nabla.append((delta.sum(axis=0)[:, None], delta.T @ a[l]))  # BP3, BP4
        if l > 0:
            delta = (delta @ w[l]) * a[l] * (1 - a[l])  # BP2
    return nabla[::-1]


def loop(w, b, x, y):
    """Return the same sums, an example at a time, as the book's code does."""
    total = backprop(w, b, x[:1], y[:1])
    for i in range(1, len(x)):
        total = [(tb + nb, tw + nw) for (tb, tw), (nb, nw) in zip(
            total, backprop(w, b, x[i:i + 1], y[i:i + 1]), strict=True)]
    return total


def seconds(function, *arguments):
    """Return the shortest of several times."""
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - begun)
    return min(times)


(x, y), _ = cbackprop.datasets.load_mnist()
x, y = x / 255, np.eye(10)[y]
net = cbackprop.Network([784, 30, 10], dtype="float64", seed=0, threads=1)
w, b = list(net.weights), list(net.biases)
for m in (10, 30):
    of_loop, of_matrices = loop(w, b, x[:m], y[:m]), backprop(w, b, x[:m], y[:m])
    nabla_b, nabla_w = net.backprop(x[:m], y[:m])  # averaged
    same = all(np.abs(one[1] - other[1]).max() < 1e-12 and np.abs(one[1] / m - core).max() < 1e-12
               for one, other, core in zip(of_loop, of_matrices, nabla_w, strict=True))
    print(f"{m} examples of MNIST, 784-30-10: the same gradients, to 1e-12: {same}")
    took = {"loop over examples, NumPy": seconds(loop, w, b, x[:m], y[:m]),
            "matrices, NumPy": seconds(backprop, w, b, x[:m], y[:m]),
            "matrices, the core": seconds(net.backprop, x[:m], y[:m])}
    for name, each in took.items():
        gain = took["loop over examples, NumPy"] / each
        print(f"  {name:25} {1e6 * each:6.0f} us, {gain:4.1f} times as fast")

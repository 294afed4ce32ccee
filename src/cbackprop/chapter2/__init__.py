"""
Chapter 2 of the book in plain loops, as a reader calls it: `chapter2.pyx` has the equations.

Float64, sigmoid neurons, the quadratic cost; no vectors, no threads. It is there to be read and
changed, and to compare with. docs/chapter2.md sets it beside the fast chapter of the core. Nothing
that is given is changed: what is trained is returned.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays
from cbackprop.chapter2 import chapter2

__all__ = ["backprop", "feedforward", "sgd", "update_mini_batch"]

Arrays: TypeAlias = list[NDArray[Any]]


def feedforward(
    weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], x: ArrayLike
) -> tuple[Arrays, Arrays]:
    """
    Return every weighted input z and every activation a, equation (25).

    Parameters
    ----------
    weights, biases : sequences of arrays of shape (out, in) and (out, 1)
        One of each for every layer but the inputs, as `Network.weights` and `Network.biases`.
    x : array of shape (n, in), (in,), or a column (in, 1)

    Returns
    -------
    z, a : lists of float64 arrays of shape (n, neurons of the layer)
        `a` begins with x and ends with the outputs of the network; ``a[l + 1]`` is sigma of
        ``z[l]``.

    Raises
    ------
    TypeError, ValueError
        If an array holds no real numbers or does not fit the others, or x is not finite.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], dtype="float64", seed=0)
    >>> z, a = cbackprop.chapter2.feedforward(net.weights, net.biases, [[0.0, 1.0], [1.0, 1.0]])
    >>> [layer.shape for layer in a]
    [(2, 2), (2, 3), (2, 1)]
    >>> bool(abs(a[-1] - net.feedforward(a[0])).max() < 1e-15)
    True
    """
    w, b = _parameters(weights, biases)
    return chapter2.feedforward(w, b, _rows(x, w))


def backprop(
    weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike
) -> tuple[Arrays, Arrays]:
    """
    Return the gradient of the cost, by BP1 to BP4.

    Parameters
    ----------
    weights, biases, x
        As for `feedforward`; at least one example.
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)

    Returns
    -------
    nabla_b, nabla_w : lists of float64 arrays
        Shaped as `biases` and `weights`; the average over the examples.

    Raises
    ------
    TypeError, ValueError
        As `feedforward`, and if y does not fit x and the outputs or is not finite.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], dtype="float64", seed=0)
    >>> x, y = [0.0, 1.0], [1.0]
    >>> nabla_b, nabla_w = cbackprop.chapter2.backprop(net.weights, net.biases, x, y)
    >>> bool(abs(nabla_w[0] - net.backprop(x, y)[1][0]).max() < 1e-15)
    True
    """
    w, b = _parameters(weights, biases)
    rows, targets = _examples(x, y, w)
    nabla_b, nabla_w = chapter2.backprop(w, b, rows, targets)
    return [nabla / len(rows) for nabla in nabla_b], [nabla / len(rows) for nabla in nabla_w]


def update_mini_batch(
    weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike,
    eta: float,
) -> tuple[Arrays, Arrays]:
    """
    Take one step of gradient descent, w -> w - (eta/m) sum_x dC_x/dw and b likewise.

    Parameters
    ----------
    weights, biases, x, y
        As for `backprop`: the m examples of the mini-batch.
    eta : float
        Learning rate.

    Returns
    -------
    weights, biases : lists of float64 arrays
        After the step.

    Raises
    ------
    TypeError, ValueError
        As `backprop`, and if eta is not finite or is negative.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], dtype="float64", seed=0)
    >>> net.weights, net.biases = cbackprop.chapter2.update_mini_batch(
    ...     net.weights, net.biases, [[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]], eta=0.5)
    """
    w, b = _copies(weights, biases)
    rows, targets = _examples(x, y, w)
    chapter2.update_mini_batch(w, b, rows, targets, _rate(eta))
    return w, b


def sgd(
    weights: Sequence[ArrayLike], biases: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike,
    order: ArrayLike, mini_batch_size: int, eta: float,
) -> tuple[Arrays, Arrays]:
    """
    Train for one epoch of stochastic gradient descent.

    Parameters
    ----------
    weights, biases, x, y
        As for `backprop`: the training data.
    order : sequence of int
        Indices of the examples, in the order in which they are trained on: for the book's descent
        a new ``rng.permutation(len(x))`` in every epoch.
    mini_batch_size : int
        The last mini-batch may be shorter.
    eta : float
        Learning rate.

    Returns
    -------
    weights, biases : lists of float64 arrays
        After the epoch.

    Raises
    ------
    TypeError, ValueError
        As `update_mini_batch`, and if `order` is not of indices or `mini_batch_size` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> order = np.random.default_rng(0).permutation(len(x))
    >>> net.weights, net.biases = cbackprop.chapter2.sgd(
    ...     net.weights, net.biases, x / 255, y, order, mini_batch_size=10, eta=3.0)
    >>> net.evaluate(test_data) > 700  # of 1,000, after one epoch
    True
    """
    w, b = _copies(weights, biases)
    rows, targets = _examples(x, y, w)
    m = _check.integer("mini_batch_size", mini_batch_size, 1)
    chapter2.sgd(w, b, rows, targets, _indices(order, len(rows)), m, _rate(eta))
    return w, b


def _parameters(weights: Any, biases: Any) -> tuple[Arrays, Arrays]:
    """Return both as contiguous float64, copied only if they must be, once their shapes fit."""
    w, b = _arrays(weights, "weights"), _arrays(biases, "biases")
    if not len(w) == len(b) > 0:
        raise ValueError(f"weights and biases must be as many arrays, at least one of each, "
                         f"got {len(w)} and {len(b)}")
    inputs: int | str = "in"
    for layer, (of_w, of_b) in enumerate(zip(w, b, strict=True)):
        if of_w.ndim != 2 or of_w.size == 0 or inputs not in ("in", of_w.shape[1]):
            raise ValueError(f"weights[{layer}] must have shape (out, {inputs}), got {of_w.shape}")
        inputs = len(of_w)
        if of_b.shape != (inputs, 1):
            raise ValueError(f"biases[{layer}] must have shape {(inputs, 1)}, got {of_b.shape}")
    return w, b


def _copies(weights: Any, biases: Any) -> tuple[Arrays, Arrays]:
    """Return parameters that may be changed."""
    w, b = _parameters(weights, biases)
    return [p.copy() for p in w], [p.copy() for p in b]


def _arrays(values: Any, name: str) -> Arrays:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list of arrays, got {_check.shown(values)}")
    return [np.asarray(arrays.numbers(value, f"{name}[{layer}]"), np.float64, order="C")
            for layer, value in enumerate(values)]


def _rows(x: ArrayLike, w: Arrays) -> NDArray[Any]:
    return arrays.finite(arrays.rows(x, w[0].shape[1]), "float64", "x")


def _examples(x: ArrayLike, y: ArrayLike, w: Arrays) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rows and targets, one-hot where they came as labels."""
    rows, outputs = _rows(x, w), len(w[-1])
    if len(rows) == 0:
        raise ValueError("x must hold at least one example, got none")
    targets = arrays.targets(y, len(rows), outputs, "float64")
    return rows, targets if targets.ndim == 2 else np.eye(outputs)[targets]


def _rate(eta: Any) -> float:
    return _check.number("eta", eta, 0, boolean=True)


def _indices(order: ArrayLike, n: int) -> NDArray[Any]:
    found = arrays.numbers(order, "order")
    if found.ndim != 1 or found.dtype.kind not in "ui":
        raise TypeError(f"order must be a sequence of integers, got {found.dtype} "
                        f"of shape {found.shape}")
    if found.size and not 0 <= found.min() <= found.max() < n:
        wrong = found.min() if found.min() < 0 else found.max()
        raise ValueError(f"order must hold indices in 0..{n - 1}, got {wrong}")
    return found

"""Saturated neurons, and how fast each layer learns: chapters 3 and 5 of the book."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop._check import number
from cbackprop._text import table
from cbackprop.callbacks import Callback
from cbackprop.inspect import _arguments
from cbackprop.inspect.trace import slices

if TYPE_CHECKING:
    from cbackprop.history import History
    from cbackprop.network import Network


@dataclass(frozen=True, repr=False)
class Saturated:
    """
    The result of `saturation`; lists have one entry for each layer of weights.

    Attributes
    ----------
    by_neuron : list of arrays of shape (sizes[l + 1],)
        The share of examples for which abs(sigma'(z)) of a neuron is below the threshold. If it is
        1, the neuron learns from none of them.
    share : list of float
        The mean over the layer.
    speed : list of float, or None without y
        The length of the gradient with respect to the layer's biases: of delta, averaged over the
        examples.
    threshold : float
    """

    by_neuron: list[NDArray[Any]]
    share: list[float]
    speed: list[float] | None
    threshold: float

    def __repr__(self) -> str:
        rows = []
        for layer, (neurons, share) in enumerate(zip(self.by_neuron, self.share, strict=True)):
            speed = "" if self.speed is None else f"{self.speed[layer]:.4g}"
            rows.append([str(layer), str(len(neurons)), f"{share:.1%}",
                         str(np.count_nonzero(neurons == 1)), speed])
        return table(["layer", "neurons", f"sigma' < {self.threshold:g}", "for all x",
                      "length of delta"], rows)


def saturation(
    net: Any, x: ArrayLike, y: ArrayLike | None = None, *, threshold: float = 0.01
) -> Saturated:
    """
    Return how many neurons of each layer are saturated and, given y, how fast the layer learns.

    Parameters
    ----------
    net : Network or estimator
    x : array of shape (n, in), (in,), or a column (in, 1)
    y : array of shape (n, out), (out,), (out, 1), or labels (n,), optional
    threshold : float
        A neuron is saturated if abs(sigma'(z)) is below it. For a sigmoid, sigma' is below 0.01 if
        the activation is below 0.0101 or above 0.9899. For softmax, sigma' is a_j (1 - a_j).

    Returns
    -------
    Saturated

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network, or threshold is not a positive number.

    Notes
    -----
    By BP1 and BP2, delta has the factor sigma' in every layer. The speed of a layer is defined in
    chapter 5, "The vanishing gradient problem".

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], initializer=([[[9, 9]] * 3, [[1] * 3]],
    ...                                                 [[[0]] * 3, [[0]]]))
    >>> saturation(net, [[0.0, 1.0], [0.0, 0.0]], [[1.0], [1.0]]).share
    [0.5, 0.0]
    """
    threshold = number("threshold", threshold, 0, above=True)
    net, y = _arguments.network(net), _arguments.targets(net, y)
    rows, targets = (_arguments.rows(net, x), None) if y is None else _arguments.examples(net, x, y)
    counts = [np.zeros(size) for size in net.sizes[1:]]
    errors = [np.zeros(size) for size in net.sizes[1:]]
    for signals, _, _ in slices(net, rows, targets):
        for count, slope in zip(counts, signals["sigma_prime"], strict=True):
            count += (np.abs(slope) < threshold).sum(axis=0)
        for error, delta in zip(errors, signals["delta"], strict=False):  # none without targets
            error += delta.sum(axis=0, dtype=float)
    by_neuron = [count / len(rows) for count in counts]
    speed = None
    if targets is not None:
        speed = [float(np.linalg.norm(error)) / len(rows) for error in errors]
    return Saturated(by_neuron, [float(share.mean()) for share in by_neuron], speed, threshold)


class Saturation(Callback):
    """
    `saturation` before training and after every epoch, for `Network.SGD`.

    Parameters
    ----------
    x, y, threshold
        As for `saturation`; a few hundred examples are enough.

    Attributes
    ----------
    share, speed : lists of lists of float
        Entry e belongs to the network after e epochs: one number for each layer of weights. Without
        y, speed is empty.

    Examples
    --------
    >>> (x, y), _ = cbackprop.datasets.load_mnist()
    >>> saturated = Saturation(x[:100], y[:100])
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), 3, 10, 3.0, callbacks=[saturated])
    >>> len(saturated.share), len(saturated.speed[0])
    (4, 2)
    """

    def __init__(
        self, x: ArrayLike, y: ArrayLike | None = None, *, threshold: float = 0.01
    ) -> None:
        self.x, self.y, self.threshold = x, y, number("threshold", threshold, 0, above=True)
        self.share: list[list[float]] = []
        self.speed: list[list[float]] = []

    def on_train_begin(self, network: Network, history: History) -> None:
        """Start new lists, and record the network before training."""
        self.share, self.speed = [], []
        self._record(network)

    def on_epoch_end(self, network: Network, history: History) -> None:
        """Record the network after the epoch."""
        self._record(network)

    def _record(self, network: Network) -> None:
        found = saturation(network, self.x, self.y, threshold=self.threshold)
        self.share.append(found.share)
        if found.speed is not None:
            self.speed.append(found.speed)

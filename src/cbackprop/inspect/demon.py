"""The demon of chapter 2: what a change of one weighted input does to the cost, equation (29)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from cbackprop._check import number
from cbackprop.inspect import _arguments
from cbackprop.inspect.trace import trace


class Demon(NamedTuple):
    """
    The result of `demon`.

    Attributes
    ----------
    measured : float
        The change of the cost.
    predicted : float
        delta dz, equation (29).
    """

    measured: float
    predicted: float


def demon(
    net: Any, x: ArrayLike, y: ArrayLike, layer: int, neuron: int, dz: float
) -> Demon:
    """
    Let the demon of chapter 2 add dz to one weighted input, and measure the change of the cost.

    Parameters
    ----------
    net : Network or estimator
        The demon sits in a float64 copy, and does not change it.
    x : array of shape (in,), (1, in), or a column (in, 1)
        One example.
    y : array of shape (out,), (1, out), (out, 1), or a label
    layer : int
        The index of a layer in `Network.weights`.
    neuron : int
        The index of a neuron in that layer, from 0.
    dz : float

    Returns
    -------
    Demon

    Raises
    ------
    TypeError, ValueError
        If there is no such layer or neuron, x and y do not fit the network, or are several
        examples.

    Notes
    -----
    By the definition of delta (29), the change is delta dz up to order dz^2: halving dz quarters
    the difference. Since z = w a + b, the demon only has to change b.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> measured, predicted = demon(net, [0.0, 1.0], [1.0], layer=0, neuron=2, dz=1e-4)
    >>> abs(measured - predicted) < 1e-8
    True
    """
    (found,) = demons(net, x, y, layer, neuron, [dz])
    return found


def demons(
    net: Any, x: ArrayLike, y: ArrayLike, layer: int, neuron: int, dzs: Iterable[float]
) -> list[Demon]:
    """Return what `demon` does for each dz; one pass measures delta for all."""
    copy, rows, targets = _arguments.one_example(net, x, y)
    layer = _arguments.layer(copy, layer)
    neuron = _arguments.neuron(copy, "neuron", layer, neuron)
    dzs = [number("dz", dz) for dz in dzs]
    traced = trace(copy, rows, targets)
    core, example = copy.engine.core, copy.engine.examples((rows, targets), "")
    b = core.views(core.parameters)[1][layer][neuron]  # though the layer may have no biases
    before, found = b.copy(), []
    for dz in dzs:
        b[...] = before + dz
        cost = copy.engine.mean_cost(example)
        found.append(Demon(cost - traced.cost, float(traced.delta[layer][0, neuron] * dz)))
    return found

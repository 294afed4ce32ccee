"""What callers bring to inspect: networks, examples, layers and neurons; or one clear line."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import data
from cbackprop.network import Network


def network(net: Any) -> Network:
    """
    Return a network.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {data.shown(net)}")
    return net


def in_float64(net: Any) -> Network:
    """Return a float64 copy, whose parameters may be changed."""
    settings = network(net)._settings() | {"dtype": "float64"}
    return Network(**settings, initializer=(list(net.weights), list(net.biases)))


def examples(net: Any, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """
    Return rows and targets that the core takes, as `Network.backprop` does.

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or are not finite.
    """
    net = network(net)
    return data.examples((rows(net, x), y), net.sizes, net.dtype, "")


def rows(net: Any, x: ArrayLike) -> NDArray[Any]:
    """
    Return rows that the core takes.

    Raises
    ------
    TypeError, ValueError
        If x does not fit the network, or is not finite.
    """
    checked = data.rows(x, network(net).sizes[0])
    if len(checked) == 0:
        raise ValueError("x must hold at least one example, got none")
    net._check_finite(net._build.Rows(checked), "")
    return checked


def one_example(net: Any, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """
    Return one example as `examples` does.

    Raises
    ------
    TypeError, ValueError
        As `examples`; or if they are several.
    """
    found = examples(net, x, y)
    if len(found[0]) > 1:
        raise ValueError(f"x must be one example, got {len(found[0])} rows")
    return found


def place(argument: str, value: Any, count: int, of: str) -> int:
    """
    Return an index, of a layer, a neuron or a weight.

    Raises
    ------
    TypeError, ValueError
        If there is none such.
    """
    rule = f"{argument} must be an integer in 0..{count - 1}, for {of}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{rule}, got {data.shown(value)}")
    if not 0 <= value < count:
        raise ValueError(f"{rule}, got {value}")
    return int(value)


def layer(net: Any, value: Any) -> int:
    """Return the index of a layer of weights."""
    return place("layer", value, len(network(net).weights), "layers are counted as net.weights")


def neuron(net: Any, argument: str, layer: int, value: Any) -> int:
    """Return the index of a neuron behind a layer of weights."""
    size = net.sizes[layer + 1]
    return place(argument, value, size, f"layer {layer} has {size} neurons")


def is_one(net: Any, x: ArrayLike) -> bool:
    """Whether x came as (in,) or a column (in, 1), and not as rows."""
    shape = np.shape(x)
    return len(shape) == 1 or shape[1] != net.sizes[0]

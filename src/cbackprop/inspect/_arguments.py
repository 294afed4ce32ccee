"""Arguments of inspection: networks or estimators, examples, layers and neurons, checked."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays
from cbackprop._check import index
from cbackprop.network import Network
from cbackprop.tables.preprocessing import is_table

DENSE_BYTES = 2**28  # that sparse rows may become


def network(net: Any, by: str | None = None) -> Network:
    """
    Return a network, or the network of an estimator of `cbackprop.sklearn`.

    Parameters
    ----------
    by : str, optional
        The name of the calling function, for the error.

    Raises
    ------
    TypeError
        If net is neither.
    ValueError
        If the estimator is not fitted.
    """
    # By its property: whoever has an estimator has imported scikit-learn, others need not.
    found = net.network_ if hasattr(type(net), "network_") else net
    if not isinstance(found, Network):
        rule = "net must be a Network" if by is None else f"{by} takes a cbackprop.Network"
        raise TypeError(f"{rule}, got {_check.shown(net)}")
    return found


def targets(net: Any, y: Any) -> Any:
    """Return y as the network takes it; for an estimator, y is what its `fit` takes."""
    return y if isinstance(net, Network) or y is None else net.encode(y)


def data_set(net: Any, examples: Any) -> Any:
    """Return examples as the network takes them, with the y of a pair (x, y) as in `targets`."""
    if isinstance(net, Network):
        return net.data(examples, "test_data")
    if not isinstance(examples, tuple) or len(examples) != 2:
        return examples
    return examples[0], targets(net, examples[1])


def in_float64(net: Any) -> Network:
    """Return a float64 copy, whose parameters may be changed."""
    net = network(net)
    settings = net.settings() | {"dtype": "float64", "compute_dtype": None}
    made = Network(**settings, initializer=(list(net.weights), list(net.biases)))
    made.preprocessing, made.classes = net.preprocessing, net.classes
    return made


def examples(net: Network, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """
    Return rows and targets that the core takes, as `Network.backprop` does.

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or are not finite.
    """
    x, y = net.data((x, y))
    return arrays.examples((rows(net, x), y), net.sizes, net.dtype, "")


def network_and_examples(
    net: Any, x: ArrayLike, y: Any
) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    """Return the network that is inspected, and rows and targets as `examples` does."""
    own = network(net)
    return own, *examples(own, x, targets(net, y))


def rows(net: Network, x: ArrayLike) -> NDArray[Any]:
    """
    Return rows that the core takes; sparse ones are made dense.

    Raises
    ------
    TypeError, ValueError
        If x does not fit the network, or is not finite; if sparse rows are many.
    """
    given: Any = net.inputs(x)
    if arrays.is_sparse(given):
        given = net.engine.rows(arrays.rows_or_sparse(given, net.sizes[0]), "x").x
        most = max(1, DENSE_BYTES // (given.shape[1] * given.dtype.itemsize))
        if given.shape[0] > most:
            raise ValueError(f"x must have at most {most:,} rows where it is sparse, for an "
                             f"inspection makes them dense, got {given.shape[0]:,}")
        given = given.toarray()
    checked = arrays.rows(given, net.sizes[0])
    if len(checked) == 0:
        raise ValueError("x must hold at least one example, got none")
    net.engine.check_finite(net.engine.rows(checked, "x"), "x")
    return checked


def copy_and_examples(
    net: Any, x: ArrayLike, y: Any
) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    """
    Return a float64 copy, and rows and targets as `examples` does.

    The copy reads numbers alone: rows and targets are given to it again, and are no tables and
    classes any more.
    """
    copy = in_float64(net)
    found = examples(copy, x, targets(net, y))
    copy.preprocessing = copy.classes = None
    return copy, *found


def numbers_alone(net: Any) -> Network:
    """Return a float64 copy that takes rows of numbers alone, and neither tables nor classes."""
    copy = in_float64(net)
    copy.preprocessing = copy.classes = None
    return copy


def one_example(net: Any, x: ArrayLike, y: Any) -> tuple[Network, NDArray[Any], NDArray[Any]]:
    """
    Return a float64 copy and one example, as `copy_and_examples` does.

    Raises
    ------
    TypeError, ValueError
        As `examples`, or if there are several.
    """
    copy, rows, targets = copy_and_examples(net, x, y)
    if len(rows) > 1:
        raise ValueError(f"x must be one example, got {len(rows)} rows")
    return copy, rows, targets


def layer(net: Network, value: Any) -> int:
    """Return the index of a layer of weights."""
    return index("layer", value, len(net.weights), "layers are counted as net.weights")


def neuron(net: Network, argument: str, layer: int, value: Any) -> int:
    """Return the index of a neuron after a layer of weights."""
    size = net.sizes[layer + 1]
    return index(argument, value, size, f"layer {layer} has {size} neurons")


def is_one(net: Network, x: ArrayLike) -> bool:
    """Whether x is one example, (in,) or a column (in, 1), and not rows or a table."""
    if net.preprocessing is not None and is_table(x):
        return False
    shape = np.shape(x)
    return len(shape) == 1 or shape[1] != net.sizes[0]

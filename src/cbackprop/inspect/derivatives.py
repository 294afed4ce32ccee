"""Derivatives beyond the gradient: with respect to the inputs, and second derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, arrays
from cbackprop.inspect import _arguments
from cbackprop.parameters import check_zero

Parameters = tuple[Sequence[ArrayLike], Sequence[ArrayLike]]


def jacobian(net: Any, x: ArrayLike) -> NDArray[Any]:
    """
    Return the derivative of each output with respect to each input, da^L_k/dx_i.

    Parameters
    ----------
    net : Network or estimator
    x : array of shape (n, in), (in,), or a column (in, 1)

    Returns
    -------
    array of shape (n, out, in), or (out, in) for one example
        In the network's dtype. It is the derivative by x as you pass it, and so contains the factor
        `input_scale`.

    Raises
    ------
    TypeError, ValueError
        If x does not fit the network, or is not finite.

    Notes
    -----
    BP1 with 1 for dC/da_k and 0 for the others, then BP2 down to the inputs: one backward pass for
    each output.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> jacobian(net, [0.0, 1.0]).shape
    (1, 2)
    """
    net = _arguments.network(net)
    rows = _arguments.rows(net, x)
    build = net.engine.build
    found = build.jacobian(net.engine.core, build.Rows(rows)) * _scale(net)
    return found[0] if _arguments.is_one(net, x) else found


def input_gradient(net: Any, x: ArrayLike, y: ArrayLike) -> NDArray[Any]:
    """
    Return the derivative of each example's own cost with respect to its inputs, dC_x/dx.

    Parameters
    ----------
    net : Network or estimator
    x : array of shape (n, in), (in,), or a column (in, 1)
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)

    Returns
    -------
    array shaped as x
        In the network's dtype, not averaged. It is the derivative by x as you pass it, and so
        contains the factor `input_scale`.

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or are not finite.

    Notes
    -----
    BP2 once more, below the first layer, where there is no sigma': (w^1)^T delta^1.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> input_gradient(net, [0.0, 1.0], [1.0]).shape
    (2,)
    """
    net, rows, targets = _arguments.network_and_examples(net, x, y)
    build = net.engine.build
    found = build.input_gradient(
        net.engine.core, build.Rows(rows), build.Targets(targets)) * _scale(net)
    return found.reshape(np.shape(x))


def hessian_vector(
    net: Any, x: ArrayLike, y: ArrayLike, v: Parameters
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """
    Return the product of the Hessian of the mean cost and a vector, without forming the Hessian.

    Parameters
    ----------
    net : Network or estimator
    x : array of shape (n, in), (in,), or a column (in, 1)
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)
    v : (biases, weights)
        A direction in parameter space, shaped like the result of `Network.backprop`.

    Returns
    -------
    h_b, h_w : lists of arrays
        The derivatives of nabla_b and nabla_w in the direction v.

    Raises
    ------
    TypeError, ValueError
        If x, y or v do not fit the network, x and y do not fit each other, or one is not finite.

    Notes
    -----
    Pearlmutter's R-operator: the product is exact, and costs about two gradients. Where a function
    has a kink, as relu does, the second derivative is taken to be 0. Your own functions have no
    second derivative, so central differences of f_prime are taken.

    References
    ----------
    Pearlmutter, "Fast exact multiplication by the Hessian", *Neural Computation* 6, 1994.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> v = net.backprop([0.0, 1.0], [1.0])
    >>> h_b, h_w = hessian_vector(net, [0.0, 1.0], [1.0], v)
    >>> [h.shape for h in h_w]
    [(3, 2), (1, 3)]
    """
    net, rows, targets = _arguments.network_and_examples(net, x, y)
    build, core = net.engine.build, net.engine.core
    direction, product = net.engine.zeros(), net.engine.zeros()
    _put(v, core, direction)
    build.hessian_vector(core, build.Rows(rows), build.Targets(targets), direction, product)
    weights, biases = core.views(product)
    return biases, weights


def _put(v: Any, core: Any, direction: NDArray[Any]) -> None:
    """Copy a direction into an arena."""
    weights, biases = core.views(direction)
    if not isinstance(v, (tuple, list)) or len(v) != 2:
        raise TypeError(f"v must be (biases, weights), as backprop returns them, "
                        f"got {_check.shown(v)}")
    for at, views in enumerate((biases, weights)):
        if len(v[at]) != len(views):
            raise ValueError(f"v[{at}] must be {len(views)} arrays, got {len(v[at])}")
        for layer, view in enumerate(views):
            name = f"v[{at}][{layer}]"
            array = arrays.numbers(v[at][layer], name)
            if array.shape != view.shape:
                raise ValueError(f"{name} must have shape {view.shape}, got {array.shape}")
            if at == 0 and not core.biased[layer]:
                check_zero(array, name)
            with np.errstate(over="ignore"):
                view[...] = array
            if not np.isfinite(view).all():
                arrays.finite(array, view.dtype.name, name)


def _scale(net: Any) -> Any:
    return np.asarray(net.input_scale, dtype=net.dtype)

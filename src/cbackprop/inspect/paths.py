"""The derivative with respect to one weight as a sum over paths, equation (53)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop._check import index
from cbackprop._text import table
from cbackprop.inspect import _arguments
from cbackprop.inspect.trace import Trace, trace

MAX_PATHS = 1_000_000


@dataclass(frozen=True, repr=False)
class Paths:
    """
    The result of `paths`.

    Attributes
    ----------
    layer, j, k : int
        The weight.
    total : float
        dC/dw: the sum of the factors; by layers, the rate carried to the end.
    bp4 : float
        The same derivative by BP4, a_k delta_j.
    steps : list of str
        The steps of a path: "a[l]" is an activation after layer l of weights. If that is softmax,
        "z[l]" comes before it, because every z leads to every a.
    rates : list of arrays of shape (neurons,)
        For each step, the derivatives of all its neurons with respect to the weight.
    neurons : array of shape (number of paths, steps), or None by layers
        The neuron that each path goes through, step by step.
    factors : array of shape (number of paths,), or None by layers
        The product of the rates along each path: from w to z, from step to step, and dC/da.
    """

    layer: int
    j: int
    k: int
    total: float
    bp4: float
    steps: list[str]
    rates: list[NDArray[Any]]
    neurons: NDArray[Any] | None = None
    factors: NDArray[Any] | None = None

    def __repr__(self) -> str:
        sums = (f"dC/dw of weights[{self.layer}][{self.j}, {self.k}]: {self.total:.10g}, "
                f"by BP4 {self.bp4:.10g}")
        if self.factors is None or self.neurons is None:
            return f"{sums}\nthrough {' -> '.join(self.steps)}, layer by layer"
        largest = np.argsort(-np.abs(self.factors), kind="stable")[:10]
        rows = [[*map(str, self.neurons[path]), f"{self.factors[path]:.6g}"] for path in largest]
        count = len(self.factors)
        return (f"{sums}\n{count} path{'s' * (count != 1)}, the largest first\n"
                f"{table([*self.steps, 'product of rates'], rows)}")


def paths(
    net: Any, x: ArrayLike, y: ArrayLike, layer: int, j: int, k: int, *, by_layers: bool = False
) -> Paths:
    """
    Follow every path from one weight to the cost, and multiply the rates along it, equation (53).

    Parameters
    ----------
    net : Network or estimator
        A float64 copy is used.
    x : array of shape (in,), (1, in), or a column (in, 1)
        One example.
    y : array of shape (out,), (1, out), (out, 1), or a label
    layer, j, k : int
        The weight weights[layer][j, k].
    by_layers : bool
        Carry the rates of a whole layer to the next, instead of following the paths: the sum is the
        same, for networks of any width.

    Returns
    -------
    Paths

    Raises
    ------
    TypeError, ValueError
        If there is no such weight, there are more than a million paths, x and y do not fit the
        network, or are several examples.

    Notes
    -----
    A rate between neurons is da^(l+1)_q/da^l_p = sigma'(z_q) w_qp. For softmax, da_m/dz_q =
    a_m (1[m = q] - a_q), and a path from a_p to a_m has a z_q in between.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 2], seed=0)
    >>> found = paths(net, [0.0, 1.0], [1.0, 0.0], layer=0, j=2, k=1)
    >>> len(found.factors), abs(found.total - found.bp4) < 1e-15
    (2, True)
    """
    copy, rows, targets = _arguments.one_example(net, x, y)
    layer = _arguments.layer(copy, layer)
    j = _arguments.neuron(copy, "j", layer, j)
    k = index("k", k, copy.sizes[layer], f"a neuron of layer {layer} has "
                    f"{copy.sizes[layer]} weights")
    traced = trace(copy, rows, targets)
    before = (rows * copy.input_scale if layer == 0 else traced.a[layer - 1])[0]
    steps, matrices = _matrices(copy, traced, layer, j)
    rates = [np.array([float(before[k])])]
    for matrix in matrices:
        rates.append(matrix @ rates[-1])
    bp4 = float(traced.nabla_w[layer][j, k])
    if by_layers:
        return Paths(layer, j, k, float(rates[-1][0]), bp4, steps, rates[1:-1])
    count = math.prod(len(matrix) for matrix in matrices)
    if count > MAX_PATHS:
        raise ValueError(f"paths must be at most {MAX_PATHS:,}, got {count:,} from weights[{layer}]"
                         f"[{j}, {k}] to the cost; by_layers=True gives their sum")
    neurons, factors = _follow(matrices, rates[0])
    if len(matrices[0]) == 1:  # the only neuron of its step is the j-th
        neurons[:, 0] = j
    return Paths(layer, j, k, math.fsum(factors), bp4, steps, rates[1:-1], neurons[:, :-1], factors)


def _matrices(net: Any, traced: Trace, layer: int, j: int) -> tuple[list[str], list[NDArray[Any]]]:
    """Return the steps from z_j to the outputs, and the rates (to, from) of each step and of C."""
    steps: list[str] = []
    matrices: list[NDArray[Any]] = []
    w = np.ones((1, 1))  # from z_j to itself
    for at in range(layer, len(net.weights)):
        neurons = [j] if at == layer else slice(None)  # those whose z depends on the weight
        if net.engine.activations[at] == "softmax":
            if at > layer:
                steps.append(f"z[{at}]")
                matrices.append(w)
            a = traced.a[at][0]
            matrices.append((np.diag(a) - np.outer(a, a))[:, neurons])
            neurons = slice(None)
        else:
            matrices.append(traced.sigma_prime[at][0, neurons, None] * w)
        steps.append(f"a[{at}]")
        if at + 1 < len(net.weights):
            w = net.weights[at + 1][:, neurons]
    matrices.append(net.cost_derivative(traced.a[-1], traced.y)[:, neurons])
    return steps, matrices


def _follow(matrices: list[NDArray[Any]], start: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the neurons of every path, and the product of the rates along it."""
    neurons, factors = np.zeros((1, 0), dtype=int), start
    last = np.zeros(1, dtype=int)
    for matrix in matrices:
        size = len(matrix)
        factors = (factors[:, None] * matrix[:, last].T).ravel()
        last = np.tile(np.arange(size), len(neurons))
        neurons = np.column_stack([np.repeat(neurons, size, axis=0), last])
    return neurons, factors

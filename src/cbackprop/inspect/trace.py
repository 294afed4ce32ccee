"""All intermediate values of a forward and a backward pass, as arrays and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop._check import index
from cbackprop._text import elided, table
from cbackprop.inspect import _arguments
from cbackprop.layers import described

SLICE = 512  # the most rows that the core takes at a time; as in the core


@dataclass(frozen=True, repr=False)
class Trace:
    """
    The result of `trace`; lists have one array for each layer of weights, like `Network.weights`.

    The parameters are copies: training goes on without them.

    Attributes
    ----------
    x : array of shape (n, in)
        The examples, before `input_scale`.
    y : array of shape (n, out)
    z, a : lists of arrays of shape (n, sizes[l + 1])
        Weighted inputs and activations, equation (25).
    sigma_prime : list of arrays of shape (n, sizes[l + 1])
        sigma'(z). For softmax, the diagonal of its Jacobian, a_j (1 - a_j): the effect of each z on
        its own neuron. The other entries, which (37) needs, are -a_j a_k.
    nabla_a : list of arrays of shape (n, sizes[l + 1])
        dC/da, for each example: of the outputs the cost's derivative, of other layers
        (w^(l+1))^T delta^(l+1), the bracket in BP2. Where an output is saturated and the cost has a
        logarithm, it may be infinite; delta is not.
    delta : list of arrays of shape (n, sizes[l + 1])
        BP1 and BP2, for each example.
    w, b : lists of arrays of shape (out, in) and (out, 1)
        The parameters of the pass.
    nabla_w, nabla_b : lists of arrays
        BP4 and BP3, averaged over the examples; shaped like `Network.weights` and `biases`.
    cost : float
        The mean over the examples.
    activations : list of str
    input_scale : float or array of shape (in,)
        The network's; the first layer's a is x times it.
    labels : list of str
        What the book calls each layer: "2", "3", ...; the last is "L".
    """

    x: NDArray[Any]
    y: NDArray[Any]
    z: list[NDArray[Any]]
    a: list[NDArray[Any]]
    sigma_prime: list[NDArray[Any]]
    nabla_a: list[NDArray[Any]]
    delta: list[NDArray[Any]]
    w: list[NDArray[Any]]
    b: list[NDArray[Any]]
    nabla_w: list[NDArray[Any]]
    nabla_b: list[NDArray[Any]]
    cost: float
    activations: list[str]
    input_scale: float | NDArray[Any]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"<Trace of {len(self)} example{'s' * (len(self) != 1)}, {len(self.z)} layers>"

    def __str__(self) -> str:
        return self.table()

    def table(self, example: int = 0) -> str:
        """
        Return z, a, sigma' and delta of one example, and the gradient, as text.

        Of wide layers, the first neurons and the last are shown.

        Raises
        ------
        TypeError, ValueError
            If there is no such example.
        """
        i = index("example", example, len(self), f"there are {len(self)} examples")
        averaged = f", gradients averaged over {len(self)}" if len(self) > 1 else ""
        lines = [f"example {i} of {len(self)}{averaged}; mean cost {self.cost:.6g}",
                 f"x  {_row(self.x[i])}", f"y  {_row(self.y[i])}"]
        for layer, w in enumerate(self.nabla_w):
            columns = [self.z[layer][i], self.a[layer][i], self.sigma_prime[layer][i],
                       self.delta[layer][i], self.nabla_b[layer][:, 0]]
            rows = [None if j is None else
                    [str(j), *(f"{column[j]:.5g}" for column in columns), _row(w[j])]
                    for j in elided(len(w), 8)]
            lines += ["", f"layer {layer}: {w.shape[1]} -> {w.shape[0]}, {self.activations[layer]}",
                      table(["j", "z", "a", "sigma'", "delta", "nabla_b", "nabla_w, k = 0, 1, ..."],
                            rows, left=(6,))]
        return "\n".join(lines)


def trace(net: Any, x: ArrayLike, y: ArrayLike) -> Trace:
    """
    Return every number of a pass of backpropagation, as the core computes it.

    Parameters
    ----------
    net : Network or estimator
    x : array of shape (n, in), (in,), or a column (in, 1)
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)

    Returns
    -------
    Trace
        Arrays in the network's dtype, with one row for each example: (1, ...) for a single one.

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or are not finite.

    Notes
    -----
    z, a: equation (25). delta: BP1 and BP2. nabla_b, nabla_w: BP3 and BP4.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> traced = trace(net, [0.0, 1.0], [1.0])
    >>> [delta.shape for delta in traced.delta]
    [(1, 3), (1, 1)]
    >>> bool(traced.nabla_w[1][0, 2] == traced.a[0][0, 2] * traced.delta[1][0, 0])  # BP4
    True
    """
    net, rows, targets = _arguments.network_and_examples(net, x, y)
    signals: dict[str, list[list[NDArray[Any]]]] = {}
    nabla, cost = net.engine.zeros(), 0.0
    for part, gradient, costs in slices(net, rows, targets):
        for name, layers in part.items():
            signals.setdefault(name, []).append(layers)
        nabla += gradient
        cost += costs
    nabla /= len(rows)
    weights, biases = net.engine.core.views(nabla)
    if targets.ndim == 1:
        targets = np.eye(net.sizes[-1], dtype=net.dtype)[targets]
    whole = {name: [np.concatenate(layer) for layer in zip(*parts, strict=True)]
             for name, parts in signals.items()}
    w, b = [each.copy() for each in net.weights], [each.copy() for each in net.biases]
    with np.errstate(all="ignore"):
        nabla_a = [delta @ of for delta, of in zip(whole["delta"][1:], w[1:], strict=True)]
        nabla_a.append(net.cost_derivative(whole["a"][-1], targets))
    return Trace(
        rows, targets, **whole, nabla_a=nabla_a, w=w, b=b,
        nabla_w=weights, nabla_b=biases, cost=cost / len(rows),
        activations=[described(activation) for activation in net.engine.activations],
        input_scale=net.input_scale, labels=[*map(str, range(2, net.num_layers)), "L"])


def slices(
    net: Any, x: NDArray[Any], y: NDArray[Any] | None = None
) -> Iterator[tuple[dict[str, list[NDArray[Any]]], NDArray[Any], float]]:
    """Yield the core's trace of at most SLICE rows at a time: values, gradient and cost."""
    build, core = net.engine.build, net.engine.core
    for first in range(0, len(x), SLICE):
        part = slice(first, first + SLICE)
        targets = None if y is None else build.Targets(y[part])
        yield build.trace(core, build.Rows(x[part]), targets)


def _row(values: NDArray[Any]) -> str:
    return " ".join("..." if at is None else f"{values[at]:.4g}" for at in elided(len(values), 5))

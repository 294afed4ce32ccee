"""What all neighbours share: a chain of w a + b and sigma, out of a network or into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbackprop import data
from cbackprop.functions import Activation
from cbackprop.inspect import given
from cbackprop.network import Network

# A neighbour's classes of activations, by our names: the class, and its attributes with the values
# that make it ours. The first value is what we write; ALPHA is our parameter, whatever it is.
Table = Mapping[str, tuple[str, dict[str, Any]]]
ALPHA = object()

GOES_WITH = {"sigmoid": "cross_entropy", "softmax": "log_likelihood"}  # costs; else quadratic


class Run(NamedTuple):
    """Neurons of a layer that have the same activation."""

    activation: str
    alpha: float | None
    neurons: int


class Layer(NamedTuple):
    """A layer of weights: w of shape (out, in), b of shape (out,), and its activations."""

    w: NDArray[Any]
    b: NDArray[Any]
    runs: list[Run]


def of(net: Any, by: str) -> list[Layer]:
    """
    Return copies of a network's layers, `input_scale` multiplied into the first weights.

    Raises
    ------
    TypeError
        If it is no network.
    ValueError
        If an activation is the user's own.
    """
    net = given.network(net, by)
    layers = []
    for w, b, activation in zip(net.weights, net.biases, net._activations, strict=True):
        runs = activation if isinstance(activation, list) else [(activation, len(b))]
        layers.append(Layer(np.array(w, order="C"), np.array(b[:, 0]),
                            [_run(net, function, neurons, by) for function, neurons in runs]))
    layers[0].w[...] *= net.input_scale
    return layers


def _run(net: Network, activation: Any, neurons: int, by: str) -> Run:
    if isinstance(activation, Activation):
        raise ValueError(f"{by} needs activations known by name, got {activation.name}")
    parameters = net._build.PARAMETERS
    name, alpha = activation if isinstance(activation, tuple) else (activation, None)
    if alpha is None and name in parameters:
        alpha = parameters[name][1]
    return Run(name, alpha, neurons)


def only(runs: list[Run], by: str) -> Run:
    """
    Return the one activation of a layer.

    Raises
    ------
    ValueError
        If there are several.
    """
    if len(runs) > 1:
        raise ValueError(f"{by} needs one activation for each layer, got one with "
                         f"{', '.join(run.activation for run in runs)}")
    return runs[0]


def made(run: Run, table: Table, namespace: Any, by: str) -> Any:
    """
    Make a neighbour's object of an activation.

    Raises
    ------
    ValueError
        If the neighbour has none.
    """
    if run.activation not in table:
        raise ValueError(f"{by}: activation {run.activation!r} has no equal there")
    kind, attributes = table[run.activation]
    return getattr(namespace, kind)(**{
        name: run.alpha if values is ALPHA else values[0] for name, values in attributes.items()})


def known(thing: Any, table: Table, namespace: Any) -> Any:
    """Return our activation for a neighbour's object, None if there is none."""
    for name, (kind, attributes) in table.items():
        if type(thing) is getattr(namespace, kind) and all(
                values is ALPHA or getattr(thing, attribute) in values
                for attribute, values in attributes.items()):
            alphas = [float(getattr(thing, a)) for a, values in attributes.items()
                      if values is ALPHA]
            return (name, *alphas) if alphas else name
    return None


class Chain:
    """
    A neighbour's layers, collected until they are a network.

    Parameters
    ----------
    by : str
        The function that collects, for errors.
    """

    def __init__(self, by: str) -> None:
        self.by = by
        self.scale: Any = 1.0  # of the inputs, each or all, before layers
        self.offset: Any = 0.0
        self.weights: list[NDArray[Any]] = []
        self.biases: list[NDArray[Any]] = []
        self.activations: list[Any] = []

    def refuse(self, thing: Any, why: str = "has no equal in cbackprop") -> ValueError:
        """Return the error that names what cannot be converted."""
        return ValueError(f"{self.by}: "
                          f"{thing if isinstance(thing, str) else data.shown(thing)} {why}")

    def rescale(self, thing: Any, scale: Any, offset: Any) -> None:
        """Add x -> scale x + offset, which must come before all layers."""
        if self.weights:
            raise self.refuse(thing, "must be the first layer")
        self.scale, self.offset = self.scale * scale, self.offset * scale + offset

    def dense(self, w: Any, b: Any) -> None:
        """Add w a + b, of shapes (out, in) and (out,), or None."""
        self.weights.append(np.asarray(w))
        self.biases.append(np.zeros(len(w)) if b is None else np.asarray(b))
        self.activations.append("identity")

    def activate(self, activation: Any, thing: Any) -> None:
        """Add an activation, None being one that we have not."""
        if activation is None:
            raise self.refuse(thing)
        if activation == "identity":
            return
        if not self.weights or self.activations[-1] != "identity":
            raise self.refuse(thing, "must follow a layer of weights")
        self.activations[-1] = activation

    def network(self, cost: Any, seed: Any) -> Network:
        """
        Return the network; its cost, if None, is what goes with the output.

        Raises
        ------
        ValueError
            If there are no layers, they do not fit, or cbackprop has not their type of number.
        """
        if not self.weights:
            raise ValueError(f"{self.by} needs at least one layer of weights, got none")
        kinds = {str(array.dtype) for array in self.weights}
        if not kinds <= {"bfloat16", "float16", "float32", "float64"}:
            raise ValueError(f"{self.by} needs weights that are floats, got {sorted(kinds)}")
        first, *others = self.biases
        if np.any(self.offset):
            first = first + self.weights[0].astype(np.float64) @ np.broadcast_to(
                self.offset, self.weights[0].shape[1:])
        if cost is None:
            cost = GOES_WITH.get(self.activations[-1], "quadratic")
        return Network(
            [self.weights[0].shape[1], *map(len, self.weights)], activation=self.activations,
            cost=cost, dtype="float64" if "float64" in kinds else "float32", input_scale=self.scale,
            initializer=([w.astype(np.float64) for w in self.weights],
                         [b.astype(np.float64).reshape(-1, 1) for b in (first, *others)]),
            seed=seed)

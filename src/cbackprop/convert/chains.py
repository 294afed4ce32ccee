"""Shared by all converters: a chain of w a + b and sigma, read from a network or made into one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check
from cbackprop import layers as resolved
from cbackprop.core.table import PARAMETER
from cbackprop.functions import Activation
from cbackprop.inspect import _arguments
from cbackprop.network import Network

# Another library's class for an activation, and the values of its attributes for which it is ours.
# The first value is the one that is written. PARAMETER stands for our parameter, whatever it is.
Class: TypeAlias = tuple[str, dict[str, Any]]


class Run(NamedTuple):
    """Neurons of a layer that have the same activation."""

    activation: str
    alpha: float | None
    neurons: int


class Layer(NamedTuple):
    """A layer of weights: w of shape (out, in), b of shape (out,) or None, and its activations."""

    w: NDArray[Any]
    b: NDArray[Any] | None
    runs: list[Run]


def of(net: Any, by: str) -> list[Layer]:
    """
    Return copies of a network's layers; `scale_of` returns the factor of their inputs.

    Raises
    ------
    TypeError
        If net is not a network.
    ValueError
        If an activation is a function of the user's own.
    """
    net = _arguments.network(net, by)
    layers = []
    for w, b, biased, activation in zip(
            net.weights, net.biases, net.engine.biased, net.engine.activations, strict=True):
        layers.append(Layer(np.array(w, order="C"), np.array(b[:, 0]) if biased else None,
                            [_run(net, function, neurons, by)
                             for function, neurons in resolved.runs(activation, len(b))]))
    return layers


def scale_of(net: Any) -> NDArray[Any] | None:
    """
    Return `input_scale`, a number or one for each input, in the network's dtype; None if it is 1.

    Converted networks multiply their inputs by it, as ours do. Multiplied into the first weights,
    it would round them.
    """
    net = _arguments.network(net)
    return None if np.all(net.input_scale == 1) else np.array(net.input_scale, net.dtype)


def _run(net: Network, activation: Any, neurons: int, by: str) -> Run:
    if isinstance(activation, Activation):
        raise ValueError(f"{by} needs activations known by name, got {activation.name}")
    name = activation[0] if isinstance(activation, tuple) else activation
    (alpha,) = resolved.parameters(activation) or (None,)
    return Run(name, alpha, neurons)


def only(runs: list[Run], by: str) -> Run:
    """
    Return the activation of a layer that has only one.

    Raises
    ------
    ValueError
        If it has several.
    """
    if len(runs) > 1:
        raise ValueError(f"{by} needs one activation for each layer, got one with "
                         f"{', '.join(run.activation for run in runs)}")
    return runs[0]


def made(run: Run, spelled: Class | None, namespace: Any, by: str, **settings: Any) -> Any:
    """
    Make another library's object for an activation, with settings that do not change it.

    Raises
    ------
    ValueError
        If that library has none.
    """
    if spelled is None:
        raise ValueError(f"{by}: activation {run.activation!r} has no equal there")
    kind, attributes = spelled
    return getattr(namespace, kind)(**{
        name: run.alpha if values is PARAMETER else values[0]
        for name, values in attributes.items()}, **settings)


def known(thing: Any, classes: Iterable[tuple[str, Class]], namespace: Any) -> Any:
    """Return our activation for another library's object, or None."""
    for name, (kind, attributes) in classes:
        if type(thing) is not getattr(namespace, kind, None):
            continue
        theirs = [(getattr(thing, attribute), values) for attribute, values in attributes.items()]
        if all(value is not None if values is PARAMETER else value in values
               for value, values in theirs):
            alphas = [float(value) for value, values in theirs if values is PARAMETER]
            return (name, *alphas) if alphas else name
    return None


def arithmetic(sign: str, c: Any, turned: bool) -> tuple[Any, Any] | None:
    """
    Return scale and offset of x + c, x - c, x * c or x / c, or, turned, of c + x and so on.

    c is a number, or has one for each column. c / x, and a division by zero, are none: None.
    """
    if sign == "+":
        return 1.0, c
    if sign == "-":
        return (-1.0, c) if turned else (1.0, -c)
    if sign == "*":
        return c, 0.0
    return None if turned or not np.all(c) else (1 / c, 0.0)


def reason(error: Exception) -> str:
    """Return another library's message on one line, not too long."""
    return " ".join(str(error).split())[:120]


class RefusedError(ValueError):
    """Something cannot be converted; the message names it."""


class Chain:
    """
    Another library's layers, collected in order until they form a network.

    Parameters
    ----------
    by : str
        The name of the converting function, for errors.
    """

    def __init__(self, by: str) -> None:
        self.by = by
        self.kinds: set[str] = set()  # the types of the weights, as given
        self.owned: set[Any] = set()  # weights of the layers so far, by id or name
        self.width: int | None = None  # of the output so far, if it is known
        self.scale: Any = 1.0  # of the next layer's inputs
        self.offset: Any = 0.0
        self.scaled_by: Any = None
        self.ended_by: Any = None
        self.input_scale: Any = 1.0
        self.weights: list[NDArray[Any]] = []
        self.biases: list[NDArray[Any]] = []
        self.biased: list[bool] = []
        self.activations: list[Any] = []

    def refuse(self, thing: Any, why: str = "has no equal in cbackprop") -> ValueError:
        """Return an error that names what cannot be converted."""
        return RefusedError(f"{self.by}: {self._named(thing)} {why}")

    def owns(self, thing: Any, weights: Iterable[Any]) -> None:
        """Register a layer's weights, by id or name: no two layers may share them."""
        weights = set(weights)
        if weights & self.owned:
            raise self.refuse(thing, "shares its weights with a layer before it")
        self.owned |= weights

    def takes_rows(self, thing: Any, dimensions: int) -> None:
        """Check that the inputs have two dimensions: examples and columns."""
        if dimensions != 2:
            raise self.refuse(thing, "must follow Flatten, for its inputs are not rows")

    def drops(self, thing: Any, remedy: str = "") -> ValueError:
        """Return the error for dropout that is also applied at inference."""
        return self.refuse(thing, f"drops at inference too{remedy}")

    def fits(self, thing: Any, width: int) -> None:
        """Check that the inputs have this width."""
        if self.width not in (None, width):
            raise self.refuse(thing, f"takes rows of {width}, and gets rows of {self.width}")
        self.width = width

    def dense(self, w: Any, b: Any, thing: Any = None) -> None:
        """Add w a + b, of shapes (out, in) and (out,), or None."""
        thing = f"layer {len(self.weights)}" if thing is None else thing
        self._goes_on()
        self.kinds.add(str(np.asarray(w).dtype))
        w = self._numbers(w, thing)
        self.biased.append(b is not None or bool(np.any(self.offset)))
        b = np.zeros(len(w)) if b is None else self._numbers(b, thing)
        self.fits(thing, w.shape[1])
        if np.any(self.offset):
            b = b + w @ np.broadcast_to(self.offset, w.shape[1:])
        if self.weights:
            w = w * self.scale
        else:
            self.input_scale = self.scale
        self.scale, self.offset, self.scaled_by = 1.0, 0.0, None
        self.width = len(w)
        self.weights.append(w)
        self.biases.append(b)
        self.activations.append("identity")

    def rescale(self, thing: Any, scale: Any, offset: Any) -> None:
        """Add x -> scale x + offset, merged into a layer of weights before or after it."""
        self._goes_on()
        scale, offset = self._numbers(scale, thing), self._numbers(offset, thing)
        for values in (scale, offset):
            if values.ndim:
                self.fits(thing, len(values))
        if self.weights and self.activations[-1] == "identity":
            self.weights[-1] = self.weights[-1] * scale.reshape(-1, 1)
            self.biases[-1] = self.biases[-1] * scale + offset
            self.biased[-1] |= offset.ndim > 0 or bool(offset)
        else:
            self.scale, self.offset = self.scale * scale, self.offset * scale + offset
            self.scaled_by = thing

    def normalize(
        self, thing: Any, gamma: Any, beta: Any, mean: Any, variance: Any, *, epsilon: float
    ) -> None:
        """Add gamma (x - mean) / sqrt(variance + epsilon) + beta; gamma and beta may be None."""
        mean, variance = self._numbers(mean, thing), self._numbers(variance, thing)
        with np.errstate(all="ignore"):  # a result that is not finite is refused
            scale = (1.0 if gamma is None else self._numbers(gamma, thing)) / np.sqrt(
                variance + epsilon)
        self.rescale(thing, scale, (0.0 if beta is None else self._numbers(beta, thing))
                     - mean * scale)

    def activate(self, activation: Any, thing: Any) -> None:
        """Add an activation; None is one that has no equal, and "log_softmax" must be the last."""
        if activation is None:
            raise self.refuse(thing)
        if activation == "identity":
            return
        self._goes_on()
        self._is_beside()
        if not self.weights or self.activations[-1] != "identity":
            raise self.refuse(thing, "must follow a layer of weights")
        if activation == "log_softmax":
            activation, self.ended_by = "softmax", thing
        self.activations[-1] = resolved.resolve_layer(
            f"{self.by}: {self._named(thing)}", activation, len(self.weights[-1]))

    def squeeze(self, thing: Any) -> None:
        """Note that the single output is squeezed; here it stays a column."""
        self._goes_on()
        self.fits(thing, 1)
        self.ended_by = thing

    def leaky(self, slopes: Any, thing: Any) -> None:
        """Add PReLU: z for z > 0, else z times a slope, which may differ by neuron."""
        slopes = self._numbers(slopes, thing).ravel()
        if slopes.size > 1:
            self.fits(thing, slopes.size)
        each = [("leaky_relu", slope) for slope in slopes.tolist()]
        self.activate(each[0] if len(set(each)) == 1 else each, thing)

    def network(self, cost: Any, seed: Any) -> Network:
        """
        Return the network; if cost is None, it is the one that goes with the output.

        Raises
        ------
        ValueError
            If there are no layers, or cbackprop does not have their type of number.
        """
        if not self.weights:
            raise ValueError(f"{self.by} needs at least one layer of weights, got none")
        self._is_beside()
        if not self.kinds <= {"bfloat16", "float16", "float32", "float64"}:
            raise ValueError(f"{self.by} needs weights that are floats, got {sorted(self.kinds)}")
        if cost is None:
            cost = resolved.default_cost(self.activations[-1])
        return Network(
            [self.weights[0].shape[1], *map(len, self.weights)],
            activation=[
                [name for name, neurons in each for _ in range(neurons)]
                if isinstance(each, list) else each for each in self.activations],
            cost=cost, dtype="float64" if "float64" in self.kinds else "float32",
            input_scale=self.input_scale, bias=self.biased,
            initializer=(self.weights, [b.reshape(-1, 1) for b in self.biases]), seed=seed)

    def _named(self, thing: Any) -> str:
        return thing if isinstance(thing, str) else _check.shown(thing)

    def _goes_on(self) -> None:
        if self.ended_by is not None:
            raise self.refuse(self.ended_by, "must be the output")

    def _is_beside(self) -> None:
        if self.scaled_by is not None:
            raise self.refuse(self.scaled_by, "must be beside a layer of weights, to become a part "
                                              "of it")

    def _numbers(self, values: Any, thing: Any) -> NDArray[Any]:
        array = np.asarray(values)
        if array.dtype.kind not in "fiuV":  # V: bfloat16 of ml_dtypes
            raise self.refuse(thing, f"has numbers of type {array.dtype}")
        with np.errstate(invalid="ignore"):  # refused below
            array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise self.refuse(thing, "has a NaN or an infinity among its numbers")
        return array

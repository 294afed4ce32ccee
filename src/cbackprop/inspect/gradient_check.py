"""Backpropagation compared with differences of the cost, parameter by parameter: equation (46)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbackprop import _check, functions, layers
from cbackprop._check import generator, number
from cbackprop.inspect import _arguments
from cbackprop.inspect.trace import SLICE, Trace, trace
from cbackprop.network import Network

EPS = 1e-5
MIN_EPS = 1e-12  # a smaller step is lost in rounding
KINKS = {  # the z where sigma' jumps; for relu6 also its ceiling
    "relu": (0.0,), "leaky_relu": (0.0,), "elu": (0.0,), "selu": (0.0,), "relu6": (0.0,),
    "hard_sigmoid": (-3.0, 3.0), "hard_tanh": (-1.0, 1.0),
}
FINER = 64  # an eps this many times smaller seldom crosses the same kink
TOLERANCE = 1e-5


class Place(NamedTuple):
    """
    A parameter of a network: weights[layer][j, k], or biases[layer][j, 0].

    Attributes
    ----------
    layer : int
    parameter : {"w", "b"}
    j, k : int
        The weight leads from neuron k to neuron j; k is 0 for a bias.
    """

    layer: int
    parameter: str
    j: int
    k: int

    def __str__(self) -> str:
        name = "weights" if self.parameter == "w" else "biases"
        return f"{name}[{self.layer}][{self.j}, {self.k}]"


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """
    The result of `gradient_check`.

    Attributes
    ----------
    worst : float
        The largest relative error.
    where : Place
        The parameter that has it.
    passed : bool
        Whether `worst` is at most `tolerance`.
    tolerance : float
    mistake : str or None
        If the check failed because of a function of yours: a sentence that names the function, and
        where its derivative is wrong. Otherwise None.
    backprop, differences, errors : arrays of shape (number of parameters checked,)
        The derivatives by BP3 and BP4, and by (46); their distance, relative to the larger one. If
        both are so small that rounding would count, it is relative to the smallest value at which
        rounding does not.
    places : list of Place
        The parameters they belong to.
    at_kink : bool array of shape (number of parameters checked,)
        Whether the cost has a kink there, as with relu where z is exactly 0: its slopes to the left
        and to the right differ, and any derivative between them is right. Its error counts as 0.
    """

    worst: float
    where: Place
    passed: bool
    tolerance: float
    mistake: str | None
    backprop: NDArray[Any]
    differences: NDArray[Any]
    errors: NDArray[Any]
    places: list[Place]
    at_kink: NDArray[np.bool_]

    def __repr__(self) -> str:
        at = int(self.errors.argmax())
        found = (f"{'passed' if self.passed else 'FAILED'}: worst relative error {self.worst:.2g} "
                 f"of {len(self.errors)} derivatives, at {self.where}: backpropagation "
                 f"{self.backprop[at]:.6g}, differences {self.differences[at]:.6g}")
        if self.at_kink.any():
            found += f"; {self.at_kink.sum()} at a kink, between the slopes of its two sides"
        return found if self.mistake is None else f"{found}; {self.mistake}"


def gradient_check(
    net: Any, x: ArrayLike, y: ArrayLike, *, sample: int | None = None, seed: Any = 0,
    eps: float = EPS, tolerance: float = TOLERANCE,
) -> GradientCheck:
    """
    Compare backpropagation with two-sided differences of the cost, equation (46).

    Parameters
    ----------
    net : Network or estimator
        The check runs on a float64 copy, and does not change it.
    x : array of shape (n, in), (in,), or a column (in, 1)
    y : array of shape (n, out), (out,), (out, 1), or labels (n,)
    sample : int, optional
        The number of parameters to check, drawn at random; by default all. Each takes two forward
        passes over x, so that a few examples should be enough.
    seed : int, numpy.random.Generator or None
        Determines the sample.
    eps : float
        The distance by which a parameter of size 1 or less is moved; larger ones move in
        proportion. If the check fails, a smaller one is tried, since a kink may lie in between.
    tolerance : float
        The largest relative error that passes.

    Returns
    -------
    GradientCheck

    Raises
    ------
    TypeError, ValueError
        If x and y do not fit the network or each other, or an argument is out of range.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> check = gradient_check(net, [[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]])
    >>> check.passed, len(check.errors)
    (True, 13)
    """
    eps = number("eps", eps, MIN_EPS, 1)
    tolerance = number("tolerance", tolerance, 0, above=True)
    copy, rows, targets = _arguments.copy_and_examples(net, x, y)
    arrays = [(letter, layer, values, nabla)
              for letter, views, nablas in zip(
                  "bw", (copy.biases, copy.weights), copy.backprop(rows, targets), strict=True)
              for layer, (values, nabla) in enumerate(zip(views, nablas, strict=True))
              if values.flags.writeable]  # not the biases of layers that have none
    measured = _Cost(copy, rows, targets, eps, tolerance)
    smooth = _are_smooth(copy, rows, targets)
    others = None if smooth.all() or not smooth.any() else _Cost(
        copy, rows[smooth], targets[smooth], eps, tolerance)
    of_others = None if others is None else copy.backprop(rows[smooth], targets[smooth])
    places: list[Place] = []
    found: list[tuple[float, float, float, bool]] = []
    ends = np.cumsum([values.size for *_, values, _ in arrays])
    for flat in _sampled(int(ends[-1]), sample, seed):
        which = int(np.searchsorted(ends, flat, side="right"))
        letter, layer, values, nabla = arrays[which]
        at = np.unravel_index(flat - (ends[which] - values.size), values.shape)
        exact = float(nabla[at])
        places.append(Place(layer, letter, *map(int, at)))
        difference, error, kink = measured.difference(values, at, exact)
        if error > tolerance and not smooth.all():  # kinks in several layers: right without?
            kink = others is None or of_others is None or others.difference(
                values, at, float(of_others[letter == "w"][layer][at]))[1] <= tolerance
        found.append((exact, difference, 0.0 if kink else error, kink))
    backprop, differences, errors, at_kink = np.array(found).T
    worst = int(errors.argmax())
    passed = bool(errors[worst] <= tolerance)
    return GradientCheck(
        float(errors[worst]), places[worst], passed, tolerance,
        None if passed else _mistake(copy, rows, targets), backprop, differences, errors, places,
        at_kink.astype(bool))


def quotient(
    net: Any, x: ArrayLike, y: ArrayLike, layer: int, j: int, k: int, *, eps: float = EPS
) -> tuple[float, tuple[float, float], float]:
    """
    Measure dC/dw of the weight weights[layer][j, k] by (46).

    Returns
    -------
    quotient : float
    costs : (float, float)
        Those of w + eps and w - eps.
    eps : float

    Raises
    ------
    TypeError, ValueError, IndexError
        If x and y do not fit the network, or there is no such weight.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> measured, _, _ = quotient(net, [0.0, 1.0], [1.0], layer=0, j=2, k=1)
    >>> bool(abs(measured - trace(net, [0.0, 1.0], [1.0]).nabla_w[0][2, 1]) < 1e-6)
    True
    """
    copy, rows, targets = _arguments.copy_and_examples(net, x, y)
    cost, w = _Cost(copy, rows, targets, eps, TOLERANCE), copy.weights[layer]
    kept = w[j, k]
    w[j, k] = kept + eps
    above = cost()
    w[j, k] = kept - eps
    below = cost()
    return (above - below) / (2 * eps), (above, below), eps


class _Cost:
    """The mean cost of a network, as a function of one parameter."""

    def __init__(
        self, net: Network, x: NDArray[Any], y: NDArray[Any], eps: float, tolerance: float
    ) -> None:
        self.net, self.eps, self.tolerance = net, eps, tolerance
        self.examples = net.engine.arrays((x, y), "", check=False)
        self.rounding = np.finfo(float).eps * max(1.0, abs(self()))

    def __call__(self) -> float:
        return self.net.engine.core.evaluate(*self.examples)[1] / len(self.examples[0])

    def difference(
        self, values: NDArray[Any], at: Any, exact: float
    ) -> tuple[float, float, bool]:
        """Return the difference quotient, its relative error, and whether there is a kink."""
        coarse = self._of(values, at, exact, self.eps)
        if coarse.error <= self.tolerance:
            return coarse.quotient, coarse.error, False
        fine = self._of(values, at, exact, self.eps / FINER)
        if self._meet_at_kink(coarse, fine, exact):
            return fine.quotient, 0.0, True
        best = min(coarse, fine, key=lambda quotient: quotient.error)
        return best.quotient, best.error, False

    def _of(self, values: NDArray[Any], at: Any, exact: float, eps: float) -> _Quotient:
        kept = values[at]
        here = self()
        ends, costs = [], []
        for step in (eps, -eps):
            values[at] = kept + step * max(1.0, abs(kept))
            ends.append(values[at])
            costs.append(self())
        values[at] = kept
        width = ends[0] - ends[1]
        difference = (costs[0] - costs[1]) / width
        least = 20 * self.rounding / width / self.tolerance  # ten times the effect of rounding
        return _Quotient(
            difference, abs(exact - difference) / max(abs(exact), abs(difference), least),
            (here - costs[1]) / (kept - ends[1]), (costs[0] - here) / (ends[0] - kept), least)

    def _meet_at_kink(self, coarse: _Quotient, fine: _Quotient, exact: float) -> bool:
        """Whether the slopes of both sides stay apart as eps falls, and enclose the exact one."""
        low, high = sorted((fine.left, fine.right))
        size = max(abs(low), abs(high), fine.least)
        slack = (self.tolerance * size + abs(coarse.right - fine.right)
                 + abs(coarse.left - fine.left))
        return (high - low > max(slack, 0.5 * abs(coarse.right - coarse.left))
                and low - slack <= exact <= high + slack)


class _Quotient(NamedTuple):
    """Difference quotients for one eps: of both sides, with its error, and of each side."""

    quotient: float
    error: float
    left: float
    right: float
    least: float


def _are_smooth(net: Network, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return, for each example, whether no weighted input lies exactly at a kink."""
    smooth = np.ones(len(x), dtype=bool)
    for at in range(0, len(x), SLICE):
        part = slice(at, at + SLICE)
        for function, z in _activated(net, trace(net, x[part], y[part])):
            name, *parameter = function if isinstance(function, tuple) else (function,)
            kinks = KINKS.get(name, ()) if isinstance(name, str) else ()
            if name == "relu6":
                kinks += tuple(parameter) or (6.0,)
            smooth[part] &= ~np.isin(z, kinks).any(axis=1)
    return smooth


def _activated(net: Network, traced: Trace) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Yield each activation of a network, and the z of the neurons that have it."""
    for z, layer in zip(traced.z, net.engine.activations, strict=True):
        first = 0
        for function, count in layers.runs(layer, z.shape[1]):
            yield function, z[:, first:first + count]
            first += count


def _sampled(total: int, sample: int | None, seed: Any) -> Any:
    if sample is None:
        return range(total)
    sample = _check.integer("sample", sample, 1)
    return np.sort(generator(seed).choice(total, min(sample, total), replace=False))


def _mistake(net: Network, x: NDArray[Any], y: NDArray[Any]) -> str | None:
    """Name the user's function whose derivative is wrong at a z or an output of these examples."""
    traced = trace(net, x[:SLICE], y[:SLICE])
    for function, z in _activated(net, traced):
        if isinstance(function, functions.Function):
            found = function.mistake(z)
            if found is not None:
                return found
    if isinstance(net.cost, functions.Function):
        return net.cost.mistake(traced.a[-1], traced.y)
    return None

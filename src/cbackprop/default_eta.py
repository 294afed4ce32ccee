"""
The learning rate for those who give none.

Plain descent is stable while eta < 2 / lambda, where lambda is the largest eigenvalue of the cost's
Hessian (`inspect.find_eta` measures where that ends). Here lambda is estimated for a network as it
is made, from its sizes, its functions and the scale of its inputs, so that a second training has
the first one's rate. Optimizers that divide by the gradient's size need no lambda. The factors were
measured; docs/settings.md says on what.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from cbackprop import arrays, layers
from cbackprop.core import _dispatch, table
from cbackprop.engine import Engine
from cbackprop.optimizers import Optimizer
from cbackprop.sources import Examples

SAMPLE = 256  # rows that tell the scale of all
OF_STABLE = 0.8  # of 2 / lambda, at batches of 10: the book's network then has the book's 3.0
OF_NUMBERS = 0.5  # of that, where targets have noise that no network fits, and no step is small
GROWTH = 0.25  # eta goes with this power of the mini-batch
MOST_GROWN = 1024
MOST = 10.0
LEAST_SLOPE = 0.1
LARGE = 1e6  # beyond it nothing is worth telling apart
SATURATING = 0.1  # a mean of sigma'^2

# These carry outputs that saturate to where their slope is 0, and there they stay.
HEADLONG, HELD_BACK = ("momentum", "nesterov", "lion"), 1 / 3

# eta at batches of 32 where hidden slopes are 1; every parameter moves by about so much in a step.
BY_SIZE = {"adam": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "adagrad": 3e-2, "lion": 5e-4}
WIDE = 128  # inputs of a layer, from where eta falls: z moves by the sum of all that its weights do
FIRST_OF_RPROP = 0.02  # it finds its own afterwards

POINTS = np.sinh(np.linspace(-8, 8, 400))  # dense where functions bend, and as far as z may be
TINY = 1e-15
STEP = 1e-3


class Squares(NamedTuple):
    """Means of a^2 and of sigma'^2 of a neuron."""

    a: float
    slope: float


def default_eta(
    sizes: Sequence[int], activations: Sequence[Any], cost: Any, optimizer: Optimizer,
    mini_batch_size: int, scale: float = 1.0,
) -> float:
    """
    Return a learning rate that works, of one digit, so that it can be typed.

    Parameters
    ----------
    sizes : sequence of int
    activations : list
        One for each layer of weights, as the core takes them.
    cost : str, tuple or Cost
    optimizer : Optimizer
    mini_batch_size : int
    scale : float
        The root of the mean square of an input, as the network reads it.

    Examples
    --------
    >>> from cbackprop.optimizers import SGD, Adam
    >>> default_eta([784, 30, 10], ["sigmoid", "sigmoid"], "quadratic", SGD(), 10, scale=1 / 3)
    3.0
    >>> default_eta([784, 100, 10], ["relu", "softmax"], "log_likelihood", Adam(), 32)
    0.0009
    """
    name = optimizer.NAME
    if name == "rprop":
        return FIRST_OF_RPROP
    *hidden, output = _forward(sizes, activations, scale)
    growth = (min(mini_batch_size, MOST_GROWN) / (32 if name in BY_SIZE else 10))**GROWTH
    if name in BY_SIZE:
        slope = min([math.sqrt(one.slope) for one in hidden], default=1.0)
        eta = BY_SIZE[name] / max(slope, LEAST_SLOPE) * min(1, WIDE / max(sizes[:-1]))**GROWTH
    else:
        eta = OF_STABLE * 2 / _curvature(sizes, hidden, output, cost, scale)
        eta *= 1 - getattr(optimizer, "momentum", 0.0)
        if not _has_logarithms(cost) and output.slope > SATURATING:
            eta *= OF_NUMBERS
    if not _has_logarithms(cost) and output.slope < SATURATING and name in HEADLONG:
        eta, growth = eta * HELD_BACK, min(growth, 1.0)
    return float(f"{min(eta * growth, MOST):.0e}")


def of_training(
    engine: Engine, examples: Examples, optimizer: Optimizer, mini_batch_size: int
) -> float:
    """
    Return the learning rate for a training, by the scale of some of its examples.

    Raises
    ------
    ValueError
        If they are not finite.
    """
    few = np.unique(np.linspace(0, len(examples) - 1, SAMPLE).astype(np.intp))
    rows, _, order, first, last = examples.part(few, 0, len(few))
    x = rows.x[order[first:last]]
    x = x.toarray() if arrays.is_sparse(x) else x
    with np.errstate(all="ignore"):
        scale = math.sqrt(np.mean(np.square(x * np.asarray(engine.input_scale, float))))
    if not math.isfinite(scale):
        engine.check_finite(rows, "x of training_data")
    return default_eta(engine.sizes, engine.activations, engine.cost, optimizer, mini_batch_size,
                       min(scale, LARGE))


def _curvature(
    sizes: Sequence[int], hidden: list[Squares], output: Squares, cost: Any, scale: float
) -> float:
    """
    Estimate the largest eigenvalue of the Hessian of the mean cost.

    A layer's part of it is the squared length of what it is given (1 for the bias), times the
    slopes squared of the layers from there on, times the cost's curvature by the last z. The
    weights keep lengths, forward and back, as N(0, 1) / sqrt(in) does about.
    """
    back = _curvature_of_output(output, cost)
    given = [scale**2, *(one.a for one in hidden)]
    slopes = [1.0, *(one.slope for one in hidden)]
    total = 0.0
    for size, a, slope in reversed(list(zip(sizes[:-1], given, slopes, strict=True))):
        total += back * (size * a + 1)
        back *= slope
    return total


def _curvature_of_output(output: Squares, cost: Any) -> float:
    if not _has_logarithms(cost):
        return output.slope  # BP1 has the factor sigma'
    # a (1 - a) at most, or, of counts, about a
    return 0.25 if layers.default_output(cost) in ("sigmoid", "softmax") else 1.0


def _has_logarithms(cost: Any) -> bool:
    """Tell costs whose derivative is large where outputs saturate."""
    name = cost[0] if isinstance(cost, tuple) else cost
    return any(row.logarithms for row in table.COSTS if row.name == name)


def _forward(sizes: Sequence[int], activations: Sequence[Any], scale: float) -> list[Squares]:
    """Return what neurons of each layer are like, if their z are normal; biases are N(0, 1)."""
    found: list[Squares] = []
    square = scale**2
    for size, activation in zip(sizes[1:], activations, strict=True):
        runs = activation if isinstance(activation, list) else [(activation, size)]
        parts = [(count / size, _squares(one, size, min(square + 1, LARGE))) for one, count in runs]
        found.append(Squares(*(sum(share * part[at] for share, part in parts) for at in (0, 1))))
        square = found[-1].a
    return found


@lru_cache(maxsize=256)
def _squares(activation: Any, size: int, variance: float) -> Squares:
    """Return the means for z ~ N(0, variance), by the core's own function."""
    if activation in WHOLE_LAYER:
        return Squares(1 / size, _squares("sigmoid", size, variance).slope)
    build = _dispatch.load("float64")
    core = build.Core((1, 1), [activation], "quadratic", 1.0)
    core.views(core.parameters)[0][0][...] = 1
    likely = np.exp(-POINTS**2 / (2 * variance)) * np.gradient(POINTS)
    z = POINTS[likely > TINY]
    below, a, above = (np.asarray(core.feedforward(build.Rows((z + step)[:, None])))[:, 0]
                       for step in (-STEP, 0.0, STEP))
    with np.errstate(all="ignore"):  # an exponential is infinite far out
        squares = [np.square(np.nan_to_num(each).clip(-LARGE, LARGE))
                   for each in (a, (above - below) / (2 * STEP))]
    return Squares(*(float(np.average(each, weights=likely[likely > TINY])) for each in squares))


WHOLE_LAYER = [row.name for row in table.ACTIVATIONS if row.whole_layer]

"""
The learning rate of a training for which the caller gives none.

Plain descent is stable while eta < 2 / lambda, where lambda is the largest eigenvalue of the cost's
Hessian (`inspect.find_eta` measures that limit). Here lambda is estimated for a new network, from
its sizes, its functions and the scale of its inputs. It does not depend on the weights: a second
training has the first one's rate. Optimizers that divide by the gradient's size need no lambda.
The factors were measured; docs/settings.md says on what.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbackprop import _words, arrays, layers, target_values
from cbackprop.core import _dispatch, table
from cbackprop.engine import Engine
from cbackprop.optimizers import Optimizer
from cbackprop.sources import Examples

SCALE_ROWS = 256  # rows from which the scale of x is estimated
OF_STABLE = 0.8  # share of 2 / lambda, at batches of 10: the book's network gets the book's 3.0
OF_NUMBERS = 0.5  # share of that for numbers: noise that no network fits keeps the steps large
GROWTH = 0.25  # eta is proportional to this power of the mini-batch's length
MAX_GROWING = 1024  # length of a mini-batch from which eta no longer grows
MAX_ETA = 10.0
MIN_SLOPE = 0.1  # divisor of an adaptive optimizer's eta
LARGE = 1e6  # squares and scales are clipped here
SATURATING = 0.1  # mean of sigma'^2, below which outputs count as saturated

# These carry saturating outputs to where sigma' is 0, and such outputs learn nothing. Where it is
# exactly 0, every optimizer does; and a row of zeros has no direction.
HEADLONG, HELD_BACK = ("momentum", "nesterov", "lion"), 1 / 3
STEEP = 10.0  # mean of sigma'^2 of a hidden layer, from which a few examples far exceed the mean
LARGE_TARGETS = 10.0  # root mean square, beyond which steps do not suit numbers near 1
FAR = 1e6  # an output at which a cost's derivative shows whether it has a bound
TOO_LARGE = 1e4  # outputs, in units of x, which no eta suits

# eta at batches of 32 and hidden sigma' of 1. Every parameter moves by about eta in a step.
ADAPTIVE = {"adam": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "adagrad": 3e-2, "lion": 5e-4}
WIDE = 128  # inputs of a layer, above which eta falls: z moves by the sum of its weights' steps
RPROP_ETA = 0.02  # the first step; Rprop adapts it

POINTS = np.sinh(np.linspace(-8, 8, 400))  # values of z, densest at 0, where functions bend
TINY = 1e-15  # likelihood below which a value of z is left out
STEP = 1e-3  # of the difference quotient for sigma'


class Squares(NamedTuple):
    """The means of a^2 and of sigma'^2 of a neuron, over its z."""

    a: float
    slope: float


def default_eta(
    sizes: Sequence[int], activations: Sequence[Any], cost: Any, optimizer: Optimizer,
    mini_batch_size: int, scale: float = 1.0, targets: float = 1.0,
) -> float:
    """
    Return a learning rate that works. It has one digit, so that it is easily typed.

    Parameters
    ----------
    sizes : sequence of int
    activations : list
        One for each layer of weights, as the core takes them.
    cost : str, tuple or Cost
    optimizer : Optimizer
    mini_batch_size : int
    scale : float
        The root mean square of the inputs, after `input_scale`.
    targets : float
        That of the targets. It counts where outputs have no bound.

    Returns
    -------
    float

    Examples
    --------
    >>> from cbackprop.optimizers import SGD, Adam
    >>> default_eta([784, 30, 10], ["sigmoid", "sigmoid"], "quadratic", SGD(), 10, scale=1 / 3)
    3.0
    >>> default_eta([784, 100, 10], ["relu", "softmax"], "log_likelihood", Adam(), 32)
    0.0009
    """
    name = optimizer.NAME
    *hidden, output = _forward(sizes, activations, scale)
    growth = (min(mini_batch_size, MAX_GROWING) / (32 if name in ADAPTIVE else 10))**GROWTH
    if name == "rprop":
        eta, growth = RPROP_ETA, 1.0
    elif name in ADAPTIVE:
        slope = min([math.sqrt(one.slope) for one in hidden], default=1.0)
        eta = ADAPTIVE[name] / max(slope, MIN_SLOPE) * min(1, WIDE / max(sizes[:-1]))**GROWTH
    else:
        eta = OF_STABLE * 2 / _curvature(sizes, hidden, output, cost, scale)
        eta *= 1 - getattr(optimizer, "momentum", 0.0)
        if any(one.slope > STEEP for one in hidden):
            eta *= HELD_BACK
        if not _has_logarithms(cost) and output.slope > SATURATING:
            eta *= OF_NUMBERS
    if not _has_logarithms(cost) and output.slope < SATURATING and name in HEADLONG:
        eta, growth = eta * HELD_BACK, min(growth, 1.0)
    if not _has_logarithms(cost) and name != "rprop" and _has_flat_ends(activations[-1]):
        eta *= HELD_BACK if _is_sum(cost) else HELD_BACK**3
    if targets > LARGE_TARGETS and target_values.ends(activations[-1]) == table.ANY and (
            layers.cost_row(cost) is None or (_is_sum(cost) and not _has_logarithms(cost))):
        growth *= targets**_power_of_targets(name, cost)
    return float(f"{min(eta * growth, MAX_ETA):.0e}")


def for_training(
    engine: Engine, examples: Examples, optimizer: Optimizer, mini_batch_size: int
) -> float:
    """
    Return the learning rate for a training. The scale is that of some of its examples.

    Raises
    ------
    ValueError
        If these examples are not finite.
    """
    rows, wanted, order, first, last = examples.few(SCALE_ROWS)
    x = rows.x[order[first:last]]
    x = x.toarray() if arrays.is_sparse(x) else x
    with np.errstate(all="ignore"):
        scale = math.sqrt(np.mean(np.square(x * np.asarray(engine.input_scale, float))))
    if not math.isfinite(scale):
        engine.check_finite(rows, "x of training_data")
    scale = min(scale, LARGE)
    _check_outputs(engine, scale)
    return default_eta(engine.sizes, engine.activations, engine.cost, optimizer, mini_batch_size,
                       scale, _size(wanted.y, order[first:last]))


def _size(y: NDArray[Any], few: NDArray[np.intp]) -> float:
    """Return the root mean square of targets; labels stand for zeros and ones."""
    if y.ndim == 1:
        return 1.0
    with np.errstate(over="ignore"):
        size = math.sqrt(np.square(y[few], dtype=np.float64).mean())
    return size if math.isfinite(size) else 1.0  # the training says what is not finite


def _check_outputs(engine: Engine, scale: float) -> None:
    """Warn of layers that make numbers so large that no learning rate suits."""
    if _has_logarithms(engine.cost) or not _is_sum(engine.cost):
        return
    times = math.sqrt(_forward(engine.sizes, engine.activations, scale)[-1].a) / max(scale, 1)
    if times > TOO_LARGE:
        _words.warn(f"outputs of a new network are over {TOO_LARGE:,.0f} times as large as x, with "
                    f"activations {[layers.described(one) for one in engine.activations]}: no eta "
                    f'suits that; hidden layers with activation="tanh" keep them small')


def _curvature(
    sizes: Sequence[int], hidden: list[Squares], output: Squares, cost: Any, scale: float
) -> float:
    """
    Estimate the largest eigenvalue of the Hessian of the mean cost.

    Each layer adds the squared length of its inputs (1 for the bias), times sigma'^2 of this layer
    and all later ones, times the second derivative of the cost by the last z. The estimate takes it
    that weights keep lengths, forward and back, as those from N(0, 1) / sqrt(in) nearly do.
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
    row = layers.cost_row(cost)
    if row is not None and row.logarithms:
        # At most a (1 - a) for probabilities; about a for counts.
        return 0.25 if row.default_output in ("sigmoid", "softmax") else 1.0
    if not _is_sum(cost):
        return output.slope / max(output.a, 1)  # the derivative falls with the outputs' length
    return output.slope  # BP1 has the factor sigma'


def _has_logarithms(cost: Any) -> bool:
    """Return whether the cost's derivative is large where outputs saturate."""
    row = layers.cost_row(cost)
    return row is not None and bool(row.logarithms)


def _power_of_targets(optimizer: str, cost: Any) -> float:
    """
    Return the power of the targets' size to which eta is proportional.

    Parameters grow with the targets, and so does the curvature of the hidden layers; but steps of a
    fixed size are then too short.
    """
    if optimizer in ADAPTIVE or optimizer == "rprop":
        return 0.8
    return 0.3 if _has_bounded_slope(cost) else -2 / 3


@lru_cache
def _has_bounded_slope(cost: Any) -> bool:
    """Return whether dC/da is no larger for outputs that are farther from their targets."""
    if layers.cost_row(cost) is None:
        return False
    core = _dispatch.load("float64").Core((1, 1), ["identity"], cost, 1.0)
    near, far = abs(core.cost_derivative(np.array([[FAR], [10 * FAR]]), np.zeros((2, 1))))
    return bool(far <= 2 * near)


def _is_sum(cost: Any) -> bool:
    """Return whether outputs have costs of their own, and not their direction alone one."""
    row = layers.cost_row(cost)
    return row is None or row.by_output


def _has_flat_ends(layer: Any) -> bool:
    """Return whether sigma' is 0 beyond both ends: from there no gradient leads back."""
    for activation, _ in layers.runs(layer, 1):
        name = activation[0] if isinstance(activation, tuple) else activation
        row = target_values.ACTIVATIONS.get(name) if isinstance(name, str) else None
        if row is not None and not row.curved and all(
                map(math.isfinite, target_values.ends(activation))):
            return True
    return False


def _forward(sizes: Sequence[int], activations: Sequence[Any], scale: float) -> list[Squares]:
    """Return the means of each layer's neurons, for normal z and biases from N(0, 1)."""
    found: list[Squares] = []
    square = scale**2
    for size, activation in zip(sizes[1:], activations, strict=True):
        parts = [(count / size, _squares(one, size, min(square + 1, LARGE)))
                 for one, count in layers.runs(activation, size)]
        found.append(Squares(*(sum(share * part[at] for share, part in parts) for at in (0, 1))))
        square = found[-1].a
    return found


@lru_cache(maxsize=256)
def _squares(activation: Any, size: int, variance: float) -> Squares:
    """Return the means for z ~ N(0, variance), computed by the core's own functions."""
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

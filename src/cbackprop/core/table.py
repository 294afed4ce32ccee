"""
The functions that there are many of: one row each, which everything else is made from.

setup.py renders the core's ladders (`*.pxi.tp`) from these rows; Python takes names, parameters and
defaults from them, the documentation its tables, and the converters what a function is called
elsewhere. It imports nothing of ours, so that setup.py can read it before anything is built.

A row leaves nothing to a default: what a function does not have, it says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

PARAMETER = object()  # where another library has a function's parameter


class Parameter(NamedTuple):
    """A number that a function takes."""

    name: str
    default: float
    rule: str  # one of RULES


RULES: dict[str, Any] = {  # of finite numbers
    "positive": lambda number: number > 0,
    "not negative": lambda number: number >= 0,
    "between 0 and 1": lambda number: 0 < number < 1,
    "from 0 to below 1": lambda number: 0 <= number < 1,
}


# ---- optimizers: blocks in functions/optimizers.pxi.tp, classes in cbackprop/optimizers.py ----

class Number(NamedTuple):
    """A finite number of an optimizer. Its default is its class's."""

    name: str
    low: float  # the least that it may be, ...
    below: float  # ... and what it stays below


class Optimizer(NamedTuple):
    """What the core has to know of an optimizer, beside its block."""

    name: str
    numbers: tuple[Number, ...]  # as the class has them
    n_slots: int  # state arrays, of a number for each parameter
    derived: tuple[str, ...]  # numbers of a step that its `prepare` function computes
    starts_at_eta: tuple[int, ...]  # the slots that begin at the learning rate, not at zero


INFINITY = float("inf")
MOMENTUM = Number("momentum", 0, 1)
BETA1, BETA2 = Number("beta1", 0, 1), Number("beta2", 0, 1)
EPSILON = Number("epsilon", 0, INFINITY)

OPTIMIZERS = (
    Optimizer("sgd", (), 0, (), ()),
    Optimizer("momentum", (MOMENTUM,), 1, (), ()),
    Optimizer("nesterov", (MOMENTUM,), 1, (), ()),
    Optimizer("adagrad", (EPSILON,), 1, (), ()),
    Optimizer("rmsprop", (Number("rho", 0, 1), EPSILON), 1, (), ()),
    Optimizer("adam", (BETA1, BETA2, EPSILON, Number("epsilon_hat", 0, INFINITY)),
              2, ("root_scale",), ()),
    Optimizer("rprop", (Number("shrink", 0, 1), Number("grow", 1, INFINITY),
                        Number("smallest", 0, INFINITY), Number("largest", 0, INFINITY)),
              2, (), (1,)),
    Optimizer("lion", (BETA1, BETA2), 1, (), ()),
)

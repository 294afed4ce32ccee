"""
Optimizers: what a step does with the gradient. Their formulas are in ``core/optimizers.pxi``.

A new one is its formula there, and its class and entry in the table here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, data


@dataclass(frozen=True)
class Optimizer:
    """
    What all have in common: numbers, each in the range that ``RANGES`` gives.

    Raises
    ------
    TypeError, ValueError
        If one is no number, or outside its range.
    """

    NAME: ClassVar[str]
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "momentum": (0, 1), "beta1": (0, 1), "beta2": (0, 1), "rho": (0, 1),
        "shrink": (0, 1), "grow": (1, math.inf), "smallest": (0, math.inf),
        "largest": (0, math.inf), "epsilon": (0, math.inf), "epsilon_hat": (0, math.inf),
    }

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = self.RANGES[field.name]
            checked = number(field.name, getattr(self, field.name), low, high)
            object.__setattr__(self, field.name, checked)

    def decays(self) -> tuple[float, float, float, float]:
        """Return the decays of the mean and of the mean square, epsilon, and one more number."""
        return 0.0, 0.0, 0.0, 0.0


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: w - eta g."""

    NAME = "sgd"


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v = momentum v + g; w - eta v (Polyak 1964, in PyTorch's form)."""

    NAME = "momentum"
    momentum: float = 0.9

    def decays(self) -> tuple[float, float, float, float]:
        return self.momentum, 0.0, 0.0, 0.0


@dataclass(frozen=True)
class Nesterov(Momentum):
    """v = momentum v + g; w - eta (g + momentum v) (Sutskever et al., ICML 2013)."""

    NAME = "nesterov"


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s = s + g^2; w - eta g / (sqrt(s) + epsilon) (Duchi, Hazan, Singer, JMLR 2011)."""

    NAME = "adagrad"
    epsilon: float = 1e-10

    def decays(self) -> tuple[float, float, float, float]:
        return 0.0, 0.0, self.epsilon, 0.0


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s = rho s + (1 - rho) g^2; w - eta g / (sqrt(s) + epsilon) (Tieleman and Hinton, 2012)."""

    NAME = "rmsprop"
    rho: float = 0.99
    epsilon: float = 1e-8

    def decays(self) -> tuple[float, float, float, float]:
        return 0.0, self.rho, self.epsilon, 0.0


@dataclass(frozen=True)
class Adam(Optimizer):
    """
    Means of g and of g^2, corrected for their beginning at zero (Kingma and Ba, ICLR 2015).

    With `weight_decay` in `Network.SGD` it is AdamW (Loshchilov and Hutter, ICLR 2019).
    `epsilon_hat` is added to the root before that is corrected, as in section 2 of the paper and
    in Keras and scikit-learn; `epsilon` afterwards, as in its algorithm and in PyTorch.
    """

    NAME = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: float = 0.0

    def decays(self) -> tuple[float, float, float, float]:
        return self.beta1, self.beta2, self.epsilon, self.epsilon_hat


@dataclass(frozen=True)
class Rprop(Optimizer):
    """
    Steps that grow while a derivative keeps its sign (Riedmiller and Braun 1993).

    For mini-batches of all examples. The first steps are eta.
    """

    NAME = "rprop"
    shrink: float = 0.5
    grow: float = 1.2
    smallest: float = 1e-6
    largest: float = 50.0

    def decays(self) -> tuple[float, float, float, float]:
        return self.shrink, self.grow, self.smallest, self.largest


KNOWN: dict[str, type[Optimizer]] = {
    each.NAME: each for each in (SGD, Momentum, Nesterov, Adagrad, RMSprop, Adam, Rprop)}


@dataclass(frozen=True)
class Rules:
    """
    What `Network.SGD` was asked for beside the gradient: checked, and not yet in the core.

    Attributes
    ----------
    optimizer : Optimizer
    lmbda, l1, weight_decay, max_norm, clip_value, clip_norm, noise : float
    dropout : tuple of float
        Of the inputs, then of each hidden layer.
    """

    optimizer: Optimizer
    lmbda: float
    l1: float
    weight_decay: float
    max_norm: float
    clip_value: float
    clip_norm: float
    dropout: tuple[float, ...]
    noise: float

    @property
    def plain(self) -> bool:
        """Whether they ask for nothing but the book's descent."""
        return self == _descent(len(self.dropout))


def rules(
    n_layers: int, optimizer: Any = "sgd", lmbda: float = 0.0, l1: float = 0.0,
    weight_decay: float = 0.0, max_norm: float | None = None, clip_value: float | None = None,
    clip_norm: float | None = None, dropout: Any = 0.0, noise: float = 0.0,
) -> Rules:
    """
    Check all of it, for so many layers of weights.

    Raises
    ------
    TypeError, ValueError
        If one is of the wrong kind, or outside its range.
    """
    if isinstance(optimizer, str) and optimizer in KNOWN:
        optimizer = KNOWN[optimizer]()
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be one of {sorted(KNOWN)}, or made by a class of "
                         f"cbackprop.optimizers, got {_check.shown(optimizer)}")
    return Rules(
        optimizer, lmbda=number("lmbda", lmbda, 0), l1=number("l1", l1, 0),
        weight_decay=number("weight_decay", weight_decay, 0), max_norm=_most("max_norm", max_norm),
        clip_value=_most("clip_value", clip_value), clip_norm=_most("clip_norm", clip_norm),
        dropout=_rates(dropout, n_layers), noise=number("noise", noise, 0))


@cache
def _descent(n_layers: int) -> Rules:
    return rules(n_layers)


def _most(name: str, value: Any) -> float:
    return math.inf if value is None else number(name, value, 0, above=True)


def _rates(dropout: Any, n_layers: int) -> tuple[float, ...]:
    if isinstance(dropout, _check.REAL):
        return 0.0, *[number("dropout", dropout, 0, 1)] * (n_layers - 1)
    rule = (f"dropout must be a number, or {n_layers} of them, of the inputs and of each hidden "
            f"layer")
    rates = _check.items(dropout, rule)
    if len(rates) != n_layers or isinstance(dropout, str):
        raise ValueError(f"{rule}, got {_check.shown(dropout)}")
    return tuple(number(f"dropout[{at}]", rate, 0, 1) for at, rate in enumerate(rates))


def number(
    name: str, value: Any, low: float, high: float = math.inf, above: bool = False
) -> float:
    """
    Return a finite number from low on (or above it), and below high, as a float.

    Raises
    ------
    TypeError, ValueError
        If it is none, or outside.
    """
    rule = f"{name} must be a number {'above' if above else 'of at least'} {low:g}"
    if high < math.inf:
        rule += f" and below {high:g}"
    if not isinstance(value, _check.REAL) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{rule}, got {_check.shown(value)}")
    try:
        checked = float(value)
    except OverflowError:  # of integers and fractions
        checked = math.inf
    if not (low < checked < high if above else low <= checked < high):
        raise ValueError(f"{rule}, got {_check.shown(value) if checked == math.inf else value}")
    return checked


class Memory:
    """
    A network's optimizer in the core, and what it remembers from one call of `SGD` to the next.

    Parameters
    ----------
    build : module
        Of the core.
    core : Core
    optimizer : str
        Its name.
    """

    def __init__(self, build: Any, core: Any, optimizer: str) -> None:
        self.optimizer = optimizer
        self._core = core
        self.learning = build.Learning(core, optimizer)

    def set(self, rules: Rules, n: int, eta: float, seed: int) -> None:
        """Take the rules for training on n examples."""
        if self.optimizer == Rprop.NAME and not self.learning.steps:
            self.learning.memory[1][...] = eta
        self.learning.set(
            *rules.optimizer.decays(), rules.lmbda / n, rules.l1, rules.weight_decay,
            rules.clip_value, rules.clip_norm, rules.max_norm, seed,
            np.array(rules.dropout, self._core.parameters.dtype), rules.noise)

    def follow(self, core: Any) -> None:
        """Train another core, of the same sizes, from now on."""
        self._core = core
        self.learning.follow(core)

    def copies(self) -> tuple[int, list[NDArray[Any]]]:
        """Return steps and arenas, to put back with `restore`."""
        return self.learning.steps, [arena.copy() for arena in self.learning.memory]

    def restore(self, copies: tuple[int, list[NDArray[Any]]]) -> None:
        """Go back to what `copies` returned."""
        self.learning.steps, arenas = copies
        for arena, saved in zip(self.learning.memory, arenas, strict=True):
            arena[...] = saved

    def views(self) -> list[NDArray[Any]]:
        """Return live views of all that is remembered, layer by layer: weights, then biases."""
        return [view for arena in self.learning.memory
                for views in self._core.views(arena) for view in views]

    def __getstate__(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, "steps": self.learning.steps,
                "memory": [np.array(view) for view in self.views()]}

    @classmethod
    def of(cls, build: Any, core: Any, state: dict[str, Any]) -> Memory:
        """Make it again from its state."""
        if state["optimizer"] not in KNOWN:
            raise ValueError(f"unknown optimizer {state['optimizer']!r}")
        memory = cls(build, core, state["optimizer"])
        memory.learning.steps = state["steps"]
        for view, given in zip(memory.views(), state["memory"], strict=True):
            saved = data.numbers(given, "an optimizer's memory")
            if view.shape != saved.shape:
                raise ValueError(f"an optimizer's memory of shape {saved.shape} for parameters of "
                                 f"shape {view.shape}")
            view[...] = saved
        return memory


__all__ = ["KNOWN", "Optimizer", *(each.__name__ for each in KNOWN.values())]

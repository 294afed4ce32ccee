"""
Optimizers: what a step does with the gradient.

A new one is a block in ``core/functions/optimizers.pxi.tp``, a row of ``core/table.py``, and a
class here, which has the row's numbers with their defaults.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cbackprop import data
from cbackprop.core import table

ROWS = {row.name: row for row in table.OPTIMIZERS}
KNOWN: dict[str, type[Optimizer]] = {}


@dataclass(frozen=True)
class Optimizer:
    """
    Any of them: its numbers, each in the range that its row of the table gives.

    Raises
    ------
    TypeError, ValueError
        If one is no number, or outside its range.
    """

    NAME: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if "NAME" in vars(cls):
            KNOWN[cls.NAME] = cls

    def __post_init__(self) -> None:
        ranges = {each.name: (each.low, each.below) for each in ROWS[self.NAME].numbers}
        for field in fields(self):
            checked = number(field.name, getattr(self, field.name), *ranges[field.name])
            object.__setattr__(self, field.name, checked)

    def hyperparameters(self) -> dict[str, float]:
        """Return its numbers by name, as the core takes them."""
        return asdict(self)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: w - eta g."""

    NAME = "sgd"


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v = momentum v + g; w - eta v (Polyak 1964, in PyTorch's form)."""

    NAME = "momentum"
    momentum: float = 0.9


@dataclass(frozen=True)
class Nesterov(Momentum):
    """v = momentum v + g; w - eta (g + momentum v) (Sutskever et al., ICML 2013)."""

    NAME = "nesterov"


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s = s + g^2; w - eta g / (sqrt(s) + epsilon) (Duchi, Hazan, Singer, JMLR 2011)."""

    NAME = "adagrad"
    epsilon: float = 1e-10


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s = rho s + (1 - rho) g^2; w - eta g / (sqrt(s) + epsilon) (Tieleman and Hinton, 2012)."""

    NAME = "rmsprop"
    rho: float = 0.99
    epsilon: float = 1e-8


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


@dataclass(frozen=True)
class Lion(Optimizer):
    """
    w - eta sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g (Chen et al., NeurIPS 2023).

    Every parameter moves by eta, so that eta has to be 3 to 10 times smaller than Adam's, and
    `weight_decay` as many times larger.
    """

    NAME = "lion"
    beta1: float = 0.9
    beta2: float = 0.99


@dataclass(frozen=True)
class NAdam(Optimizer):
    """
    Adam with Nesterov's momentum: mu m + (1 - mu) g for m (Dozat, ICLR workshop 2016).

    As in PyTorch and Keras, mu = beta1 (1 - 0.96^(t momentum_decay) / 2) at step t, each corrected
    by the product of all mu so far.
    """

    NAME = "nadam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    momentum_decay: float = 0.004


@dataclass(frozen=True)
class TrainingOptions:
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


def training_options(
    n_layers: int, optimizer: Any = "sgd", lmbda: float = 0.0, l1: float = 0.0,
    weight_decay: float = 0.0, max_norm: float | None = None, clip_value: float | None = None,
    clip_norm: float | None = None, dropout: Any = 0.0, noise: float = 0.0,
) -> TrainingOptions:
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
                         f"cbackprop.optimizers, got {data.shown(optimizer)}")
    return TrainingOptions(
        optimizer, lmbda=number("lmbda", lmbda, 0), l1=number("l1", l1, 0),
        weight_decay=number("weight_decay", weight_decay, 0), max_norm=_most("max_norm", max_norm),
        clip_value=_most("clip_value", clip_value), clip_norm=_most("clip_norm", clip_norm),
        dropout=_rates(dropout, n_layers), noise=number("noise", noise, 0))


@cache
def _descent(n_layers: int) -> TrainingOptions:
    return training_options(n_layers)


def _most(name: str, value: Any) -> float:
    return math.inf if value is None else number(name, value, 0, above=True)


def _rates(dropout: Any, n_layers: int) -> tuple[float, ...]:
    if isinstance(dropout, data.REAL):
        return 0.0, *[number("dropout", dropout, 0, 1)] * (n_layers - 1)
    rule = (f"dropout must be a number, or {n_layers} of them, of the inputs and of each hidden "
            f"layer")
    rates = data.items(dropout, rule)
    if len(rates) != n_layers or isinstance(dropout, str):
        raise ValueError(f"{rule}, got {data.shown(dropout)}")
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
    if not isinstance(value, data.REAL) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{rule}, got {data.shown(value)}")
    try:
        checked = float(value)
    except OverflowError:  # of integers and fractions
        checked = math.inf
    if not (low < checked < high if above else low <= checked < high):
        raise ValueError(f"{rule}, got {data.shown(value) if checked == math.inf else value}")
    return checked


class OptimizerState:
    """
    A network's optimizer in the core, and its state from one call of `SGD` to the next.

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
        self.in_core = build.OptimizerState(core, optimizer)

    def set(self, options: TrainingOptions, n: int, eta: float, seed: int) -> None:
        """Take the options for training on n examples."""
        if not self.in_core.steps:
            for slot in ROWS[self.optimizer].starts_at_eta:
                self.in_core.slots[slot][...] = eta
        self.in_core.set(
            options.optimizer.hyperparameters(),
            np.array(options.dropout, self._core.parameters.dtype),
            l2=options.lmbda / n, l1=options.l1, weight_decay=options.weight_decay,
            clip_value=options.clip_value, clip_norm=options.clip_norm,
            max_norm=options.max_norm, seed=seed, noise=options.noise)

    def follow(self, core: Any) -> None:
        """Train another core, of the same sizes, from now on."""
        self._core = core
        self.in_core.attach(core)

    def copies(self) -> tuple[int, list[NDArray[Any]]]:
        """Return steps and arenas, to put back with `restore`."""
        return self.in_core.steps, [arena.copy() for arena in self.in_core.slots]

    def restore(self, copies: tuple[int, list[NDArray[Any]]]) -> None:
        """Go back to what `copies` returned."""
        self.in_core.steps, arenas = copies
        for arena, saved in zip(self.in_core.slots, arenas, strict=True):
            arena[...] = saved

    def views(self) -> list[NDArray[Any]]:
        """Return live views of all slots, each layer by layer: weights, then biases."""
        return [view for arena in self.in_core.slots
                for views in self._core.views(arena) for view in views]

    def __getstate__(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, "steps": self.in_core.steps,
                "memory": [np.array(view) for view in self.views()]}

    @classmethod
    def of(cls, build: Any, core: Any, saved: dict[str, Any]) -> OptimizerState:
        """Make it again from what `__getstate__` returned."""
        if saved["optimizer"] not in KNOWN:
            raise ValueError(f"unknown optimizer {saved['optimizer']!r}")
        made = cls(build, core, saved["optimizer"])
        made.in_core.steps = saved["steps"]
        for view, given in zip(made.views(), saved["memory"], strict=True):
            array = data.numbers(given, "an optimizer's memory")
            if view.shape != array.shape:
                raise ValueError(f"an optimizer's memory of shape {array.shape} for parameters of "
                                 f"shape {view.shape}")
            view[...] = array
        return made


__all__ = ["KNOWN", "Optimizer", *(each.__name__ for each in KNOWN.values())]

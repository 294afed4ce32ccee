"""
Optimizers: what a step does with the gradient.

A new one is a block in ``core/functions/optimizers.pxi.tp``, a row of ``core/table.py``, and a
class here, which has the row's numbers with their defaults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from typing import Any, ClassVar, Literal

from cbackprop import _check, _words
from cbackprop.core import table

ROWS = {row.name: row for row in table.OPTIMIZERS}
NAMES = {_words.plain(name): row.name for row in table.OPTIMIZERS
         for name in (row.name, *row.aliases)}
OptimizerName = Literal[
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "rprop", "lion", "nadam",
    "lazy_sgd", "lazy_momentum", "lazy_nesterov", "lazy_adagrad", "lazy_rmsprop", "lazy_adam",
    "lazy_rprop", "lazy_lion", "lazy_nadam"]
LAZY = "lazy_"  # before a name
KNOWN: dict[str, type[Optimizer]] = {}


@dataclass(frozen=True)
class Optimizer:
    """
    Any of them: its numbers, each in the range that its row of the table gives.

    Parameters
    ----------
    lazy : bool
        Whether a step leaves rows of the first w alone, with what is remembered of them, where no
        row of a mini-batch in a sparse matrix has an entry. Regularisation does not reach them
        either. The name is then "lazy_adam", for example. Dense x touches every row.

    Raises
    ------
    TypeError, ValueError
        If one is no number, or outside its range.
    """

    NAME: ClassVar[str]
    lazy: bool = field(default=False, kw_only=True)

    def __init_subclass__(cls) -> None:
        if "NAME" in vars(cls):
            KNOWN[cls.NAME] = cls

    def __post_init__(self) -> None:
        ranges = {each.name: (each.low, each.below) for each in ROWS[self.NAME].numbers}
        object.__setattr__(self, "lazy", _check.boolean("lazy", self.lazy))
        for each in fields(self):
            if each.name in ranges:
                checked = _check.number(each.name, getattr(self, each.name), *ranges[each.name])
                object.__setattr__(self, each.name, checked)

    @property
    def name(self) -> str:
        """As `Network.SGD` takes it: NAME, after ``lazy_`` if it is lazy."""
        return LAZY * self.lazy + self.NAME

    def hyperparameters(self) -> dict[str, float]:
        """Return its numbers by name, as the core takes them."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "lazy"}


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

    It needs mini-batches of all examples. The first steps are eta.
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


for _each in KNOWN.values():
    _words.suggesting("__init__")(_each)


@dataclass(frozen=True)
class TrainingOptions:
    """
    What `Network.SGD` was asked for besides the gradient: checked, and not yet in the core.

    Attributes
    ----------
    optimizer : Optimizer
    lmbda : float
        The book's L2 regularisation: lmbda / n w is added to g, so that "sgd" scales w by
        1 - eta lmbda / n. Biases are left alone, here and in the next three.
    l1 : float
        l1 sign(w) is added to g.
    weight_decay : float
        Decoupled: w is scaled by 1 - eta weight_decay before the step ("adam": AdamW).
    max_norm : float, optional
        The most that the weights of one neuron may measure together; not for lazy optimizers.
    clip_value, clip_norm : float, optional
        The most that one derivative, or the whole gradient, may measure; before the former. A
        longer gradient is scaled to exactly `clip_norm`; PyTorch's ``clip_grad_norm_`` divides
        by its length + 1e-6.
    dropout : float or sequence of float
        The probability that an activation is left out; a number for the hidden layers, or one
        for the inputs and each hidden layer. The others are scaled up (inverted dropout).
    noise : float
        The standard deviation of what is added to the inputs.
    eta_factors : sequence of float, optional
        What eta is multiplied by in each layer of weights, decoupled decay included. A layer of
        which it is 0 is frozen: its parameters, and what the optimizer remembers of them, stay.
    nonnegative : bool, or sequence of bool
        Whether weights that a step made negative become 0; for all layers, or for each.
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
    eta_factors: tuple[float, ...]
    nonnegative: tuple[bool, ...]

    @property
    def plain(self) -> bool:
        """Whether they ask for nothing but the book's descent."""
        return self == _descent(len(self.dropout))

    def asked(self) -> dict[str, Any]:
        """Return them by the names of `Network.SGD`'s arguments, with the optimizer's numbers."""
        others = {field.name: getattr(self, field.name) for field in fields(self)}
        return others | {"optimizer": self.optimizer.name} | self.optimizer.hyperparameters()

    @property
    def noisy(self) -> bool:
        """Whether a step draws random numbers."""
        return self.noise > 0 or any(self.dropout)


def training_options(
    n_layers: int, optimizer: Any = "sgd", lmbda: float = 0.0, l1: float = 0.0,
    weight_decay: float = 0.0, max_norm: float | None = None, clip_value: float | None = None,
    clip_norm: float | None = None, dropout: Any = 0.0, noise: float = 0.0,
    eta_factors: Any = None, nonnegative: Any = False,
) -> TrainingOptions:
    """
    Check all of it, for so many layers of weights.

    Raises
    ------
    TypeError, ValueError
        If one is of the wrong kind, or outside its range.
    """
    if isinstance(optimizer, str):
        if optimizer not in KNOWN and _words.plain(optimizer) == "adamw" and not weight_decay:
            raise ValueError("optimizer 'adamw' needs weight_decay, such as 0.01, PyTorch's; "
                             "without it, it is 'adam'")
        optimizer = _named(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be one of {sorted(KNOWN)}, or made by a class of "
                         f"cbackprop.optimizers, got {_check.shown(optimizer)}"
                         f"{_words.meant(optimizer, [*KNOWN, *map(LAZY.__add__, KNOWN)])}")
    if optimizer.lazy and max_norm is not None:
        raise ValueError(f"max_norm must be None with {optimizer.name}: it measures all weights of "
                         f"a neuron, and shortens them all, got {_check.shown(max_norm)}")
    return TrainingOptions(
        optimizer, lmbda=_check.number("lmbda", lmbda, 0), l1=_check.number("l1", l1, 0),
        weight_decay=_check.number("weight_decay", weight_decay, 0),
        max_norm=_most("max_norm", max_norm), clip_value=_most("clip_value", clip_value),
        clip_norm=_most("clip_norm", clip_norm), dropout=_rates(dropout, n_layers),
        noise=_check.number("noise", noise, 0), eta_factors=_factors(eta_factors, n_layers),
        nonnegative=_check.booleans("nonnegative", nonnegative, n_layers))


def our_name(name: str) -> str:
    """
    Return an optimizer's own name for another one or another spelling; an unknown name as it is.

    Examples
    --------
    >>> our_name("AdamW"), our_name("LazyAdam"), our_name("adamant")
    ('adam', 'lazy_adam', 'adamant')
    """
    spelt = _words.plain(name)
    lazily = _words.plain(LAZY)
    if spelt.startswith(lazily) and spelt.removeprefix(lazily) in NAMES:
        return LAZY + NAMES[spelt.removeprefix(lazily)]
    return NAMES.get(spelt, name)


@lru_cache(maxsize=64)
def _named(name: str) -> Optimizer | str:
    """Return the optimizer of a name, which never changes; an unknown name as it is."""
    ours = our_name(name)
    kind = KNOWN.get(ours.removeprefix(LAZY))
    return ours if kind is None else kind(lazy=ours.startswith(LAZY))


@cache
def _descent(n_layers: int) -> TrainingOptions:
    return training_options(n_layers)


def _most(name: str, value: Any) -> float:
    return math.inf if value is None else _check.number(name, value, 0, above=True)


def _rates(dropout: Any, n_layers: int) -> tuple[float, ...]:
    if isinstance(dropout, _check.REAL):
        return 0.0, *[_check.number("dropout", dropout, 0, 1)] * (n_layers - 1)
    rule = (f"dropout must be a number, or {n_layers} of them, of the inputs and of each hidden "
            f"layer")
    rates = _check.items(dropout, rule)
    if len(rates) != n_layers or isinstance(dropout, str):
        raise ValueError(f"{rule}, got {_check.shown(dropout)}")
    return tuple(_check.number(f"dropout[{at}]", rate, 0, 1) for at, rate in enumerate(rates))


def _factors(eta_factors: Any, n_layers: int) -> tuple[float, ...]:
    if eta_factors is None:
        return (1.0,) * n_layers
    rule = f"eta_factors must be {n_layers} numbers, one for each layer of weights"
    factors = _check.items(eta_factors, rule)
    if len(factors) != n_layers or isinstance(eta_factors, str):
        raise ValueError(f"{rule}, got {_check.shown(eta_factors)}")
    return tuple(_check.number(f"eta_factors[{at}]", each, 0) for at, each in enumerate(factors))


__all__ = ["KNOWN", "Optimizer", *(each.__name__ for each in KNOWN.values())]

"""
Learning rates that change while a network trains.

`Network.SGD` takes as its `eta` a number, one of these, or any callable of the step. A step is the
number of mini-batches done in this call of SGD, from 0. A new schedule is one small class.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words
from cbackprop._check import integer, number, shown
from cbackprop._endings import StopTraining
from cbackprop.history import MEASURED, SETS, History, stalls

NUMBERS: dict[str, dict[str, Any]] = {  # fields of schedules, and the range of each
    "eta": {"low": 0},
    "factor": {"low": 0, "above": True, "high": 1, "up_to": True},
    "decay": {"low": 0},
    "start": {"low": 0, "high": 1, "up_to": True},
    "end": {"low": 0, "high": 1, "up_to": True},
    "rise": {"low": 0, "high": 1, "up_to": True},
    "stop": {"low": 0, "high": 1, "up_to": True},
    "min_delta": {"low": 0},
}
INTEGERS = {"every": 1, "steps": 1, "warmup": 0, "patience": 1}  # and the least they may be


@dataclass(frozen=True)
class Schedule(abc.ABC):
    """
    A learning rate for every step.

    One object may serve several trainings, for it does not change: what `ReduceOnPlateau` and
    `HalveOnStall` do follows from the history alone.
    """

    eta: float

    def __post_init__(self) -> None:
        for name in _names(type(self)):
            value = getattr(self, name)
            if name in INTEGERS:
                value = integer(name, value, INTEGERS[name])
            elif name in NUMBERS:
                value = number(name, value, **NUMBERS[name], boolean=True)
            elif value not in MEASURED and not (
                    isinstance(value, str) and value.startswith(tuple(f"{s}_" for s in SETS))):
                raise ValueError(f"{name} must be an entry of the history, such as one of "
                                 f"{list(MEASURED)} or 'test_r2', got {shown(value)}"
                                 f"{_words.meant(value, MEASURED)}")
            object.__setattr__(self, name, value)

    @abc.abstractmethod
    def rate(self, step: Any) -> Any:
        """Return the learning rate of a step, or of an array of steps."""

    def watch(self, history: History) -> Schedule:
        """
        Return the schedule for the next epoch, before which SGD calls this; by default itself.

        `StopTraining` raised here ends the training.
        """
        return self


@cache
def _names(kind: type[Schedule]) -> tuple[str, ...]:
    """Return the names of a schedule's fields."""
    return tuple(one.name for one in fields(kind))


@dataclass(frozen=True)
class Constant(Schedule):
    """
    A constant rate; a number stands for it.

    Examples
    --------
    >>> Constant(0.5).rate(1000)
    0.5
    """

    def rate(self, step: Any) -> Any:
        """Return eta."""
        return self.eta


@dataclass(frozen=True)
class Step(Schedule):
    """
    The rate times `factor` after every so many steps: eta factor^floor(step / every).

    Examples
    --------
    >>> [Step(0.5, every=100).rate(step) for step in (0, 99, 100, 200)]
    [0.5, 0.5, 0.25, 0.125]
    """

    every: int
    factor: float = 0.5

    def rate(self, step: Any) -> Any:
        """Return eta factor^floor(step / every)."""
        return self.eta * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """
    As `Step`, without its steps: eta factor^(step / every).

    Examples
    --------
    >>> [Exponential(1.0, every=100, factor=0.25).rate(step) for step in (0, 50, 100)]
    [1.0, 0.5, 0.25]
    """

    every: int
    factor: float = 0.5

    def rate(self, step: Any) -> Any:
        """Return eta factor^(step / every)."""
        return self.eta * self.factor ** (step / self.every)


@dataclass(frozen=True)
class InverseTime(Schedule):
    """
    The schedule of stochastic approximation: eta / (1 + decay step).

    Examples
    --------
    >>> [InverseTime(1.0, decay=0.01).rate(step) for step in (0, 100, 300)]
    [1.0, 0.5, 0.25]
    """

    decay: float

    def rate(self, step: Any) -> Any:
        """Return eta / (1 + decay step)."""
        return self.eta / (1 + self.decay * step)


@dataclass(frozen=True)
class Cosine(Schedule):
    """
    Half a cosine from eta down to `end` eta, after a linear warm-up (Loshchilov, Hutter, 2017).

    Parameters
    ----------
    eta : float
        The highest rate.
    steps : int
        When `end` is reached, the warm-up counted: epochs times mini-batches in one, usually.
    warmup : int
        The first so many steps have eta / warmup, 2 eta / warmup, ..., eta.
    end : float
        The last rate, as a share of eta.

    Examples
    --------
    >>> schedule = Cosine(1.0, steps=8, warmup=4)
    >>> [round(float(schedule.rate(step)), 3) for step in (0, 1, 2, 3, 4, 6, 8, 100)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0, 0.0]
    """

    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup >= self.steps:
            raise ValueError(f"warmup must be shorter than the {self.steps} steps, "
                             f"got {self.warmup}")

    def rate(self, step: Any) -> Any:
        """Return the rate of the warm-up, or of the cosine."""
        down = _half_cosine(step, self.warmup, self.steps, self.eta, self.end * self.eta)
        return np.where(np.asarray(step) < self.warmup,
                        self.eta * (np.asarray(step) + 1) / max(1, self.warmup), down)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """
    Half a cosine up from `start` eta to eta, then one down to `end` eta (Smith, Topin, 2018).

    The defaults are PyTorch's, but its ``OneCycleLR`` is at the top, and at the end, one step
    sooner: for T steps it is ``OneCycle(eta, T - 1, rise=(0.3 * T - 1) / (T - 1))``. It also
    changes the momentum, which here stays.

    Parameters
    ----------
    eta : float
        The highest rate.
    steps : int
        The steps of the whole cycle: usually epochs times mini-batches in an epoch.
    rise : float
        The share of the steps that go up.
    start, end : float
        The first and the last rate, as shares of eta.

    Examples
    --------
    >>> schedule = OneCycle(1.0, steps=10, rise=0.4, start=0.5, end=0.0)
    >>> [round(float(schedule.rate(step)), 3) for step in (0, 2, 4, 7, 10)]
    [0.5, 0.75, 1.0, 0.5, 0.0]
    """

    steps: int
    rise: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 25 / 1e4

    def rate(self, step: Any) -> Any:
        """Return the rate on the way up, or down."""
        top = self.rise * self.steps
        return np.where(np.asarray(step) < top,
                        _half_cosine(step, 0, top, self.start * self.eta, self.eta),
                        _half_cosine(step, top, self.steps, self.eta, self.end * self.eta))


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """
    The rate times `factor` whenever an entry of the history stalls.

    Parameters
    ----------
    eta : float
        The first rate.
    watched : str
        The name of the entry of the history that must improve. Costs should fall.
    factor : float
    patience : int
        After how many epochs in a row that did not better the best so far.
    min_delta : float
        By how much at least an epoch has to better it.
    end : float
        The lowest rate, as a share of eta.

    Examples
    --------
    >>> schedule = ReduceOnPlateau(1.0, patience=2)
    >>> history = cbackprop.History(cost=[0.5, 0.4, 0.4, 0.4], recorded=("cost",))
    >>> schedule.watch(history).rate(0)
    0.1
    """

    watched: str = "cost"
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    end: float = 0.0

    def rate(self, step: Any) -> Any:
        """Return the first rate."""
        return self.eta

    def watch(self, history: History) -> Schedule:
        """Return the rate after the stalls so far."""
        times = stalls(history.series(self.watched), self.patience, self.min_delta,
                       history.smaller_is_better(self.watched))
        return Constant(self.eta * max(self.end, self.factor**times))


@dataclass(frozen=True)
class HalveOnStall(Schedule):
    """
    The book's (chapter 3): halve the rate whenever validation stalls, and stop when it is small.

    Parameters
    ----------
    eta : float
        The first rate.
    watched : str
        The name of the entry of the history that must improve.
    patience : int
        After how many epochs in a row that did not better the best so far.
    stop : float
        Training ends when the rate has fallen to this share of eta.

    Examples
    --------
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 10], input_scale=1 / 255, seed=0)
    >>> history = net.SGD((x, y), 100, 10, HalveOnStall(1.0, patience=1, stop=1 / 4), test_data)
    >>> len(history) < 100, sorted(set(history.eta))
    (True, [0.5, 1.0])
    """

    watched: str = "accuracy"
    patience: int = 10
    stop: float = 1 / 128

    def rate(self, step: Any) -> Any:
        """Return the first rate."""
        return self.eta

    def watch(self, history: History) -> Schedule:
        """Return the rate after the stalls so far, or stop."""
        share = 0.5 ** stalls(history.series(self.watched), self.patience, 0.0,
                              history.smaller_is_better(self.watched))
        if share <= self.stop:
            raise StopTraining(f"eta has fallen to {share:g} of {self.eta:g}")
        return Constant(self.eta * share)


@dataclass(frozen=True)
class Called(Schedule):
    """The caller's own function of the step."""

    eta: Any

    def __post_init__(self) -> None:
        pass

    def rate(self, step: Any) -> Any:
        """Ask for one step after the other, as Python integers."""
        return [self.eta(one) for one in np.asarray(step).tolist()]


for _each in (Step, Exponential, InverseTime, Cosine, OneCycle, ReduceOnPlateau, HalveOnStall):
    _words.suggesting("__init__")(_each)


def schedule(eta: Any) -> Schedule:
    """
    Return the schedule for a number, a schedule, or a callable of the step.

    Raises
    ------
    TypeError, ValueError
        If `eta` is none of these.
    """
    if isinstance(eta, Schedule):
        return eta
    if callable(eta):
        _check.function("eta", eta, "step")
        return Called(eta)
    return Constant(eta)


def rates(schedule: Schedule, first: int, steps: int) -> NDArray[Any]:
    """
    Return the learning rates of the steps from `first` on.

    Raises
    ------
    TypeError, ValueError
        If one of them is no number, or not finite, or negative.
    """
    if isinstance(schedule, Constant):
        return _constant(schedule.eta, steps)
    given = schedule.rate(np.arange(first, first + steps))
    if np.shape(given) == ():
        return np.full(steps, number(f"eta at step {first}", given, **NUMBERS["eta"], boolean=True))
    if np.shape(given) != (steps,):
        raise ValueError(f"rate must return a number, or {steps} for {steps} steps, "
                         f"got shape {np.shape(given)}")
    etas = np.empty(steps)
    try:
        etas[...] = given
        good = np.isfinite(etas).all() and etas.min() >= 0
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:  # find the culprit
        for step, eta in enumerate(np.array(given, dtype=object), first):
            number(f"eta at step {step}", eta, **NUMBERS["eta"], boolean=True)
    return etas


@lru_cache(maxsize=4)  # every epoch asks for the same
def _constant(eta: float, steps: int) -> NDArray[Any]:
    etas = np.full(steps, eta)
    etas.flags.writeable = False
    return etas


def _half_cosine(step: Any, first: float, last: float, high: float, low: float) -> Any:
    """From high at step `first` to low at step `last`, and low from there on."""
    share = np.clip((np.asarray(step) - first) / max(last - first, 1e-9), 0, 1)
    return low + (high - low) * (1 + np.cos(np.pi * share)) / 2

"""The values that targets may have: a cost takes them, and outputs can reach them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.core import table

ACTIVATIONS = {row.name: row for row in table.ACTIVATIONS}
ROUNDING = 1e-5  # tolerance: targets may have been scaled in float32
MAX_CLASSES = 20  # more different whole numbers are not taken for classes
FOR_NUMBERS = 'for numbers, cost="quadratic" and output_activation="identity"'
IDENTITY = 'output_activation="identity", or scale the targets'


class Rule:
    """
    Checks a network's targets. The user's own functions take and reach any.

    Parameters
    ----------
    cost, output : as the core takes them
        The output is an activation, or a list of (activation, number of neurons).
    """

    def __init__(self, cost: Any, output: Any) -> None:
        name = cost[0] if isinstance(cost, tuple) else cost
        self.cost = next((row for row in table.COSTS if row.name == name), None)
        self.runs = output if isinstance(output, list) else [(output, None)]
        # A hinge asks for a sign, cosine for a direction: outputs need not come near the targets.
        self.nearest = (
            self.cost is not None and self.cost.by_output and not self.cost.by_sign)
        self.takes = _widened(self.cost.takes if self.cost else table.ANY)
        each = [ends(function) for function, _ in self.runs]
        self.ends = max(low for low, _ in each), min(high for _, high in each)
        self.reaches = _widened(self.ends if self.nearest else table.ANY)
        self.shares = self.nearest and output == "softmax"

    def measured(self, y: NDArray[Any], lowest: float, highest: float, name: str) -> None:
        """
        Check that the cost takes these targets.

        Parameters
        ----------
        y : array of shape (n, out)
        lowest, highest : float
            The smallest and the largest number in y.
        name : str
            The name of y in the error.

        Raises
        ------
        ValueError
            If the cost does not take them.
        """
        low, high = self.takes
        if low <= lowest and highest <= high and not (
                self.cost and self.cost.by_sign and not _are_sides(y, lowest)):
            return
        assert self.cost is not None  # the user's own takes any
        raise ValueError(f"{name} must be {self.cost.targets}, for cost {self.cost.name!r}, "
                         f"got {_came(y)}: {remedy(y, y.shape[1], FOR_NUMBERS)}")

    def trained(self, y: NDArray[Any], lowest: float, highest: float, name: str) -> None:
        """
        Check that the cost takes these targets, and that outputs can come near them.

        Parameters
        ----------
        y, lowest, highest, name
            As for `measured`.

        Raises
        ------
        ValueError
            If the cost does not take them, or outputs cannot reach them.
        """
        self.measured(y, lowest, highest, name)
        low, high = self.reaches
        if not (low <= lowest and highest <= high):
            self._by_neuron(y, name)
        if self.shares:
            self._are_single(y, name)
        elif self.cost and self.cost.by_sign and y.shape[1] == 1 and lowest < highest:
            low, high = self.ends
            if low >= 0 or high <= 0:
                raise ValueError(
                    f"outputs must have both signs for cost {self.cost.name!r}, got "
                    f"{_named(self.runs[0][0])!r}, {_between(low, high)}: "
                    f'output_activation="identity"')

    def _by_neuron(self, y: NDArray[Any], name: str) -> None:
        first = 0
        for function, count in self.runs:
            count = y.shape[1] if count is None else count
            part = y[:, first:first + count]
            low, high = _widened(ends(function))
            if part.size and not (low <= part.min() and part.max() <= high):
                raise ValueError(
                    f"{name} must be {_between(*ends(function))}, as outputs of "
                    f"{_named(function)!r} are, got {_came(part)}: "
                    f"{remedy(part, y.shape[1], IDENTITY)}")
            first += count

    def _are_single(self, y: NDArray[Any], name: str) -> None:
        """Refuse several labels in a row, which softmax cannot output. Rows of shares pass."""
        sums = y @ np.ones(y.shape[1], y.dtype)
        if sums.size and sums.max() >= 2 and ((y == 0) | (y == 1)).all():
            raise ValueError(
                f"{name} must have one 1 in a row, for outputs of 'softmax' add up to 1, got "
                f"{sums.max():g} in row {sums.argmax()}: for several labels, "
                f'output_activation="sigmoid" and cost="cross_entropy"')


def remedy(y: NDArray[Any], outputs: int, otherwise: str = "") -> str:
    """
    Return the remedy for targets that are refused, guessed from their values.

    Examples
    --------
    >>> remedy(np.array([1, 2, 3]), 3)
    'labels run from 1: subtract 1'
    >>> remedy(np.array([[0.0], [255.0]]), 1)
    'divide by 255'
    """
    values = np.unique(y)
    low, high = float(values[0]), float(values[-1])
    labels = y.ndim == 1
    if values.tolist() == [1, 2] or (
            labels and low == 1 and high == outputs == len(values)):
        return "labels run from 1: subtract 1"
    if values.tolist() == [-1, 1]:
        return f"(y + 1) {'//' if labels else '/'} 2 makes them 0 and 1"
    if (len(values) == 2 and low == 0 and high > 1) or (low >= 0 and high == 255):
        return f"divide by {high:g}"
    k = int(high - low) + 1
    are_classes = 2 < len(values) <= k <= MAX_CLASSES and (values == np.trunc(values)).all()
    if are_classes and y.shape[1:] == (1,):
        shift = f"subtract {low:g}, for " * (low != 0)
        return f"for {k} classes, {shift}labels 0 to {k - 1} and sizes[-1] = {k}; {otherwise}"
    return otherwise


def ends(activation: Any) -> tuple[float, float]:
    """
    Return the limits of a layer's outputs; `activation` is as the core takes it.

    Those of the user's own functions are infinite.
    """
    if isinstance(activation, list):  # runs of neurons with one activation each
        found = [ends(function) for function, _ in activation]
        return min(low for low, _ in found), max(high for _, high in found)
    name, *parameters = activation if isinstance(activation, tuple) else (activation,)
    row = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if row is None:
        return table.ANY
    return row.ends(*(parameters or [each.default for each in row.parameters]))


def are_two(y: NDArray[Any], low: float, high: float) -> bool:
    """Return whether all targets are one of these two."""
    return bool(((y == low) | (y == high)).all())


def one_each(y: NDArray[Any], low: float, high: float) -> bool:
    """Return whether each row (n, out) of these two targets has one that is high."""
    sums = y @ np.ones(y.shape[1], y.dtype)  # the fastest way to count high targets
    return bool((abs(sums - (high + low * (y.shape[1] - 1))) < (high - low) / 2).all())


def _widened(given: tuple[float, float]) -> tuple[float, float]:
    """Return limits that rounded targets do not exceed."""
    low, high = given
    return low - ROUNDING * max(1, abs(low)), high + ROUNDING * max(1, abs(high))


def _are_sides(y: NDArray[Any], lowest: float) -> bool:
    """Whether targets are 0 and 1, or -1 and 1."""
    zeros = y == 0
    return bool((zeros | (abs(y) == 1)).all()) and not (lowest < 0 and zeros.any())


def _named(function: Any) -> Any:
    return function[0] if isinstance(function, tuple) else function


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"{low:g} or more"
    return f"from {low:g} to {high:g}"


def _came(y: NDArray[Any]) -> str:
    values = np.unique(y)
    if len(values) < 3:
        return " and ".join(f"{value:g}" for value in values)
    return f"{values[0]:g} to {values[-1]:g}"

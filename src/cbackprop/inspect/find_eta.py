"""A sweep of the learning rate: the cost while the rate grows from step to step."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, optimizers
from cbackprop.inspect import _arguments

SMOOTHING = 0.98  # weight of the running mean so far, as in fastai
LOST = 4.0  # the sweep ends where the cost is this many times its least


@dataclass(frozen=True, repr=False)
class FoundEta:
    """
    The result of `find_eta`; `plot.find_eta` draws it.

    Attributes
    ----------
    suggestion : float
        The rate in the middle of the longest valley, which is the longest subsequence of steps in
        which the cost falls.
    etas : array of shape (steps,)
        The rates of the sweep, up to the step where it ended.
    costs : array of shape (steps,)
        The running mean of `batch_costs`. The latest mini-batch counts most.
    batch_costs : array of shape (steps,)
        The mean cost of each mini-batch, before its step.
    """

    suggestion: float
    etas: NDArray[Any]
    costs: NDArray[Any]
    batch_costs: NDArray[Any]

    def __repr__(self) -> str:
        least = int(self.costs.argmin())
        return (f"eta {self.suggestion:.2g}; the cost falls from {self.costs[0]:.4g} to "
                f"{self.costs[least]:.4g} at eta {self.etas[least]:.2g}, in {len(self.etas)} steps "
                f"of eta {self.etas[0]:.2g} to {self.etas[-1]:.2g}")


def find_eta(
    net: Any, data: Any, mini_batch_size: int = 10, *, low: float = 1e-5, high: float = 100.0,
    steps: int = 200, **options: Any,
) -> FoundEta:
    """
    Train a copy with a rate that grows with every mini-batch, and suggest one (Smith, 2015).

    The sweep ends where the cost is four times its least, or no longer finite. The rule for the
    suggestion is the one of fastai, ``valley``.

    Parameters
    ----------
    net : Network or estimator
        It is not changed.
    data : (x, y), or another data set that `Network.SGD` takes
        For an estimator, y is as its `fit` takes it.
    mini_batch_size : int
        The same as in the training for which the rate is meant: the rate depends on it.
    low, high : float
        The first rate and the last.
    steps : int
        The number of mini-batches. The examples are repeated as often as needed.
    **options
        The optimizer and the regularisation of that training, as `Network.SGD` takes them.

    Returns
    -------
    FoundEta

    Raises
    ------
    TypeError, ValueError
        If an argument or the data is bad.

    Examples
    --------
    >>> training_data, _ = cbackprop.datasets.load_mnist()
    >>> net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    >>> found = find_eta(net, training_data)
    >>> 0.1 < found.suggestion < 5
    True
    """
    copy = _arguments.network(net).copy()
    engine = copy.engine
    examples = engine.examples(_arguments.data_set(net, data), "data")
    m = _check.integer("mini_batch_size", mini_batch_size, 1, len(examples))
    low = _check.number("low", low, 0, above=True)
    high = _check.number("high", high, low, above=True)
    steps = _check.integer("steps", steps, 2)
    etas = np.geomspace(low, high, steps)
    engine.prepare(optimizers.training_options(len(copy.sizes) - 1, **options), len(examples), low)
    batch_costs: list[float] = []
    costs: list[float] = []
    mean = 0.0
    batches = len(examples) // m  # whole ones
    with closing(examples):
        for step in range(steps):
            at = step % batches
            if at == 0:
                order = examples.order(engine.seed(), m)
            part = examples.part(order, at * m, (at + 1) * m)
            rows, targets, which, first, last = part
            _, cost = engine.train(rows, targets, which, m, etas[step:step + 1], first, last)
            if not (math.isfinite(cost) and engine.core.all_finite()):
                break
            batch_costs.append(cost / m)
            mean = SMOOTHING * mean + (1 - SMOOTHING) * batch_costs[-1]
            costs.append(mean / (1 - SMOOTHING**(step + 1)))
            if costs[-1] > LOST * min(costs):
                break
    if not costs:
        raise ValueError(f"low must be a rate with which the cost stays finite, got {low:g}")
    return FoundEta(float(etas[_valley(costs)]), etas[:len(costs)], np.array(costs),
                    np.array(batch_costs))


def _valley(costs: list[float]) -> int:
    """Return the middle of the longest falling subsequence."""
    longest = [1] * len(costs)  # length of the longest that ends at each step
    for at, cost in enumerate(costs):
        longest[at] += max((longest[before] for before in range(at) if costs[before] > cost),
                           default=0)
    end = int(np.argmax(longest))
    third = longest[end] / 3
    # The steps of a subsequence are counted back from its end as if none were left out.
    return max(0, end - longest[end]) + int(third) + int(third / 2)

"""
One row at a time, where calls cost more than arithmetic, on one core.

The book's code against cbackprop.book, and scikit-learn's perceptron against cbackprop's. Each call
is first seen to do the same on both sides, to rounding. Then both are timed in turns, many calls at
a time.

    python benchmarks/one_row.py [--repeat N] [--tiny] [--json FILE]
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from book import START, Script
from command import Bound, Command, Results
from common import interleaved, stopwatch, table, times

import numpy as np  # isort: skip  what comes before has cleared its environment
from numpy.typing import NDArray
from sklearn import neural_network

import cbackprop.sklearn
from cbackprop.book import network

SIZES = ((9, 2), (2, 3, 1), (784, 30, 10))  # of the book's networks
HIDDEN = (100,)  # of the perceptrons
ROWS, COLUMNS = 200, 20
CALLS = 100  # of a measurement
TOLERANCE = 1e-9
TO_REACH = 1  # times as fast

Calls = tuple[str, Callable[[], Any], Callable[[], Any]]


def of_the_book(sizes: tuple[int, ...]) -> Iterator[Calls]:
    """Give the name of what is called, and it in the book's code and in ours."""
    rng, nets = np.random.default_rng(0), []
    for kind in (Script, network.Network):
        np.random.seed(0)  # noqa: NPY002  what the book's code draws from
        nets.append(kind(list(sizes)))
    theirs, ours = nets
    eta = theirs.work.eta
    pairs = [(rng.random((sizes[0], 1)), rng.random((sizes[-1], 1)))]
    test = [(rng.random((sizes[0], 1)), k % sizes[-1]) for k in range(4)]

    def after_step(net: Any, *how: float) -> list[NDArray]:
        net.update_mini_batch(pairs, *how)
        return [*net.weights, *net.biases]

    def evaluate() -> int:
        return sum(int(np.argmax(theirs.feedforward(x)) == y) for x, y in test)

    x = pairs[0][0]
    name = str(list(sizes))
    yield f"{name}, feedforward", partial(theirs.feedforward, x), partial(ours.feedforward, x)
    if sizes[-1] > 1:  # a single output the book classifies by no rule
        yield f"{name}, evaluate of 4", evaluate, partial(ours.evaluate, test)
    yield (f"{name}, update_mini_batch of 1", partial(after_step, theirs),
           partial(after_step, ours, eta))


def of_scikit_learn() -> Iterator[Calls]:
    """Give the same of the perceptrons."""
    x = np.random.default_rng(0).random((ROWS, COLUMNS))
    nets = [module.MLPRegressor(hidden_layer_sizes=HIDDEN, max_iter=300, tol=1e-3, random_state=0)
            .fit(x, x.sum(axis=1)) for module in (neural_network, cbackprop.sklearn)]

    def replace(net: Any) -> NDArray:
        net.coefs_ = [0.999 * w for w in net.coefs_]
        net.intercepts_ = [b.copy() for b in net.intercepts_]
        return net.predict(x[:1])

    yield "predict", *(partial(net.predict, x[:1]) for net in nets)
    yield "new coefs_ and predict", *(partial(replace, net) for net in nets)


def difference(one: Any, other: Any) -> float:
    one, other = ([np.asarray(a) for a in (r if isinstance(r, list) else [r])]
                  for r in (one, other))
    return max(float(abs(a - b).max()) for a, b in zip(one, other, strict=True))


def race(calls: Calls, count: int, repeat: int) -> dict[str, Any]:
    """Check, and time."""
    name, theirs, ours = calls
    worst = difference(theirs(), ours())
    if not worst <= TOLERANCE:
        raise SystemExit(f"{name}: differs by {worst:.1e}: not timed")

    def seconds(call: Callable[[], Any]) -> float:
        def calls() -> None:
            for _ in range(count):
                call()

        return stopwatch(calls) / count

    first, second = interleaved([partial(seconds, theirs), partial(seconds, ours)], repeat)
    return {"difference": worst, "theirs": first.as_dict(), "cbackprop": second.as_dict(),
            "times": first.best / second.best, "times_by_median": first.median / second.median}


def measure(arguments: argparse.Namespace) -> Results:
    count = 2 if arguments.tiny else CALLS
    print(f"{'timing':<10} rounds of both in turns: {arguments.repeat}, calls in each: {count}")
    found = {calls[0]: race(calls, count, arguments.repeat)
             for calls in (*(c for sizes in SIZES for c in of_the_book(sizes)), *of_scikit_learn())}
    print(table(("us", "theirs, min", "median", "cbackprop, min", "median", "by min",
                 "by median"), [
        (name, *(f"{1e6 * one[who][what]:.1f}" for who in ("theirs", "cbackprop")
                 for what in ("best", "median")),
         times(one["times"]), times(one["times_by_median"])) for name, one in found.items()]))
    worst = min(found, key=lambda name: found[name]["times"])
    return {"calls": found, "bounds": [
        Bound(f"every call, times as fast (least: {worst})", TO_REACH, found[worst]["times"])]}


main = Command("one_row", __doc__, START, measure, repeat=50)


if __name__ == "__main__":
    main()

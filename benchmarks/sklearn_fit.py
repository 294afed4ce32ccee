"""
`fit` of scikit-learn's multilayer perceptrons and of cbackprop's, on one core.

The same data, random state and scikit-learn's defaults: 200 epochs at most. First it is checked
that weights and losses come out the same after a few of them: without that nothing is timed. Then
both are timed in turns, all of `fit` counted, and divided by the epochs that it took.

    python benchmarks/sklearn_fit.py [--work NAME ...] [--full] [--epochs N] [--repeat N] [--tiny]
                                     [--json FILE]
"""

import argparse
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import common
from command import Bound, Command, Results, positive
from common import interleaved, stopwatch, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.datasets import load_digits, make_classification, make_regression  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402

import cbackprop.sklearn  # noqa: E402

TOLERANCE = {"float64": 1e-6, "float32": 5e-2}  # of weights and losses; rounding adds up
CHECKED = 15  # epochs
REALS = tuple(TOLERANCE)
MODULES = (neural_network, cbackprop.sklearn)


@dataclass(frozen=True)
class Work:
    """A data set, and how much faster fit is to be."""

    name: str
    rows: int | None
    to_reach: float
    regression: bool = False

    def data(self, full: bool) -> tuple[NDArray, NDArray]:
        """Return X in float64, and y."""
        if self.name == "digits":
            return load_digits(return_X_y=True)
        if self.name == "mnist":
            (x, y), _ = cbackprop.datasets.load_mnist(full=full)
            return x / 255.0, y
        make = make_regression if self.regression else make_classification
        return make(self.rows, 20, random_state=0)


WORKS = {work.name: work for work in (
    Work("digits", None, 4),
    Work("mnist", None, 4),
    Work("tabular-1000", 1_000, 8),
    Work("tabular-10000", 10_000, 8),
    Work("regression-10000", 10_000, 8, regression=True),
)}


def fitted(module: Any, work: Work, epochs: int, x: NDArray, y: NDArray) -> Any:
    kind = module.MLPRegressor if work.regression else module.MLPClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(max_iter=epochs, random_state=0).fit(x, y)


def check(work: Work, epochs: int, x: NDArray, y: NDArray) -> float:
    """Return the largest difference of weights, relative to the largest weight of the layer."""
    theirs, ours = (fitted(module, work, epochs, x, y) for module in MODULES)
    worst = max(float(abs(a - b).max() / abs(a).max())
                for a, b in zip(theirs.coefs_, ours.coefs_, strict=True))
    tolerance = TOLERANCE[x.dtype.name]
    if worst > tolerance or not np.allclose(theirs.loss_curve_, ours.loss_curve_, rtol=tolerance):
        raise SystemExit(f"{work.name}, {x.dtype}: weights differ by {worst:.1e}: not timed")
    return worst


def seconds(module: Any, work: Work, epochs: int, x: NDArray, y: NDArray) -> float:
    """Time a fit, and divide by the epochs that it took."""
    made = []
    took = stopwatch(lambda: made.append(fitted(module, work, epochs, x, y)))
    return took / made[0].n_iter_


def race(work: Work, full: bool, tiny: bool, epochs: int, repeat: int) -> dict[str, Any]:
    """Check, time and print one work; return everything measured."""
    x64, y = work.data(full)
    if tiny:
        x64, y = x64[:400], y[:400]
    found, lines = {}, []
    for real in REALS:
        x = x64.astype(real)
        worst = check(work, min(epochs, CHECKED), x, y)
        theirs, ours = interleaved(
            [partial(seconds, module, work, epochs, x, y) for module in MODULES], repeat)
        found[real] = {
            "difference": worst, "scikit-learn": theirs.as_dict(), "cbackprop": ours.as_dict(),
            "times": theirs.best / ours.best}
        lines += [(f"{name}, {real}", f"{1e3 * timing.best:.3f}", f"{1e3 * timing.median:.3f}",
                   times(timing.best / ours.best), f"{worst:.0e}")
                  for name, timing in (("scikit-learn", theirs), ("cbackprop", ours))]
    print(f"\n{work.name}: {len(x64):,} rows of {x64.shape[1]}, at most {epochs} epochs")
    print(table(("fit", "ms an epoch, min", "median", "/ cbackprop", "weights differ by"), lines))
    return {"rows": len(x64), "epochs": epochs, "reals": found, "to_reach": work.to_reach}


def measure(arguments: argparse.Namespace) -> Results:
    epochs = arguments.epochs or (2 if arguments.tiny else 200)
    print(f"{'timing':<10} rounds of both in turns: {arguments.repeat}; all of fit, by its epochs")
    results = {name: race(WORKS[name], arguments.full, arguments.tiny, epochs, arguments.repeat)
               for name in arguments.work}
    return {"works": results, "bounds": [
        Bound(f"{name}, {real}: times as fast", one["to_reach"], found["times"])
        for name, one in results.items() for real, found in one["reals"].items()]}


main = Command("sklearn_fit", __doc__, START, measure, repeat=3, works=[*WORKS], options={
    "--full": {"action": "store_true", "help": "all of MNIST, not its bundled subset"},
    "--epochs": {"type": positive, "metavar": "N", "help": "at most (200; 2 if tiny)"}})


if __name__ == "__main__":
    main()

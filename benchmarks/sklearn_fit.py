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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import common
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


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--work", nargs="+", choices=WORKS, default=[*WORKS], metavar="NAME",
                        help=f"some of {', '.join(WORKS)}")
    parser.add_argument("--full", action="store_true", help="all of MNIST, not its bundled subset")
    parser.add_argument("--epochs", type=int, metavar="N", help="at most (200; 2 if tiny)")
    parser.add_argument("--repeat", type=int, metavar="N", help="rounds (3; 1 if tiny)")
    parser.add_argument("--tiny", action="store_true", help="few rows, to see that everything runs")
    parser.add_argument("--json", metavar="FILE", help="where to write everything measured")
    asked = parser.parse_args(argv)
    repeat = asked.repeat if asked.repeat is not None else 1 if asked.tiny else 3
    epochs = asked.epochs if asked.epochs is not None else 2 if asked.tiny else 200
    for option, value in (("--repeat", repeat), ("--epochs", epochs)):
        if value < 1:
            parser.error(f"{option} must be at least 1, got {value}")

    about = common.environment(START)
    common.print_environment(about)
    print(f"{'timing':<10} rounds of both in turns: {repeat}; all of fit, by its epochs")
    results = {name: race(WORKS[name], asked.full, asked.tiny, epochs, repeat)
               for name in asked.work}
    print("\nto reach" + " (a tiny run says nothing about that)" * asked.tiny)
    print(table(("", "to reach", "measured", ""), [
        (f"{name}, {real}", times(one["to_reach"]), times(found["times"]),
         "reached" if found["times"] >= one["to_reach"] else "short")
        for name, one in results.items() for real, found in one["reals"].items()]))
    print(f"\n{stopwatch}")
    if asked.json:
        common.write_json(asked.json, {
            "benchmark": "sklearn_fit", "tiny": asked.tiny, "repeat": repeat, "environment": about,
            "works": results,
            "measured_seconds": {"wall": stopwatch.wall, "cpu": stopwatch.cpu},
        })


if __name__ == "__main__":
    main()

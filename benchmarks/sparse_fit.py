"""
Wide sparse X: `fit` and `predict_proba` of scikit-learn's perceptron and of ours, on one core.

Columns at random; and "text", bags of words of the shape of 20 newsgroups: 11,314 texts on 20
topics, 65,536 words, TF-IDF. The frequencies of words follow Zipf's law, and each topic prefers
some. The same data, random state and settings; it is checked that losses and probabilities are the
same, else nothing is timed. Then both are timed in turns.

    python benchmarks/sparse_fit.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import common
from command import Bound, Command, Results
from common import interleaved, stopwatch, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.feature_extraction.text import TfidfTransformer  # noqa: E402

import cbackprop.sklearn  # noqa: E402

WORKS = {f"{rows}-{columns}": (rows, columns, share) for rows, columns, share in (
    (600, 50_000, 0.002), (500, 65_536, 0.002), (300, 200_000, 0.0005))}
TEXT, TEXTS, WORDS, TOPICS = "text", 11_314, 65_536, 20
TEXT_ROUNDS = 2  # the most: a round takes half a minute
SOLVERS = {"adam": 2, "sgd": 2, "lbfgs": 3}  # and how many iterations
REALS = ("float64", "float32")
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}  # of losses and probabilities
MODULES = (neural_network, cbackprop.sklearn)
PREDICTIONS = 5  # a round
TO_REACH = 1  # times as fast


def text(texts: int) -> tuple[Any, NDArray]:
    """Return counts of words as TF-IDF, and topics; about 180 different words a text."""
    rng = np.random.default_rng(0)
    topics = rng.integers(0, TOPICS, texts)
    lengths = np.maximum(20, rng.lognormal(5.3, 0.7, texts)).astype(int)
    of_text = np.repeat(np.arange(texts), lengths)
    words, columns = np.empty(len(of_text), np.intp), rng.permutation(WORDS)
    for topic in range(TOPICS):
        chance = rng.lognormal(0, 0.7, WORDS) / (np.arange(WORDS) + 2.7)  # Zipf and Mandelbrot
        here = topics[of_text] == topic
        words[here] = columns[rng.choice(WORDS, here.sum(), p=chance / chance.sum())]
    counts = sparse.csr_matrix((np.ones(len(words)), (of_text, words)), (texts, WORDS))
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts), topics


def fitted(module: Any, solver: str, x: Any, y: NDArray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return module.MLPClassifier(
            solver=solver, max_iter=SOLVERS[solver], random_state=0).fit(x, y)


def check(nets: Sequence[Any], x: Any, what: str) -> float:
    """Return the largest difference of losses and probabilities, or end if it is too large."""
    theirs, ours = nets
    worst = max(abs(theirs.loss_ - ours.loss_) / theirs.loss_,
                float(abs(theirs.predict_proba(x) - ours.predict_proba(x)).max()))
    if not worst <= TOLERANCE[x.dtype.name]:
        raise SystemExit(f"{what}: losses or probabilities differ by {worst:.1e}: not timed")
    return worst


def race(name: str, tiny: bool, repeat: int) -> dict[str, Any]:
    """Check, time and print one work; return everything measured."""
    if name == TEXT:
        x64, y = text(100 if tiny else TEXTS)
        rows, columns = x64.shape
        share, repeat = x64.nnz / (rows * columns), min(repeat, TEXT_ROUNDS)
    else:
        rows, columns, share = WORKS[name]
        if tiny:
            rows, columns, share = 50, columns // 50, 50 * share
        x64 = sparse.random(rows, columns, share, "csr", random_state=0)
        y = np.random.default_rng(0).integers(0, 4, rows)
    found: dict[str, Any] = {}
    lines = []
    for real in REALS if name != TEXT else REALS[1:]:
        x = x64.astype(real)
        for solver in SOLVERS:
            what = f"{solver}, {real}"
            nets = [fitted(module, solver, x, y) for module in MODULES]
            worst = check(nets, x, f"{name}, {what}")
            fits = interleaved([partial(stopwatch, partial(fitted, module, solver, x, y))
                                for module in MODULES], repeat)
            predictions = interleaved([partial(stopwatch, partial(net.predict_proba, x))
                                       for net in nets], PREDICTIONS * repeat)
            found[what] = {"difference": worst}
            for work, (theirs, ours) in (("fit", fits), ("predict_proba", predictions)):
                found[what][work] = {
                    "scikit-learn": theirs.as_dict(), "cbackprop": ours.as_dict(),
                    "times": theirs.best / ours.best,
                    "times_by_median": theirs.median / ours.median}
                lines.append((f"{work}, {what}", *(f"{1e3 * seconds:.2f}" for seconds in (
                    theirs.best, theirs.median, ours.best, ours.median)),
                    times(theirs.best / ours.best), times(theirs.median / ours.median)))
    print(f"\n{rows:,} rows of {columns:,}, {100 * share:.2g} % stored; iterations: "
          + ", ".join(f"{count} of {solver}" for solver, count in SOLVERS.items()))
    print(table(("ms", "scikit-learn, min", "median", "cbackprop, min", "median",
                 "by min", "by median"), lines))
    return {"rows": rows, "columns": columns, "share": share, "found": found}


def measure(arguments: argparse.Namespace) -> Results:
    print(f"{'timing':<10} rounds of both in turns: {arguments.repeat}")
    results = {name: race(name, arguments.tiny, arguments.repeat) for name in arguments.work}
    measured = {f"{work} of {name}, {what}": one[work]["times"]
                for name, result in results.items() for what, one in result["found"].items()
                for work in ("fit", "predict_proba")}
    worst = min(measured, key=measured.__getitem__)
    return {"works": results, "bounds": [
        Bound(f"everything, times as fast (least: {worst})", TO_REACH, measured[worst])]}


main = Command("sparse_fit", __doc__, START, measure, repeat=5, works=[*WORKS, TEXT])


if __name__ == "__main__":
    main()

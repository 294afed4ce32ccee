"""
The book's main run: its script on its own NumPy code, and on cbackprop.book, on one core.

[784, 30, 10], mini-batches of 10, eta 3.0, 30 epochs of 50,000 images, and 10,000 test images after
each, called as the book calls it: with lists of pairs of columns. First it is checked, on a part of
the images, that both give the same weights and lines. NumPy's run is done in parts, between runs of
ours. On all images the run amplifies roundings until lines differ: see docs/book.md.

    python benchmarks/book.py [--epochs N] [--repeat N] [--tiny] [--json FILE]

It needs the full MNIST (see `cbackprop.datasets.load_mnist`); --tiny takes what the package has.
"""

import argparse
import contextlib
import io
import random
from collections.abc import Sequence
from statistics import median
from typing import Any

import common
from command import Bound, Command, Results, positive
from common import Work, stopwatch, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from opponents.book import FUNCTIONS, Book  # noqa: E402

from cbackprop import datasets  # noqa: E402
from cbackprop.book import mnist_loader, network  # noqa: E402

SIZES, M, ETA = (784, 30, 10), 10, 3.0
SEED = 5
TO_REACH = 30  # times as fast
TOLERANCE = 1e-9  # of the largest weight of a layer, after an epoch
CHECKED = 2000  # rows

Pairs = list[tuple[NDArray, Any]]


class Script(Book):
    """The book's network.py."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.work = Work(tuple(sizes), M, 0, ETA)
        self.sigma, self.sigma_prime = FUNCTIONS["sigmoid"]
        self.biases = [np.random.randn(j, 1) for j in sizes[1:]]  # noqa: NPY002  the book's
        self.weights = [np.random.randn(*shape) for shape in self.work.shapes]  # noqa: NPY002

    def SGD(  # noqa: N802
        self, training_data: Pairs, epochs: int, mini_batch_size: int, eta: float,
        test_data: Pairs,
    ) -> None:
        """Train, and print a line after every epoch."""
        for epoch in range(epochs):
            random.shuffle(training_data)
            for k in range(0, len(training_data), mini_batch_size):
                self.update_mini_batch(training_data[k:k + mini_batch_size])
            correct = sum(int(np.argmax(self.feedforward(x)) == y) for x, y in test_data)
            print(f"Epoch {epoch}: {correct} / {len(test_data)}")

    def feedforward(self, a: NDArray) -> NDArray:
        """Return the output for a column."""
        for b, w in zip(self.biases, self.weights, strict=True):
            a = self.sigma(np.dot(w, a) + b)
        return a


class Run:
    """A script's network and data, begun from the same seeds."""

    def __init__(self, kind: Any, training: Pairs, test: Pairs) -> None:
        np.random.seed(SEED)  # noqa: NPY002  what the book's code draws from
        self.net = kind(list(SIZES))
        self.training, self.test = list(training), test
        self.state = random.Random(SEED).getstate()
        self.correct: list[str] = []

    def seconds(self, epochs: int) -> float:
        """Train on, and measure it."""
        random.setstate(self.state)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            seconds = stopwatch(lambda: self.net.SGD(
                self.training, epochs, M, ETA, test_data=self.test))
        self.state = random.getstate()
        self.correct += [line.partition(": ")[2] for line in out.getvalue().splitlines()]
        return seconds


def check(training: Pairs, test: Pairs) -> float:
    """Return how far any parameter is off, as a share of the largest; or end if that is too far."""
    ours, book = (Run(kind, training[:CHECKED], test[:CHECKED])
                  for kind in (network.Network, Script))
    for run in (ours, book):
        run.seconds(1)
    worst = max(
        float(np.abs(p - q).max() / np.abs(q).max())
        for p, q in zip((*ours.net.weights, *ours.net.biases),
                        (*book.net.weights, *book.net.biases), strict=True))
    if worst > TOLERANCE or ours.correct != book.correct:
        raise SystemExit(f"cbackprop.book differs from the book's code by {worst:.1e} after an "
                         f"epoch, and says {ours.correct} for {book.correct}: nothing is timed")
    print(f"check: after an epoch of {len(ours.training):,} rows, parameters differ by {worst:.1e} "
          f"at most, of {TOLERANCE:.0e} allowed; both print {ours.correct[0]}")
    return worst


def race(training: Pairs, test: Pairs, epochs: int, repeat: int) -> dict[str, Any]:
    """Time both; return everything measured."""
    book, seconds, book_seconds = Run(Script, training, test), [], []
    for at in range(repeat):
        ours = Run(network.Network, training, test)
        seconds.append(ours.seconds(epochs))
        book_seconds.append(book.seconds(epochs * (at + 1) // repeat - epochs * at // repeat))
    same = sum(a == b for a, b in zip(ours.correct, book.correct, strict=True))
    ratio = sum(book_seconds) / median(seconds)
    print(f"{list(SIZES)}, mini-batches of {M}, {len(training):,} rows, {len(test):,} to test, "
          f"epochs: {epochs}")
    print(table(("the whole script", "s", "/ cbackprop"), [
        ("the book's code, NumPy", f"{sum(book_seconds):.2f}", times(ratio)),
        (f"cbackprop.book, the median of {repeat}", f"{median(seconds):.2f}", times(1.0))]))
    print(f"the last epoch: {book.correct[-1]} and {ours.correct[-1]}; "
          f"lines that are the same: {same} of {epochs}")
    return {"rows": len(training), "epochs": epochs, "seconds": seconds,
            "book_seconds": book_seconds, "times_book": ratio, "same_lines": same,
            "correct": ours.correct, "book_correct": book.correct}


def subset() -> tuple[Pairs, Pairs]:
    """Return a little of MNIST, from the package, as mnist_loader would."""
    (x, y), (x_test, y_test) = datasets.load_mnist()
    x, x_test = (part[:, :, None] * np.float32(1 / 256) for part in (x[:300], x_test[:100]))
    return (list(zip(x, map(mnist_loader.vectorized_result, y[:300]), strict=True)),
            list(zip(x_test, y_test[:100], strict=True)))


def measure(arguments: argparse.Namespace) -> Results:
    epochs = arguments.epochs or (2 if arguments.tiny else 30)
    training, test = subset() if arguments.tiny else mnist_loader.load_data_wrapper()[::2]
    print(f"{'data':<10} MNIST, lists of pairs of columns, float32")
    difference = check(training, test)
    results = race(training, test, epochs, arguments.repeat)
    return {"difference": difference, **results, "bounds": [
        Bound("the whole script, times as fast", TO_REACH, results["times_book"], "{:.1f} x")]}


main = Command("book", __doc__, START, measure, repeat=3, options={
    "--epochs": {"type": positive, "metavar": "N", "help": "(30; 2 if tiny)"}})


if __name__ == "__main__":
    main()

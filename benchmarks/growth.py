"""
How the cost of training grows: seconds per row against arithmetic per row, over four sweeps.

Width (8 to 4096), mini-batch (1 to 4096), depth (1 to 20) and rows (10^3 to 10^6), each alone, with
`Network.SGD` in float32 on one core. If every network reached the same share of the core's peak,
all points would lie on one straight line; docs/benchmarks.md says where they leave it, and why.
The longest sets of rows take 3 GB.

    python benchmarks/growth.py [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import common
from command import Command, Results
from common import Peak, Work, interleaved, stopwatch, table

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now

import cbackprop  # noqa: E402

REAL = "float32"
ETA = 0.01  # small, so that no neuron saturates: denormal numbers would slow everything down
AT_LEAST = 0.03  # seconds of one measurement: as many epochs as that takes
ROWS_BYTES = 2**22  # of x, where rows are not what is swept;
MINI_BATCHES = 8  # but so many at least, for an epoch copies the parameters once;
ROWS_FLOPS = 1e11  # but no more than that in an epoch, less where mini-batches are short and slow
BATCH_ROWS = 4096
OFF_THE_LINE = 0.8  # points below this share of the line are marked

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
BATCHES = tuple(2**k for k in range(13))
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 20)
ROWS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


@dataclass(frozen=True)
class Sweep:
    """
    One thing grows, the rest stays.

    Attributes
    ----------
    axis, label : str
        What grows, and what stays.
    values : sequence of int
    works : sequence of Work
        One for each value.
    """

    axis: str
    label: str
    values: Sequence[int]
    works: Sequence[Work]

    def tiny(self) -> "Sweep":
        """Return the first three values, with few rows."""
        few = [Work(work.sizes, min(work.mini_batch_size, 64), 2 * min(work.mini_batch_size, 64),
                    work.eta) for work in self.works[:3]]
        return Sweep(self.axis, self.label, self.values[:3], few)


def sweeps() -> Iterator[Sweep]:
    """Yield all of them."""
    for m in (1, 64, 1024):
        yield Sweep("width", f"[w, w, w], mini-batches of {m}", WIDTHS,
                    [some_rows((w, w, w), m) for w in WIDTHS])
    for sizes in ((784, 30, 10), (512, 512, 512)):
        yield Sweep("mini-batch", f"{list(sizes)}", BATCHES,
                    [Work(sizes, m, BATCH_ROWS, ETA) for m in BATCHES])
    for w in (64, 512):
        yield Sweep("depth", f"layers of {w}, mini-batches of 64", DEPTHS,
                    [some_rows((w,) * (depth + 1), 64) for depth in DEPTHS])
    for sizes, m in (((784, 30, 10), 10), ((64, 64, 64, 8), 64)):
        yield Sweep("rows", f"{list(sizes)}, mini-batches of {m}", ROWS,
                    [Work(sizes, m, n, ETA) for n in ROWS])


def some_rows(sizes: tuple[int, ...], m: int) -> Work:
    """Return a work of whole mini-batches that is neither long nor large."""
    flops = Work(sizes, m, m, ETA).flops_per_row
    n = int(min(max(ROWS_BYTES / 4 / sizes[0], MINI_BATCHES * m),
                ROWS_FLOPS * min(1, m / 16) / flops))
    return Work(sizes, m, max(1, n // m) * m, ETA)


class Point:
    """One network of a sweep, ready to be timed; the rows are a part of `numbers`."""

    def __init__(self, work: Work, numbers: np.ndarray, at_least: float) -> None:
        n, inputs, outputs = work.rows, work.sizes[0], work.sizes[-1]
        self.work = work
        self.net = cbackprop.Network(work.sizes, dtype=REAL, seed=3)
        self.examples = (numbers[:n * inputs].reshape(n, inputs),
                         numbers[-n * outputs:].reshape(n, outputs))
        self.epochs = 1
        first = self.seconds()  # finds memory untouched
        self.epochs = ceil(at_least / (first if first > at_least else self.seconds()))

    def seconds(self) -> float:
        """Measure one epoch: the mean of some in one call."""
        work = self.work
        return stopwatch(lambda: self.net.SGD(
            self.examples, self.epochs, work.mini_batch_size, work.eta)) / self.epochs


def race(chosen: Sequence[Sweep], repeat: int, at_least: float) -> dict[str, Any]:
    """Time all points in turns, the peak among them; return everything measured."""
    works = [work for sweep in chosen for work in sweep.works]
    largest = max(work.rows * (work.sizes[0] + work.sizes[-1]) for work in works)
    block = np.random.default_rng(2).random(2**20, REAL)
    numbers = np.resize(block, largest)
    points = [Point(work, numbers, at_least) for work in works]
    peak = Peak(REAL)
    found, *timings = interleaved([peak.measure, *(point.seconds for point in points)], repeat)
    flops_per_second = peak.flops / found.best
    measured = iter(zip(points, timings, strict=True))
    results = []
    for sweep in chosen:
        of_sweep = []
        for value, (point, timing) in zip(
                sweep.values, itertools.islice(measured, len(sweep.works)), strict=True):
            work = point.work
            speed = work.rows * work.flops_per_row / timing.best
            of_sweep.append({
                "value": value, "sizes": work.sizes, "mini_batch_size": work.mini_batch_size,
                "rows": work.rows, "epochs": point.epochs,
                "weights": sum(map(prod, work.shapes)), "flops_per_row": work.flops_per_row,
                **timing.as_dict(), "seconds_per_row": timing.best / work.rows,
                "flops_per_second": speed, "share_of_peak": speed / flops_per_second,
            })
        results.append({"axis": sweep.axis, "label": sweep.label, "points": of_sweep})
    line = max(one["share_of_peak"] for sweep in results for one in sweep["points"])
    return {"peak_flops_per_second": {REAL: flops_per_second}, "line_share_of_peak": line,
            "sweeps": results}


def print_sweeps(results: dict[str, Any]) -> None:
    peak, line = results["peak_flops_per_second"][REAL], results["line_share_of_peak"]
    print(f"\nFMA peak: {REAL} {peak / 1e9:.1f} GFLOP/s; the line, the best of all points: "
          f"{line:.1%} of it")
    for sweep in results["sweeps"]:
        print(f"\n{sweep['axis']}: {sweep['label']}")
        print(table(
            (sweep["axis"], "rows", "flops/row", "us/row min", "us/row median", "% of peak",
             "of the line", ""),
            [(f"{one['value']:,}", f"{one['rows']:,}", f"{one['flops_per_row']:,}",
              f"{1e6 * one['seconds_per_row']:.4g}", f"{1e6 * one['median'] / one['rows']:.4g}",
              f"{100 * one['share_of_peak']:.1f}", f"{one['share_of_peak'] / line:.2f}",
              "off the line" if one["share_of_peak"] < OFF_THE_LINE * line else "")
             for one in sweep["points"]]))


def measure(arguments: argparse.Namespace) -> Results:
    print(f"{'data':<10} synthetic: uniform rows and targets")
    print(f"{'timing':<10} rounds of all in turns: {arguments.repeat}; whole epochs, their order "
          f"too")
    chosen = [sweep.tiny() if arguments.tiny else sweep for sweep in sweeps()]
    results = race(chosen, arguments.repeat, AT_LEAST / (30 if arguments.tiny else 1))
    print_sweeps(results)
    return results


main = Command("growth", __doc__, START, measure, repeat=5)


if __name__ == "__main__":
    main()

"""
What a gradient costs: backpropagation in forward passes, and finite differences (46) against it.

The book says that backpropagation costs about two forward passes, and that finite differences cost
one for every weight. Both are measured, on one core, after it has been checked in float64 that both
give the same gradient.

    python benchmarks/backprop_vs_differences.py [--repeat N] [--tiny] [--json FILE]
"""

import argparse
from collections.abc import Callable, Sequence
from math import ceil, prod
from typing import Any

import common
from command import Command, Results
from common import Work, interleaved, stopwatch, table

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402

import cbackprop  # noqa: E402

AT_LEAST = 0.002  # seconds of one measurement: as many calls as that takes

# Forward passes: each network at each batch, in float32.
NETWORKS = ((784, 30, 10), (784, 100, 10), (784, 512, 512, 10), (64, 64, 64, 8), (8, 16, 16, 1))
BATCHES = (1, 10, 128, 1024)
EPOCH_ROWS, EPOCH_FLOPS = 8192, 2e8  # of SGD, at most, or else one mini-batch

# Differences: [w, w, w] has 2 w^2 weights; about 10^3, 10^4, 10^5 and 10^6. In float64.
WIDTHS = (22, 71, 224, 707)
EXAMPLES = (1, 10)  # that the cost is a mean of
EPSILON = 1e-6  # of the difference: its error is about as large, and rounding's a thousandth of it
TOLERANCE = 1e-4  # of the largest derivative
CHECKED = 500  # weights, chosen at random; fewer if there are no more
TIMED = 10  # of them; the time is scaled to all


def uniform(n: int, width: int, real: str) -> NDArray:
    return np.random.default_rng(n).random((n, width)).astype(real)


def per_call(function: Callable[[], object], at_least: float) -> Callable[[], float]:
    """Return a measure of one call: the mean of some in a row."""
    function()
    calls = ceil(at_least / stopwatch(function))

    def several() -> None:
        for _ in range(calls):
            function()

    return lambda: stopwatch(several) / calls


# ---- backpropagation in forward passes ----


def forward_passes(
    sizes: tuple[int, ...], m: int, repeat: int, at_least: float
) -> dict[str, Any]:
    """Time (25) alone, the whole of backpropagation, and a step of SGD, on the same m rows."""
    work = Work(sizes, m, m, 0.01)
    net = cbackprop.Network(sizes, seed=3)
    x, y = uniform(m, sizes[0], "float32"), uniform(m, sizes[-1], "float32")
    # An epoch long enough that SGD's own microseconds do not count.
    steps = ceil(min(EPOCH_ROWS, EPOCH_FLOPS / work.flops_per_row) / m)
    rows = np.tile(x, (steps, 1)), np.tile(y, (steps, 1))
    forward, backprop, step = interleaved([
        per_call(lambda: net.feedforward(x), at_least),
        per_call(lambda: net.backprop(x, y), at_least),
        per_call(lambda: net.SGD(rows, 1, m, work.eta), at_least)], repeat)
    products = sum(map(prod, work.shapes))
    return {
        "sizes": sizes, "batch": m, "forward": forward.as_dict(), "backprop": backprop.as_dict(),
        "step": {**step.as_dict(), "mini_batches": steps},
        "flops": work.flops_per_row / (2 * products),
        "forward_passes": backprop.best / forward.best,
        "forward_passes_of_step": step.best / steps / forward.best,
    }


def print_forward_passes(results: Sequence[dict[str, Any]]) -> None:
    print("\nbackpropagation, all of it, in forward passes; float32")
    print(table(
        ("network", "rows", "forward, us/row", "backprop, us/row", "in forward passes",
         "step of SGD", "flops alone"),
        [(str(list(one["sizes"])), str(one["batch"]),
          *(f"{1e6 * one[name]['best'] / one['batch']:.4g}" for name in ("forward", "backprop")),
          f"{one['forward_passes']:.2f}", f"{one['forward_passes_of_step']:.2f}",
          f"{one['flops']:.2f}") for one in results]))
    print("backprop returns its gradient, new arrays each time; a step of SGD adds it to the\n"
          "weights as it arises. Flops: 2 per weight in (25), 2 in BP4, and 2 in BP2 in all\n"
          "layers but the first.")


# ---- finite differences ----


class Differences:
    """
    Equation (46) for single weights, dC/dw ~ (C(w + eps e) - C(w)) / eps; one cost for each.

    Attributes
    ----------
    net : Network
        In float64; its weights are as before after each call.
    """

    def __init__(self, sizes: tuple[int, ...], examples: int) -> None:
        self.net = cbackprop.Network(sizes, dtype="float64", seed=3)
        self.x = uniform(examples, sizes[0], "float64")
        self.y = uniform(examples, sizes[-1], "float64")
        self.data = self.x, self.y

    def of(self, weights: Sequence[tuple[int, int, int]], cost: float) -> list[float]:
        """Return dC/dw^l_jk for all (l, j, k), given the cost itself."""
        net, data = self.net, self.data
        found = []
        for layer, j, k in weights:
            w = net.weights[layer]
            before = w[j, k]
            w[j, k] = before + EPSILON
            found.append((net.total_cost(data) - cost) / EPSILON)
            w[j, k] = before
        return found

    def sample(self, most: int) -> list[tuple[int, int, int]]:
        """Choose weights, all equally likely, none twice; all if there are no more."""
        shapes = [w.shape for w in self.net.weights]
        starts = np.cumsum([0, *map(prod, shapes)])
        chosen = np.random.default_rng(3).permutation(starts[-1])[:most]
        layers = np.searchsorted(starts, chosen, "right") - 1
        return [(int(layer), *map(int, np.unravel_index(at - starts[layer], shapes[layer])))
                for layer, at in zip(layers, chosen, strict=True)]


def against_differences(
    width: int, examples: int, checked: int, repeat: int, at_least: float
) -> dict[str, Any]:
    """Check on a sample of the weights that both ways agree; then time both."""
    way = Differences((width,) * 3, examples)
    net, (x, y) = way.net, way.data
    cost = net.total_cost(way.data)
    sample = way.sample(checked)
    few = sample[:TIMED]
    _, nabla_w = net.backprop(x, y)
    largest = max(float(np.abs(nabla).max()) for nabla in nabla_w)
    exact = [float(nabla_w[layer][j, k]) for layer, j, k in sample]
    difference = float(np.max(np.abs(np.subtract(way.of(sample, cost), exact)))) / largest
    if not difference <= TOLERANCE:
        raise SystemExit(f"{list(net.sizes)}: (46) differs from backpropagation by "
                         f"{difference:.1e} of the largest derivative, {TOLERANCE:.0e} allowed: "
                         f"nothing is timed")
    backprop, one_cost, of_few = interleaved([
        per_call(lambda: net.backprop(x, y), at_least),
        per_call(lambda: net.total_cost(way.data), at_least),
        per_call(lambda: way.of(few, cost), at_least)], repeat)
    weights = sum(nabla.size for nabla in nabla_w)
    seconds = one_cost.best + of_few.best * weights / len(few)
    return {
        "sizes": net.sizes, "weights": weights, "examples": examples, "epsilon": EPSILON,
        "checked": len(sample), "largest_difference": difference, "timed": len(few),
        "backprop": backprop.as_dict(), "cost": one_cost.as_dict(),
        "differences_of_timed": of_few.as_dict(), "differences_seconds": seconds,
        "times_backprop": seconds / backprop.best,
    }


def print_differences(results: Sequence[dict[str, Any]]) -> None:
    print(f"\nfinite differences (46) of all weights, eps = {EPSILON:g}; float64")
    print(table(
        ("network", "weights", "examples", "checked", "they differ by", "backprop, ms", "cost, ms",
         "differences, s", "/ backprop"),
        [(str(list(one["sizes"])), f"{one['weights']:,}", str(one["examples"]),
          f"{one['checked']:,}", f"{one['largest_difference']:.0e}",
          f"{1e3 * one['backprop']['best']:.4g}", f"{1e3 * one['cost']['best']:.4g}",
          f"{one['differences_seconds']:.3g}", f"{one['times_backprop']:,.0f} x")
         for one in results]))
    print("They differ by: at most, as a share of the largest derivative, for so many weights,\n"
          f"chosen at random. Differences are timed for {TIMED} weights, the time scaled to all.")


def measure(arguments: argparse.Namespace) -> Results:
    tiny, repeat = arguments.tiny, arguments.repeat
    at_least = AT_LEAST / (10 if tiny else 1)
    print(f"{'data':<10} synthetic: uniform rows and targets")
    print(f"{'timing':<10} rounds in turns: {repeat}; the best of them")
    passes = [forward_passes(sizes, m, repeat, at_least)
              for sizes in (NETWORKS[-1:] if tiny else NETWORKS)
              for m in (BATCHES[:2] if tiny else BATCHES)]
    print_forward_passes(passes)
    found = [against_differences(width, examples, 50 if tiny else CHECKED, repeat, at_least)
             for examples in EXAMPLES for width in (WIDTHS[:2] if tiny else WIDTHS)]
    print_differences(found)
    return {"forward_passes": passes, "differences": found}


main = Command("backprop_vs_differences", __doc__, START, measure, repeat=25)


if __name__ == "__main__":
    main()

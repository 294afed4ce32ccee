"""
Each step of a mini-batch alone: where an epoch's time goes, by layer, real type and variant.

The three products are z (25), BP2 and BP4; the rest are passes over rows. Every step is the core's
own, on the memory of a mini-batch that has just gone through the network. First it is checked that
what it leaves there is chapter 2. Where the steps' sum is less than the epoch, memory is what the
epoch waits for: alone, a step finds its operands in the cache.

    python benchmarks/kernels.py [--work NAME ...] [--real R ...] [--variant V ...] [--repeat N]
                                 [--tiny] [--json FILE]

A work is the sizes and the length of a mini-batch, as 784-30-10x10; any will do.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import common
from command import Command, Results
from common import Peak, interleaved, stopwatch, table

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now

from cbackprop.core import _dispatch  # noqa: E402

WORKS = ("784-30-10x10", "784-100-10x10", "784-512-512-10x128", "784-2048-2048-10x256",
         "64-64-64-8x64", "8-16-16-1x32", "784-128-32-128-784x64")
SECONDS = 0.01  # of one measurement
BATCHES = 1000  # of one epoch, at most; no more than BYTES of rows
BYTES = 32e6
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
RUNNABLE = [isa for isa in _dispatch.BUILT if isa in _dispatch.SUPPORTED]


class Kernels:
    """
    One build of the core, and a network in it.

    Attributes
    ----------
    variant : str
    seconds : float
        Of one measurement, at least.
    peak : Peak
    """

    def __init__(
        self, variant: str, real: str, sizes: tuple[int, ...], m: int, seconds: float
    ) -> None:
        self.variant, self.sizes, self.m, self.seconds = variant, sizes, m, seconds
        self.build = build = _dispatch.load(real, variant)
        self.peak = Peak(real, variant)
        rng = np.random.default_rng(1)
        self.n = n = m * max(2, min(BATCHES, int(BYTES / (4 * sizes[0] * m))))
        self.x = rng.random((n, sizes[0])).astype(real)
        self.y = rng.random((n, sizes[-1])).astype(real)
        self.core = build.Core(sizes, ["sigmoid"] * (len(sizes) - 1), "quadratic", 1.0)
        self.weights, self.biases = self.core.views(self.core.parameters)
        for w, b in zip(self.weights, self.biases, strict=True):
            w[...] = rng.standard_normal(w.shape) / np.sqrt(w.shape[1])
            b[...] = rng.standard_normal(b.shape)
        self.order = rng.permutation(n)
        self.rows, self.targets = build.Rows(self.x), build.Targets(self.y)

    def check(self) -> float:
        """Return how far a, delta and nabla_w are from NumPy's, of the largest of each."""
        x, y = self.x[:self.m], self.y[:self.m]
        signals, nabla, _ = self.build.trace(self.core, self.build.Rows(x), self.build.Targets(y))
        a, delta = signals["a"], signals["delta"]
        nabla_w, _ = self.core.views(nabla)
        w, b = ([np.asarray(p, float) for p in ps] for ps in (self.weights, self.biases))
        last = len(w) - 1
        pairs = []
        inputs = [x.astype(float)]
        for layer in range(last + 1):
            inputs.append(1 / (1 + np.exp(-(inputs[-1] @ w[layer].T + b[layer].T))))
            pairs.append((a[layer], inputs[-1]))
        error = inputs[-1] - y
        for layer in range(last, -1, -1):
            error = (error if layer == last else error @ w[layer + 1])
            error = error * inputs[layer + 1] * (1 - inputs[layer + 1])
            pairs += [(delta[layer], error), (nabla_w[layer], error.T @ inputs[layer])]
        return max(float(np.abs(got - wanted).max() / np.abs(wanted).max())
                   for got, wanted in pairs)

    def steps(self) -> Iterator[tuple[str, int]]:
        """Yield (step, layer) in the order of a mini-batch."""
        forward, backward = self.build.STEPS[:6], self.build.STEPS[6:]
        last = len(self.sizes) - 2
        for steps, layers in ((forward, range(last + 1)), (backward[:2], range(last - 1, -1, -1)),
                              (backward[2:], range(last + 1))):
            for layer in layers:
                for step in steps:
                    if self.alone(step, layer, 0) is not None:
                        yield step, layer

    def alone(self, step: str, layer: int, times: int) -> float | None:
        """Return the seconds of so many times one step."""
        return self.build.step_seconds(
            self.core, self.rows, self.targets, self.order, self.m, step, layer, times)

    def measure(self, step: str, layer: int) -> Callable[[], float]:
        """Return what measures a step: seconds of one."""
        times = 1
        while (taken := self.alone(step, layer, times)) < self.seconds:
            times = int(times * max(1.5, min(100, 1.2 * self.seconds / max(taken, 1e-9)))) + 1
        return lambda: self.alone(step, layer, times) / times

    def epoch(self) -> float:
        """Return the seconds of a mini-batch in a whole epoch."""
        etas = np.full(self.n, 1e-9)
        return stopwatch(lambda: self.core.sgd(
            self.rows, self.targets, self.order, self.m, etas, 0, self.n)) * self.m / self.n

    def flops(self, step: str, layer: int) -> int:
        """Return the operations of a product, without padding; 0 for a pass."""
        sizes = self.sizes[layer:]
        if step in ("z", "BP4"):
            return 2 * self.m * sizes[0] * sizes[1]
        return 2 * self.m * sizes[1] * sizes[2] if step == "BP2" else 0

    def elements(self, step: str, layer: int) -> int:
        """Return how many numbers a pass goes over."""
        return self.m * self.sizes[0 if step == "gather" else layer + 1]


def run(name: str, real: str, variants: Sequence[str], repeat: int, tiny: bool) -> dict[str, Any]:
    """Check, time and print one work, smaller if tiny; return everything measured."""
    sizes, m = parsed(name)
    seconds = SECONDS
    if tiny:
        sizes, m, seconds = tuple(min(size, 100) for size in sizes), min(m, 12), SECONDS / 1000
    kernels = [Kernels(variant, real, sizes, m, seconds) for variant in variants]
    for one in kernels:
        if not (worst := one.check()) <= TOLERANCE[real]:
            raise SystemExit(f"{name}: {one.variant} {real} differs from NumPy by {worst:.1e}, and "
                             f"{TOLERANCE[real]:.0e} is allowed: nothing is timed")
    steps = list(kernels[0].steps())
    measures = [one.measure(*step) for step in steps for one in kernels]
    measures += [one.epoch for one in kernels] + [one.peak.measure for one in kernels]
    timings = iter(interleaved(measures, repeat))
    results: dict[str, Any] = {one.variant: {"steps": []} for one in kernels}
    for step, layer in steps:
        for one in kernels:
            timing, flops = next(timings), one.flops(step, layer)
            results[one.variant]["steps"].append({
                "step": step, "layer": layer, "flops": flops,
                "elements": 0 if flops else one.elements(step, layer), **timing.as_dict()})
    for one in kernels:
        results[one.variant]["mini_batch"] = next(timings).best
    for one in kernels:
        results[one.variant]["peak_flops_per_second"] = one.peak.flops / next(timings).best
    print_steps(name, real, kernels, results)
    return {"name": name, "real": real, "sizes": sizes, "mini_batch_size": m,
            "variants": results}


def print_steps(
    name: str, real: str, kernels: Sequence[Kernels], results: dict[str, Any]
) -> None:
    peaks = ", ".join(f"{one.variant} {results[one.variant]['peak_flops_per_second'] / 1e9:.1f}"
                      for one in kernels)
    print(f"\n{name}, {real}; peak in GFLOP/s: {peaks}")
    header = ["step", "of layer"]
    for one in kernels:
        header += [f"{one.variant}: us", "% of peak", "per ns"]
    lines = []
    for at, (step, layer) in enumerate(
            (found["step"], found["layer"]) for found in results[kernels[0].variant]["steps"]):
        line = [step, f"{kernels[0].sizes[layer]} -> {kernels[0].sizes[layer + 1]}"]
        for one in kernels:
            found = results[one.variant]
            line += cells(found["steps"][at], found["peak_flops_per_second"])
        lines.append(line)
    for what in ("sum", "in an epoch"):
        line = [what, ""]
        for one in kernels:
            found = results[one.variant]
            whole = {"flops": sum(step["flops"] for step in found["steps"]), "elements": 0,
                     "best": sum(step["best"] for step in found["steps"]) if what == "sum"
                     else found["mini_batch"]}
            line += cells(whole, found["peak_flops_per_second"])
        lines.append(line)
    print(table(header, lines))


def cells(found: dict[str, Any], peak: float) -> list[str]:
    """Return microseconds, and for a product its share of the peak, for a pass its speed."""
    seconds = found["best"]
    share = f"{100 * found['flops'] / seconds / peak:.1f}" if found["flops"] else ""
    speed = f"{1e-9 * found['elements'] / seconds:.1f}" if found["elements"] else ""
    return [f"{1e6 * seconds:.3f}", share, speed]


def parsed(name: str) -> tuple[tuple[int, ...], int]:
    """Return the sizes and the length of a mini-batch."""
    sizes, _, m = name.partition("x")
    try:
        work = tuple(map(int, sizes.split("-"))), int(m)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a work is sizes and a mini-batch, as 784-30-10x10, got {name!r}") from None
    if len(work[0]) < 2 or min(*work[0], work[1]) < 1 or work[1] > 512:
        raise argparse.ArgumentTypeError(
            f"a work has two sizes or more, and 1 to 512 rows in a mini-batch, got {name!r}")
    return work


def named(name: str) -> str:
    parsed(name)
    return name


def measure(arguments: argparse.Namespace) -> Results:
    print(f"{'timing':<10} rounds of all steps in turns: {arguments.repeat}; the least counts")
    return {"works": [run(name, real, arguments.variant, arguments.repeat, arguments.tiny)
                      for name in arguments.work for real in arguments.real]}


main = Command("kernels", __doc__, START, measure, repeat=5, options={
    "--work": {"nargs": "+", "type": named, "default": WORKS, "metavar": "NAME",
               "help": f"sizes and mini-batch ({', '.join(WORKS)})"},
    "--real": {"nargs": "+", "choices": common.REALS, "default": common.REALS, "metavar": "R",
               "help": "float32, float64 (both)"},
    "--variant": {"nargs": "+", "choices": RUNNABLE, "default": RUNNABLE, "metavar": "V",
                  "help": f"some of those that run here, {', '.join(RUNNABLE)} (all)"}})


if __name__ == "__main__":
    main()

"""
One epoch of SGD on one core: the book's loop, NumPy in matrix form, and cbackprop.

All train the same network (sigmoid, quadratic cost) on the same synthetic rows. First it is checked
that they compute the same: without that nothing is timed. Then they are timed in turns, everything
counted, the drawing of the order too. The peak of the core is measured in the same rounds.

    python benchmarks/sgd.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import abc
import argparse
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import Any

import common
from common import Peak, Timing, Work, interleaved, stopwatch, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402

import cbackprop  # noqa: E402

# eta is such that no neuron saturates: denormal numbers would slow some down.
WORKS = {work.name: work for work in (
    Work((784, 30, 10), 10, 10_000, 3.0),
    Work((784, 100, 10), 10, 10_000, 1.0),
    Work((784, 512, 512, 10), 128, 12_800, 0.3),
    Work((784, 2048, 2048, 10), 256, 5_120, 0.03),
    Work((64, 64, 64, 8), 64, 32_000, 1.0),
    Work((8, 16, 16, 1), 32, 32_000, 3.0),
)}
OTHERS = ("feedforward", "import")

TOLERANCE = {"float32": 1e-5, "float64": 1e-9}  # of the largest update
BOOK_SECONDS = 3.0  # an epoch of the book's loop that takes longer is timed in part
BOOK_WEIGHTS = 1.5e8  # and gradients that it adds in a second, about: for the length of its check
CALLS = 500  # of feedforward, in one measurement

# To reach with AVX-512: shares of the peak, float32, from float rows, for each work. The first work
# has bounds of its own besides: uint8 rows, and how many times slower the opponents are.
FIRST = "784-30-10"
SHARES = {
    FIRST: 0.48, "784-100-10": 0.65, "784-512-512-10": 0.85, "784-2048-2048-10": 0.78,
    "64-64-64-8": 0.55,
}
SHARE_UINT8 = 0.58
FLOAT64 = 0.85  # of the shares
TIMES_BOOK, TIMES_NUMPY, TIMES_FEEDFORWARD = 60, 6.5, 3
IMPORT_SECONDS = 0.1


class Examples:
    """
    Rows drawn uniformly, the same numbers in every type, and one-hot targets (0 or 1 if single).

    Attributes
    ----------
    x : dict of arrays
        By type of the rows: uint8 in 0..255, the others that by 255.
    y : dict of arrays
        By real type.
    weights, biases : lists of arrays
        To begin from: (out, in) and (out, 1), float64 that float32 holds exactly.
    """

    def __init__(self, work: Work) -> None:
        rng = np.random.default_rng(2)
        n, outputs = work.rows, work.sizes[-1]
        pixels = rng.integers(0, 256, (n, work.sizes[0]), dtype=np.uint8)
        self.x = {"uint8": pixels, "float64": pixels / 255.0}
        self.x["float32"] = self.x["float64"].astype(np.float32)
        labels = rng.integers(0, max(outputs, 2), n)
        one_hot = np.eye(outputs)[labels] if outputs > 1 else labels.reshape(n, 1)
        self.y = {real: one_hot.astype(real) for real in common.REALS}
        self.weights = [_exact(rng.standard_normal((j, k)) / k**0.5) for j, k in work.shapes]
        self.biases = [_exact(rng.standard_normal((j, 1))) for j, _ in work.shapes]


def _exact(array: NDArray) -> NDArray:
    return array.astype(np.float32).astype(np.float64)


# ---- the contestants ----


class Contestant(abc.ABC):
    """
    One way to train.

    Attributes
    ----------
    name : str
    form : str
        Which of several ways to write it; the fastest one counts.
    real, rows : str
        Types of arithmetic and of the rows of x.
    rows_timed : int
    """

    form = ""

    def __init__(self, name: str, work: Work, examples: Examples, real: str, rows: str) -> None:
        self.name, self.work, self.real, self.rows = name, work, real, rows
        self.x, self.y = examples.x[rows], examples.y[real]
        self.start = examples.weights, examples.biases
        self.rows_timed = work.rows

    @abc.abstractmethod
    def begin(self) -> None:
        """Set the parameters that all begin from."""

    @abc.abstractmethod
    def train(self, batches: Iterable[NDArray]) -> None:
        """Take one step for each mini-batch, given as indices of rows."""

    @abc.abstractmethod
    def parameters(self) -> list[NDArray]:
        """Return the weights (out, in), then the biases (out, 1)."""

    @abc.abstractmethod
    def epoch(self) -> None:
        """Train on all rows in a new random order."""

    def choose_rows(self) -> None:
        """Choose how much of an epoch is timed: all of it, if nothing else is said."""
        self.rows_timed = self.work.rows

    def seconds(self) -> float:
        """Measure an epoch."""
        self.begin()
        return stopwatch(self.epoch)


class Book(Contestant):
    """
    The loop of the book's network.py: columns, one example at a time, in NumPy's float64.

    Where an epoch takes longer than `limit` seconds, rows for about half that time are timed, and
    the time is scaled: whole mini-batches, or if one takes too long, examples of it and a step.
    """

    def __init__(self, name: str, work: Work, examples: Examples, limit: float) -> None:
        super().__init__(name, work, examples, "float64", "float64")
        self.random = random.Random(3)
        self.limit, self.partly = limit, False
        self.pairs = self.columns(range(work.rows))

    def columns(self, order: Iterable[int]) -> list[tuple[NDArray, NDArray]]:
        """Return examples as the book has them."""
        return [(self.x[i].reshape(-1, 1), self.y[i].reshape(-1, 1)) for i in order]

    def begin(self) -> None:  # noqa: D102
        self.weights, self.biases = ([p.copy() for p in ps] for ps in self.start)

    def train(self, batches: Iterable[NDArray]) -> None:  # noqa: D102
        for batch in batches:
            self.update_mini_batch(self.columns(batch))

    def parameters(self) -> list[NDArray]:  # noqa: D102
        return [*self.weights, *self.biases]

    def epoch(self) -> None:  # noqa: D102
        m = self.work.mini_batch_size
        self.random.shuffle(self.pairs)
        mini_batches = [self.pairs[k:k + m] for k in range(0, len(self.pairs), m)]
        for mini_batch in mini_batches:
            self.update_mini_batch(mini_batch)

    def update_mini_batch(self, mini_batch: list[tuple[NDArray, NDArray]]) -> None:
        """Take one step of gradient descent."""
        self.step(*self.sum_of_gradients(mini_batch), len(mini_batch))

    def sum_of_gradients(self, mini_batch: list[tuple[NDArray, NDArray]]) -> tuple[Any, Any]:
        """Run backprop for each example, and add."""
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        return nabla_b, nabla_w

    def step(self, nabla_b: list[NDArray], nabla_w: list[NDArray], m: int) -> None:
        """Subtract eta/m times the gradients."""
        eta = self.work.eta
        self.weights = [w - (eta / m) * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - (eta / m) * nb for b, nb in zip(self.biases, nabla_b, strict=True)]

    def backprop(self, x: NDArray, y: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        """Return the gradient for one example, by BP1 to BP4."""
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation = x
        activations = [x]
        zs = []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        for layer in range(2, len(self.weights) + 1):
            sp = sigmoid_prime(zs[-layer])
            delta = np.dot(self.weights[-layer + 1].transpose(), delta) * sp
            nabla_b[-layer] = delta
            nabla_w[-layer] = np.dot(delta, activations[-layer - 1].transpose())
        return nabla_b, nabla_w

    def choose_rows(self) -> None:  # noqa: D102
        self.begin()
        n, m = self.work.rows, self.work.mini_batch_size
        few = self.pairs[:min(m, 3)]
        per_row = min(stopwatch(lambda: self.sum_of_gradients(few)) for _ in range(2)) / len(few)
        if n * per_row <= self.limit:
            return
        self.partly = m * per_row > self.limit
        wanted = self.limit / 2 / per_row
        self.rows_timed = max(2, int(wanted)) if self.partly else max(1, int(wanted / m)) * m
        del self.pairs[self.rows_timed:]

    def seconds(self) -> float:
        """Measure an epoch, or a part of it and scale."""
        if not self.partly:
            return super().seconds() * self.work.rows / self.rows_timed
        self.begin()
        nabla = []
        m = self.work.mini_batch_size
        rows = stopwatch(lambda: nabla.extend(self.sum_of_gradients(self.pairs)))
        step = stopwatch(lambda: self.step(*nabla, m))
        return self.work.rows * (rows / self.rows_timed + step / m)


def sigmoid(z: NDArray) -> NDArray:
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z: NDArray) -> NDArray:
    return sigmoid(z) * (1 - sigmoid(z))


class Matrix(Contestant):
    """
    NumPy over the whole mini-batch, as fast as we could write it.

    Examples are rows. Everything is allocated once, and the loop works in place, in few, large
    calls. Parameters lie in one array, and their gradients: one addition is the update. Activations
    lie in another: two calls make sigma' of all layers. BP1 takes the factor -eta/m, for the
    equations behind it are linear in delta. Parameters are kept negated: 1 / (1 + exp(z)) is a call
    less. Tried, and not faster: `matmul` for `dot`, `x[order]` for `take`, all rows gathered at
    once, a new array for each product, `tanh` for `exp`, `add.reduce` for the product with ones,
    biases as a row of the weights, examples as columns.
    """

    def __init__(
        self, name: str, work: Work, examples: Examples, real: str, outputs_first: bool
    ) -> None:
        super().__init__(name, work, examples, real, real)
        self.form = "w (out, in)" if outputs_first else "w (in, out)"
        self.outputs_first = outputs_first
        self.random = np.random.default_rng(3)
        m, sizes = work.mini_batch_size, work.sizes
        shapes = [(j, k) if outputs_first else (k, j) for j, k in work.shapes]
        shapes += [(j,) for j in sizes[1:]]
        self.all, parameters = carve(shapes, real)
        self.nabla, gradients = carve(shapes, real)
        last = len(sizes) - 1
        self.w, self.b = parameters[:last], parameters[last:]
        self.nabla_w, self.nabla_b = gradients[:last], gradients[last:]
        of_layers = [(m, j) for j in sizes[1:]]
        self.a_all, self.a = carve(of_layers, real)
        self.prime_all, self.prime = carve(of_layers, real)
        self.delta = [np.empty(shape, real) for shape in of_layers]
        self.x_batch = np.empty((m, sizes[0]), real)
        self.y_batch = np.empty((m, sizes[-1]), real)

    def begin(self) -> None:  # noqa: D102
        for w, start in zip(self.w, self.start[0], strict=True):
            w[...] = -start if self.outputs_first else -start.T
        for b, start in zip(self.b, self.start[1], strict=True):
            b[...] = -start[:, 0]

    def parameters(self) -> list[NDArray]:  # noqa: D102
        weights = [-w if self.outputs_first else -w.T for w in self.w]
        return [*weights, *(-b.reshape(-1, 1) for b in self.b)]

    def epoch(self) -> None:  # noqa: D102
        order = self.random.permutation(self.work.rows)
        self.train(order.reshape(-1, self.work.mini_batch_size))

    def train(self, batches: Iterable[NDArray]) -> None:  # noqa: D102
        dot, add, subtract, multiply = np.dot, np.add, np.subtract, np.multiply
        exp, reciprocal = np.exp, np.reciprocal
        m = self.work.mini_batch_size
        one = np.array(1, self.real)
        minus_step = np.array(-self.work.eta / m, self.real)
        ones = np.ones(m, self.real)
        forward_w = [w.T for w in self.w] if self.outputs_first else self.w
        backward_w = self.w if self.outputs_first else [w.T for w in self.w]
        forward = list(zip(forward_w, self.b, self.a, strict=True))
        backward = list(zip(
            self.delta[:0:-1], backward_w[:0:-1], self.delta[-2::-1], self.prime[-2::-1],
            strict=True))
        inputs = [self.x_batch, *self.a[:-1]]
        if self.outputs_first:
            nabla_w = [(d.T, a, g) for d, a, g in zip(self.delta, inputs, self.nabla_w,
                                                      strict=True)]
        else:
            nabla_w = [(a.T, d, g) for d, a, g in zip(self.delta, inputs, self.nabla_w,
                                                      strict=True)]
        nabla_b = list(zip(self.delta, self.nabla_b, strict=True))
        a_all, prime_all, parameters, nabla = self.a_all, self.prime_all, self.all, self.nabla
        output, output_prime, delta = self.a[-1], self.prime[-1], self.delta[-1]
        take_x, take_y, x_batch, y_batch = self.x.take, self.y.take, self.x_batch, self.y_batch

        for batch in batches:
            take_x(batch, 0, x_batch, "clip")  # "raise" would copy once more
            take_y(batch, 0, y_batch, "clip")
            a = x_batch
            for w, b, z in forward:  # (25)
                dot(a, w, z)
                add(z, b, z)
                exp(z, z)
                add(z, one, z)
                reciprocal(z, z)
                a = z
            subtract(a_all, one, prime_all)
            multiply(prime_all, a_all, prime_all)
            subtract(output, y_batch, delta)  # BP1
            multiply(delta, minus_step, delta)
            multiply(delta, output_prime, delta)
            for delta_next, w, d, prime in backward:  # BP2
                dot(delta_next, w, d)
                multiply(d, prime, d)
            for left, right, g in nabla_w:  # BP4
                dot(left, right, g)
            for d, g in nabla_b:  # BP3
                dot(ones, d, g)
            add(parameters, nabla, parameters)


def carve(shapes: Sequence[tuple[int, ...]], real: str) -> tuple[NDArray, list[NDArray]]:
    """Return one array, from a cache line on, and views of these shapes that follow in it."""
    ends = np.cumsum([prod(shape) for shape in shapes])
    whole = np.zeros(ends[-1] + 16, real)
    whole = whole[-whole.ctypes.data % 64 // whole.itemsize:][:ends[-1]]
    parts = np.split(whole, ends[:-1])
    return whole, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


class Cbackprop(Contestant):
    """`Network.SGD`, as a user calls it."""

    def __init__(self, name: str, work: Work, examples: Examples, real: str, rows: str) -> None:
        super().__init__(name, work, examples, real, rows)
        self.net = cbackprop.Network(
            work.sizes, dtype=real, input_scale=1 / 255 if rows == "uint8" else 1.0, seed=3)

    def begin(self) -> None:  # noqa: D102
        self.net.weights, self.net.biases = self.start

    def train(self, batches: Iterable[NDArray]) -> None:  # noqa: D102
        for batch in batches:
            self.net.update_mini_batch((self.x[batch], self.y[batch]), self.work.eta)

    def parameters(self) -> list[NDArray]:  # noqa: D102
        return [*self.net.weights, *self.net.biases]

    def epoch(self) -> None:  # noqa: D102
        self.net.SGD((self.x, self.y), 1, self.work.mini_batch_size, self.work.eta)


def contestants(work: Work, examples: Examples, book_limit: float) -> Iterator[Contestant]:
    yield Book("the book's loop", work, examples, book_limit)
    for real in ("float64", "float32"):
        for outputs_first in (False, True):
            yield Matrix(f"NumPy {real}", work, examples, real, outputs_first)
    for real in ("float64", "float32"):
        yield Cbackprop(f"cbackprop {real}", work, examples, real, real)
        yield Cbackprop(f"cbackprop {real}, uint8 rows", work, examples, real, "uint8")


# ---- first check ----


def check(
    work: Work, examples: Examples, reference: Contestant, others: Iterable[Contestant]
) -> dict[str, dict[str, float]]:
    """
    Take three mini-batches with each, and compare the parameters with those of the reference.

    Each step rounds a parameter by up to half a unit in its last place: more than the rest of the
    rounding, and where steps are small, more than is allowed. What three steps make is taken off.

    Returns
    -------
    dict
        By real type and contestant, the largest difference in any array, beyond that rounding, as a
        share of the largest change that training made in that array.

    Raises
    ------
    SystemExit
        If one of them is more than is allowed.
    """
    order = np.random.default_rng(4).permutation(work.rows)
    batches = np.resize(order, (3, work.mini_batch_size))
    reference.begin()
    before = [p.copy() for p in reference.parameters()]
    reference.train(batches)
    wanted = reference.parameters()
    differences: dict[str, dict[str, float]] = {real: {} for real in common.REALS}
    for one in others:
        one.begin()
        one.train(batches)
        rounding = 3 * float(np.finfo(one.real).eps) / 2
        worst = max(
            float((np.abs(p - w) - rounding * np.abs(w)).max() / np.abs(w - start).max())
            for p, w, start in zip(one.parameters(), wanted, before, strict=True))
        if not worst <= TOLERANCE[one.real]:
            raise SystemExit(
                f"{work.name}: {one.name} differs from {reference.name} by {worst:.1e} of the "
                f"update, and only {TOLERANCE[one.real]:.0e} is rounding: nothing is timed")
        differences[one.real][f"{one.name} {one.form}".strip()] = max(0.0, worst)
    return differences


def check_all(
    work: Work, examples: Examples, everyone: Sequence[Contestant], book_limit: float
) -> dict[str, Any]:
    """Check all against NumPy in float64; the book's loop on as many rows as it has time for."""
    book, reference, *others = everyone
    differences = check(work, examples, reference, others)
    weights = sum(map(prod, work.shapes))
    m = min(work.mini_batch_size, max(2, int(book_limit * BOOK_WEIGHTS / 3 / weights)))
    few = Work(work.sizes, m, 3 * m, work.eta)
    differences["float64"] |= check(
        few, examples, Matrix(reference.name, few, examples, "float64", False), [book])["float64"]
    worst = {real: max(found.values()) for real, found in differences.items()}
    found = ", ".join(f"{real} {worst[real]:.1e} of {TOLERANCE[real]:.0e} allowed"
                      for real in worst)
    part = "" if m == work.mini_batch_size else f"\n       {book.name}: on {m} rows of each"
    print(f"check: after three mini-batches all agree; largest difference over largest update,\n"
          f"       beyond the rounding of the updated: {found}{part}")
    return {"differences": differences, "largest": worst, "mini_batch_size_of_book": m}


# ---- then time ----


def race(work: Work, repeat: int, book_limit: float) -> dict[str, Any]:
    """Check, time and print one work; return everything measured."""
    print(f"\n{work}")
    examples = Examples(work)
    everyone = list(contestants(work, examples, book_limit))
    checked = check_all(work, examples, everyone, book_limit)
    for one in everyone:
        one.choose_rows()
    peaks = {real: Peak(real) for real in common.REALS}
    timings = interleaved(
        [peak.measure for peak in peaks.values()] + [one.seconds for one in everyone], repeat)
    peak = {real: peaks[real].flops / timing.best
            for real, timing in zip(peaks, timings, strict=False)}
    results: dict[str, dict[str, Any]] = {}
    forms = []
    for one, timing in zip(everyone, timings[len(peaks):], strict=True):
        flops = work.rows * work.flops_per_row / timing.best
        result = {
            "name": one.name, "form": one.form, "real": one.real, "rows": one.rows,
            "rows_timed": one.rows_timed, **timing.as_dict(),
            "flops_per_second": flops, "share_of_peak": flops / peak[one.real],
        }
        forms.append(result)
        if one.name not in results or timing.best < results[one.name]["best"]:
            results[one.name] = result
    ours = results["cbackprop float32"]["best"]
    for result in forms:
        result["times_cbackprop_float32"] = result["best"] / ours
    print("FMA peak: " + ", ".join(f"{real} {peak[real] / 1e9:.1f} GFLOP/s" for real in peak))
    print_race(work, results.values())
    return {
        "name": work.name, "sizes": work.sizes, "mini_batch_size": work.mini_batch_size,
        "rows": work.rows, "eta": work.eta, "flops_per_row": work.flops_per_row, "check": checked,
        "peak_flops_per_second": peak, "contestants": results, "forms": forms,
    }


def print_race(work: Work, results: Iterable[dict[str, Any]]) -> None:
    lines, notes = [], []
    for result in results:
        name = result["name"] + f", {result['form']}" * bool(result["form"])
        if result["rows_timed"] < work.rows:
            name += " (*)"
            notes.append(f"(*) {result['rows_timed']:,} of the {work.rows:,} rows were timed, "
                         f"and the time scaled")
        lines.append((
            name, f"{1e3 * result['best']:.2f}", f"{1e3 * result['median']:.2f}",
            f"{result['flops_per_second'] / 1e9:.1f}", f"{100 * result['share_of_peak']:.1f}",
            times(result["times_cbackprop_float32"])))
    header = ("one epoch", "ms min", "ms median", "GFLOP/s", "% of peak", "/ cbackprop float32")
    print(table(header, lines), *notes, sep="\n")


# ---- one row, and the import ----


def one_row(repeat: int) -> dict[str, Any]:
    """Time and print `feedforward` of one row, call by call."""
    work = WORKS[FIRST]
    examples = Examples(work.tiny())
    row = examples.x["float32"][0]
    net = cbackprop.Network(work.sizes, seed=3)
    net.weights, net.biases = examples.weights, examples.biases
    w = [p.astype(np.float32) for p in examples.weights]
    b = [p.astype(np.float32)[:, 0] for p in examples.biases]
    inputs_first = [np.ascontiguousarray(p.T).T for p in w]
    calls = {
        "cbackprop, (784,)": (net.feedforward, row),
        "cbackprop, (1, 784)": (net.feedforward, row.reshape(1, -1)),
        "NumPy, w (out, in)": (numpy_feedforward(w, b), row),
        "NumPy, w (in, out)": (numpy_feedforward(inputs_first, b), row),
        "the book's, NumPy": (book_feedforward(w, b), row.reshape(-1, 1)),
    }
    wanted = net.feedforward(row)
    for name, (function, x) in calls.items():
        if not np.allclose(function(x).ravel(), wanted, rtol=0, atol=1e-5):
            raise SystemExit(f"feedforward: {name} differs from cbackprop: not timed")
    timings = dict(zip(calls, interleaved(
        [calls_of(function, x) for function, x in calls.values()], 5 * repeat), strict=True))
    slowest = max(timing.best for name, timing in timings.items() if name.startswith("cbackprop"))
    print(f"\nfeedforward of one row of {list(work.sizes)}, float32, {CALLS} calls at a time")
    print(table(
        ("one call", "us min", "us median", "/ cbackprop's slower"),
        [(name, f"{1e6 * timing.best:.2f}", f"{1e6 * timing.median:.2f}",
          times(timing.best / slowest)) for name, timing in timings.items()]))
    ratio = min(timing.best for name, timing in timings.items()
                if name.startswith("NumPy")) / slowest
    return {"calls": {name: timing.as_dict() for name, timing in timings.items()},
            "times_numpy": ratio}


def calls_of(function: Callable[[NDArray], object], x: NDArray) -> Callable[[], float]:
    def calls() -> None:
        for _ in range(CALLS):
            function(x)
    return lambda: stopwatch(calls) / CALLS


def numpy_feedforward(
    weights: list[NDArray], biases: list[NDArray]
) -> Callable[[NDArray], NDArray]:
    """Two products and sigmoids, in place."""
    add, negative, exp, reciprocal = np.add, np.negative, np.exp, np.reciprocal
    (w1, w2), (b1, b2) = weights, biases
    one = np.array(1, np.float32)

    def feedforward(a: NDArray) -> NDArray:
        z = w1.dot(a)
        add(z, b1, z)
        negative(z, z)
        exp(z, z)
        add(z, one, z)
        reciprocal(z, z)
        z = w2.dot(z)
        add(z, b2, z)
        negative(z, z)
        exp(z, z)
        add(z, one, z)
        return reciprocal(z, z)

    return feedforward


def book_feedforward(
    weights: list[NDArray], biases: list[NDArray]
) -> Callable[[NDArray], NDArray]:
    """Return the book's feedforward, for a column; in float32."""
    layers = [(b.reshape(-1, 1), w) for b, w in zip(biases, weights, strict=True)]

    def feedforward(a: NDArray) -> NDArray:
        for b, w in layers:
            a = sigmoid(np.dot(w, a) + b)
        return a

    return feedforward


def imports(repeat: int) -> dict[str, Any]:
    """Time and print the import, each in an interpreter of its own."""
    code = ("import time; a = time.perf_counter(); import numpy; b = time.perf_counter(); "
            "import cbackprop; c = time.perf_counter(); print(b - a, c - b)")
    timings = {"NumPy": Timing(), "cbackprop": Timing()}
    for _ in range(repeat):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              check=True, timeout=60)
        for timing, seconds in zip(timings.values(), done.stdout.split(), strict=True):
            timing.seconds.append(float(seconds))
    print("\nimport, in new processes")
    print(table(("", "ms min", "ms median"), [
        (name, f"{1e3 * timing.best:.1f}", f"{1e3 * timing.median:.1f}")
        for name, timing in (("NumPy", timings["NumPy"]),
                             ("cbackprop, beyond NumPy", timings["cbackprop"]))]))
    return {name: timing.as_dict() for name, timing in timings.items()}


# ---- what was to be reached ----


def bounds(results: dict[str, Any]) -> Iterator[tuple[str, float, float, str, bool]]:
    """Yield (what, to reach, measured, format, whether more is better) for all that was run."""
    for name, share in SHARES.items():
        if name not in results["works"]:
            continue
        found = results["works"][name]["contestants"]
        if name == FIRST:
            for other, least in (("the book's loop", TIMES_BOOK), ("NumPy float64", TIMES_NUMPY)):
                yield (f"{name}: faster than {other}", least,
                       found[other]["times_cbackprop_float32"], "{:.1f} x", True)
        rows = [("", share), (", uint8 rows", SHARE_UINT8)] if name == FIRST else [("", share)]
        for real, factor in (("float32", 1.0), ("float64", FLOAT64)):
            for of_rows, least in rows:
                yield (f"{name}: {real}{of_rows}, % of peak", 100 * factor * least,
                       100 * found[f"cbackprop {real}{of_rows}"]["share_of_peak"], "{:.1f}", True)
    if "feedforward" in results:
        yield ("feedforward of one row: faster than NumPy", TIMES_FEEDFORWARD,
               results["feedforward"]["times_numpy"], "{:.1f} x", True)
    if "import" in results:
        yield ("import beyond NumPy's, at most", IMPORT_SECONDS,
               results["import"]["cbackprop"]["best"], "{:.3f} s", False)


def print_bounds(results: dict[str, Any], tiny: bool) -> list[dict[str, Any]]:
    judged = [
        {"what": what, "to_reach": wanted, "measured": got, "form": form,
         "reached": got >= wanted if more else got <= wanted}
        for what, wanted, got, form, more in bounds(results)
    ]
    if judged:
        print("\nto reach on one core with AVX-512"
              + ": (a tiny run says nothing about that)" * tiny)
        print(table(("", "to reach", "measured", ""), [
            (one["what"], one["form"].format(one["to_reach"]),
             one["form"].format(one["measured"]), "reached" if one["reached"] else "short")
            for one in judged]))
    return [{key: one[key] for key in ("what", "to_reach", "measured", "reached")}
            for one in judged]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    names = [*WORKS, *OTHERS]
    parser.add_argument("--work", nargs="+", choices=names, default=names, metavar="NAME",
                        help=f"some of {', '.join(names)}")
    parser.add_argument("--repeat", type=int, metavar="N",
                        help="rounds (7; 1 if tiny)")
    parser.add_argument("--tiny", action="store_true",
                        help="a few mini-batches, to see that everything runs")
    parser.add_argument("--json", metavar="FILE", help="where to write everything measured")
    asked = parser.parse_args(argv)
    repeat = asked.repeat if asked.repeat is not None else 1 if asked.tiny else 7
    if repeat < 1:
        parser.error(f"--repeat must be at least 1, got {repeat}")

    about = common.environment(START)
    common.print_environment(about)
    print(f"{'data':<10} synthetic: uniform rows, random targets")
    print(f"{'timing':<10} rounds of all in turns: {repeat}; an epoch as a whole, its order too")
    results: dict[str, Any] = {"works": {}}
    for name in asked.work:
        if name in WORKS:
            work = WORKS[name].tiny() if asked.tiny else WORKS[name]
            results["works"][name] = race(work, repeat, BOOK_SECONDS / (20 if asked.tiny else 1))
    if "feedforward" in asked.work:
        results["feedforward"] = one_row(repeat)
    if "import" in asked.work:
        results["import"] = imports(repeat)
    judged = print_bounds(results, asked.tiny)
    print(f"\n{stopwatch}")
    if asked.json:
        common.write_json(asked.json, {
            "benchmark": "sgd", "tiny": asked.tiny, "repeat": repeat, "environment": about,
            **results, "bounds": judged,
            "measured_seconds": {"wall": stopwatch.wall, "cpu": stopwatch.cpu},
        })


if __name__ == "__main__":
    main()

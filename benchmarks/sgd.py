"""
One epoch of SGD on one core: the book's loop, NumPy in matrix form, and cbackprop.

All train the same network (sigmoid, quadratic cost) on the same synthetic rows. First it is checked
that they compute the same: without that nothing is timed. Then they are timed in turns, everything
counted, the drawing of the order too. The peak of the core is measured in the same rounds.

    python benchmarks/sgd.py [--work NAME ...] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import common
from common import Peak, Timing, Work, interleaved, stopwatch, table, times

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now
from numpy.typing import NDArray  # noqa: E402
from opponents.book import Book, sigmoid  # noqa: E402
from opponents.contestant import TOLERANCE, Contestant, Examples, check  # noqa: E402
from opponents.matrix import Matrix, one_row_feedforward  # noqa: E402
from opponents.ours import Cbackprop  # noqa: E402

import cbackprop  # noqa: E402

WORKS = {name: work for name, work in common.WORKS.items()
         if work.activation == "sigmoid" and not work.autoencoder}
OTHERS = ("feedforward", "import")

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


def contestants(work: Work, examples: Examples) -> Iterator[Contestant]:
    yield Book(work, examples)
    for real in ("float64", "float32"):
        for outputs_first in (False, True):
            yield Matrix(work, examples, real, outputs_first)
    for real in ("float64", "float32"):
        yield Cbackprop(work, examples, real, real)
        yield Cbackprop(work, examples, real, "uint8")


# ---- first check ----


def check_all(
    work: Work, examples: Examples, everyone: Sequence[Contestant], book_limit: float
) -> dict[str, Any]:
    """Check all against NumPy in float64; the book's loop on as many rows as it has time for."""
    book, reference, *others = everyone
    differences = check(work, reference, others)
    weights = sum(map(prod, work.shapes))
    m = min(work.mini_batch_size, max(2, int(book_limit * BOOK_WEIGHTS / 3 / weights)))
    few = replace(work, mini_batch_size=m, rows=min(3 * m, work.rows))
    differences["float64"] |= check(
        few, Matrix(few, examples, "float64", False), [book])["float64"]
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
    everyone = list(contestants(work, examples))
    checked = check_all(work, examples, everyone, book_limit)
    everyone[0].choose_rows(0.0, book_limit)
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
        "NumPy, w (out, in)": (one_row_feedforward(w, b), row),
        "NumPy, w (in, out)": (one_row_feedforward(inputs_first, b), row),
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

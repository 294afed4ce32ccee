"""
Everyone we know of who trains dense networks on a CPU, each in its strongest form, in one run.

The same rows, initial parameters, order and arithmetic for all: what the weights are after three
mini-batches is checked before anything is timed. A whole epoch counts, the drawing of its order
too; compiling does not. Forms of an opponent are compared, and its fastest is kept. What one core
can do at best is measured in the same rounds. Then inference: one row, and 10,000.

    python benchmarks/peers.py [--work NAME ...] [--opponents NAME ...] [--threads N] [--repeat N]
                               [--tiny] [--json FILE]
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil, prod
from types import ModuleType
from typing import Any

import common
from command import Bound, Command, Results, positive
from common import REALS, WORKS, Peak, Timing, Work, stopwatch, table, times

THREADS: dict[str, Any] = {"type": positive, "default": 1, "metavar": "N",
                           "help": "for everyone, on as many cores (1)"}
_early = argparse.ArgumentParser(add_help=False)
_early.add_argument("--threads", **THREADS)
START = common.before_numpy(_early.parse_known_args()[0].threads)

import numpy as np  # noqa: E402  only now
from limits import LEVELS, Bandwidth, Limits, roofline  # noqa: E402
from opponents import OPPONENTS, OURS, load  # noqa: E402
from opponents.contestant import (  # noqa: E402
    LEAST_SECONDS,
    MOST_SECONDS,
    Check,
    Contestant,
    Examples,
)
from opponents.feedforward import Call, Trained  # noqa: E402
from opponents.matrix import Matrix  # noqa: E402
from opponents.ours import Cbackprop  # noqa: E402

INFERENCE = {
    "one row of 784-30-10": ((784, 30, 10), 1),
    "10,000 rows of 784-30-10": ((784, 30, 10), 10_000),
    "10,000 rows of 784-512-512-10": ((784, 512, 512, 10), 10_000),
}
SMALLEST = "8-16-16-1"  # the one work that has everyone's every form where tiny
TOO_LONG = 5.0  # seconds to compile, for the others

BOOK_WEIGHTS = 1.5e8  # and gradients that the book's loop adds in a second, about: for its check
OTHER_FORMS = 1.4  # times an opponent's fastest form: slower ones are measured once only
FAR_BEHIND = 20  # times the fastest of all: measured in the first and every third round only
BUDGET = 75.0  # seconds of one work's rounds; after that, no more than LEAST_ROUNDS
LEAST_ROUNDS = 3
CALLS_SECONDS = 0.02  # of the calls in one measurement of inference

# To reach with AVX-512, float32 from float rows: the share of the peak, and times faster than the
# fastest opponent. Lesser instruction sets: shares of their own peak, so much less.
TO_REACH = {
    "784-30-10": (0.62, 2.2), "784-100-10": (0.75, 1.5), "784-512-512-10": (0.90, 1.25),
    "784-2048-2048-10": (0.88, 1.25), "64-64-64-8": (0.70, 2.2), "8-16-16-1": (0.30, 3.2),
}
TO_REACH_UINT8 = {"784-30-10": 0.70}
TO_REACH_MANY = {  # rows: the same
    "10,000 rows of 784-30-10": (0.80, 1.05), "10,000 rows of 784-512-512-10": (0.90, 1.3),
}
TO_REACH_ONE = {"one row of 784-30-10": (1.5, 5.0)}  # times faster than the fastest, than NumPy
LESS = 0.08


# ---- training: first check ----


def contestants(
    work: Work, modules: dict[str, ModuleType], tiny: bool
) -> Iterator[Contestant]:
    """Yield all forms of all; where tiny, one of each, all for one work, and compile few."""
    examples = Examples(work)
    compiles = {opponent.name: opponent.compiles for opponent in OPPONENTS.values()}
    for name, module in modules.items():
        seen = set()
        for one in module.contestants(work, examples):
            elsewhere, seconds = work.name != SMALLEST, compiles[name]
            if tiny and (
                    (one.name in seen and (elsewhere or seconds))
                    or (elsewhere and seconds > TOO_LONG)
                    or (seconds and one.rows != "float32")):
                continue
            seen.add(one.name)
            yield one


def checked(
    work: Work, everyone: Iterable[Contestant], book_limit: float
) -> tuple[list[Contestant], dict[str, Any]]:
    """
    Compare all with NumPy in float64, and return those that compute the same.

    Those with a cost of their own are compared with cbackprop, which has that cost too; the loops
    on as many rows as the book's has time for.
    """
    examples = Examples(work)
    checks = {work: Check(work, Matrix(work, examples, "float64", False))}
    m = min(work.mini_batch_size, max(2, int(
        book_limit * BOOK_WEIGHTS / 3 / sum(map(prod, work.shapes)))))
    few = replace(work, mini_batch_size=m, rows=min(3 * m, work.rows))
    agreed: list[Contestant] = []
    differences: dict[str, dict[str, float]] = {real: {} for real in REALS}
    refused: dict[str, str] = {}
    for one in everyone:
        same = few if one.few_in_check else one.work
        if same not in checks:
            reference = (Matrix(few, examples, "float64", False) if same == few else
                         Cbackprop(one.work, examples, "float64", "float64"))
            checks[same] = Check(same, reference)
        name = f"{one.name} {one.form}".strip()
        try:
            differences[one.real][name] = checks[same].difference(one)
        except SystemExit as error:
            if one.opponent == OURS:
                raise
            refused[name] = str(error)
            continue
        agreed.append(one)
    worst = {real: max(found.values(), default=0.0) for real, found in differences.items()}
    print("check: after three mini-batches all that are timed agree; largest difference over "
          "largest update,\n       beyond the rounding of the updated: "
          + ", ".join(f"{real} {worst[real]:.1e}" for real in worst))
    for reason in refused.values():
        print(f"REFUSED: {reason}")
    return agreed, {"differences": differences, "largest": worst, "refused": refused,
                    "mini_batch_size_of_book": m}


# ---- then time ----


class Rounds:
    """
    Measurements of contestants in turns: all in the first round, later those that matter.

    Attributes
    ----------
    timings : list of Timing
        One for each contestant.
    limits : Limits
        Of one core, measured in every round, times as many as there are: what they share, the L3
        cache and memory, may be less.
    """

    def __init__(self, everyone: Sequence[Contestant], repeat: int, tiny: bool) -> None:
        peaks = {real: Peak(real) for real in REALS}
        levels = {level: Bandwidth(level, tiny) for level in LEVELS}
        self.timings = [Timing() for _ in everyone]
        fastest = {real: float("inf") for real in (*peaks, *levels)}
        began = time.perf_counter()
        for number in range(repeat):
            if number >= LEAST_ROUNDS and time.perf_counter() - began > BUDGET:
                break
            for name, measured in (*peaks.items(), *levels.items()):
                fastest[name] = min(fastest[name], measured.measure())
            taking_part = [self.takes_part(at, everyone, number) for at in range(len(everyone))]
            for at, one in enumerate(everyone):
                if taking_part[at]:
                    self.timings[at].seconds.append(one.seconds())
        cores = START.threads
        self.limits = Limits(
            {real: cores * peak.flops / fastest[real] for real, peak in peaks.items()},
            {name: cores * level.bytes / fastest[name] for name, level in levels.items()})

    def takes_part(self, at: int, everyone: Sequence[Contestant], number: int) -> bool:
        """Tell whether this contestant is measured in this round."""
        if number == 0:
            return True
        best = self.timings[at].best
        of_name = min(timing.best for one, timing in zip(everyone, self.timings, strict=True)
                      if one.name == everyone[at].name)
        of_all = min(timing.best for timing in self.timings)
        return best <= OTHER_FORMS * of_name and (best <= FAR_BEHIND * of_all or number % 3 == 0)


def race(
    work: Work, modules: dict[str, ModuleType], repeat: int, tiny: bool
) -> tuple[dict[str, Any], Limits]:
    """Check, time and print one work; return everything measured."""
    print(f"\n{work}", flush=True)
    limit = MOST_SECONDS / (10 if tiny else 1)
    everyone, check = checked(work, contestants(work, modules, tiny), limit)
    for one in everyone:
        one.choose_rows(0.0 if tiny else LEAST_SECONDS, limit)
    common.blas(START.threads)  # those loaded since
    rounds = Rounds(everyone, repeat, tiny)
    limits = rounds.limits
    peak = limits.peak_flops_per_second
    forms, results = [], {}
    for one, timing in zip(everyone, rounds.timings, strict=True):
        flops = work.rows * work.flops_per_row / timing.best
        form = {
            "name": one.name, "opponent": one.opponent, "form": one.form, "real": one.real,
            "rows": one.rows, "rows_timed": one.rows_timed, "epochs_timed": one.epochs_timed,
            **timing.as_dict(), "flops_per_second": flops, "share_of_peak": flops / peak[one.real],
        }
        forms.append(form)
        if one.name not in results or timing.best < results[one.name]["best"]:
            results[one.name] = form
    for form in forms:
        ours = results[f"{OURS} {form['real']}"]
        form["times_cbackprop"] = form["best"] / ours["best"]
    roofs = {real: roofline(work, limits, real, real) for real in REALS}
    found = {
        "name": work.name, "sizes": work.sizes, "mini_batch_size": work.mini_batch_size,
        "rows": work.rows, "eta": work.eta, "activation": work.activation,
        "flops_per_row": work.flops_per_row, "check": check, "peak_flops_per_second": peak,
        "bytes_per_second": limits.bytes_per_second, "roofline": roofs, "contestants": results,
        "forms": forms, "fastest_opponent": fastest_opponents(results.values()),
    }
    print_race(found)
    return found, limits


def fastest_opponents(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return, by real type, the fastest of the others, from whatever rows, and its ratio."""
    fastest = {}
    for real in REALS:
        others = [one for one in results if one["real"] == real and one["opponent"] != OURS]
        if others:
            best = min(others, key=lambda one: one["best"])
            fastest[real] = {"name": best["name"], "form": best["form"],
                             "ratio": best["times_cbackprop"]}
    return fastest


def print_race(work: dict[str, Any]) -> None:
    lines, parts = [], []
    most = max(one["rounds"] for one in work["contestants"].values())
    for one in sorted(work["contestants"].values(), key=lambda one: one["best"]):
        name = one["name"] + f", {one['form']}" * bool(one["form"])
        if one["rows_timed"] < work["rows"]:
            name += " (*)"
            parts.append(one["rows_timed"])
        lines.append((
            name, f"{1e3 * one['best']:.2f}", f"{1e3 * one['median']:.2f}",
            f"{one['flops_per_second'] / 1e9:.1f}", f"{100 * one['share_of_peak']:.1f}",
            times(one["times_cbackprop"]), str(one["rounds"])))
    header = ("one epoch", "ms min", "ms median", "GFLOP/s", "% of peak", "/ cbackprop", "rounds")
    print(table(header, lines))
    if parts:
        print(f"(*) {min(parts):,} to {max(parts):,} of the {work['rows']:,} rows were timed, "
              f"and the time scaled")
    if any(one["rounds"] < most for one in work["contestants"].values()):
        print(f"fewer rounds than {most}: more than {FAR_BEHIND} times slower than the fastest")
    for real, roof in work["roofline"].items():
        best = work["contestants"][f"{OURS} {real}"]["best"]
        print(f"roofline, {real}: {1e3 * roof['seconds']:.2f} ms, bound by {roof['bound']} "
              f"({roof['flops_per_byte']:.1f} flops for each byte from {roof['level']}); "
              f"cbackprop at {100 * roof['seconds'] / best:.0f} %")
    for real, other in work["fastest_opponent"].items():
        print(f"fastest opponent, {real}: {other['name']}"
              + f", {other['form']}" * bool(other["form"])
              + f", {other['ratio']:.2f} times cbackprop's time")


def print_limits(limits: Limits) -> None:
    cores = START.threads
    of = "one core" if cores == 1 else f"{cores} cores, {cores} times one's"
    print(f"\nFMA peak of {of}: " + ", ".join(
        f"{real} {flops / 1e9:.1f} GFLOP/s"
        for real, flops in limits.peak_flops_per_second.items()))
    print(f"read by {of}: " + ", ".join(
        f"{level} {speed / 1e9:.0f} GB/s" for level, speed in limits.bytes_per_second.items()))


# ---- inference ----


def infer(name: str, modules: dict[str, ModuleType], repeat: int, tiny: bool) -> dict[str, Any]:
    """Check, time and print `feedforward` of one row or many, in float32."""
    sizes, rows = INFERENCE[name]
    if tiny:
        rows = min(rows, 200)
    net = Trained.drawn(sizes)
    x = np.random.default_rng(6).random((rows, sizes[0]), np.float32)
    calls: list[Call] = [
        call for opponent, module in modules.items() if hasattr(module, "feedforwards")
        and not (opponent == "PyTorch compiled" and (rows == 1 or tiny))  # 60 us to call it
        for call in module.feedforwards(net, x)]
    wanted = net.feedforward(x)
    for call in calls:
        difference = float(np.abs(np.asarray(call.function()).reshape(wanted.shape) - wanted).max())
        if not difference <= 1e-5:
            raise SystemExit(f"{name}: {call.opponent} differs from NumPy float64 by "
                             f"{difference:.1e}: nothing is timed")
    common.blas(START.threads)
    measures = [calls_of(call.function) for call in calls]
    peak = Peak("float32")
    timings = common.interleaved([peak.measure, *measures], repeat)
    flops = peak.flops / timings[0].best * START.threads
    results: dict[str, dict[str, Any]] = {}
    for call, timing in zip(calls, timings[1:], strict=True):
        result = {"opponent": call.opponent, "form": call.form, **timing.as_dict()}
        if rows > 1:
            done = rows * net.flops_per_row / timing.best
            result |= {"flops_per_second": done, "share_of_peak": done / flops}
        if call.opponent not in results or timing.best < results[call.opponent]["best"]:
            results[call.opponent] = result
    for result in results.values():
        result["times_cbackprop"] = result["best"] / results[OURS]["best"]
    print(f"\nfeedforward, {name}, float32" + f" (tiny: {rows})" * (tiny and rows > 1))
    print(table(
        ("one call", "us min", "us median", "% of peak", "/ cbackprop"),
        [(result["opponent"] + f", {result['form']}" * bool(result["form"]),
          f"{1e6 * result['best']:.2f}", f"{1e6 * result['median']:.2f}",
          f"{100 * result['share_of_peak']:.1f}" if rows > 1 else "",
          times(result["times_cbackprop"]))
         for result in sorted(results.values(), key=lambda result: result["best"])]))
    return {"sizes": sizes, "rows": rows, "flops_per_row": net.flops_per_row,
            "peak_flops_per_second": flops, "contestants": results}


def calls_of(function: Callable[[], object]) -> Callable[[], float]:
    """Return what measures one call, as one of several in a row."""
    number = max(1, ceil(CALLS_SECONDS / 10 / stopwatch(function)))
    number = max(1, ceil(CALLS_SECONDS * number / stopwatch(lambda: repeat_call(function, number))))
    return lambda: stopwatch(lambda: repeat_call(function, number)) / number


def repeat_call(function: Callable[[], object], number: int) -> None:
    for _ in range(number):
        function()


# ---- what was to be reached ----


def bounds(results: Results, variant: str) -> Iterator[Bound]:
    """Yield those of all that was run."""
    full = variant == "v4"
    less = 0.0 if full else LESS
    for name, work in results["works"].items():
        found = work["contestants"]
        if name in TO_REACH:
            share, ratio = TO_REACH[name]
            yield Bound(f"{name}: float32, % of peak", 100 * (share - less),
                        100 * found[f"{OURS} float32"]["share_of_peak"], "{:.1f}")
            if name in TO_REACH_UINT8:
                yield Bound(f"{name}: float32, uint8 rows, % of peak",
                            100 * (TO_REACH_UINT8[name] - less),
                            100 * found[f"{OURS} float32, uint8 rows"]["share_of_peak"], "{:.1f}")
            if full and "float32" in work["fastest_opponent"]:
                fastest = work["fastest_opponent"]["float32"]
                yield Bound(f"{name}: faster than {fastest['name']}", ratio, fastest["ratio"],
                            "{:.2f} x")
    for name, work in results["inference"].items():
        found = dict(work["contestants"])
        share = found.pop(OURS).get("share_of_peak")
        fastest = min(found.values(), key=lambda one: one["best"], default=None)
        if name in TO_REACH_MANY:
            least, ratio = TO_REACH_MANY[name]
            yield Bound(f"{name}: % of peak", 100 * (least - less), 100 * share, "{:.1f}")
        else:
            ratio, of_numpy = TO_REACH_ONE[name]
            if full and "NumPy" in found:
                yield Bound(f"{name}: faster than NumPy", of_numpy,
                            found["NumPy"]["times_cbackprop"], "{:.2f} x")
        if full and fastest:
            yield Bound(f"{name}: faster than {fastest['opponent']}, the fastest", ratio,
                        fastest["times_cbackprop"], "{:.2f} x")


# ---- all of it ----


def load_asked(arguments: argparse.Namespace) -> tuple[dict[str, ModuleType], dict[str, str]]:
    if arguments.threads != START.threads:
        raise SystemExit("--threads must be given when the process starts")
    return load([name for name, opponent in OPPONENTS.items()
                 if name in arguments.opponents or opponent.name == OURS], START.threads)


def measure(arguments: argparse.Namespace) -> Results:
    repeat, tiny, modules = arguments.repeat, arguments.tiny, arguments.modules
    print(f"{'data':<10} synthetic: uniform rows, random targets")
    print(f"{'timing':<10} at most {repeat} rounds of all in turns; an epoch as a whole, its order "
          f"too; no compiling")
    results: Results = {"limits": {}, "works": {}, "inference": {}}
    measured: list[Limits] = []
    for name in arguments.work:
        if name in WORKS:
            work = WORKS[name].tiny() if tiny else WORKS[name]
            results["works"][name], limits = race(work, modules, repeat, tiny)
            measured.append(limits)
    if "inference" in arguments.work:
        for name in INFERENCE:
            results["inference"][name] = infer(name, modules, 3 * repeat, tiny)
    if measured:
        best = Limits(*({key: max(getattr(one, kind)[key] for one in measured)
                         for key in getattr(measured[0], kind)}
                        for kind in ("peak_flops_per_second", "bytes_per_second")))
        results["limits"] = {"peak_flops_per_second": best.peak_flops_per_second,
                             "bytes_per_second": best.bytes_per_second}
        print_limits(best)
    return {**results, "bounds": list(bounds(results, arguments.about["variant"]))}


OTHERS = [name for name, opponent in OPPONENTS.items() if opponent.name != OURS]
main = Command("peers", __doc__, START, measure, repeat=7, works=[*WORKS, "inference"],
               load=load_asked, options={
    "--opponents": {"nargs": "+", "choices": OTHERS, "default": OTHERS, "metavar": "NAME",
                    "help": f"some of {', '.join(OTHERS)}"},
    "--threads": THREADS})


if __name__ == "__main__":
    main()

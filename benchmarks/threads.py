"""
What threads are worth: each work with 1 to N of them, and with as many as the library chooses.

N is the cores that this process may use (`taskset` chooses). First it is checked that the bits are
the same. Then all are timed in turns: epochs of training, `feedforward` of 10,000 rows, and
`train_many`. Up to t threads is what `threads=t` says: the library takes fewer where more would be
slower. Each measurement is repeated until the process had its cores before and behind it, for two
minutes in all: a virtual machine's may be two threads of one core for a while, as chains of
multiply-adds tell. Last, how long threads take to meet, as they do some times in each mini-batch.

    python benchmarks/threads.py [--work NAME ...] [--real R] [--repeat N] [--tiny] [--json FILE]
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

import common
from command import Bound, Command, Results
from common import REALS, WORKS, Cores, Timing, Work, interleaved, stopwatch, table

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
START = common.before_numpy(threads=CORES)

import numpy as np  # noqa: E402  only now
from opponents.contestant import Examples  # noqa: E402
from opponents.ours import Cbackprop  # noqa: E402

import cbackprop  # noqa: E402
from cbackprop import thread_choice as teams  # noqa: E402
from cbackprop.core import _runtime  # noqa: E402

INFERENCE = {  # of so many rows
    "feedforward of 784-30-10": (784, 30, 10),
    "feedforward of 784-512-512-10": (784, 512, 512, 10),
}
ROWS = 10_000
MANY, EPOCHS = "train_many, 4 x 784-30-10", 10  # of each network
NAMES = (*WORKS, *INFERENCE, MANY)
COUNTS = (*range(1, CORES + 1), None)  # None: the library chooses

SECONDS = 0.05  # of one measurement, at least
FLOPS = 1e11  # of an epoch, at most: the longer, the rarer the cores are there all the time
MEETINGS = 1000  # in one measurement
PATIENCE = 120  # seconds, for the cores to be there

# To reach with two cores in float32: times faster than one.
TO_REACH = {
    "784-2048-2048-10": 1.9, "784-512-512-10": 1.85, "784-100-10": 1.5, "784-30-10": 1.3,
    **dict.fromkeys((*INFERENCE, MANY), 1.9),
}
LEAST = 0.97  # of one thread's speed, when the library chooses


@dataclass
class Case:
    """
    One thing that is done with up to so many threads.

    Attributes
    ----------
    run : function
    bits : function
        Of what it leaves.
    used : function
        How many threads it had at the end, if that is known.
    """

    run: Callable[[], object]
    bits: Callable[[], bytes]
    used: Callable[[], int | None]


def bits_of(*trained: Cbackprop) -> bytes:
    return b"".join(p.tobytes() for one in trained for p in one.parameters())


def training(work: Work, real: str) -> Iterator[Case]:
    """Yield an epoch for each number of threads."""
    examples = Examples(work)
    for count in COUNTS:
        one = Cbackprop(work, examples, real, real)
        one.net.threads = count
        yield Case(lambda one=one: (one.begin(), one.epoch()), partial(bits_of, one),
                   lambda one=one: one.net.engine.tuner(work.mini_batch_size).last)


def inference(sizes: tuple[int, ...], rows: int, real: str) -> Iterator[Case]:
    """Yield `feedforward` of many rows for each number of threads."""
    x = np.random.default_rng(6).random((rows, sizes[0])).astype(real)
    for count in COUNTS:
        net = cbackprop.Network(sizes, dtype=real, seed=3, threads=count)
        yield Case(lambda net=net: net.feedforward(x),
                   lambda net=net: net.feedforward(x).tobytes(),
                   lambda core=net.engine.core: core.threads_for(rows * core.parameters.size))


def many(work: Work, real: str) -> Iterator[Case]:
    """Yield four trainings of some epochs, so many at a time; first one after another."""
    examples = Examples(work)
    arguments = (examples.x[real], examples.y[real]), EPOCHS, work.mini_batch_size, work.eta

    def train(four: list[Cbackprop], count: int | None) -> None:
        for one in four:
            one.begin()
            if count == 1:
                one.net.SGD(*arguments, threads=1)
        if count != 1:
            cbackprop.train_many([one.net for one in four], *arguments, threads=count)

    for count in COUNTS:
        four = [Cbackprop(work, examples, real, real) for _ in range(4)]
        yield Case(partial(train, four, count), partial(bits_of, *four), lambda: None)


def cases(name: str, real: str, tiny: bool) -> Iterator[Case]:
    if name in INFERENCE:
        return inference(INFERENCE[name], ROWS // (20 if tiny else 1), real)
    work = WORKS["784-30-10" if name == MANY else name]
    m = work.mini_batch_size
    whole = max(1, int(FLOPS / work.flops_per_row / m)) * m
    work = work.tiny() if tiny else replace(work, rows=min(work.rows, whole))
    return (many if name == MANY else training)(work, real)


def calls(run: Callable[[], object], times: int) -> float:
    """Return the seconds of one of so many calls."""
    return stopwatch(lambda: [run() for _ in range(times)]) / times


def race(name: str, real: str, repeat: int, tiny: bool, cores: Cores) -> dict[str, Any]:
    """Check, then time one work; return everything measured."""
    taking_part = list(cases(name, real, tiny))
    for one in taking_part:
        one.run()
    if len({one.bits() for one in taking_part}) > 1:
        raise SystemExit(f"{name}: other bits with other numbers of threads: nothing is timed")
    least = SECONDS / (50 if tiny else 1)
    times = ceil(least / stopwatch(taking_part[0].run))
    timings = interleaved([partial(cores.measure, partial(calls, one.run, times))
                           for one in taking_part], repeat)
    alone = timings[0]
    return {"name": name, "calls_timed": times, "threads": [
        {"asked": count, "used": one.used(), **timing.as_dict(), **against(alone, timing),
         "efficiency": alone.best / timing.best / (count or CORES)}
        for count, one, timing in zip(COUNTS, taking_part, timings, strict=True)]}


def against(alone: Timing, timing: Timing) -> dict[str, float]:
    return {"speed_up": alone.best / timing.best,
            "speed_up_of_medians": alone.median / timing.median}


def print_races(races: Sequence[dict[str, Any]]) -> None:
    lines = []
    for found in races:
        for one in found["threads"]:
            first = one["asked"] == 1
            lines.append((
                found["name"] if first else "",
                "unset" if one["asked"] is None else str(one["asked"]),
                "" if one["used"] is None else str(one["used"]),
                f"{1e3 * one['best']:.3f}", f"{1e3 * one['median']:.3f}",
                "" if first else f"{one['speed_up']:.2f}",
                "" if first else f"{one['speed_up_of_medians']:.2f}",
                "" if first else f"{100 * one['efficiency']:.0f} %"))
    print(table(("one call", "threads", "used", "ms min", "ms median", "speed-up", "of medians",
                 "efficiency"), lines))


def meetings(repeat: int) -> dict[int, dict[str, Any]]:
    """Return how long so many threads take to meet, spinning, and nothing else to do."""
    counts = range(2, max(2, min(CORES, teams.most())) + 1)
    timings = interleaved([lambda count=count: _runtime.barrier_latency(count, MEETINGS)
                           for count in counts], repeat)
    return {count: timing.as_dict() for count, timing in zip(counts, timings, strict=True)}


def bounds(races: Sequence[dict[str, Any]]) -> Iterator[Bound]:
    """Yield those of all that was run."""
    for found in races:
        by_count = {one["asked"]: one for one in found["threads"]}
        if CORES >= 2 and found["name"] in TO_REACH:
            yield Bound(f"{found['name']}: 2 threads, times faster", TO_REACH[found["name"]],
                        by_count[2]["speed_up"])
        yield Bound(f"{found['name']}: unset, times faster", LEAST, by_count[None]["speed_up"])


def measure(arguments: argparse.Namespace) -> Results:
    real, repeat, tiny = arguments.real, arguments.repeat, arguments.tiny
    print(f"{'data':<10} synthetic: uniform rows, random targets")
    print(f"{'timing':<10} rounds of all in turns: {repeat}\n")
    cores = Cores(CORES, patience=1 if tiny else PATIENCE)
    races = [race(name, real, repeat, tiny, cores) for name in arguments.work]
    print_races(races)
    met = meetings(repeat)
    print("\nto meet: " + ", ".join(
        f"{count} threads {1e9 * timing['best']:.0f} ns (median {1e9 * timing['median']:.0f})"
        for count, timing in met.items()))
    print(f"\n{cores}")
    return {"real": real, "works": {found["name"]: found for found in races}, "meetings": met,
            "cores": {"worth": cores.worth, "waited": cores.waited, "kept": cores.kept},
            "bounds": list(bounds(races)) if real == "float32" else []}


main = Command("threads", __doc__, START, measure, repeat=7, works=NAMES, aim="in float32",
               options={"--real": {"choices": REALS, "default": "float32", "metavar": "R",
                                   "help": "float32 or float64 (float32)"}})


if __name__ == "__main__":
    main()

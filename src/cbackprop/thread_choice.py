"""How many threads a piece of work is worth, on this machine, now."""

from __future__ import annotations

import itertools
import math
import operator
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from cbackprop import _check
from cbackprop.core import _dispatch, _runtime

MOST = 1024
MEETINGS = 4  # of a team in each mini-batch
EXCHANGED = 350  # bytes that come from another core in the time that two threads take to meet
WORTH = 0.9  # a team must promise, and then take, less than this part of one thread's time
LINE = 64  # bytes of neurons of which threads take whole numbers
SHARE = 10_000_000  # multiplications that make a thread for reading worth its start
PATIENCE = 0.06, 4.0  # seconds of one thread after a team was too slow: at first, and at most
TRIAL = 5e-3, 3  # seconds of one thread's work, or chunks: in less, to wake a team decides
EARLIEST = 0.02  # seconds of one thread before a team: one that does not get its cores costs 4 ms

CROWDED = 5e-6  # seconds: no meeting takes so long where each thread has a core

_running, _lock = 0, Lock()
_met: dict[int, tuple[float, float]] = {}  # seconds of a meeting, and until when they are believed


def checked(threads: Any) -> int | None:
    """
    Return the number of threads that a caller asked for; None leaves it to the library.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer from 1 to MOST.
    """
    rule = f"threads must be None or an integer from 1 to {MOST}"
    if threads is None:
        return None
    try:
        found = operator.index(threads)
    except TypeError:
        raise TypeError(f"{rule}, got {_check.shown(threads)}") from None
    if not 1 <= found <= MOST:
        raise ValueError(f"{rule}, got {_check.shown(found)}")
    return found


def cores() -> int:
    """Return how many cores this process may use: by affinity, and by its control group's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, _quota())))


@cache
def _quota(root: str = "/") -> float:
    """Return the cores' time that Linux control groups allow, 1.5 being one and a half."""
    groups = Path(root, "sys/fs/cgroup")
    files = [[groups / "cpu/cpu.cfs_quota_us", groups / "cpu/cpu.cfs_period_us"]]  # version 1
    try:
        lines = Path(root, "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in [line for line in lines if line.startswith("0::/")]:  # version 2
        own = groups / line[4:]
        files += [[group / "cpu.max"] for group in [own, *own.parents]
                  if group.is_relative_to(groups)]
    allowed = math.inf
    for pair in files:
        try:
            quota, period = " ".join(file.read_text() for file in pair).split()
        except (OSError, ValueError):
            continue
        if quota.isdecimal():  # not -1, not max
            allowed = min(allowed, int(quota) / int(period))
    return allowed


def taken() -> int:
    """Return how many of the cores other programs use at this moment; 0 where nobody can tell."""
    if cores() < (os.cpu_count() or 1):  # the system counts what runs on all of them
        return 0
    try:
        with open("/proc/loadavg") as file:
            at_work = int(file.read().split()[3].split("/")[0])
        own = [_state(task) for task in os.listdir("/proc/self/task")] if at_work > 1 else ["R"]
    except (OSError, ValueError, IndexError):  # not Linux; a thread that has just ended
        return 0
    return max(0, at_work - own.count("R"))


def _state(task: str) -> str:
    with open(f"/proc/self/task/{task}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@cache
def default() -> int:
    """
    Return the most threads where nobody asks for a number: what CBACKPROP_NUM_THREADS says.

    Raises
    ------
    ValueError
        If that is not an integer from 1 to MOST.
    """
    asked = os.environ.get("CBACKPROP_NUM_THREADS", "")
    if not asked:
        return MOST
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST:
        raise ValueError(f"CBACKPROP_NUM_THREADS must be an integer from 1 to {MOST}, "
                         f"got {_check.shown(asked)}")
    return int(asked)


def most(asked: int | None = None) -> int:
    """Return how many threads may run now: no more than cores, OpenMP's limit, and a fair part."""
    allowed: int = min(build.openmp_threads() for build in _dispatch.LOADED)
    fair = max(1, cores() // max(1, _running))
    return max(1, min(asked or default(), fair, allowed))


@contextmanager
def running() -> Iterator[None]:
    """Count a training while it runs: several of them divide the cores."""
    global _running
    with _lock:
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1


@cache
def _prepare_forks() -> None:
    # A child that needed its parent's threads would wait for them forever.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_end, after_in_child=_forget)


def _end() -> None:
    for build in _dispatch.LOADED:
        build.end_threads()


def _forget() -> None:
    global _running, _lock
    _running, _lock = 0, Lock()


def meeting(threads: int) -> float:
    """
    Return the seconds it takes that many threads to meet: measured once in a process.

    Where they had to wait for a core, that was no measurement: it is believed for a while only. And
    where other programs have the cores, it is not worth the tenth of a second that it would take.
    """
    _prepare_forks()
    seconds, until = _met.get(threads, (0.0, 0.0))
    if time.monotonic() >= until and cores() - taken() < threads:
        seconds, until = _met[threads] = CROWDED, time.monotonic() + PATIENCE[0]
    if time.monotonic() >= until:
        seconds = min(_runtime.barrier_latency(threads, 100) for _ in range(5))
        _met[threads] = seconds, math.inf if seconds < CROWDED else time.monotonic() + PATIENCE[1]
    return seconds


def for_reading(asked: int | None, multiplications: int) -> int:
    """Return how many threads are worth it for feedforward, where nobody waits for anybody."""
    if multiplications < 2 * SHARE:
        return 1
    _prepare_forks()
    return min(most(asked), multiplications // SHARE)


@cache
def largest_share(sizes: tuple[int, ...], m: int, threads: int, line: int) -> float:
    """Return the part of a mini-batch's arithmetic that falls to the busiest thread."""
    def part(n: int, unit: int) -> float:
        units = -(-n // unit)
        return -(-units // threads) / units

    weights = [k * j for k, j in itertools.pairwise(sizes)]
    by_neurons = [part(j, line) for j in sizes[1:]]
    by_examples = part(m, 1)
    busiest = (weights[0] * by_neurons[0] + 2 * sum(weights[1:]) * by_examples
               + sum(w * p for w, p in zip(weights, by_neurons, strict=True)))
    return busiest / (3 * sum(weights) - weights[0])


@cache
def exchanged(sizes: tuple[int, ...], m: int, threads: int, itemsize: int) -> float:
    """Return the bytes of a mini-batch that a thread reads and another has written."""
    numbers = sum(2 * m * j for j in sizes[1:])  # a and delta
    numbers += sum(k * j for k, j in itertools.pairwise(sizes[1:]))  # w
    return numbers * itemsize * (threads - 1) / threads


class ThreadTuner:
    """
    How many threads train a network with mini-batches of one size, from one chunk to the next.

    One in the first chunks, to see how long that takes. Then as many as promise the least time, by
    the arithmetic of a mini-batch and the cost of a meeting; and one, for a while, after a team did
    not keep that promise: another program may have its cores. That while is twice as long each
    time, and half as long again when a team does well.

    Parameters
    ----------
    sizes : sequence of int
    m : int
        Of a mini-batch.
    itemsize : int
        Of the real type.
    """

    def __init__(self, sizes: Sequence[int], m: int, itemsize: int) -> None:
        self.sizes, self.m, self.itemsize = tuple(sizes), m, itemsize
        self.alone: float | None = None  # seconds of a mini-batch in one thread, once known
        self.worked = 0.0  # seconds, in one thread
        self.back_at, self.patience = 0.0, PATIENCE[0]
        self.chunks, self.steps, self.seconds = 0, 0, 0.0  # of a team, not judged yet
        self.last = 1

    def threads(self, asked: int | None) -> int:
        """Return how many threads the next chunk should have."""
        allowed = most(asked)
        if self.alone is None or self.worked < EARLIEST or time.monotonic() < self.back_at:
            allowed = 1
        else:
            allowed = self.best(allowed, self.alone)
        if allowed > self.last:
            free = max(1, cores() - taken())
            if free == 1:
                self.back_at = time.monotonic() + PATIENCE[0]
            allowed = min(allowed, free)
        self.last = allowed
        return allowed

    def best(self, allowed: int, alone: float) -> int:
        """Return the number of threads that promises the least time."""
        best, least = 1, WORTH * alone
        if least > MEETINGS * 5e-8:  # no meeting is quicker: do not begin a team to measure it
            for threads in range(2, allowed + 1):
                share = largest_share(self.sizes, self.m, threads, LINE // self.itemsize)
                bytes_ = exchanged(self.sizes, self.m, threads, self.itemsize)
                seconds = alone * share + (bytes_ / EXCHANGED + MEETINGS) * meeting(threads)
                if seconds < least:
                    best, least = threads, seconds
        return best

    def record(self, threads: int, steps: int, seconds: float, left: bool) -> None:
        """
        Take note of a chunk.

        Parameters
        ----------
        threads, steps
            How many it had, and how many mini-batches it did.
        seconds : float
            It took.
        left : bool
            Whether the team ended it, because its threads waited too long for each other.
        """
        if threads == 1:
            self.worked += seconds
            each = seconds / max(1, steps)
            self.alone = each if self.alone is None else min(each, 1.1 * self.alone)
        if threads == 1 or self.alone is None:
            return
        self.chunks, self.steps = self.chunks + 1, self.steps + steps
        self.seconds += seconds
        alone = self.steps * self.alone
        if not left and alone < TRIAL[0] and self.chunks < TRIAL[1]:
            return
        if left or self.seconds > alone * WORTH:
            self.back_at = time.monotonic() + self.patience
            self.patience = min(2 * self.patience, PATIENCE[1])
        else:
            self.patience = max(self.patience / 2, PATIENCE[0])
        self.chunks, self.steps, self.seconds = 0, 0, 0.0

    def timed(self, asked: int | None, gradient: Callable[[int], float]) -> float:
        """Call for the gradient of a mini-batch with so many threads, and take note of it."""
        threads, start = self.threads(asked), time.perf_counter()
        cost = gradient(threads)
        self.record(threads, 1, time.perf_counter() - start, False)
        return cost

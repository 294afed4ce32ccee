"""The number of threads for a piece of work: what pays on this machine, at this moment."""

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

MAX_THREADS = 1024  # as in the core
LINE_BYTES = 64  # as in the core: a thread computes whole cache lines of neurons
BARRIERS_PER_BATCH = 4
BYTES_PER_BARRIER = 350  # that come from another core in the time of a barrier of two threads
MAX_RELATIVE_TIME = 0.9  # a team must be expected, and then seen, to take less of one thread's time
MIN_PRODUCTS_PER_THREAD = 10_000_000  # multiplications of inference that pay for a thread's start
BACKOFF = 0.06, 4.0  # seconds with one thread after a team was too slow: at first, and at most
JUDGE_AFTER = 5e-3, 3  # seconds of one thread's work, or chunks: before, waking the team dominates
WARM_UP = 0.02  # seconds with one thread before a team: one that does not get its cores costs 4 ms
OVERSUBSCRIBED_LATENCY = 5e-6  # seconds: where each thread has a core, no barrier takes so long

_running, _lock = 0, Lock()
_latencies: dict[int, tuple[float, float]] = {}  # by threads: seconds, and until when they hold


def checked(threads: Any) -> int | None:
    """
    Return the number of threads that a caller asked for; None leaves it to the library.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer from 1 to MAX_THREADS.
    """
    rule = f"threads must be None or an integer from 1 to {MAX_THREADS}"
    if threads is None:
        return None
    try:
        found = operator.index(threads)
    except TypeError:
        raise TypeError(f"{rule}, got {_check.shown(threads)}") from None
    if not 1 <= found <= MAX_THREADS:
        raise ValueError(f"{rule}, got {_check.shown(found)}")
    return found


def cores() -> int:
    """Return how many cores affinity and the control group's quota allow this process."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        count = os.cpu_count() or 1
    return max(1, math.ceil(min(count, _quota())))


@cache
def _quota(root: str = "/") -> float:
    """Return how many cores Linux control groups allow; it need not be a whole number."""
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


def busy_cores() -> int:
    """Return how many cores other programs use at this moment; 0 where that is unknown."""
    if cores() < (os.cpu_count() or 1):  # /proc/loadavg counts all of them
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
    Return the most threads if the caller gives no number: CBACKPROP_NUM_THREADS, or no limit.

    Raises
    ------
    ValueError
        If that is not an integer from 1 to MAX_THREADS.
    """
    asked = os.environ.get("CBACKPROP_NUM_THREADS", "")
    if not asked:
        return MAX_THREADS
    if not asked.isdecimal() or not 1 <= int(asked) <= MAX_THREADS:
        raise ValueError(f"CBACKPROP_NUM_THREADS must be an integer from 1 to {MAX_THREADS}, "
                         f"got {_check.shown(asked)}")
    return int(asked)


def most(asked: int | None = None) -> int:
    """Return how many threads may run now: limited by cores, OpenMP, and other trainings."""
    allowed: int = min([build.openmp_threads() for build in _dispatch.LOADED])
    fair = max(1, cores() // max(1, _running))
    found = max(1, min(asked or default(), fair, allowed))
    if found > 1:
        _prepare_forks()
    return found


@contextmanager
def running(processes: int = 1) -> Iterator[None]:
    """Count a training while it runs, so that several of them share the cores; also of others."""
    global _running
    with _lock:
        _running += processes
    try:
        yield
    finally:
        with _lock:
            _running -= processes


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


def barrier_latency(threads: int) -> float:
    """
    Return the latency of a barrier of this many threads, in seconds.

    It is measured once in a process. If a thread had to wait for a core, the result is kept for a
    few seconds only, and then measured again. While other programs occupy the cores, nothing is
    measured, since that would take 0.1 s: OVERSUBSCRIBED_LATENCY is assumed.
    """
    _prepare_forks()
    seconds, until = _latencies.get(threads, (0.0, 0.0))
    if time.monotonic() >= until and cores() - busy_cores() < threads:
        seconds, until = _latencies[threads] = OVERSUBSCRIBED_LATENCY, time.monotonic() + BACKOFF[0]
    if time.monotonic() >= until:
        seconds = min(_runtime.barrier_latency(threads, 100) for _ in range(5))
        measured = seconds < OVERSUBSCRIBED_LATENCY  # no thread waited for a core
        _latencies[threads] = seconds, math.inf if measured else time.monotonic() + BACKOFF[1]
    return seconds


def for_reading(asked: int | None, multiplications: int) -> int:
    """Return how many threads pay for inference, where they need no barrier."""
    if multiplications < 2 * MIN_PRODUCTS_PER_THREAD:
        return 1
    return min(most(asked), multiplications // MIN_PRODUCTS_PER_THREAD)


@cache
def largest_share(sizes: tuple[int, ...], m: int, threads: int, line: int) -> float:
    """Return the share of a mini-batch's arithmetic that the busiest thread has."""
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
def exchanged_bytes(sizes: tuple[int, ...], m: int, threads: int, itemsize: int) -> float:
    """Return the bytes of a mini-batch that one thread writes and another reads."""
    numbers = sum(2 * m * j for j in sizes[1:])  # a and delta
    numbers += sum(k * j for k, j in itertools.pairwise(sizes[1:]))  # w
    return numbers * itemsize * (threads - 1) / threads


class ThreadTuner:
    """
    Chooses the number of threads for mini-batches of one size, from one chunk to the next.

    The first chunks run in one thread, and are timed. After that the tuner takes the number with
    the least expected time, by the arithmetic of a mini-batch and the latency of a barrier. If a
    team is slower than expected, another program may have its cores: one thread works alone for a
    while. The while doubles each time, and halves when a team keeps to its time.

    Parameters
    ----------
    sizes : sequence of int
    m : int
        The size of a mini-batch.
    itemsize : int
        The size of the real type, in bytes.
    """

    def __init__(self, sizes: Sequence[int], m: int, itemsize: int) -> None:
        self.sizes, self.m, self.itemsize = tuple(sizes), m, itemsize
        self.serial_seconds: float | None = None  # of a mini-batch in one thread, once known
        self.serial_time = 0.0  # seconds that one thread has worked in all
        self.retry_at, self.backoff = 0.0, BACKOFF[0]
        self.chunks, self.steps, self.seconds = 0, 0, 0.0  # of a team that is not judged yet
        self.last = 1

    def threads(self, asked: int | None) -> int:
        """Return how many threads the next chunk should have."""
        allowed = most(asked)
        if (self.serial_seconds is None or self.serial_time < WARM_UP
                or time.monotonic() < self.retry_at):
            allowed = 1
        else:
            allowed = self.best(allowed, self.serial_seconds)
        if allowed > self.last:
            free = max(1, cores() - busy_cores())
            if free == 1:
                self.retry_at = time.monotonic() + BACKOFF[0]
            allowed = min(allowed, free)
        self.last = allowed
        return allowed

    def best(self, allowed: int, serial_seconds: float) -> int:
        """Return the number of threads with the least expected time."""
        best, least = 1, MAX_RELATIVE_TIME * serial_seconds
        if least > BARRIERS_PER_BATCH * 5e-8:  # no barrier is quicker: none has to be measured
            for threads in range(2, allowed + 1):
                share = largest_share(self.sizes, self.m, threads, LINE_BYTES // self.itemsize)
                bytes_ = exchanged_bytes(self.sizes, self.m, threads, self.itemsize)
                barriers = bytes_ / BYTES_PER_BARRIER + BARRIERS_PER_BATCH
                seconds = serial_seconds * share + barriers * barrier_latency(threads)
                if seconds < least:
                    best, least = threads, seconds
        return best

    def record(self, threads: int, steps: int, seconds: float, left: bool) -> None:
        """
        Record how long a chunk took.

        Parameters
        ----------
        threads : int
        steps : int
            The mini-batches in it.
        seconds : float
        left : bool
            Whether the team stopped early, because its threads waited too long for each other.
        """
        if threads == 1:
            self.serial_time += seconds
            each = seconds / max(1, steps)
            self.serial_seconds = (each if self.serial_seconds is None
                                   else min(each, 1.1 * self.serial_seconds))
        if threads == 1 or self.serial_seconds is None:
            return
        self.chunks, self.steps = self.chunks + 1, self.steps + steps
        self.seconds += seconds
        serial = self.steps * self.serial_seconds
        if not left and serial < JUDGE_AFTER[0] and self.chunks < JUDGE_AFTER[1]:
            return
        if left or self.seconds > serial * MAX_RELATIVE_TIME:
            self.retry_at = time.monotonic() + self.backoff
            self.backoff = min(2 * self.backoff, BACKOFF[1])
        else:
            self.backoff = max(self.backoff / 2, BACKOFF[0])
        self.chunks, self.steps, self.seconds = 0, 0, 0.0

    def timed(self, asked: int | None, gradient: Callable[[int], float]) -> float:
        """Compute the gradient of a mini-batch with so many threads, and record its time."""
        threads, start = self.threads(asked), time.perf_counter()
        cost = gradient(threads)
        self.record(threads, 1, time.perf_counter() - start, False)
        return cost

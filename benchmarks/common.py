"""
What the benchmarks share: a clean environment, one core, the machine's peak, timing, tables.

A benchmark calls `before_numpy` before it imports NumPy, or anything that does: a BLAS reads its
environment once, while it is loaded. Hence only the standard library is imported here.
"""

import contextlib
import datetime
import gc
import json
import os
import platform
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

# Opponents are never handicapped: each of these, once set and forgotten, makes one of them slower.
SLOWING = {
    "OPENBLAS_CORETYPE": "pins OpenBLAS to the kernels of one CPU, often an old one",
    "OPENBLAS_L2_SIZE": "makes OpenBLAS cut its blocks for another cache",
    "OPENBLAS_BLOCK_FACTOR": "makes OpenBLAS cut its blocks smaller",
    "MKL_DEBUG_CPU_TYPE": "pins MKL to the kernels of one CPU",
    "MKL_ENABLE_INSTRUCTIONS": "keeps MKL from newer instructions",
    "MKL_CBWR": "makes MKL slower for the sake of equal bits on all CPUs",
    "NVPL_BLAS_DEBUG_CPU_TYPE": "pins NVPL to the kernels of one CPU",
    "BLIS_ARCH_TYPE": "pins BLIS to the kernels of one CPU",
    "NPY_DISABLE_CPU_FEATURES": "keeps NumPy's own loops from newer instructions",
    "NPY_ENABLE_CPU_FEATURES": "keeps NumPy's own loops from all other instructions",
    "ATEN_CPU_CAPABILITY": "keeps PyTorch's own loops from newer instructions",
    "ONEDNN_MAX_CPU_ISA": "keeps oneDNN from newer instructions",
    "DNNL_MAX_CPU_ISA": "keeps oneDNN from newer instructions",
    "TORCHDYNAMO_DISABLE": "makes torch.compile do nothing",
    "TORCH_COMPILE_DISABLE": "makes torch.compile do nothing",
    "JAX_DISABLE_JIT": "makes JAX compile nothing",
    "XLA_FLAGS": "may keep XLA from newer instructions, or from optimising",
    "NUMBA_DISABLE_JIT": "makes Numba compile nothing",
    "NUMBA_OPT": "may keep Numba from optimising",
    "NUMBA_CPU_NAME": "keeps Numba from newer instructions",
    "NUMBA_CPU_FEATURES": "keeps Numba from newer instructions",
}
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS",
)
REALS = ("float32", "float64")
PEAK_SECONDS = 0.01  # of one measurement of the peak


# ---- before NumPy ----


@dataclass
class Start:
    """How this process was set up: what was cleared, where it is pinned, how many threads."""

    cleared: dict[str, str]
    cores: list[int] | None
    threads: int


def before_numpy(threads: int = 1) -> Start:
    """
    Clear what slows a BLAS, set its threads, and pin the process to as many cores.

    The cores are the last of those that the process may use: `taskset` chooses others.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("before_numpy must be called before NumPy is imported")
    cleared = {name: os.environ.pop(name) for name in SLOWING if name in os.environ}
    for name in THREADS:
        os.environ[name] = str(threads)
    if threads == 1:  # else XLA takes as many as there are cores: those that the process has
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    cores = None
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            wanted = sorted(os.sched_getaffinity(0))[-threads:]
            os.sched_setaffinity(0, wanted)
            cores = wanted
    return Start(cleared, cores, threads)


# ---- the environment ----


def cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def blas(threads: int) -> list[dict[str, Any]] | str:
    """Set the threads of every BLAS that is loaded, and tell which kernels they chose."""
    try:
        import threadpoolctl
    except ImportError:
        return "threadpoolctl is not installed: BLAS unknown"
    threadpoolctl.threadpool_limits(threads)
    keys = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    found = [
        {key: pool.get(key) for key in keys}
        for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"
    ]
    return found or "threadpoolctl knows none of the BLAS libraries loaded: BLAS unknown"


def environment(start: Start) -> dict[str, Any]:
    """Describe the machine, the versions, and what was chosen; to be printed and kept."""
    import numpy as np

    import cbackprop
    from cbackprop.core import _dispatch

    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": start.cores,
        "threads": start.threads,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cbackprop": cbackprop.__version__,
        "variant": _dispatch.ISA,
        "why": _dispatch.WHY,
        "blas": blas(start.threads),
        "cleared": start.cleared,
    }


def print_environment(about: dict[str, Any]) -> None:
    pools = about["blas"]
    if not isinstance(pools, str):
        pools = "; ".join(
            f"{pool['internal_api']} {pool['version']}, {pool['architecture']} kernels, "
            f"{count(pool['num_threads'], 'thread')}" for pool in pools)
    cores = about["cores"]
    pinned = ("not pinned: this system cannot" if cores is None else
              f"pinned to {count(len(cores), 'core')} (number {', '.join(map(str, cores))})")
    load = about["load"]
    load = "" if load is None else f", load average {load:.1f} at the start"
    lines = {
        "machine": f"{about['cpu']}, {about['system']}",
        "process": f"{pinned}, {count(about['threads'], 'thread')}{load}",
        "Python": about["python"],
        "NumPy": about["numpy"],
        "BLAS": pools,
        "cbackprop": f"{about['cbackprop']}, {about['variant']}: {about['why']}",
    }
    for name, text in lines.items():
        print(f"{name:<10} {text}")
    if about["cleared"]:
        for name, value in about["cleared"].items():
            print(f"{'cleared':<10} {name}={value}, before NumPy was imported: it {SLOWING[name]}")
    else:
        print(f"{'cleared':<10} nothing: no variable was set that slows a BLAS or NumPy")


def count(number: int, name: str) -> str:
    return f"{number} {name}" + "s" * (number != 1)


# ---- works ----


@dataclass(frozen=True)
class Work:
    """
    One epoch: a network, its mini-batches, its rows.

    An autoencoder's targets are its rows. Without an activation of its own, the output has that of
    the others. Optimizers are "sgd", "momentum" and "adam"; dropout is of the hidden layers.
    """

    sizes: tuple[int, ...]
    mini_batch_size: int
    rows: int
    eta: float
    activation: str = "sigmoid"
    output_activation: str | None = None
    cost: str = "quadratic"
    autoencoder: bool = False
    optimizer: str = "sgd"
    dropout: float = 0.0

    @property
    def name(self) -> str:
        """As on the command line."""
        return "-".join(map(str, self.sizes))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of the weights, (out, in)."""
        return list(zip(self.sizes[1:], self.sizes[:-1], strict=True))

    @property
    def flops_per_row(self) -> int:
        """Of (25) and BP4 in every layer, and of BP2 in every layer but the first; no padding."""
        products = [prod(shape) for shape in self.shapes]
        return 4 * sum(products) + 2 * sum(products[1:])

    def tiny(self) -> "Work":
        """Return the same network on a few mini-batches, no large ones."""
        m = min(self.mini_batch_size, 64)
        return replace(self, mini_batch_size=m, rows=(2 if m < self.mini_batch_size else 5) * m)

    def __str__(self) -> str:
        return (f"{list(self.sizes)}, mini-batches of {self.mini_batch_size}, {self.rows:,} rows, "
                f"{self.flops_per_row:,} flops per row"
                + f", {self.activation}" * (self.activation != "sigmoid")
                + ", autoencoder" * self.autoencoder)


# eta is such that no neuron saturates: denormal numbers would slow some down.
WORKS = {work.name: work for work in (
    Work((784, 30, 10), 10, 10_000, 3.0),
    Work((784, 100, 10), 10, 10_000, 1.0),
    Work((784, 512, 512, 10), 128, 12_800, 0.3),
    Work((784, 2048, 2048, 10), 256, 5_120, 0.03),
    Work((64, 64, 64, 8), 64, 32_000, 1.0),
    Work((8, 16, 16, 1), 32, 32_000, 3.0),
    Work((4, 32, 16, 4), 10_000, 10_000, 0.3, activation="tanh"),
    Work((784, 128, 32, 128, 784), 64, 12_800, 0.3, autoencoder=True),
)}


# ---- timing ----


class Stopwatch:
    """
    Time calls; and remember how much of that time the process had its core.

    Attributes
    ----------
    wall, cpu : float
        Seconds, of all calls so far.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __call__(self, function: Callable[[], object]) -> float:
        """Return the seconds of one call, without the garbage collector's."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            cpu = time.process_time()
            start = time.perf_counter()
            function()
            seconds = time.perf_counter() - start
            self.cpu += time.process_time() - cpu
        finally:
            if collecting:
                gc.enable()
        self.wall += seconds
        return seconds

    def __str__(self) -> str:
        share = min(1.0, self.cpu / self.wall) if self.wall else 1.0
        return f"the process had its core for {share:.1%} of the {self.wall:.1f} s measured"


stopwatch = Stopwatch()


@dataclass
class Timing:
    """Repeated measurements of one thing."""

    seconds: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The middle."""
        return statistics.median(self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Return a summary, to be written as JSON."""
        lower, _, upper = statistics.quantiles(
            self.seconds if len(self.seconds) > 1 else 2 * self.seconds, method="inclusive")
        return {"best": self.best, "lower_quartile": lower, "median": self.median,
                "upper_quartile": upper, "rounds": len(self.seconds)}


def interleaved(measures: Sequence[Callable[[], float]], rounds: int) -> list[Timing]:
    """Call each measure once a round, so that a slow minute of the machine hits all of them."""
    timings = [Timing() for _ in measures]
    for _ in range(rounds):
        for measure, timing in zip(measures, timings, strict=True):
            timing.seconds.append(measure())
    return timings


class Peak:
    """
    The most that one core can do in multiply-adds of one real type, in one variant.

    Attributes
    ----------
    flops : int
        Of one measurement.
    """

    def __init__(self, real: str, variant: str | None = None) -> None:
        from cbackprop.core import _dispatch

        self._chain = _dispatch.load(real, variant or _dispatch.ISA).peak_chain
        self._n = 20
        self.measure()  # the first finds the clock low
        self._n = max(1, round(self._n * PEAK_SECONDS / self.measure()))
        self.flops = self._chain(self._n)

    def measure(self) -> float:
        """Return the seconds of one chain of multiply-adds, the best of three."""
        return min(stopwatch(self.run) for _ in range(3))

    def run(self) -> None:
        """Do a chain."""
        self._chain(self._n)


class Cores:
    """
    Whether this process has its cores: on a shared machine two may be one core's for some seconds.

    Independent chains of multiply-adds, one in each thread, run together as fast as one alone, or
    they do not: nothing else is asked.

    Parameters
    ----------
    count : int
    patience : float
        Seconds to be spent, in all, on waiting for them and on measuring again.

    Attributes
    ----------
    worth : float
        How many times faster so many chains are than one after another, at best.
    waited : float
        Seconds that were spent.
    kept : int
        Measurements that had to be kept although they were not there.
    """

    NEARLY, LOOKS = 0.95, 20

    def __init__(self, count: int, patience: float) -> None:
        self.count, self.patience, self.peak = count, patience, Peak("float32")
        self.alone = self.peak.measure()
        self.worth = self.waited = 0.0
        self.kept = 0
        for _ in range(self.LOOKS):
            self.are_there()

    def are_there(self) -> bool:
        """Find out now."""
        chains = [threading.Thread(target=self.peak.run) for _ in range(self.count)]
        self.alone = min(self.alone, stopwatch(self.peak.run))
        together = stopwatch(lambda: [[chain.start() for chain in chains],
                                      [chain.join() for chain in chains]])
        now = self.count * self.alone / together
        self.worth = max(self.worth, now)
        return now >= self.NEARLY * self.worth

    def measure(self, measure: Callable[[], float]) -> float:
        """Return a measurement before and behind which they were there, if patience allows."""
        while True:
            start = time.perf_counter()
            before = self.are_there()
            while not before and self.waited + time.perf_counter() - start < self.patience:
                before = self.are_there()
            self.waited += time.perf_counter() - start
            seconds = measure()
            there = self.are_there() and before
            if there or self.waited >= self.patience:
                self.kept += not there
                return seconds
            self.waited += seconds

    def __str__(self) -> str:
        return (f"{self.count} chains of multiply-adds at once were at best {self.worth:.2f} times "
                f"as fast as one after another. {self.waited:.0f} s were spent on waiting for "
                f"{self.NEARLY:.0%} of that before and behind each measurement, and {self.kept} "
                f"measurements kept without")


# ---- what is printed and kept ----


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they must be: the first to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) if at else cell.ljust(width)
                  for at, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines)


def times(ratio: float) -> str:
    return f"{ratio:.2f} x" if ratio < 10 else f"{ratio:.1f} x"


def write_json(path: str | os.PathLike[str], results: dict[str, Any]) -> None:
    """Write lists and dictionaries in which there are no others on one line each."""
    text = json.dumps(results, indent=1)
    for innermost in (r"\[[^\[\]{}]*\]", r"\{[^{}]*\}"):  # a dictionary may have such lists
        text = re.sub(innermost, lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text)
    Path(path).write_text(text + "\n", encoding="utf-8")

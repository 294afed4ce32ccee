"""
What more ranks are worth: steps of 1 to N processes over MPI, and a model of them.

Each rank has a core of its own while there are as many. Weak scaling keeps the rows of a rank in a
mini-batch, strong scaling those of all. Each step is timed with the exchange and without it (each
rank then steps by itself), which tells the share of communication. The exchange alone is timed for
1 to 2^22 numbers; latency and bandwidth are fitted to that. A step should take what its arithmetic
and a latency and the bytes of each piece do: the model beside the measurement. `--carry-on` prints
what the same model says of up to 1,000 machines, for docs/mpi.md; it measures nothing.

    python benchmarks/scaling.py [--ranks N] [--repeat N] [--carry-on] [--tiny] [--json FILE]
"""

import argparse
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
WORKER = "--worker"
if WORKER in sys.argv:  # a core for each rank, before a BLAS is loaded
    from mpi4py import MPI

    if CORES:
        os.sched_setaffinity(0, {CORES[MPI.COMM_WORLD.rank % len(CORES)]})

import common  # noqa: E402  only now
from command import Bound, Command, Results, positive  # noqa: E402
from common import stopwatch, table  # noqa: E402

START = common.before_numpy(threads=1)

import numpy as np  # noqa: E402  only now

import cbackprop  # noqa: E402

WORKS = {  # sizes, and the rows of a rank in a mini-batch
    "784-30-10": ((784, 30, 10), 64),
    "784-100-10": ((784, 100, 10), 64),
    "784-512-512-10": ((784, 512, 512, 10), 64),
    "784-2048-2048-10": ((784, 2048, 2048, 10), 128),
}
ETA, BYTES = 0.01, 4
STEPS, FLOPS = 256, 4e9  # of an epoch, at most; but two steps
NUMBERS = tuple(2**k for k in range(0, 23, 2))
OFF = 2.0  # how many times longer or shorter than its model a step may take


class Network(NamedTuple):
    """A network between machines: what its specification, or who measured it, says."""

    name: str
    bandwidth: float  # bytes in a second, in each direction
    latency: float  # seconds of a message


NETWORKS = (
    Network("Ethernet, 10 Gbit/s, TCP", 10e9 / 8, 15e-6),
    Network("Ethernet, 100 Gbit/s, RoCE", 100e9 / 8, 2e-6),
    Network("InfiniBand HDR, 200 Gbit/s", 200e9 / 8, 1.6e-6),
)
RANKS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
MACHINE = 32 * 0.8 * 70e9  # operations in a second: 32 cores at 80 % of the speed of one of them


# ---- the model ----


def pieces(sizes: tuple[int, ...]) -> list[int]:
    """Return the bytes of each sum of a step: layers, last first, in pieces as the library has."""
    from cbackprop.mpi.ranks import PIECE_BYTES

    found, size = [], 0
    for layer in range(len(sizes) - 2, -1, -1):
        size += BYTES * (sizes[layer] + 1) * sizes[layer + 1]
        if layer == 0 or size >= PIECE_BYTES:
            found.append(size)
            size = 0
    return found


def exchange_seconds(sizes: tuple[int, ...], latency: float, per_byte: float) -> float:
    """Return how long the sums of a step take one after another."""
    return sum(latency + per_byte * size for size in pieces(sizes))


def allreduce(ranks: int, network: Network) -> tuple[float, float]:
    """Return latency and seconds per byte of a sum over ranks, by Rabenseifner's algorithm."""
    return (2 * math.ceil(math.log2(ranks)) * network.latency,
            2 * (ranks - 1) / ranks / network.bandwidth)


def flops(sizes: tuple[int, ...], rows: float) -> float:
    """Return the arithmetic of a step: three products, but two in the first layer."""
    weights = [k * j for k, j in itertools.pairwise(sizes)]
    return 2 * rows * (3 * sum(weights) - weights[0])


def fit(numbers: list[int], seconds: list[float]) -> tuple[float, float]:
    """Return latency and seconds per byte, with the least relative errors."""
    t = np.array(seconds)
    columns = np.stack([1 / t, BYTES * np.array(numbers) / t], axis=1)
    (latency, per_byte), *_ = np.linalg.lstsq(columns, np.ones(len(t)), rcond=None)
    return max(float(latency), 0.0), max(float(per_byte), 0.0)


# ---- a rank ----


def work_of_ranks(arguments: argparse.Namespace) -> None:
    """Time all works on the ranks of this job; rank 0 prints what was found."""
    comm, tiny, repeat = MPI.COMM_WORLD, arguments.tiny, arguments.repeat
    found: dict[str, Any] = {"steps": {}, "sums": sums(comm, repeat, tiny)}
    for name in arguments.work:
        sizes, rows = WORKS[name][0], 2 if tiny else WORKS[name][1]
        found["steps"][name] = {
            "weak": step_seconds(comm, sizes, rows * comm.size, repeat, tiny),
            "strong": step_seconds(comm, sizes, 4 * rows, repeat, tiny)}
    if comm.rank == 0:
        print(json.dumps(found))


def step_seconds(
    comm: Any, sizes: tuple[int, ...], m: int, repeat: int, tiny: bool
) -> dict[str, float]:
    """Return the seconds of a step of m rows in all: together, and each rank by itself."""
    steps = 2 if tiny else max(2, min(STEPS, int(FLOPS / flops(sizes, m))))
    n = steps * m // comm.size
    rng = np.random.default_rng(comm.rank)
    data = rng.random((n, sizes[0]), np.float32), rng.random((n, sizes[-1]), np.float32)
    found = {"together": math.inf, "alone": math.inf}
    for _ in range(repeat):
        for name, given in (("together", {}), ("alone", {"average_every": 10**6})):
            net = cbackprop.Network(sizes, seed=0, threads=1)
            history = net.SGD(data, 3, m, ETA, comm=comm, **given)
            found[name] = min(found[name], *(s / steps for s in history.seconds))
    return found


def sums(comm: Any, repeat: int, tiny: bool) -> list[float]:
    """Return the seconds of a sum of each size."""
    from cbackprop.core import _dispatch
    from cbackprop.mpi.exchange import Exchange, Sum

    found = []
    for size in NUMBERS[:4] if tiny else NUMBERS:
        exchange = Exchange(comm, _dispatch.load("float32").aligned, [(0, size)], Sum)
        times = 2 if tiny else max(3, min(200, 2**24 // size))
        best = math.inf
        for _ in range(repeat):
            comm.Barrier()

            def all_of_them(exchange: Any = exchange, times: int = times) -> None:
                exchange.begin(times)
                for _ in range(times):
                    exchange.start()
                    exchange.wait()

            best = min(best, stopwatch(all_of_them) / times)
        found.append(max(comm.allgather(best)))
    return found


# ---- all ranks ----


def launch(ranks: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run this file on so many ranks."""
    beside = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    mpiexec = shutil.which("mpiexec", path=beside)
    if mpiexec is None:
        raise SystemExit("scaling needs an MPI library: pip install mpi4py mpich")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py", str(Path(__file__)),
               WORKER, "--repeat", str(arguments.repeat), "--work", *arguments.work]
    done = subprocess.run(command + ["--tiny"] * arguments.tiny, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{ranks} ranks failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(arguments: argparse.Namespace) -> Results:
    if arguments.carry_on:
        return {"carried_on": carry_on(arguments.work)}
    print(f"{'data':<10} synthetic: uniform rows, random targets, float32")
    print(f"{'cores':<10} {len(CORES)}: more ranks than that share them, and show what that costs")
    print(f"{'MPI':<10} {mpi_library()}\n")
    if CORES:  # this process measures nothing: the ranks may have all of them
        os.sched_setaffinity(0, CORES)
    measured, sums_of = [], {}
    for ranks in range(1, (2 if arguments.tiny else arguments.ranks) + 1):
        found = launch(ranks, arguments)
        latency, per_byte = sums_of[ranks] = fit(list(NUMBERS)[:len(found["sums"])], found["sums"])
        for name, kinds in found["steps"].items():
            for kind, seconds in kinds.items():
                measured.append({
                    "work": name, "kind": kind, "ranks": ranks, **seconds,
                    "communication": max(0.0, 1 - seconds["alone"] / seconds["together"]),
                    "model": seconds["alone"] + (ranks > 1) * exchange_seconds(
                        WORKS[name][0], latency, per_byte)})
    for one in measured:
        first = next(each for each in measured if each["ranks"] == 1
                     and all(each[key] == one[key] for key in ("work", "kind")))
        rows = one["ranks"] if one["kind"] == "weak" else 1
        one["efficiency"] = rows * first["together"] / one["together"] / one["ranks"]
    print_measured(measured)
    print()
    print(table(("ranks", "latency us", "GB/s"), [
        (str(ranks), f"{1e6 * latency:.1f}", f"{1e-9 / per_byte:.2f}" if per_byte else "")
        for ranks, (latency, per_byte) in sums_of.items()]))
    fitting = [one for one in measured if 1 < one["ranks"] <= len(CORES)]
    off = [max(one["together"] / one["model"], one["model"] / one["together"]) for one in fitting]
    return {"steps": measured, "sums": {
        ranks: {"latency": latency, "seconds_per_byte": per_byte}
        for ranks, (latency, per_byte) in sums_of.items()}, "bounds": [
            Bound("a step against its model, times off", OFF, max(off), at_least=False)] if off
        else []}


def mpi_library() -> str:
    from mpi4py import MPI

    return MPI.Get_library_version().split("\n")[0].replace("\t", " ").strip("\0 ")


def print_measured(measured: list[dict[str, Any]]) -> None:
    print(table(("network", "scaling", "ranks", "us a step", "alone", "communication",
                 "efficiency", "model us"), [
        (one["work"] if one["ranks"] == 1 and one["kind"] == "weak" else "", one["kind"],
         str(one["ranks"]), f"{1e6 * one['together']:.0f}", f"{1e6 * one['alone']:.0f}",
         f"{100 * one['communication']:.0f} %", f"{100 * one['efficiency']:.0f} %",
         f"{1e6 * one['model']:.0f}")
        for one in sorted(measured, key=lambda each: (
            list(WORKS).index(each["work"]), each["kind"] != "weak", each["ranks"]))]))


# ---- carried on ----


def carry_on(works: list[str]) -> list[dict[str, Any]]:
    """Print the efficiency of up to 1,000 machines, by the model."""
    found, lines = [], []
    for name in works:
        sizes, _ = WORKS[name]
        for rows in (64, 512, 4096):
            for network in NETWORKS:
                shares = [efficiency(sizes, rows, ranks, network) for ranks in RANKS]
                strong = most_ranks(sizes, network, 8 * rows)
                found.append({"work": name, "rows": rows, "network": network.name,
                              "weak": dict(zip(RANKS, shares, strict=True)), "strong": strong})
                lines.append((name, str(rows), network.name, *(
                    f"{100 * share:.0f} %" for share in shares[::3]), f"{8 * rows:,}", str(strong)))
    print(table(("network", "rows a rank", "between machines", *(
        f"{ranks} ranks" for ranks in RANKS[::3]), "rows in all", "ranks at 50 %"), lines))
    return found


def efficiency(sizes: tuple[int, ...], rows: float, ranks: int, network: Network) -> float:
    """Return the share of its time that a machine with so many rows computes; nothing overlaps."""
    seconds = flops(sizes, rows) / MACHINE
    return seconds / (seconds + exchange_seconds(sizes, *allreduce(ranks, network)))


def most_ranks(sizes: tuple[int, ...], network: Network, rows: int) -> int:
    """Return how many ranks can share so many rows, and compute half of the time."""
    fitting = [ranks for ranks in range(2, min(rows, RANKS[-1]) + 1)
               if efficiency(sizes, rows / ranks, ranks, network) >= 0.5]
    return max(fitting, default=1)


main = Command(
    "scaling", __doc__, START, measure, repeat=5, works=list(WORKS), options={
        "--ranks": {"type": positive, "default": 4, "metavar": "N", "help": "the most (4)"},
        "--carry-on": {"action": "store_true", "help": "to 1,000 machines, by the model alone"},
        WORKER: {"action": "store_true", "help": argparse.SUPPRESS}},
    aim="with a core for each rank")


if __name__ == "__main__":
    if WORKER in sys.argv:
        work_of_ranks(main.arguments(None))
    else:
        main()

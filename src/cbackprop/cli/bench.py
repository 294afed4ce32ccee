"""Bench: this machine's epochs, beside NumPy's."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

from cbackprop._check import integer, sizes
from cbackprop._text import table as aligned
from cbackprop.cli.output import Output
from cbackprop.core import _dispatch

SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
           "NPY_DISABLE_CPU_FEATURES")  # once set and forgotten, each makes NumPy slower
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
           "VECLIB_MAXIMUM_THREADS")


def bench(args: argparse.Namespace, output: Output) -> None:
    """Time epochs of cbackprop and NumPy by turns, and print the least and the median."""
    checked = list(sizes(args.sizes))
    batch = integer("--batch", args.mini_batch_size, 1)
    rows = integer("--rows", args.rows, 1)
    if rows < batch:
        raise ValueError(f"--rows must be at least --batch, {batch}, got {rows}")
    repeat, threads = integer("--repeat", args.repeat, 1), integer("--threads", args.threads, 1)
    cores = (sorted(os.sched_getaffinity(0))[-threads:] if hasattr(os, "sched_getaffinity")
             else [])
    environment = {name: value for name, value in os.environ.items() if name not in SLOWING}
    environment |= dict.fromkeys(THREADS, str(threads))
    asked = {"sizes": checked, "batch": batch, "rows": rows, "real": args.dtype, "repeat": repeat,
             "threads": threads, "seed": args.seed, "cores": cores}
    done = subprocess.run([sys.executable, "-m", "cbackprop.cli.race", json.dumps(asked)],
                          env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise OSError(f"bench: its process ended with status {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise ValueError(found["error"])
    n, seconds = found["rows"], found["seconds"]
    least = {name: min(times) for name, times in seconds.items()}
    pinned = f"pinned to {_cores(cores)}" if cores else "not pinned"
    output.line(f"{','.join(map(str, checked))}, sigmoid, quadratic cost, mini-batches of {batch}, "
                f"{n:,} rows, {args.dtype}")
    output.line(f"{_dispatch.ISA}; {threads} thread{'s' * (threads > 1)}, {pinned}; {repeat} "
                f"epochs each, by turns")
    output.line(f"checked: after an epoch parameters agree to {found['apart']:.1e} of the largest "
                f"(at most {found['tolerance']:g})")
    output.line()
    output.line(aligned(["", "least, ms", "median, ms", "rows per second", "times NumPy"], [
        [name, f"{least[name] * 1e3:.3f}", f"{statistics.median(times) * 1e3:.3f}",
         f"{n / least[name]:,.0f}", f"{least['NumPy'] / least[name]:.2f}"]
        for name, times in seconds.items()], left=(0,)))
    output.add(command="bench", sizes=checked, batch=batch, dtype=args.dtype, threads=threads,
               cores=cores, instruction_set=_dispatch.ISA, **found,
               least={name: least[name] for name in seconds},
               median={name: statistics.median(times) for name, times in seconds.items()})


def _cores(cores: list[int]) -> str:
    return f"core{'s' * (len(cores) > 1)} {', '.join(map(str, cores))}"

"""
What one core can do at best, and the least time that a work needs with that: the roofline.

The model is small: multiply-adds at their peak, and the bytes that must cross each level of memory,
all at the same time. What is slowest is the bound. Nothing is counted twice, and nothing that could
stay in registers or in the L1: not activations, errors, nor the copies that a program makes.
"""

from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from common import Work, stopwatch

ITEM = {"uint8": 1, "float32": 4, "float64": 8}  # bytes
LEVELS = ("L1", "L2", "L3", "memory")
USUAL = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}  # where the system does not say
READ_SECONDS = 0.003  # of one measurement


@cache
def cache_sizes() -> dict[str, int]:
    """Return bytes, by level, of the caches that the first core may use."""
    sizes = dict(USUAL)
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind, level, size = (
                (index / name).read_text().strip() for name in ("type", "level", "size"))
            if kind != "Instruction" and f"L{level}" in sizes:
                sizes[f"L{level}"] = int(size.removesuffix("K")) << 10
        except (OSError, ValueError):
            continue
    return sizes


def level_of(size: float) -> str:
    """Return the nearest level that holds so many bytes."""
    return next((level for level, most in cache_sizes().items() if size <= most), "memory")


class Bandwidth:
    """
    How fast one core reads from one level, in the vectors of the variant chosen.

    Attributes
    ----------
    bytes : int
        Of one measurement.
    """

    def __init__(self, level: str, tiny: bool = False) -> None:
        from cbackprop.core import _dispatch

        self._read = _dispatch.load("float32").read_over
        caches = cache_sizes()
        size = {"L1": caches["L1"] // 2, "L2": caches["L2"] // 2,
                "L3": max(2 * caches["L2"], caches["L3"] // 4),
                "memory": min(max(4 * caches["L3"], 64 << 20), 512 << 20)}[level]
        if tiny:
            size = min(size, 4 << 20)
        whole = np.ones(size // 4 + 16, np.float32)
        self._array = whole[-whole.ctypes.data % 64 // 4:][:size // 4]
        self._times = 1
        self.measure()  # the first also finds the array elsewhere
        self._times = max(1, round(READ_SECONDS / self.measure()))
        self.bytes = self._read(self._array, self._times)

    def measure(self) -> float:
        """Return the seconds of one reading, the better of two."""
        return min(stopwatch(lambda: self._read(self._array, self._times)) for _ in range(2))


@dataclass(frozen=True)
class Limits:
    """Best values measured: flops per second by real type, bytes per second by level."""

    peak_flops_per_second: dict[str, float]
    bytes_per_second: dict[str, float]


def roofline(work: Work, limits: Limits, real: str, rows: str) -> dict[str, Any]:
    """
    Return the least seconds of an epoch, and what bounds them.

    Rows and targets are read once, from the level that holds them all. Weights are read in each
    mini-batch by (25) and, but for the first layer, by BP2, and read and written by BP4: in the
    level that holds them.

    Returns
    -------
    dict
        seconds, bound ("FMA" or a level); bytes that cross the level that takes longest, that
        level, and flops per byte of it; and bytes by level.
    """
    flops = work.rows * work.flops_per_row
    examples = work.rows * work.sizes[0] * ITEM[rows]
    if not work.autoencoder:
        examples += work.rows * work.sizes[-1] * ITEM[real]
    weights = [prod(shape) * ITEM[real] for shape in work.shapes]
    steps = -(-work.rows // work.mini_batch_size)
    crossing = dict.fromkeys(LEVELS, 0)
    crossing[level_of(examples)] += examples
    crossing[level_of(sum(weights))] += steps * (3 * sum(weights) + sum(weights[1:]))
    seconds = {level: crossing[level] / limits.bytes_per_second[level] for level in LEVELS}
    slowest = max(seconds, key=lambda level: seconds[level])
    seconds["FMA"] = flops / limits.peak_flops_per_second[real]
    bound = max(seconds, key=lambda what: seconds[what])
    return {"seconds": seconds[bound], "bound": bound, "level": slowest,
            "bytes": crossing[slowest], "flops_per_byte": flops / crossing[slowest],
            "bytes_by_level": crossing}

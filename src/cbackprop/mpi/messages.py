"""Python's objects from all ranks to all, and how to wait for MPI."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SHORT = 512  # bytes of an object that arrive in one message
SPINS = 200  # some 0.1 ms, in which most messages arrive
PAUSE = 5e-5  # seconds between two looks after that: the core may be another rank's

_yield = getattr(os, "sched_yield", lambda: time.sleep(0))  # not on Windows


def wait(done: Callable[[], object]) -> None:
    """Wait until `done` returns True; other ranks and threads may run meanwhile."""
    for _ in range(SPINS):
        if done():
            return
        _yield()
    while not done():
        time.sleep(PAUSE)


def gathered(comm: Any, value: Any) -> list[Any]:
    """
    Return the values of all ranks.

    MPI's own waiting would keep a core busy that another rank may need.
    """
    packed = np.frombuffer(pickle.dumps(value), np.uint8)
    sent = np.zeros(8 + SHORT, np.uint8)
    sent[:8].view(np.int64)[0] = packed.size
    sent[8:8 + packed.size] = packed[:SHORT]
    heads = np.empty((comm.size, 8 + SHORT), np.uint8)
    wait(comm.Iallgather(sent, heads).Test)
    sizes = heads[:, :8].copy().view(np.int64).ravel()
    rests = np.maximum(0, sizes - SHORT)
    rest = np.empty(int(rests.sum()), np.uint8)
    if rest.size:
        wait(comm.Iallgatherv(packed[SHORT:], (rest, rests.tolist())).Test)
    ends = np.cumsum(rests)
    return [pickle.loads(head[8:8 + min(size, SHORT)].tobytes() + rest[end - more:end].tobytes())
            for head, size, end, more in zip(heads, sizes, ends, rests, strict=True)]

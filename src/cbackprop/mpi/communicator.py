"""The library's own copy of a communicator, on which nobody else sends anything."""

from __future__ import annotations

import functools
import os
from typing import Any, NamedTuple

from cbackprop import _check
from cbackprop.mpi import endings


class Duplicate(NamedTuple):
    """A communicator for the library alone, and how many ranks share this rank's cores."""

    comm: Any
    sharing: int


def duplicated(comm: Any) -> Duplicate:
    """
    Return the copy of a communicator, which is made once; all ranks call it.

    Raises
    ------
    TypeError
        If it is no communicator within which all ranks reach each other.
    """
    rule = "comm must be an intracommunicator of mpi4py, such as MPI.COMM_WORLD"
    if type(comm).__module__.partition(".")[0] != "mpi4py":  # without starting MPI
        raise TypeError(f"{rule}, got {_check.shown(comm)}")
    from mpi4py import MPI

    if comm == MPI.COMM_NULL:  # freed, or that of a rank outside of a Split
        raise TypeError(f"{rule}, got MPI.COMM_NULL")
    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"{rule}, got {_check.shown(comm)}")
    found: Duplicate | None = comm.Get_attr(_key())
    if found is None:
        copied = comm.Dup()
        node = copied.Split_type(MPI.COMM_TYPE_SHARED)
        cores = node.allgather(_affinity())
        sharing = sum(not theirs.isdisjoint(cores[node.rank]) for theirs in cores)
        node.Free()
        found = Duplicate(copied, sharing)
        comm.Set_attr(_key(), found)
        endings.watch(copied)
    return found


@functools.cache
def _key() -> int:
    """Return the key under which a communicator keeps its copy."""
    from mpi4py import MPI

    key: int = MPI.Comm.Create_keyval(nopython=False)
    return key


def _affinity() -> set[int]:
    """Return the cores on which this process may run."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # not on macOS and Windows
        return set(range(os.cpu_count() or 1))

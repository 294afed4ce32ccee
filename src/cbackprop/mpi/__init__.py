"""
Training on several machines: the ranks of MPI each have a share of the rows.

``Network.SGD(..., comm=MPI.COMM_WORLD)`` trains one network on all of them (extra ``mpi``).
docs/mpi.md says how.
"""

from typing import Any

from cbackprop.mpi.alone import Alone
from cbackprop.mpi.shares import deal, share

__all__ = ["deal", "share"]


def processes(comm: Any, average_every: Any, reduce_dtype: Any) -> Alone:
    """
    Return what does the common work of a training: the ranks of a communicator, or one process.

    Raises
    ------
    TypeError, ValueError
        If an argument is bad, or needs a communicator.
    """
    if comm is None:
        for name, value in (("average_every", average_every), ("reduce_dtype", reduce_dtype)):
            if value is not None:
                raise ValueError(f"{name} must be None without comm, got {value!r}")
        return Alone()
    from cbackprop.mpi.ranks import Ranks  # only now: not everyone has mpi4py

    return Ranks(comm, average_every, reduce_dtype)

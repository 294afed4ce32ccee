"""
Training on several machines: the ranks of MPI each have a share of the rows.

``Network.SGD(..., comm=MPI.COMM_WORLD)`` trains one network on all of them (extra ``mpi``).
docs/mpi.md says how.
"""

from typing import Any

from cbackprop import _extras
from cbackprop.mpi.shares import deal, share
from cbackprop.mpi.single_process import SingleProcess

__all__ = ["deal", "share"]


def processes(comm: Any, average_every: Any = None, reduce_dtype: Any = None) -> SingleProcess:
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
        return SingleProcess()
    from cbackprop.mpi.ranks import Ranks  # only now: not everyone has mpi4py

    return Ranks(comm, average_every, reduce_dtype)


def world(by: str) -> Any:
    """
    Return the communicator of all processes that mpiexec has started.

    Parameters
    ----------
    by : str
        What needs it.

    Raises
    ------
    ModuleNotFoundError
        If mpi4py or an MPI library is missing.
    """
    mpi4py = _extras.library("mpi4py", by, "mpi")
    try:
        return _extras.library(f"{mpi4py.__name__}.MPI", by, "mpi").COMM_WORLD
    except RuntimeError:  # mpi4py is there
        raise ModuleNotFoundError(f"{by} needs an MPI library: pip install mpich, or the "
                                  "system's") from None

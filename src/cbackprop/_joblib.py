"""Jobs for joblib's workers, in other processes or on other machines: their data is sent once."""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check

LARGE = 2**10  # bytes of an array from which it is not a part of the pickle


class Asked(NamedTuple):
    """The wish of `joblib.parallel_config`: threads here, or a number of workers; or neither."""

    threads: int | None = None
    workers: int | None = None  # as joblib's n_jobs: -1 is all


def asked() -> Asked:
    """Return what joblib is configured for at this moment."""
    joblib = sys.modules.get("joblib")  # whoever has configured it has imported it
    if joblib is None:
        return Asked()
    backend, n_jobs = joblib.parallel.get_active_backend()
    if getattr(backend, "supports_sharedmem", False):
        return Asked(threads=backend.effective_n_jobs(n_jobs) if n_jobs else None)
    # Without a configuration, joblib names a backend as well; only this tells.
    config = getattr(joblib.parallel._backend, "config", {})
    if not n_jobs and not hasattr(config.get("backend"), "effective_n_jobs"):
        return Asked()
    return Asked(workers=n_jobs or -1)


def sent(data: Any) -> tuple[Any, ...]:
    """
    Return data as arguments of a joblib's job, the same for all jobs; `received` undoes it.

    For workers, the data is pickled once. Large arrays in it are arguments of their own: loky maps
    them into the memory of its processes, and Dask scatters them. Ray's store takes the data whole.
    """
    if asked().workers is None:
        return (_Here(data),)
    backend, _ = sys.modules["joblib"].parallel.get_active_backend()
    if type(backend).__module__.partition(".")[0] == "ray":
        return (_InRay(importlib.import_module("ray").put(data)),)
    file = io.BytesIO()
    pickler = _pickler(file)
    pickler.dump(data)
    return (np.frombuffer(file.getvalue(), np.uint8), *pickler.arrays)


def check_sendable(name: str, value: Any) -> None:
    """
    See that an argument can be sent to other processes; backends name neither it nor the reason.

    Raises
    ------
    TypeError
        If it cannot be pickled.
    """
    for one in value if isinstance(value, list) else [value]:
        try:
            _pickler(io.BytesIO()).dump(one)
        except Exception as error:  # whatever its class does
            raise TypeError(f"{name} must be what can be pickled, to be sent to joblib's workers, "
                            f"got {_check.shown(one)}: {error}") from None


def received(pickled: Any, *arrays: NDArray[Any]) -> Any:
    """Return the data of `sent`, in a worker. Arrays are not copied, and may be read-only."""
    if isinstance(pickled, (_Here, _InRay)):
        return pickled.get()
    return _Unpickler(io.BytesIO(pickled), arrays).load()


class _Here:
    def __init__(self, data: Any) -> None:
        self.data = data

    def get(self) -> Any:
        return self.data


class _InRay:
    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def get(self) -> Any:
        return importlib.import_module("ray").get(self.reference)


def _pickler(file: io.BytesIO) -> Any:
    """Return a pickler that leaves large arrays out, and lists them in `arrays`."""
    try:  # a user's functions may be in __main__
        cloudpickle = importlib.import_module("cloudpickle")
    except ModuleNotFoundError:  # before joblib 1.6
        cloudpickle = importlib.import_module("joblib.externals.cloudpickle")

    class Pickler(cloudpickle.Pickler):  # type: ignore[name-defined,misc]
        def persistent_id(self, found: Any) -> int | None:
            if type(found) not in (np.ndarray, np.memmap) or (
                    found.nbytes < LARGE or found.dtype.hasobject):
                return None
            for at, array in enumerate(self.arrays):
                if array is found:
                    return at
            self.arrays.append(found)
            return len(self.arrays) - 1

    pickler = Pickler(file)
    pickler.arrays = []
    return pickler


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, arrays: tuple[NDArray[Any], ...]) -> None:
        super().__init__(file)
        self.arrays = arrays

    def persistent_load(self, pid: int) -> NDArray[Any]:
        return self.arrays[pid]

"""The properties of this installation, and the instruction set that it chose."""

import platform

import numpy as np

from cbackprop import precision, thread_choice
from cbackprop._version import __version__
from cbackprop.core import _dispatch, _runtime


def config() -> dict[str, str]:
    """
    Return the installation as a dictionary of strings.

    Examples
    --------
    >>> import cbackprop
    >>> sorted(cbackprop.config.config())[:3]
    ['NumPy', 'Python', 'bfloat16']
    """
    return {
        "cbackprop": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "built": ", ".join(_dispatch.BUILT),
        "this CPU runs": ", ".join(_dispatch.SUPPORTED),
        "instruction set": f"{_dispatch.ISA}: {_dispatch.WHY}",
        "bfloat16": precision.how_bfloat16(),
        "threads": _threads(),
    }


def _threads() -> str:
    if not _runtime.openmp_threads():
        return "1: built without OpenMP"
    return f"{thread_choice.most()}: of {thread_choice.cores()} cores that this process may use"


def show_config() -> None:
    """
    Print what this installation is, which instruction set it chose, and why.

    Examples
    --------
    >>> import cbackprop
    >>> cbackprop.show_config()  # doctest: +ELLIPSIS
    cbackprop        ...
    """
    for name, value in config().items():
        print(f"{name:<16} {value}")

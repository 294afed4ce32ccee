"""Load the highest build of the core that exists, that this CPU runs and that is allowed.

The environment variable ``CBACKPROP_ISA`` sets the highest level allowed. It is read when the
package is imported.
"""

import importlib
import importlib.util
import os
import sys
from functools import cache
from types import ModuleType

from cbackprop import _endings
from cbackprop.core import _cpu, _runtime

LEVELS = ("baseline", "v3", "v4", "v4bf16")
REALS = ("float32", "float64")
TYPES = (*REALS, "bfloat16")  # float32 with products of bfloat16
OWN = {"v4bf16": ("bfloat16",)}  # a level that adds to some types alone


def _name(real: str, isa: str) -> str:
    return f"cbackprop.core.builds._{isa}_{real}"


SUPPORTED = _cpu.supported()
BUILT = [isa for isa in LEVELS
         if all(importlib.util.find_spec(_name(real, isa)) for real in OWN.get(isa, TYPES))]


def choose(asked: str | None) -> tuple[str, str]:
    """
    Choose the instruction set level.

    Parameters
    ----------
    asked : str or None
        The highest level allowed, as in ``CBACKPROP_ISA``.

    Returns
    -------
    isa, why : str
        The level, and the reason for it.

    Raises
    ------
    ImportError
        If the level asked for is unknown, was not built, or cannot run here.
    """
    runnable = [isa for isa in BUILT if isa in SUPPORTED]
    if not asked:
        return runnable[-1], f"the highest of {runnable} that this CPU runs"
    if asked not in LEVELS:
        raise ImportError(f"CBACKPROP_ISA must be one of {list(LEVELS)}, got {asked!r}")
    if asked not in BUILT:
        raise ImportError(f"CBACKPROP_ISA={asked} was not built: this installation has {BUILT}")
    if asked not in SUPPORTED:
        raise ImportError(f"CBACKPROP_ISA={asked} is not supported by this CPU, "
                          f"which runs {SUPPORTED}")
    return asked, "CBACKPROP_ISA asks for it"


try:
    ISA, WHY = choose(os.environ.get("CBACKPROP_ISA"))
except ImportError as error:
    if _endings.is_command():  # of which nothing is loaded yet that could say it
        sys.exit(f"cbackprop: error: {error}")
    raise


LOADED: list[ModuleType] = [_runtime]  # each module has its own OpenMP threads


@cache
def load(real: str, isa: str = ISA) -> ModuleType:
    """Import the build of the core for a type, which may be of a lower level than `isa`."""
    levels = [isa, *reversed(BUILT[:BUILT.index(isa)])]
    own = next(level for level in levels if real in OWN.get(level, TYPES))
    build = importlib.import_module(_name(real, own))
    if build not in LOADED:
        LOADED.append(build)
    return build

"""Libraries that only some calls need: imported when they are, and missed by name."""

import importlib
from typing import Any


def library(module: str, by: str, extra: str) -> Any:
    """
    Import a module.

    Raises
    ------
    ModuleNotFoundError
        Without it; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{by} needs {error.name}: pip install 'cbackprop[{extra}]'",
                                  name=error.name) from None

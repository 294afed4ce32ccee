"""Libraries that only some calls need: imported when they are, and missed by name."""

import importlib
from typing import Any

KERAS_BACKENDS = ("tensorflow", "jax", "torch", "openvino")


def library(module: str, by: str, extra: str) -> Any:
    """
    Import a module.

    Raises
    ------
    ModuleNotFoundError
        Without it; names the extra that brings it. Keras' backend is brought by none.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        remedy = f"{error.name}: pip install 'cbackprop[{extra}]'"
        missing = str(error.name).partition(".")[0]
        if module == "keras" and missing in KERAS_BACKENDS:
            remedy = (f"a backend of Keras, and {missing} is not installed: start Python with "
                      "KERAS_BACKEND=torch or jax, or pip install one")
        raise ModuleNotFoundError(f"{by} needs {remedy}", name=error.name) from None


def pandas(by: str) -> Any:
    """
    Import pandas, which no extra brings.

    Raises
    ------
    ModuleNotFoundError
        Without it.
    """
    try:
        return importlib.import_module("pandas")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{by} needs pandas: pip install pandas") from None

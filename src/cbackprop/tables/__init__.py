"""Tables: files and frames as named columns, the target, and the preprocessing of the others."""

import importlib
from typing import TYPE_CHECKING, Any

from .frame import from_frame
from .preprocessing import Preprocessing
from .table import Table

if TYPE_CHECKING:
    from .reading import read
    from .target import Target, choose

__all__ = ["Preprocessing", "Table", "Target", "choose", "from_frame", "read"]

LAZY = {"Target": "target", "choose": "target", "read": "reading"}  # `Network` does not need these


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(importlib.import_module(f"cbackprop.tables.{LAZY[name]}"), name)
    raise AttributeError(f"module 'cbackprop.tables' has no attribute {name!r}")

"""Tables: files and frames as named columns, and which of them is the target."""

from .frame import from_frame
from .reading import read
from .table import Table
from .target import Target, choose

__all__ = ["Table", "Target", "choose", "from_frame", "read"]

"""What a command says: lines for people, or, with ``--json``, one object at its end."""

import json
import math
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np


class Output:
    """
    The standard output.

    Parameters
    ----------
    as_json : bool
        Whether lines are left unsaid, and facts are printed as one JSON object.
    quiet : bool
        Whether lines that are no result are left unsaid.
    """

    def __init__(self, as_json: bool, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.facts: dict[str, Any] = {}

    @property
    def tells(self) -> bool:
        """Whether lines are printed that are no result."""
        return not (self.as_json or self.quiet)

    def line(self, text: str = "", result: bool = False) -> None:
        """Print a line for people, at once."""
        if self.tells or (result and not self.as_json):
            print(text, flush=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines that may be many."""
        if not self.as_json:
            sys.stdout.writelines(f"{line}\n" for line in lines)

    def add(self, **facts: Any) -> None:
        """Remember facts for the object."""
        self.facts |= facts

    def end(self) -> None:
        """Print the object, once."""
        if self.as_json and self.facts:
            print(json.dumps(plain(self.facts), allow_nan=False), flush=True)
            self.facts = {}


def plain(value: Any) -> Any:
    """
    Return a value as JSON has it: no arrays, and null for NaN and infinities.

    Examples
    --------
    >>> plain({"r2": np.float64("nan"), "rows": np.arange(2)})
    {'r2': None, 'rows': [0, 1]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else str(value)

"""
The functions that there are many of: one row each, which everything else is made from.

setup.py renders the core's ladders (`*.pxi.tp`) from these rows; Python takes names, parameters and
defaults from them, the documentation its tables, and the converters what a function is called
elsewhere. It imports nothing of ours, so that setup.py can read it before anything is built.

A row leaves nothing to a default: what a function does not have, it says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

PARAMETER = object()  # where another library has a function's parameter


class Parameter(NamedTuple):
    """A number that a function takes."""

    name: str
    default: float
    rule: str  # one of RULES


RULES: dict[str, Any] = {  # of finite numbers
    "positive": lambda number: number > 0,
    "not negative": lambda number: number >= 0,
    "between 0 and 1": lambda number: 0 < number < 1,
    "from 0 to below 1": lambda number: 0 <= number < 1,
}

"""What products multiply: `compute_dtype` beside `dtype`."""

from itertools import pairwise
from typing import Any

from cbackprop import _check
from cbackprop.core import _dispatch

BFLOAT16 = "bfloat16"
AUTO = "auto"
INSTRUCTION = "v4bf16"  # the level with the CPU's products of bfloat16
FEWEST_WEIGHTS = 8_000  # the fewest for which "auto" takes bfloat16: [64, 64, 64, 8] gains 1.5x


def compute_dtype(given: Any, dtype: str, sizes: tuple[int, ...]) -> str:
    """
    Return the type that products multiply.

    Parameters
    ----------
    given : str or None
        As `Network` takes it.
    dtype : {"float32", "float64"}
    sizes : tuple of int

    Raises
    ------
    ValueError
        If it is no such type, or does not go with `dtype`.
    """
    if given is None or given == dtype:
        return dtype
    chosen = _check.choice("compute_dtype", given, (BFLOAT16, AUTO, *_dispatch.REALS))
    if chosen == AUTO:
        weights = sum(k * j for k, j in pairwise(sizes))
        worthwhile = (dtype == "float32" and has_instruction() and weights >= FEWEST_WEIGHTS)
        return BFLOAT16 if worthwhile else dtype
    if chosen != BFLOAT16 or dtype != "float32":
        raise ValueError('compute_dtype must be dtype, or "bfloat16" with dtype="float32", got '
                         f"compute_dtype={given!r} and dtype={dtype!r}")
    return chosen


def has_instruction() -> bool:
    """Return whether the CPU multiplies bfloat16, and CBACKPROP_ISA lets it."""
    return _dispatch.ISA == INSTRUCTION


def how_bfloat16() -> str:
    """Say how bfloat16 is multiplied here."""
    if has_instruction():
        return "by the CPU's instruction"
    return "emulated by multiply-adds of float32: the same bits, slower than float32"

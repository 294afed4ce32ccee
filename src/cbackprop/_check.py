"""Checks of arguments: each kind has one rule, and an error of one line that says what came."""

from __future__ import annotations

import inspect
import itertools
import math
import operator
import sys
from collections.abc import Callable, Collection
from numbers import Real
from typing import Any

import numpy as np

from cbackprop import _words

REAL = (float, int, Real)  # the first two are found ten times as fast
PLAIN = (float, int)
LARGEST = sys.float_info.max
MOST_WEIGHTS = 2**48  # more is a slip, and would overflow addresses


def shown(value: object) -> str:
    """Return a short representation of a value, on one line, for an error."""
    try:
        line = " ".join(repr(value).split())
    except Exception:  # an integer with thousands of digits, or the caller's own error
        return f"a {type(value).__name__} that cannot be shown"
    return line if len(line) <= 80 else f"{line[:77]}..."


def items(values: Any, rule: str) -> list[Any]:
    """
    Return the items of an iterable. A memoryview becomes an array, which reads more formats.

    Raises
    ------
    TypeError
        If it is no iterable. The error is the rule and what came.
    """
    try:
        given = iter(np.asarray(values) if isinstance(values, memoryview) else values)
    except (TypeError, ValueError):  # a number; a memoryview that was released
        raise TypeError(f"{rule}, got {shown(values)}") from None
    return list(given)


def integer(argument: str, value: Any, low: int, n: int | None = None) -> int:
    """
    Return an integer of at least `low` and, if n is given, at most n.

    Raises
    ------
    TypeError, ValueError
        If it is no integer, or too large for an index.
    """
    most = sys.maxsize if n is None else n
    if type(value) is int and low <= value <= most:
        return value
    rule = f"{argument} must be an integer of at least {low}"
    if n is not None:
        rule += f" and at most the {n} examples"
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{rule}, got {shown(value)}") from None
    if found > sys.maxsize:
        rule += f", no more than {sys.maxsize}" if n is None else ""
    if not low <= found <= most:
        raise ValueError(f"{rule}, got {shown(found)}")
    return found


def index(argument: str, value: Any, count: int, of: str) -> int:
    """
    Return an index, of a layer, a neuron or a weight.

    Raises
    ------
    TypeError, ValueError
        If there is no such index.
    """
    rule = f"{argument} must be an integer in 0..{count - 1}, for {of}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{rule}, got {shown(value)}")
    if not 0 <= value < count:
        raise ValueError(f"{rule}, got {value}")
    return int(value)


def number(
    argument: str, value: Any, low: float = -math.inf, high: float = math.inf, *,
    above: bool = False, up_to: bool = False, finite: bool = True, boolean: bool = False,
) -> float:
    """
    Return a number from low on (or above it), and below high (or up to it), as a float.

    Infinities and NaN are allowed unless it must be finite; True is 1 if it may be boolean.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or outside the limits.

    Examples
    --------
    >>> number("eta", -1, 0)
    Traceback (most recent call last):
    ...
    ValueError: eta must be a number of at least 0, got -1
    """
    # Almost every value is right. Making its rule would take 1 us, and SGD has seven numbers.
    if type(value) in PLAIN and -LARGEST <= value <= LARGEST and (
            low < value if above else low <= value) and (
            value <= high if up_to else value < high):
        return float(value)
    rule = f"{argument} must be a {'finite ' * (finite and low == -high)}number"
    if low > -math.inf:
        rule += f" {'above' if above else 'of at least'} {low:g}"
    if high < math.inf:
        rule += f" and {'at most' if up_to else 'below'} {high:g}"
    if not (isinstance(value, REAL) or (np.ndim(value) == 0 and hasattr(value, "__float__"))
            ) or (isinstance(value, (bool, np.bool_)) and not boolean):
        raise TypeError(f"{rule}, got {shown(value)}")
    try:
        found = float(value)
    except OverflowError:  # large integers and fractions
        found = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{rule}, got {shown(value)}") from None
    if finite and not (math.isfinite(found) and (low < found if above else low <= found)
            and (found <= high if up_to else found < high)):
        raise ValueError(f"{rule}, got {shown(value) if found == math.inf else value}")
    return found


def boolean(argument: str, value: Any) -> bool:
    """
    Return a plain True or False.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False, got {shown(value)}")
    return bool(value)


def booleans(argument: str, value: Any, n_layers: int) -> tuple[bool, ...]:
    """
    Return one for each layer of weights: from one for all of them, or from as many.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if isinstance(value, (bool, np.bool_)):
        return (bool(value),) * n_layers
    rule = f"{argument} must be True or False, or {n_layers} of them, one for each layer of weights"
    found = items(value, rule)
    if len(found) != n_layers or isinstance(value, str):
        raise ValueError(f"{rule}, got {shown(value)}")
    return tuple(boolean(f"{argument}[{at}]", each) for at, each in enumerate(found))


def choice(argument: str, value: Any, known: Collection[str]) -> str:
    """
    Return the name if it is known.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{argument} must be one of {sorted(known)}, got {shown(value)}"
                         f"{_words.meant(value, known)}")
    return value


def instance(argument: str, value: Any, kind: type) -> None:
    """
    Check that an argument is of this class.

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{argument} must be a {kind.__name__}, got {shown(value)}")


def function(argument: str, value: Callable[..., object], *given: str) -> None:
    """
    Check that the caller's function can be called with these arguments.

    Raises
    ------
    TypeError
        If it cannot.
    """
    try:
        inspect.signature(value).bind(*given)
    except TypeError:
        raise TypeError(f"{argument} must be callable as ({', '.join(given)}), "
                        f"got {shown(value)}") from None
    except ValueError:  # written in C, without a signature
        pass


def sizes(given: Any) -> tuple[int, ...]:
    """
    Return the neurons of each layer.

    Raises
    ------
    TypeError, ValueError, MemoryError
        If they are not at least two positive integers, or ask for too many weights.
    """
    rule = "sizes must be at least two positive integers, inputs first"
    try:
        found = tuple(map(operator.index, items(given, rule)))
    except TypeError:
        raise TypeError(f"{rule}, got {shown(given)}") from None
    if len(found) < 2 or min(found) < 1:
        raise ValueError(f"{rule}, got {shown(given)}")
    if sum(k * j for k, j in itertools.pairwise(found)) > MOST_WEIGHTS:
        raise MemoryError(f"sizes must ask for at most {MOST_WEIGHTS} weights, "
                          f"got {shown(given)}")
    return found


def generator(seed: Any) -> np.random.Generator:
    """
    Return the generator for a seed.

    Raises
    ------
    TypeError, ValueError
        If the seed is none.
    """
    rule = "seed must be None, a Generator or a non-negative integer"
    if isinstance(seed, (list, tuple, np.ndarray)) and (  # NumPy would nest without end
            (isinstance(seed, np.ndarray) and (type(seed) is not np.ndarray or seed.ndim != 1))
            or not all(isinstance(s, (int, np.integer)) for s in seed)):
        raise TypeError(f"{rule}, got {shown(seed)}")
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{rule}, got {shown(seed)}") from None

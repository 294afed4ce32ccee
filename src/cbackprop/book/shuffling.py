"""Python's random.shuffle, twenty times as fast."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop.core import _dispatch


def shuffle(items: list[Any], order: NDArray[np.intp]) -> None:
    """
    Shuffle a list, and an array of the same length with it, by random.shuffle's draws.

    What it draws is taken from its generator in one piece, and the exchanging is compiled; where
    random.shuffle has been replaced, or has changed, it is called.

    Examples
    --------
    >>> random.seed(1)
    >>> items, order = list("abcd"), np.arange(4)
    >>> shuffle(items, order)
    >>> "".join(items), order.tolist()
    ('dacb', [3, 0, 2, 1])
    """
    generator = getattr(random.shuffle, "__self__", None)
    if type(generator) is random.Random and is_known() and len(items) < 2**32:
        shuffle_by(generator, items, order)
        return
    indices = list(range(len(items)))
    random.shuffle(indices)
    items[:] = [items[i] for i in indices]
    order[:] = order[indices]


def shuffle_by(generator: random.Random, items: list[Any], order: NDArray[np.intp]) -> None:
    """Do what generator.shuffle(items) is known to do, and leave the generator as it would."""
    state = generator.getstate()
    count, taken = 2 * len(items) + 64, None
    while taken is None:        # a number takes two words at most, on average
        words = generator.getrandbits(32 * count).to_bytes(4 * count, "little")
        generator.setstate(state)
        taken = _dispatch.load("float64").shuffle(items, order, np.frombuffer(words, "<u4"))
        count *= 2
    if taken:
        generator.getrandbits(32 * taken)


@cache
def is_known() -> bool:
    """Whether this Python's random.shuffle does what `shuffle_by` does."""
    ours, theirs = random.Random(2), random.Random(2)
    items, wanted = list(range(1100)), list(range(1100))
    try:
        shuffle_by(ours, items, np.arange(1100))
        theirs.shuffle(wanted)
    except (AttributeError, TypeError, ValueError):
        return False
    return items == wanted and ours.getstate() == theirs.getstate()

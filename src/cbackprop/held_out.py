"""A part of the training data that is not trained on: what `validation_split` asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import arrays, target_values
from cbackprop.example_weights import not_all_zero
from cbackprop.sources import (
    ArrayExamples,
    Examples,
    SelectedExamples,
    SparseTargets,
    StreamedExamples,
)
from cbackprop.streams.examples import BufferedExamples


class Split:
    """
    Examples in two parts, whose lengths are known before anything is drawn.

    Parameters
    ----------
    examples : Examples
    share : float
        The share of the examples that is held out.
    shuffle : bool
        Whether it is drawn, from every class alike; else it is the last rows.

    Attributes
    ----------
    training, held_out : SelectedExamples, or BufferedExamples of a Stream
        Of a Stream, no rows are drawn: the last ones of each block are held out.

    Raises
    ------
    TypeError
        If the examples are a Stream that may have other rows when it is read again.
    ValueError
        If nothing would be left to train on, or one of the parts weighs nothing.
    """

    def __init__(self, examples: Examples, share: float, shuffle: bool) -> None:
        n = len(examples)
        held_out = max(1, round(share * n))
        if held_out == n:
            raise ValueError(f"validation_split must leave an example to train on, "
                             f"got {share:g} of {n}")
        self.training: Examples
        self.held_out: Examples
        self.shuffle = shuffle
        self.parts: tuple[SelectedExamples, ...] = ()  # which are drawn
        if isinstance(examples, BufferedExamples):
            if not examples.stream.keeps:
                raise TypeError("validation_split needs rows that are the same whenever they are "
                                "read, got a Stream whose `keeps` is False: evaluation_data may be "
                                "another Stream, or a part that its method rows() makes")
            self.training, self.held_out = examples.apart(held_out, shuffle)
            return
        assert isinstance(examples, (ArrayExamples, StreamedExamples))
        rows = np.arange(n)
        self.classes = classes(examples) if shuffle else None
        self.parts = (SelectedExamples(examples, rows[:n - held_out]),
                      SelectedExamples(examples, rows[n - held_out:]))
        self.training, self.held_out = self.parts
        self.weights = examples.weights
        if not shuffle:
            self._weigh()

    def _weigh(self) -> None:
        """See that each part weighs something."""
        for part, rows in zip(self.parts, ("the rows to train on",
                                           "the rows held out for validation"), strict=True):
            if self.weights is not None:
                not_all_zero(self.weights[part.numbers], rows)

    def draw(self, seed: int) -> None:
        """
        Decide which examples are held out; they stay in their order.

        Raises
        ------
        ValueError
            If one of the parts weighs nothing.
        """
        if not (self.shuffle and self.parts):
            return
        training, held_out = self.parts
        n = len(training) + len(held_out)
        of_class = np.zeros(n, np.intp) if self.classes is None else self.classes
        is_held_out = drawn(of_class, len(held_out), np.random.default_rng(seed))
        training.numbers = np.flatnonzero(~is_held_out)
        held_out.numbers = np.flatnonzero(is_held_out)
        self._weigh()


def drawn(
    of_class: NDArray[np.intp], total: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """
    Draw examples from every class alike.

    Parameters
    ----------
    of_class : array of int, shape (n,)
        The class of each, counted from 0; none is without examples.
    total : int
        How many to draw.
    generator : numpy.random.Generator

    Returns
    -------
    array of bool, shape (n,)
        Which are drawn.
    """
    n, counts = len(of_class), np.bincount(of_class)
    order = generator.permutation(n)
    order = order[np.argsort(of_class[order], kind="stable")]  # class by class
    place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    are_drawn = np.zeros(n, bool)
    are_drawn[order[place < np.repeat(_shares(counts, total), counts)]] = True
    return are_drawn


def classes(examples: Examples) -> NDArray[np.intp] | None:
    """
    Return each example's class, counted from 0; None if the targets are no classes.

    Labels are; so are rows in which one target is high and all others are low, such as one-hot
    ones, and a single target that has two values.
    """
    y: Any = None
    if isinstance(examples, ArrayExamples):
        y = examples.targets.y
    elif isinstance(examples, StreamedExamples) and isinstance(examples.source, SparseTargets):
        y = examples.source.y
    if y is None:
        return None
    if arrays.is_sparse(y):
        one_each = (np.diff(y.indptr) == 1).all() and (y.data == y.data[:1]).all()
        return np.unique(y.indices, return_inverse=True)[1] if one_each else None
    if y.ndim == 2 and y.shape[1] == 1:
        values, found = np.unique(y[:, 0], return_inverse=True)
        return found if len(values) <= 2 else None
    if y.ndim == 2:
        low, high = y.min(), y.max()
        if not (target_values.are_two(y, low, high) and target_values.one_each(y, low, high)):
            return None
        y = y.argmax(axis=1)
    return np.unique(y, return_inverse=True)[1]


def _shares(counts: NDArray[np.intp], total: int) -> NDArray[np.intp]:
    """
    Share a total among classes by their sizes, the largest remainders first.

    A class of one example is asked last, for it is needed in training.
    """
    exact = counts * (total / counts.sum())
    shares = np.floor(exact).astype(np.intp)
    by_need = np.lexsort((-counts, shares - exact, counts == 1))
    shares[by_need[:total - shares.sum()]] += 1
    return shares

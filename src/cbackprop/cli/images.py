"""Images, as they are, to a trained network: what `prepare_table` does for a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import History, Network, _check, mpi
from cbackprop.cli.data import Data
from cbackprop.tables import settings

BOOK: dict[str, Any] = {  # chapter 1's run, in ten epochs
    "activation": "sigmoid", "cost": "quadratic", "output_activation": None,
    "initializer": "default", "optimizer": "sgd", "validation_split": 0.0,
    "mini_batch_size": 10, "eta": 3.0, "epochs": 10, "lmbda": 0.0}


class ImageTraining:
    """
    A network for images of bytes, which it divides by 255, and their labels.

    Parameters
    ----------
    data : Data
    book : bool
        Whether what is not given is the book's, and not decided.
    seed, dtype, compute_dtype, threads
        What `Network` takes.
    test_split : float
        The share of rows that becomes the test set if none came with the data.
    **given
        What is not to be decided.

    Raises
    ------
    TypeError, ValueError
        As `settings.decide` and `Network`.
    """

    def __init__(
        self, data: Data, *, book: bool, seed: int, dtype: str, compute_dtype: str | None,
        threads: int | None, test_split: float, **given: Any,
    ) -> None:
        assert data.x is not None
        assert data.y is not None
        self.data, self.book = data, book
        x, y = data.x, data.y
        outputs = 1 + int(y.max(initial=0))
        hidden = given.pop("hidden")
        if hidden is not None:
            given["sizes"] = [x.shape[1], *hidden, outputs]
        rows = np.arange(len(x))
        if data.training is not None:
            training, test = rows[:data.training], rows[data.training:]
        else:
            share = _check.number("test_split", test_split, 0, 1)
            order = np.random.default_rng(seed).permutation(rows)
            test, training = np.split(order, [min(len(x) - 1, round(share * len(x)))])
        self.rows = {"training": training, "test": test}
        sizes = None
        if book:
            given = BOOK | {name: value for name, value in given.items() if value is not None}
            sizes = given.pop("sizes", None) or [x.shape[1], 30, outputs]
            given.pop("patience", None)
            self.values = given
        else:
            self.decided = settings.decide("classes", len(training), x.shape[1], outputs, **given)
            self.values = self.decided.values
            sizes = self.values["sizes"]
        network = {name: self.values[name] for name in settings.NETWORK if name != "sizes"}
        self.network = Network(sizes, **network, dtype=dtype, compute_dtype=compute_dtype,
                               input_scale=1 / 255, seed=seed, threads=threads)

    @property
    def lines(self) -> list[str]:
        """What was read and decided."""
        parts = ", ".join(f"{len(rows):,} for {name}" for name, rows in self.rows.items()
                          if len(rows))
        lines = [f"read: {self.data.source}, {len(self.data):,} images of "
                 f"{self.network.sizes[0]:,} pixels, {self.network.sizes[-1]} classes",
                 f"rows: {parts}"]
        return lines if self.book else [*lines, *self.decided.lines]

    def part(self, rows: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the images and labels for "training" or "test"."""
        assert self.data.x is not None
        assert self.data.y is not None
        chosen = self.rows[rows]
        return self.data.x[chosen], self.data.y[chosen]

    def run(self, callbacks: Sequence[Any] = (), **given: Any) -> History:
        """Train it as decided, or as the book does, which measures the test set every epoch."""
        assert self.data.x is not None
        assert self.data.y is not None
        ranks = mpi.processes(given.get("comm"))
        rows, test = map(ranks.share, (self.rows["training"], self.rows["test"]))
        x, y = self.data.x[rows], self.data.y[rows]
        given |= {"callbacks": list(callbacks), "skip_zeros": True}
        if not self.book:
            return self.decided.train(self.network, x, y, **given)
        options = {name: self.values[name] for name in settings.TRAINING if name != "patience"}
        options["validation_split"] = options["validation_split"] or None
        return self.network.SGD((x, y), test_data=(self.data.x[test], self.data.y[test]),
                                **options, **given)

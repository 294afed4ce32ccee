"""A table that is larger than memory, to a trained network: what `prepare_table` does for one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cbackprop import History, mpi
from cbackprop.cli.data import machine_memory
from cbackprop.metrics import COUNTS, NUMBERS
from cbackprop.streams import opening
from cbackprop.streams.stream import MEMORY, size
from cbackprop.table_training import prepare_table
from cbackprop.tables import blocks
from cbackprop.tables.target import KIND_BY_NAME, find


def is_in_blocks(source: str) -> bool:
    """Tell whether data is files that are read block by block, more than one, or too large."""
    path = Path(source)
    if path.is_dir():
        names = sorted(each for each in os.listdir(path) if not each.startswith((".", "_")))
        formats = {_format(path / name) for name in names}
        return len(formats) == 1 and not formats & {None, "npz"}  # saved networks are .npz, too
    if not path.exists():
        return any(sign in source for sign in "*?[")
    most = machine_memory()
    return (most is not None and path.is_file() and path.stat().st_size > most
            and _format(path) is not None)


def _format(path: Path) -> str | None:
    try:
        return opening.format_of(str(path))[1]
    except (OSError, ValueError):
        return None


class StreamTraining:
    """
    The network of a table that is read block by block, and the choices that led to it.

    A sample decides; of every block, the last rows are for the test.

    Parameters
    ----------
    source : str
    memory : str, optional
        The bytes of the buffers.
    target, kind, left_out, seed, dtype, **given
        As for `prepare_table`.
    test_split : float
        The share of rows for the test. They are in memory at the end, and so may be fewer.

    Raises
    ------
    TypeError, ValueError, OSError, ModuleNotFoundError
        As `tables.blocks.parts` and `prepare_table`.
    """

    def __init__(
        self, source: str, memory: str | None, target: Any, *, kind: str | None, left_out: Any,
        test_split: float, dtype: str, **given: Any,
    ) -> None:
        self.memory = size("--memory", MEMORY if memory is None else memory)
        self.parts, self.file = blocks.parts(source, self.memory), opening.paths("DATA", source)[0]
        n = sum(int(part.bounds[-1]) for part in self.parts)
        some = blocks.Sample(self.parts, self.memory)
        names = find(some.table(), target)[0]
        some.check_targets(names)
        if len(names) == 1 and (kind is None or KIND_BY_NAME[kind] not in (NUMBERS, COUNTS)):
            some.add_classes(names[0])
        sample, said = some.table(), set[str]()
        test = round(test_split * n)
        self.made = prepare_table(
            sample, target, kind=kind, left_out=left_out, dtype=dtype, sample_of=n - test, **given)
        self.network, self.target, self.settings = (
            self.made.network, self.made.target, self.made.settings)
        self.scale = self.settings.target_scale(self.network, self.target.y)
        plain, scaled = (blocks.stream(
            self.parts, self.network.preprocessing, self.target, dtype, self.memory, said, scale)
            for scale in (None, self.scale))
        most = max(1, self.memory // (16 * self.network.sizes[0]))  # that the report has in memory
        test = min(test, most)
        self.training, self.reported = (
            (scaled.apart(test, True)[0], plain.apart(test, True)[1]) if test else
            (scaled, plain.rows(0, min(n, most))))
        self.rows = {"training": range(n - test), "test": range(test)}
        self.lines = [
            f"read: {source}, {n:,} rows, {len(sample.columns):,} columns, block by block",
            f"sample: {len(sample):,} rows say what is in the columns",
            *(line for line in self.made.lines if not line.startswith(("read: ", "rows: "))),
            f"rows: {n - test:,} for training and validation, {test:,} for test"]

    def __len__(self) -> int:
        return len(self.rows["training"])

    def where(self, row: int) -> str:
        """Name a row of the report."""
        return self.reported.where(row)

    def run(self, callbacks: Sequence[Any] = (), **given: Any) -> History:
        """Train it as decided; of several ranks, each reads its own rows."""
        network, ranks = self.network, mpi.processes(given.get("comm"))
        training = self.training
        if ranks.size > 1:
            training = training.part(ranks.rank, ranks.size)
        if network.history is None:  # as `TableTraining` does
            network.weights[0][:, ~network.inputs(self.made.table).any(axis=0)] = 0
        classes, network.classes = network.classes, None  # y is labels
        try:
            return self.settings.train_scaled(
                network, training, self.scale, callbacks=list(callbacks), **given)
        finally:
            network.classes = self.target.classes or classes

    def part(self, rows: str) -> tuple[Any, Any]:
        """Return the rows of the report in memory: those for the test, or the first ones."""
        x, y = map(np.concatenate, zip(
            *(self.reported.read(block) for block in range(len(self.reported.bounds) - 1)),
            strict=True))
        if self.target.kind == "classes" and self.target.classes is not None:
            y = np.array(self.target.classes, dtype=object)[y]
        return x, y

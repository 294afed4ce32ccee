"""`train_table`: from a table to a trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check
from cbackprop.history import History
from cbackprop.network import Network
from cbackprop.tables import reading, settings
from cbackprop.tables import target as targets
from cbackprop.tables.frame import from_frame
from cbackprop.tables.preprocessing import Preprocessing, is_table
from cbackprop.tables.settings import Settings
from cbackprop.tables.table import Table
from cbackprop.tables.target import Target

ROWS = "training", "validation", "test"


@dataclass
class TableTraining:
    """
    The result of `train_table`: the network and the choices that led to it. As text, its lines.

    Attributes
    ----------
    network : Network
        Trained, with `preprocessing` and `classes`.
    table : Table
        The table as it was read.
    target : Target
        The columns to learn.
    settings : Settings
        The settings of the network and of its training.
    rows : dict of str to array of int
        The indices of the rows for "training", "validation" and "test".
    lines : list of str
        What was read and chosen, with reasons.
    """

    network: Network
    table: Table
    target: Target
    settings: Settings
    rows: dict[str, NDArray[np.intp]]
    lines: list[str] = field(default_factory=list)

    @property
    def history(self) -> History | None:
        """The history of the training. For numbers, costs are those of standardised targets."""
        return self.network.history

    def part(self, rows: str) -> tuple[Table, NDArray[Any]]:
        """
        Return rows of the table without the target, and the target as `Network.evaluate` takes it.

        Parameters
        ----------
        rows : {"training", "validation", "test"}
        """
        chosen = self.rows[_check.choice("rows", rows, ROWS)]
        y = self.target.y[chosen]
        if self.target.kind == "classes" and self.target.classes is not None:
            y = np.array(self.target.classes, dtype=object)[y]
        return self.table.rows(chosen).without(self.target.names), y

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        return f"{self.network!r}\n{self}"


def train_table(
    source: Any, target: str | int | Sequence[str | int] | None = None, *,
    kind: str | None = None, left_out: str | Sequence[str] = (), test_split: float = 0.0,
    seed: int | np.random.Generator | None = None, dtype: str = "float32",
    callbacks: Sequence[Any] = (), **given: Any,
) -> TableTraining:
    """
    Read a table, choose what is not given, and train a network.

    The preprocessing is fitted on the training rows, and belongs to the network: `feedforward`,
    `evaluate` and the other methods then take such tables as they are. For a scikit-learn pipeline
    with a ColumnTransformer, use the estimators of `cbackprop.sklearn`.

    Parameters
    ----------
    source : path, file, Table, DataFrame of pandas or polars, pyarrow Table, dict, 2-D array
        A source that `tables.read` or `tables.from_frame` takes.
    target : str, int, or sequence of these, optional
        The columns to learn, by name or index. By default, `tables.choose` chooses them.
    kind : {"classification", "regression", "counts", "labels"}, optional
        The kind of the target; by default it is guessed.
    left_out : str or sequence of str
        Columns that are no inputs.
    test_split : float
        The share of rows that is kept for a test, stratified by class.
    seed : int, numpy.random.Generator or None
        It draws the network's weights and the rows that are held out.
    dtype : {"float32", "float64"}
        The real type of the network.
    callbacks : list of Callback
        Callbacks besides early stopping.
    **given
        Settings that are not to be guessed: sizes, hidden, activation, cost, output_activation,
        initializer, optimizer, validation_split, mini_batch_size, eta, epochs, patience, lmbda.
        `hidden` are the sizes without the first and the last.

    Returns
    -------
    TableTraining

    Raises
    ------
    TypeError, ValueError
        If an argument or the table is bad. The error names the place in the file.
    OSError, ModuleNotFoundError
        If the file cannot be read, or the library for it is missing.

    Examples
    --------
    >>> table = {"width": [0.1, 0.2, 0.3, 1.1, 1.2, 1.3] * 5, "species": list("aaabbb") * 5}
    >>> trained = cbackprop.train_table(table, seed=0)
    >>> trained.network.accuracy(table)
    1.0
    >>> print(trained.lines[1])
    target: column 'species', whose name means target
    """
    table = from_frame(source) if _in_memory(source) else reading.read(source)
    chosen = targets.choose(table, target, kind)
    share = _check.number("test_split", test_split, 0, 1)
    generator = _check.generator(seed)
    hidden = given.pop("hidden", None)
    rows = np.arange(len(table))
    rows, test = _parts(rows, chosen, share, generator)
    held_out = given.get("validation_split")
    held_out = settings.validation_split(len(rows))[0] if held_out is None else _check.number(
        "validation_split", held_out, 0, 1)
    training, validation = _parts(rows, chosen, held_out, generator)
    out = {name: why.removeprefix("left out: ") for name, why in chosen.left_out.items()}
    out |= dict.fromkeys([left_out] if isinstance(left_out, str) else left_out, "as asked for")
    preprocessing = Preprocessing.fit(table.rows(training), target=chosen.names, left_out=out)
    columns, outputs = len(preprocessing.columns), _outputs(chosen)
    if hidden is not None:
        given["sizes"] = [columns, *_check.items(hidden, "hidden must be a list of int"), outputs]
    decided = settings.decide(chosen.kind, len(rows), columns, outputs, **given)
    network = Network(**decided.network(), dtype=dtype, seed=generator)
    x = preprocessing.transform(table.rows(training), dtype)
    # An input that is always 0 in training, such as the slot for unknown words, must not count.
    network.weights[0][:, ~x.any(axis=0)] = 0
    more: dict[str, Any] = {}
    if len(validation):
        more["evaluation_data"] = (
            preprocessing.transform(table.rows(validation), dtype), chosen.y[validation])
    # Pixels and one-hot columns are mostly zeros: MNIST trains in half the time.
    decided.train(
        network, x, chosen.y[training], callbacks=list(callbacks), skip_zeros=True, **more)
    network.preprocessing, network.classes = preprocessing, chosen.classes
    parts = dict(zip(ROWS, (training, validation, test), strict=True))
    made = TableTraining(network, table, chosen, decided, parts)
    made.lines = list(_lines(made))
    return made


def _in_memory(source: Any) -> bool:
    return is_table(source) or hasattr(source, "__array__") or isinstance(source, (list, tuple))


def _outputs(target: Target) -> int:
    if target.classes is not None:
        return len(target.classes)
    return 1 if target.y.ndim == 1 else int(target.y.shape[1])


def _parts(
    rows: NDArray[np.intp], target: Target, share: float, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """
    Return the rows that stay, and a share of them that is held out, stratified by class.

    The only row of a class stays.
    """
    if not share:
        return rows, rows[:0]
    drawn = generator.permutation(rows)
    if target.kind == "classes":
        drawn = drawn[np.argsort(target.y[drawn], kind="stable")]
        counts = np.bincount(target.y[rows])
        drawn = drawn[counts[target.y[drawn]] > 1]
    count = min(len(drawn), max(1, round(share * len(rows))), len(rows) - 1)
    # At equal distances among rows that are sorted by class.
    at = ((np.arange(count) + generator.random()) * (len(drawn) / max(1, count))).astype(np.intp)
    held_out = np.sort(drawn[at])
    return np.setdiff1d(rows, held_out), held_out


def _lines(made: TableTraining) -> Iterator[str]:
    """Yield a line for everything that was read or chosen."""
    table, target, preprocessing = made.table, made.target, made.network.preprocessing
    assert preprocessing is not None
    yield f"read: {table.source}, {len(table):,} rows, {len(table.columns):,} columns"
    yield from table.notes
    yield target.why
    yield target.kind_why
    yield from target.left_out.values()
    parts = ", ".join(f"{len(rows):,} for {name}" for name, rows in made.rows.items() if len(rows))
    yield f"rows: {parts}"
    yield f"columns: {preprocessing.words()}"
    for name, why in preprocessing.left_out.items():
        if name not in target.left_out:
            yield f"left out: column {name!r}, {why}"
    for column in preprocessing.inputs:
        if column.kind == "constant":
            yield f"constant: column {column.name!r}, always {column.mean:g} in training"
    yield from made.settings.lines
    if made.settings.scales_targets:
        yield "costs: of targets that are standardised while it trains; outputs are in their unit"

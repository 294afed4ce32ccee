"""`train_table`: from a table to a trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check, _words, held_out, mpi
from cbackprop.history import History
from cbackprop.metrics import COUNTS, NUMBERS, Kind, check_class_weight
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
    The network of a table, and the choices that led to it. As text, it is its lines.

    `train_table` returns it; `prepare_table` returns it before `run`.

    Attributes
    ----------
    network : Network
        With `preprocessing`; with `classes`, once it has been trained.
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

    def run(self, callbacks: Sequence[Any] = (), **given: Any) -> History:
        """
        Train the network on the rows for training, with the chosen settings.

        Parameters
        ----------
        callbacks : list of Callback
            Callbacks besides early stopping.
        **given
            Further arguments of `Network.SGD`, such as dropout. A dict as `class_weight` has the
            classes by their names. With `comm`, each rank has read the whole table, and trains on
            its share of the rows.

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As `Network.SGD`.
        """
        network, y = self.network, self.target.y
        ranks = mpi.processes(given.get("comm"))
        training, validation = map(ranks.share, (self.rows["training"], self.rows["validation"]))
        x = network.inputs(self.table.rows(training))
        if network.history is None:
            # An input that is always 0 in training, such as the slot for unknown words, must not
            # count.
            network.weights[0][:, ~ranks.merged(x.any(axis=0), np.logical_or)] = 0
        if len(validation):
            given["evaluation_data"] = network.inputs(self.table.rows(validation)), y[validation]
        weight = given.get("class_weight")
        check_class_weight(weight, Kind(self.target.kind))
        if isinstance(weight, dict):
            given["class_weight"] = self._by_label(weight)
        network.classes = None  # y is labels already
        try:
            # Pixels and one-hot columns are mostly zeros: MNIST trains in half the time.
            return self.settings.train(
                network, x, y[training], callbacks=list(callbacks), skip_zeros=True,
                all_y=y[self.rows["training"]], **given)
        finally:
            network.classes = self.target.classes

    def _by_label(self, class_weight: dict[Any, Any]) -> dict[int, Any]:
        """Return weights by the labels of classes that are given by their names."""
        names = list(self.target.classes or ())
        for name in class_weight:
            if name not in names:
                raise ValueError(f"class_weight must be for classes of the target, "
                                 f"{_check.shown(names)}, got {_check.shown(name)}")
        return {names.index(name): weight for name, weight in class_weight.items()}

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
    kind: str | None = None, left_out: str | Sequence[str] = (), test_split: Any = 0.0,
    seed: int | np.random.Generator | None = None, dtype: str = "float32",
    compute_dtype: str | None = None, callbacks: Sequence[Any] = (),
    class_weight: str | dict[Any, float] | None = None, **given: Any,
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
    test_split : float, or array of int
        The share of rows that is kept for a test, stratified by class; or the indices of its rows.
    seed : int, numpy.random.Generator or None
        It draws the network's weights and the rows that are held out.
    dtype : {"float32", "float64"}
        The real type of the network.
    compute_dtype : {"bfloat16", "auto"}, optional
        What products multiply, as for `Network`.
    callbacks : list of Callback
        Callbacks besides early stopping.
    class_weight : "balanced", or dict {class: weight}, optional
        The weights of the classes, as `Network.SGD` takes them, by the classes' names. The
        validation rows, which say when to stop, all weigh the same.
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
    training = prepare_table(source, target, kind=kind, left_out=left_out, test_split=test_split,
                             seed=seed, dtype=dtype, compute_dtype=compute_dtype, **given)
    training.run(callbacks, class_weight=class_weight)
    return training


def prepare_table(
    source: Any, target: str | int | Sequence[str | int] | None = None, *,
    kind: str | None = None, left_out: str | Sequence[str] = (), test_split: Any = 0.0,
    seed: int | np.random.Generator | None = None, dtype: str = "float32",
    compute_dtype: str | None = None, threads: int | None = None,
    sample_of: int | None = None, **given: Any,
) -> TableTraining:
    """
    Do what `train_table` does before it trains: read, decide, and make the network.

    Parameters
    ----------
    source, target, kind, left_out, test_split, seed, dtype, compute_dtype, **given
        As for `train_table`.
    threads : int, optional
        The most to use, as for `Network`.
    sample_of : int, optional
        The number of rows that will be trained on, if the table is a sample of them.

    Returns
    -------
    TableTraining
        Its `run` trains.

    Raises
    ------
    TypeError, ValueError, OSError, ModuleNotFoundError
        As `train_table`.

    Examples
    --------
    >>> table = {"width": [0.1, 0.2, 0.3, 1.1, 1.2, 1.3] * 5, "species": list("aaabbb") * 5}
    >>> training = prepare_table(table, seed=0)
    >>> training.network.sizes
    (1, 100, 2)
    >>> len(training.run()) <= 300
    True
    """
    settings.check_known(given, "train_table", "hidden")
    table = from_frame(source) if _in_memory(source) else reading.read(source)
    unseen = _unseen(table, left_out)
    # A column that is left out is no guess at what is to be learned; who names it, is told.
    chosen = targets.choose(table if target is not None else table.without(unseen), target, kind)
    both = [name for name in unseen if name in chosen.names]
    if both:
        raise ValueError(f"left_out must not name the target, got {both[0]!r}")
    _check_reach(table, chosen, dtype)
    generator = _check.generator(seed)
    hidden = given.pop("hidden", None)
    if hidden is not None and given.get("sizes") is not None:
        raise TypeError("hidden must be left out if sizes are given, got both")
    rows = np.arange(len(table))
    if np.ndim(test_split):
        test = np.asarray(test_split)
        if test.dtype.kind not in "iu" or test.ndim > 1 or len(np.setdiff1d(test, rows)) or (
                len(np.unique(test)) < len(test) or len(test) == len(rows)):
            raise ValueError(f"test_split must be a share, or some different rows below "
                             f"{len(rows):,}, got {_check.shown(test_split)}")
        rows = np.setdiff1d(rows, test)
    else:
        share = _check.number("test_split", test_split, 0, 1)
        rows, test = _parts(rows, chosen, share, generator)
    share = settings.validation_split(len(rows))[0]
    if given.get("validation_split") is not None:
        share = _check.number("validation_split", given["validation_split"], 0, 1)
    training, validation = _parts(rows, chosen, share, generator)
    out = {name: why.removeprefix("left out: ") for name, why in chosen.left_out.items()}
    out |= dict.fromkeys(unseen, "as asked for")
    preprocessing = Preprocessing.fit(table.rows(training), target=chosen.names, left_out=out)
    columns, outputs = len(preprocessing.columns), _outputs(chosen)
    if hidden is not None:
        rule = "hidden must be a list of int"
        if isinstance(hidden, str):
            raise TypeError(f"{rule}, got {hidden!r}")
        given["sizes"] = [columns, *_check.items(hidden, rule), outputs]
    decided = settings.decide(
        chosen.kind, sample_of or len(rows), columns, outputs, **given)
    network = Network(**decided.network(), dtype=dtype, compute_dtype=compute_dtype, seed=generator,
                      threads=threads)
    network.preprocessing = preprocessing
    parts = dict(zip(ROWS, (training, validation, test), strict=True))
    made = TableTraining(network, table, chosen, decided, parts)
    made.lines = list(_lines(made))
    return made


def _in_memory(source: Any) -> bool:
    return is_table(source) or hasattr(source, "__array__") or isinstance(source, (list, tuple))


def _unseen(table: Table, left_out: str | Sequence[str]) -> list[str]:
    """Return the columns that are asked to be left out, which there must be."""
    rule = "left_out must name columns of the table, or be one name"
    names = [left_out] if isinstance(left_out, str) else _check.items(left_out, rule)
    unknown = [name for name in names if name not in table.columns]
    if unknown:
        raise ValueError(f"left_out must name columns of {table.source}, got "
                         f"{_check.shown(unknown[0])}{_words.meant(unknown[0], table.columns)}")
    return names


def _check_reach(table: Table, target: Target, dtype: str) -> None:
    """See that numbers are some that the network's outputs can be, and differ in its type."""
    if target.kind not in (NUMBERS, COUNTS):
        return
    with np.errstate(over="ignore"):
        narrow = target.y.astype(_check.choice("dtype", dtype, ("float32", "float64")))
    names, rows = target.names, narrow.reshape(len(narrow), -1)
    beyond = np.argwhere(np.isinf(rows))
    remedy = ": scale the targets" + ', or dtype="float64"' * (dtype == "float32")
    if len(beyond):
        row, at = beyond[0].tolist()
        raise ValueError(f"{table.where(row, names[at])}: a target must be within {dtype}, got "
                         f"{target.y.reshape(rows.shape)[row, at]:g}{remedy}")
    if (rows == rows[0]).all():
        raise ValueError(f"{table.where(None, names[0])}: targets must differ in {dtype}, got "
                         f"{rows[0, 0]:g} in all {len(rows):,} rows{remedy}")


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
    of_class = target.y[rows] if target.kind == "classes" else np.zeros(len(rows), np.intp)
    _, of_class, counts = np.unique(of_class, return_inverse=True, return_counts=True)
    several = counts[of_class] > 1
    count = min(int(several.sum()), max(1, round(share * len(rows))), len(rows) - 1)
    if not count:
        return rows, rows[:0]
    of_class = np.unique(of_class[several], return_inverse=True)[1]
    is_held_out = np.zeros(len(rows), bool)
    is_held_out[several] = held_out.drawn(of_class, count, generator)
    return rows[~is_held_out], rows[is_held_out]


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
        yield ("while it trains: costs, MAE and RMSE are of standardised targets; outputs are in "
               "the targets' unit")

"""The measurements of a training, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cbackprop import _check, _extras, _html, _words

MONITORS = ("training_cost", "training_accuracy", "evaluation_cost", "evaluation_accuracy")
MEASURED = ("eta", "cost", "accuracy", *MONITORS, "seconds", "rows_per_second")
SETS = ("training", "evaluation", "test")
SHORT = {"test_accuracy": "accuracy"}  # entries with the book's names, which have no prefix
PRINTED = {"r2": "R2", "mae": "MAE", "rmse": "RMSE", "f1": "F1 (macro)"}  # in lines for people


def printed(name: str) -> str:
    """
    Return what people read for an entry or a metric.

    Examples
    --------
    >>> printed("test_f1"), printed("log_loss")
    ('test F1 (macro)', 'log loss')
    """
    of, _, metric = name.partition("_")
    if of not in SETS:
        of, metric = "", name
    return f"{of} {PRINTED.get(metric, metric.replace('_', ' '))}".strip()


@dataclass(repr=False)
class History:
    """
    The measurements of `Network.SGD`: each list has an entry for each epoch.

    Attributes
    ----------
    cost : list of float
        Mean cost of the training examples, each just before its own step.
    accuracy : list of float
        Share of `test_data` classified correctly after the epoch. It is empty without test data,
        and if the targets are no classes. `test_accuracy` is the same list.
    training_cost, training_accuracy, evaluation_cost, evaluation_accuracy : lists of float
        Mean cost and share classified correctly after the epoch; empty unless monitored.
    eta : list of float
        Learning rate of the epoch's last mini-batch.
    seconds : list of float
        Time spent in training, without evaluation and callbacks.
    rows_per_second : list of float
        Training examples per second.
    metrics : dict of lists of float
        Other metrics after the epoch, such as "test_cost", "test_r2" or "evaluation_f1";
        docs/metrics.md has all names. Each is an attribute, too: `history.test_cost`.
    minimized : tuple of str
        The names in `metrics` for which less is better.
    recorded : tuple of str
        The names of the lists that this training fills.
    epochs, rows, mini_batch_size : int
        The number of epochs, of training examples, and of examples in a mini-batch.
    steps : int
        The number of mini-batches so far, in completed epochs.
    seed : int or None
        The seed of dropout, of noise and of the part that `validation_split` holds out.

    Examples
    --------
    >>> net = cbackprop.Network([2, 3, 1], seed=0)
    >>> history = net.SGD(([[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]]), 3, 1, eta=0.5)
    >>> len(history), history.eta
    (3, [0.5, 0.5, 0.5])
    """

    cost: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    rows_per_second: list[float] = field(default_factory=list)
    eta: list[float] = field(default_factory=list)
    training_cost: list[float] = field(default_factory=list)
    training_accuracy: list[float] = field(default_factory=list)
    evaluation_cost: list[float] = field(default_factory=list)
    evaluation_accuracy: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    minimized: tuple[str, ...] = ()
    recorded: tuple[str, ...] = ()
    epochs: int = 0
    rows: int = 0
    mini_batch_size: int = 0
    steps: int = 0
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.cost)

    def __getattr__(self, name: str) -> list[float]:
        values = self.__dict__.get("metrics", {}).get(name)
        if name in SHORT:
            return self.__dict__[SHORT[name]]
        if values is None:
            raise AttributeError(f"this history has no {name!r}: it has {list(self.recorded)}"
                                 if "recorded" in self.__dict__ else name)
        return values

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.metrics})

    def __repr__(self) -> str:
        parts = [f"{len(self)} of {self.epochs} epochs"]
        for name, _ in self.measured():
            epoch, value = self.best(name)
            parts.append(f"{name} {value:.4g}{f' in epoch {epoch}' * (epoch < len(self))}")
        return f"<History: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        rows = []
        for name, values in self.measured():
            epoch, value = self.best(name)
            rows.append([name, f"{values[0]:.4g}", f"{values[-1]:.4g}", f"{value:.4g}", str(epoch)])
        drawn = [_html.curves({name: values for name, values in self.measured()
                               if self.smaller_is_better(name) is falls})
                 for falls in (True, False)]
        caption = (f"{len(self)} of {self.epochs} epochs, mini-batches of {self.mini_batch_size} "
                   f"from {self.rows:,} rows, {sum(self.seconds):.3g} s")
        header = ["", "first", "last", "best", "in epoch"]
        return f"<div>{_html.table(caption, header, rows)}{''.join(drawn)}</div>"

    def best(self, name: str) -> tuple[int, float]:
        """
        Return the epoch of an entry's best value, counted from 1, and the value.

        NaN is never the best.

        Raises
        ------
        ValueError
            If this training does not record the entry.

        Examples
        --------
        >>> net = cbackprop.Network([2, 3, 1], seed=0)
        >>> history = net.SGD(([[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]]), 3, 1, eta=0.5)
        >>> history.best("cost") == (3, history.cost[2])
        True
        """
        values, falls = self.series(name), self.smaller_is_better(name)
        worst = math.inf if falls else -math.inf
        scores = [worst if math.isnan(value) else value for value in values]
        at = scores.index((min if falls else max)(scores))
        return at + 1, values[at]

    def measured(self) -> list[tuple[str, list[float]]]:
        """Return the entries that say how well training went."""
        return [(name, self.series(name)) for name in self.recorded
                if name not in ("eta", "seconds", "rows_per_second") and self.series(name)]

    @classmethod
    def read(cls, saved: dict[str, Any]) -> History:
        """
        Return the history that a file has saved as a dict.

        Raises
        ------
        TypeError, ValueError
            If the dict is no saved history.
        """
        history = cls(**saved)
        history.recorded, history.minimized = map(tuple, (history.recorded, history.minimized))
        _check.instance("metrics of the history", history.metrics, dict)
        lists = {name: getattr(history, name) for name in MEASURED} | history.metrics
        if any(name in cls.__dict__ or name in MEASURED for name in history.metrics):
            raise ValueError(f"metrics of the history must have names of their own, "
                             f"got {_check.shown(list(history.metrics))}")
        epochs = len(history.cost) if isinstance(history.cost, list) else 0
        for name, values in lists.items():
            wanted = epochs if name in history.recorded else 0
            if not (isinstance(values, list) and len(values) == wanted
                    and all(type(value) in (int, float) for value in values)):
                raise ValueError(f"{name} of the history must be {wanted} numbers, "
                                 f"got {_check.shown(values)}")
        if not lists.keys() >= set(history.recorded):
            raise ValueError(f"recorded of the history must be names out of {list(lists)}, "
                             f"got {_check.shown(history.recorded)}")
        if not set(history.minimized) <= set(history.recorded):
            raise ValueError(f"minimized of the history must be names out of "
                             f"{list(history.recorded)}, got {_check.shown(history.minimized)}")
        for name in ("epochs", "rows", "mini_batch_size"):
            _check.integer(f"{name} of the history", getattr(history, name), 0)
        if "steps" not in saved and history.mini_batch_size:  # before version 4 of the files
            history.steps = epochs * -(-history.rows // history.mini_batch_size)
        _check.integer("steps of the history", history.steps, 0)
        seed = history.seed
        if not (seed is None or (type(seed) is int and 0 <= seed < 2**64)):
            raise ValueError("seed of the history must be an integer of at least 0, below 2**64, "
                             f"got {_check.shown(seed)}")
        return history

    def add(self, **measured: Iterable[float]) -> None:
        """Append what was measured, a number for each of the new epochs."""
        for name, values in measured.items():
            series = (getattr(self, name) if name in MEASURED
                      else self.metrics.setdefault(name, []))
            series.extend(values)

    def line(self) -> str:
        """Return the last epoch in a line, as ``verbose=True`` and the command line print it."""
        parts = [f"epoch {len(self):>{len(str(self.epochs))}}"]
        for name, values in self.measured():
            value = values[-1]
            parts.append(f"{printed(name)} " + (
                f"{value * 100:5.2f} %" if name.endswith("accuracy") else f"{value:<7.4g}"))
        return "  ".join([*parts, f"{self.seconds[-1]:.2f} s"])

    def series(self, name: str) -> list[float]:
        """
        Return the list of this name.

        Raises
        ------
        ValueError
            If this training does not record it.
        """
        name = SHORT.get(name, name)
        if name not in self.recorded:
            raise ValueError(f"the watched entry must be one of {list(self.recorded)}, got {name!r}"
                             f"{_words.meant(name, self.recorded)}; test_data, evaluation_data and "
                             f"monitor record more")
        values: list[float] = getattr(self, name) if name in MEASURED else self.metrics[name]
        return values

    def smaller_is_better(self, name: str) -> bool:
        """Return whether an entry should fall, as costs do, and not rise."""
        return name in self.minimized or name.endswith(("cost", "seconds"))

    def to_frame(self) -> Any:
        """
        Return a pandas DataFrame of what was recorded, a row for each epoch, the first being 1.

        Raises
        ------
        ModuleNotFoundError
            If pandas is missing.
        """
        pandas = _extras.pandas("to_frame")
        index = pandas.RangeIndex(1, len(self) + 1, name="epoch")
        return pandas.DataFrame({name: self.series(name) for name in self.recorded}, index=index)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of entries in the order of columns. Those of every history come first."""
    names = dict.fromkeys(names)
    return (*[name for name in MEASURED if name in names],
            *[name for name in names if name not in MEASURED])


def stalls(values: Iterable[float], patience: int, min_delta: float, minimize: bool) -> int:
    """
    Count how often `patience` values in a row did not better the best before them.

    Examples
    --------
    >>> stalls([0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.7, 0.7], 2, 0.0, minimize=False)
    2
    """
    best, waited, times = -math.inf, 0, 0
    for value in values:
        score = -value if minimize else value
        if score > best + min_delta:
            best, waited = score, 0
        else:
            waited += 1
        if waited == patience:
            times, waited = times + 1, 0
    return times

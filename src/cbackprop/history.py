"""What training measured, epoch by epoch; drawn and tabulated where matplotlib and pandas are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from cbackprop import _check, _html, _words

Monitor = Literal[
    "training_cost", "training_accuracy", "evaluation_cost", "evaluation_accuracy"]
MONITORS: tuple[Monitor, ...] = get_args(Monitor)
MEASURED = ("eta", "cost", "accuracy", *MONITORS, "seconds", "rows_per_second")


@dataclass(repr=False)
class History:
    """
    What `Network.SGD` measured, one entry for each epoch.

    Attributes
    ----------
    cost : list of float
        Mean cost of the training examples, each just before the step that it took part in.
    accuracy : list of float
        Share of `test_data` classified correctly after the epoch; empty without test data.
    training_cost, training_accuracy, evaluation_cost, evaluation_accuracy : lists of float
        Mean cost, and share classified correctly, after the epoch; empty unless monitored.
    eta : list of float
        Learning rate of the epoch's last mini-batch.
    seconds : list of float
        Time spent in training, evaluation and callbacks not counted.
    rows_per_second : list of float
        Training examples per second.
    recorded : tuple of str
        Which of these lists are filled in this training.
    epochs, rows, mini_batch_size : int
        What was asked for.

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
    recorded: tuple[str, ...] = ()
    epochs: int = 0
    rows: int = 0
    mini_batch_size: int = 0

    def __len__(self) -> int:
        return len(self.cost)

    def __repr__(self) -> str:
        parts = [f"{len(self)} of {self.epochs} epochs"]
        for name, values in self._measured():
            epoch, value = best(name, values)
            parts.append(f"{name} {value:.4g}{f' in epoch {epoch}' * (epoch < len(self))}")
        return f"<History: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        rows = []
        for name, values in self._measured():
            epoch, value = best(name, values)
            rows.append([name, f"{values[0]:.4g}", f"{values[-1]:.4g}", f"{value:.4g}", str(epoch)])
        drawn = [_html.curves({name: values for name, values in self._measured()
                               if smaller_is_better(name) is falling}) for falling in (True, False)]
        caption = (f"{len(self)} of {self.epochs} epochs, mini-batches of {self.mini_batch_size} "
                   f"from {self.rows:,} rows, {sum(self.seconds):.3g} s")
        header = ["", "first", "last", "best", "in epoch"]
        return f"<div>{_html.table(caption, header, rows)}{''.join(drawn)}</div>"

    def _measured(self) -> list[tuple[str, list[float]]]:
        """Return what says how well training went, as far as there is any."""
        return [(name, self.series(name)) for name in self.recorded
                if name not in ("eta", "seconds", "rows_per_second") and self.series(name)]

    @classmethod
    def read(cls, saved: dict[str, Any]) -> History:
        """
        Make it again from what `dataclasses.asdict` made of it, and a file brought back.

        Raises
        ------
        TypeError, ValueError
            If something else is in it than there would be.
        """
        history = cls(**saved)
        history.recorded = tuple(history.recorded)
        lists = {name: getattr(history, name) for name in MEASURED}
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
        for name in ("epochs", "rows", "mini_batch_size"):
            _check.integer(f"{name} of the history", getattr(history, name), 0)
        return history

    def add(self, **measured: float) -> None:
        """Append what was measured in one epoch."""
        for name, value in measured.items():
            getattr(self, name).append(value)

    def line(self) -> str:
        """Return the last epoch in a line, as ``verbose=True`` and the command line print it."""
        parts = [f"epoch {len(self):>{len(str(self.epochs))}}"]
        for name, values in self._measured():
            value = values[-1]
            parts.append(f"{name.replace('_', ' ')} " + (
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
        if name not in self.recorded:
            raise ValueError(f"what is watched must be one of {list(self.recorded)}, got {name!r}"
                             f"{_words.meant(name, self.recorded)}; test_data, evaluation_data and "
                             f"monitor have more recorded")
        values: list[float] = getattr(self, name)
        return values

    def to_frame(self) -> Any:
        """
        Return a pandas DataFrame of what was recorded, a row for each epoch, the first being 1.

        Raises
        ------
        ModuleNotFoundError
            If pandas is missing.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise ModuleNotFoundError("to_frame needs pandas: pip install pandas") from None
        index = pandas.RangeIndex(1, len(self) + 1, name="epoch")
        return pandas.DataFrame({name: self.series(name) for name in self.recorded}, index=index)


def smaller_is_better(name: str) -> bool:
    """Tell costs and seconds, which should fall, from what should rise."""
    return name.endswith(("cost", "seconds"))


def best(name: str, values: list[float]) -> tuple[int, float]:
    """Return the epoch, the first being 1, of the best value, and it; a NaN is never best."""
    worst = math.inf if smaller_is_better(name) else -math.inf
    scores = [worst if math.isnan(value) else value for value in values]
    at = scores.index((min if worst > 0 else max)(scores))
    return at + 1, values[at]


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

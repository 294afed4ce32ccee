"""
Metrics of outputs and targets, and the kinds of targets that each metric fits.

A metric is called with outputs, as `Network.feedforward` returns them, and targets, as
`Network.SGD` takes them. `TABLE` has all, by name. Each is computed part by part, so that the
outputs of a large set are never all in memory. Sums are in float64.

Examples
--------
>>> import numpy as np
>>> accuracy(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]))
0.5
>>> r2(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))
0.5
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbackprop import _check
from cbackprop.engine import Engine
from cbackprop.layers import threshold
from cbackprop.sources import Examples
from cbackprop.target_values import ends

CLASSES, LABELS, NUMBERS, COUNTS = "classes", "labels", "numbers", "counts"
WORDS = {CLASSES: "classes", LABELS: "several labels", NUMBERS: "numbers", COUNTS: "counts"}
FALLING = "_cost", "_loss", "_error", "_deviance"  # endings of names
RISING = "_score", "_accuracy"
KIND_ROWS = 1000  # rows that stand for all
BY_CHANCE = 10  # up to so many rows hold but two values by chance


# ---- what targets are ----


class Kind(NamedTuple):
    """
    The kind of targets: classes, several labels, numbers or counts.

    Attributes
    ----------
    name : {"classes", "labels", "numbers", "counts"}
    low, high : float
        The two targets of a single output, or of each label. `high` stands for the second class,
        or for a label that is present.
    middle : float
        The output above which the decision is for `high`.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    middle: float = 0.5

    @classmethod
    def read(cls, saved: Any) -> Kind:
        """
        Return the kind that a file has saved.

        Raises
        ------
        TypeError, ValueError
            If the saved values are no kind.
        """
        name, *given = saved
        if len(given) != 3:
            raise ValueError(f"a kind of targets has three numbers, got {_check.shown(given)}")
        return cls(_check.choice("kind of targets", name, WORDS),
                   *(_check.number("kind of targets", value) for value in given))


# Returns what all processes found, if each has a share of a set: merged(found, merge of two).
Merged = Callable[[Any, Callable[[Any, Any], Any]], Any]


def alone(found: Any, merge: Callable[[Any, Any], Any]) -> Any:
    """Return what this process found, which has the whole set."""
    return found


def kind_of(
    engine: Engine, y: NDArray[Any] | None = None, trained_on: Kind | None = None,
    merged: Merged = alone,
) -> Kind:
    """
    Return the kind of the targets, from the cost, the output's activation and the targets.

    Integer labels are classes. So are rows of two values in which one target is high, such as
    one-hot rows; other rows of two values are several labels. A single output is a class if its
    targets have two values, or if its cost is for classes. The rest are numbers, or, with the
    poisson cost, counts.

    Parameters
    ----------
    engine : Engine
    y : array (n,) or (n, out), optional
        The targets as the core has them. Without them, the network's settings alone decide.
    trained_on : Kind, optional
        The kind of the targets in training, which decides for all but labels: a few rows say
        little, as a single target of 1 may be a number or a class.
    merged : Merged, optional
        By default, y are all targets.
    """
    if y is not None and y.ndim == 1:
        return Kind(CLASSES)
    if trained_on is not None:
        return trained_on
    width, row = engine.sizes[-1], engine.target_values.cost
    low, high = ends(engine.activations[-1])
    hinge = row is not None and row.threshold == 0
    output_of_cost = None if row is None else row.default_output
    of_classes = hinge or output_of_cost in ("sigmoid", "softmax")
    whole_layer = engine.activations[-1] == "softmax" or (
        width > 1 and output_of_cost == "softmax")
    if row is not None and row.name == "poisson" and not whole_layer:
        return Kind(COUNTS)
    if y is None:
        return Kind(CLASSES if of_classes or (low, high) == (0, 1) else NUMBERS,
                    middle=0.0 if hinge else 0.5)
    finite = math.isfinite(high - low)
    values, n = (None, 0) if whole_layer else merged(
        (Values(*engine.build.values_of(y)), len(y)), _of_both_shares)
    pair = values and _pair(values, n, of_classes or finite, below_0=hinge or low == -1)
    if values and pair:
        name = CLASSES if width == 1 or values.one_high else LABELS
        return Kind(name, *pair, 0.0 if hinge else sum(pair) / 2)
    if whole_layer or (of_classes and width == 1) or (
            width > 1 and (of_classes or (low, high) == (0, 1))
            and merged(_shares(y), operator.and_)):
        return Kind(CLASSES, middle=0.0 if hinge else (low + high) / 2 if finite else 0.5)
    return Kind(NUMBERS)


def kind_for(
    engine: Engine, examples: Examples, trained_on: Kind | None = None, merged: Merged = alone
) -> Kind:
    """
    Return the kind of a set's targets; of a RowSource, only the targets known so far count.

    Rows of targets of all processes together decide: zeros alone would look like a class.
    """
    y = examples.known_targets()
    all_have_rows = merged(y.ndim == 2, operator.and_)
    return kind_of(engine, y, trained_on, merged if all_have_rows else alone)


class Values(NamedTuple):
    """The extremes of rows of targets; whether there are no others, and one high in each row."""

    low: float
    high: float
    two_valued: bool
    one_high: bool


def _of_both_shares(one: tuple[Values, int], other: tuple[Values, int]) -> tuple[Values, int]:
    """Return the values, and the number of rows, of two shares together."""
    (a, n), (b, n2) = one, other
    low, high = min(a.low, b.low), max(a.high, b.high)
    two_valued = a.two_valued and b.two_valued and {a.low, a.high, b.low, b.high} == {low, high}
    # Where the highest value is not, no row has one.
    one_high = all(each.one_high and each.high == high for each in (a, b))
    return Values(low, high, two_valued, two_valued and one_high), n + n2


def _values(y: NDArray[Any]) -> Values:
    """Return the same as the core's `values_of`, for rows of any dtype."""
    low, high = y.min(), y.max()
    is_high = y == high
    two_valued = bool((is_high | (y == low)).all())
    return Values(low, high, two_valued, two_valued and bool((is_high.sum(axis=1) == 1).all()))


def _pair(values: Values, n: int, likely: bool, below_0: bool) -> tuple[float, float] | None:
    """
    Return the two values that the targets of n rows have, or None if they have others.

    0 and 1, and -1 and 1, always count. Other values count if the network is `likely` to be a
    classifier, or if they are whole numbers in more than a few rows.
    """
    low, high, two_valued, _ = values
    if not two_valued:
        return None
    if low == high:
        if low not in (-1, 0, 1):
            return None
        return (-1.0, 1.0) if low == -1 or (low == 1 and below_0) else (0.0, 1.0)
    whole = low == round(low) and high == round(high)
    if (low, high) in ((0, 1), (-1, 1)) or likely or (whole and n > BY_CHANCE):
        return float(low), float(high)
    return None


def _shares(y: NDArray[Any]) -> bool:
    """Return whether rows are shares of 1, the probabilities of classes."""
    return all(some.min() >= 0 and np.allclose(some.sum(axis=1), 1, rtol=0, atol=1e-4)
               for some in (y[:1], y[:: max(1, len(y) // KIND_ROWS)]))


# ---- decisions ----


def decided(outputs: NDArray[Any], kind: Kind) -> NDArray[Any]:
    """
    Return the decisions of outputs (n, out): classes (n,), or labels (n, out) of 0 and 1.

    A decision is -1, which is never right, if the output is NaN.
    """
    broken = np.isnan(outputs)
    if kind.name == LABELS:
        there = (outputs > kind.middle).view(np.int8)
        there[broken] = -1
        return there
    found = (outputs[:, 0] > kind.middle if outputs.shape[1] == 1
             else outputs.argmax(axis=1))
    return np.where(broken.any(axis=1), -1, found)


def wanted(targets: NDArray[Any], kind: Kind) -> NDArray[Any]:
    """Return the classes or labels that targets stand for, in the form of `decided`."""
    if targets.ndim == 1:
        return targets.astype(np.intp, copy=False)
    if kind.name == LABELS or targets.shape[1] == 1:
        there = targets > (kind.low + kind.high) / 2
        return there.view(np.int8) if kind.name == LABELS else there[:, 0].astype(np.intp)
    return targets.argmax(axis=1)


def probabilities(outputs: NDArray[Any], kind: Kind) -> NDArray[Any]:
    """
    Return the probabilities of classes (n, classes), which add up to 1, or of labels (n, out).

    Outputs of several sigmoid neurons are divided by their sum. If all are 0, all classes are
    equally likely.
    """
    if kind.name == LABELS:
        return outputs
    if outputs.shape[1] == 1:
        return np.hstack((1 - outputs, outputs))
    sums = outputs.sum(axis=1, keepdims=True)
    return np.divide(outputs, sums, where=sums != 0,
                     out=np.full_like(outputs, 1 / outputs.shape[1]))


# ---- metrics: the statistics of a part of the examples, and the value for all parts ----

Part = Callable[[NDArray[Any], NDArray[Any], Kind], Any]


def _rows_right(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    right = decided(a, kind) == wanted(y, kind)
    return [np.count_nonzero(right.all(axis=1) if right.ndim == 2 else right), len(right)]


def _labels_right(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    right = decided(a, kind) == wanted(y, kind)
    return [np.count_nonzero(right), right.size]


def _right_of_class(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    found, classes = decided(a, kind), wanted(y, kind)
    n = max(2, a.shape[1])
    return [np.bincount(classes[found == classes], minlength=n),
            np.bincount(classes, minlength=n)]


def _harmonic(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    """Return 2 TP and 2 TP + FP + FN for each class or label."""
    found, there = decided(a, kind), wanted(y, kind)
    if kind.name == CLASSES:
        n = max(2, a.shape[1])
        return [2 * np.bincount(there[found == there], minlength=n),
                np.bincount(found[found >= 0], minlength=n) + np.bincount(there, minlength=n)]
    hits = 2 * np.count_nonzero((found == 1) & (there == 1), axis=0)
    return [hits, hits + np.count_nonzero(found != there, axis=0)]


def _log_losses(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[float]:
    p = probabilities(a, kind)[np.arange(len(a)), wanted(y, kind)]
    tiny = np.finfo(a.dtype).eps if a.dtype.kind == "f" else np.finfo(np.float64).eps
    return [-np.log(np.clip(p.astype(np.float64), tiny, 1 - tiny)).sum(), len(a)]


def _among_first(a: NDArray[Any], y: NDArray[Any], kind: Kind, k: int) -> list[Any]:
    classes = wanted(y, kind)
    first = np.argsort(-a, axis=1, kind="stable")[:, :k]
    hits = (first == classes[:, None]).any(axis=1) & ~np.isnan(a).any(axis=1)
    return [np.count_nonzero(hits), len(a)]


def _errors(a: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    return np.subtract(a, y, dtype=np.float64)


def _squares(a: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of the squared differences for each output."""
    errors = _errors(a, y)
    return np.square(errors, out=errors).sum(axis=0)


def _absolute(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    errors = _errors(a, y)
    return [np.abs(errors, out=errors).sum(), a.size]


def _squared(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    return [_squares(a, y), len(a)]


def _explained(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    """Return squared errors, their number, mean and squared deviations of y, for each output."""
    mean = y.sum(axis=0, dtype=np.float64) / len(y)
    return [_squares(a, y), len(a), mean, _squares(y, mean)]


def _deviances(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> list[Any]:
    a, y = a.astype(np.float64), y.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.where(y > 0, y * np.log(y / a), 0)
    return [2 * np.where(a < 0, np.nan, logarithm - y + a).sum(), a.size]


def _in_core(a: NDArray[Any], y: NDArray[Any], kind: Kind) -> Any:
    raise TypeError("cost is the network's own: Network.total_cost returns it")


def _added(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """Return the sums of two parts together."""
    return [a + b for a, b in zip(one, other, strict=True)]


def _ratio(sums: Sequence[Any], root: bool = False) -> float:
    """Return sum / count, or its mean over classes or outputs."""
    above, below = sums
    if np.ndim(below):  # one for each class; absent ones do not count
        there = below > 0
        above, below = above[there], below[there]
    ratios = np.asarray(above / below)
    return float((np.sqrt(ratios) if root else ratios).mean()) if ratios.size else math.nan


def _root(sums: Sequence[Any]) -> float:
    return _ratio(sums, root=True)


def _merged(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """Return `_explained` of two parts together."""
    (e, n, mean, around), (e2, n2, mean2, around2) = one, other
    apart = mean2 - mean
    return [e + e2, n + n2, mean + apart * n2 / (n + n2),
            around + around2 + np.square(apart) * n * n2 / (n + n2)]


def _r2(sums: Sequence[Any]) -> float:
    """
    Return 1 - errors / deviations, the mean over the outputs; NaN for fewer than two examples.

    As in scikit-learn, a constant target scores 1 if all errors are 0, and 0 otherwise.
    """
    errors, n, _, around = sums
    if n < 2 or np.isnan(errors).any():
        return math.nan
    if not around.all():
        errors, around = np.where(around == 0, errors > 0, errors), np.where(around == 0, 1, around)
    return float((1 - errors / around).mean())


class Metric:
    """
    A metric of the user's own, for `monitor` and for callbacks.

    Parameters
    ----------
    function : callable (outputs, targets)
        Returns a number. Outputs have shape (n, out); targets are labels (n,), or (n, out).
    maximize : bool, optional
        Whether more is better. By default, the end of the name decides: ``_score`` or
        ``_accuracy``, against ``_cost``, ``_loss``, ``_error`` or ``_deviance``.
    name : str, optional
        The name in the history, after ``test_`` and the like; by default the function's name.

    Raises
    ------
    TypeError, ValueError
        If the function or the name is none, or the name does not say whether more is better.

    Examples
    --------
    >>> import numpy as np
    >>> worst = Metric(lambda a, y: np.abs(a - y).max(), maximize=False, name="worst")
    >>> net = cbackprop.Network([1, 4, 1], output_activation="identity", seed=0)
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> history = net.SGD((x, 3 + x), 5, 5, 0.1, test_data=(x, 3 + x), monitor=[worst])
    >>> history.test_worst[-1] < history.test_worst[0]
    True
    """

    def __init__(
        self, function: Callable[[Any, Any], float], maximize: bool | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable as (outputs, targets), "
                            f"got {_check.shown(function)}")
        _check.function("function", function, "outputs", "targets")
        if not (maximize is None or isinstance(maximize, (bool, np.bool_))):
            raise TypeError(f"maximize must be True, False or None, got {_check.shown(maximize)}")
        self.function = function
        self.name = function_name(function) if name is None else name
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(f"name must be a word that could name a variable, got "
                             f"{_check.shown(self.name)}: use Metric(f, name=...)")
        self.maximize = (not falls_by_name(function, "maximize", self.name) if maximize is None
                         else bool(maximize))

    def __call__(self, outputs: Any, targets: Any) -> float:
        """Return the metric."""
        return self.value(([np.asarray(outputs)], [np.asarray(targets)]))

    def part(self, outputs: NDArray[Any], targets: NDArray[Any], kind: Kind) -> Sequence[Any]:
        """Return the statistics of a part: its outputs and targets."""
        return [outputs], [targets]

    def merged(self, one: Sequence[Any], other: Sequence[Any]) -> Sequence[Any]:
        """Return the statistics of two parts together."""
        return _added(one, other)

    def value(self, part: Sequence[Any]) -> float:
        """Return the metric for the statistics of all parts."""
        value = self.function(*map(np.concatenate, part))
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(f"metric {self.name} must return a number, "
                            f"got {_check.shown(value)}") from None


class Known(Metric):
    """
    A metric of the table.

    Parameters
    ----------
    name : str
    part : callable (outputs, targets, kind)
        Returns the statistics of a part of the examples, such as sums.
    value : callable (statistics)
        Returns the metric for the statistics of all parts.
    merged : callable (statistics, statistics)
        Returns the statistics of two parts together; by default their sums.
    maximize : bool
        Whether more is better.
    fits : tuple of str
        The kinds of targets that it fits.
    unasked : tuple of str
        The kinds for which it is recorded by default, for test and evaluation data.
    probabilities : bool
        Whether outputs must be probabilities.
    above : int
        The network must have more outputs than this.
    """

    def __init__(
        self, name: str, part: Part, value: Callable[[Sequence[Any]], float] = _ratio,
        merged: Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]] = _added, *,
        maximize: bool, fits: tuple[str, ...], unasked: tuple[str, ...] = (),
        probabilities: bool = False, above: int = 0,
    ) -> None:
        self.name, self.maximize, self.fits, self.unasked = name, maximize, fits, unasked
        self.probabilities, self.above = probabilities, above
        self._part, self._value, self._merged = part, value, merged

    def __call__(self, outputs: Any, targets: Any, kind: Kind | None = None) -> float:
        """Return the metric; by default, the targets decide on their kind."""
        a, y = np.asarray(outputs), np.asarray(targets)
        if y.dtype.kind not in "buif":
            raise TypeError(f"targets must be numbers, labels 0, 1, 2, ... of classes, got dtype "
                            f"{y.dtype}; Network.measure takes names of classes")
        a = a[:, None] if a.ndim == 1 else a
        y = y[:, None] if y.ndim == 1 and a.shape[1] == 1 else y
        y = y.astype(np.float64) if y.ndim == 2 and y.dtype.kind != "f" else y
        if len(a) != len(y) or (y.ndim == 2 and a.shape != y.shape):
            raise ValueError(f"outputs and targets must be of the same examples, got shapes "
                             f"{a.shape} and {y.shape}")
        return self.value(self.part(a, y, self._kind(y) if kind is None else kind))

    def _kind(self, y: NDArray[Any]) -> Kind:
        if y.ndim == 1 or not {CLASSES, LABELS} & {*self.fits}:
            return Kind(self.fits[0])
        values = _values(y)
        pair = _pair(values, len(y), likely=True, below_0=False) or (0.0, 1.0)
        several = self.fits == (LABELS,) or (
            LABELS in self.fits and y.shape[1] > 1 and not values.one_high and not _shares(y))
        return Kind(LABELS if several else CLASSES, *pair, sum(pair) / 2)

    def part(self, outputs: NDArray[Any], targets: NDArray[Any], kind: Kind) -> Sequence[Any]:
        """Return the statistics of a part of the examples."""
        found: Sequence[Any] = self._part(outputs, targets, kind)
        return found

    def merged(self, one: Sequence[Any], other: Sequence[Any]) -> Sequence[Any]:
        """Return the statistics of two parts together."""
        return self._merged(one, other)

    def value(self, part: Sequence[Any]) -> float:
        """Return the metric for the statistics of all parts."""
        return self._value(part)


BOTH, REALS = (CLASSES, LABELS), (NUMBERS, COUNTS)
accuracy = Known("accuracy", _rows_right, maximize=True, fits=BOTH, unasked=BOTH)
balanced_accuracy = Known("balanced_accuracy", _right_of_class, maximize=True, fits=(CLASSES,))
log_loss = Known("log_loss", _log_losses, maximize=False, fits=(CLASSES,), probabilities=True)
top_5_accuracy = Known("top_5_accuracy", functools.partial(_among_first, k=5), maximize=True,
                       fits=(CLASSES,), above=5)
label_accuracy = Known("label_accuracy", _labels_right, maximize=True, fits=(LABELS,),
                       unasked=(LABELS,))
f1 = Known("f1", _harmonic, maximize=True, fits=BOTH, unasked=(LABELS,))
r2 = Known("r2", _explained, _r2, _merged, maximize=True, fits=REALS, unasked=REALS)
mae = Known("mae", _absolute, maximize=False, fits=REALS, unasked=REALS)
rmse = Known("rmse", _squared, _root, maximize=False, fits=REALS, unasked=REALS)
deviance = Known("deviance", _deviances, maximize=False, fits=(COUNTS,), unasked=(COUNTS,))
cost = Known("cost", _in_core, maximize=False, fits=tuple(WORDS), unasked=tuple(WORDS))

TABLE = {row.name: row for row in (
    cost, accuracy, balanced_accuracy, log_loss, top_5_accuracy, label_accuracy, f1, r2, mae, rmse,
    deviance)}
MonitorName = Literal[
    "cost", "training_cost", "evaluation_cost", "test_cost",
    "accuracy", "training_accuracy", "evaluation_accuracy", "test_accuracy",
    "balanced_accuracy", "training_balanced_accuracy",
    "evaluation_balanced_accuracy", "test_balanced_accuracy",
    "log_loss", "training_log_loss", "evaluation_log_loss", "test_log_loss",
    "top_5_accuracy", "training_top_5_accuracy",
    "evaluation_top_5_accuracy", "test_top_5_accuracy",
    "label_accuracy", "training_label_accuracy",
    "evaluation_label_accuracy", "test_label_accuracy",
    "f1", "training_f1", "evaluation_f1", "test_f1",
    "r2", "training_r2", "evaluation_r2", "test_r2",
    "mae", "training_mae", "evaluation_mae", "test_mae",
    "rmse", "training_rmse", "evaluation_rmse", "test_rmse",
    "deviance", "training_deviance", "evaluation_deviance", "test_deviance",
]
Monitor: TypeAlias = MonitorName | Metric | Callable[[Any, Any], float]


def top_k_accuracy(outputs: Any, targets: Any, k: int = 2) -> float:
    """
    Return the share of examples whose class is among the k largest outputs.

    Examples
    --------
    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2])
    0.5
    """
    k = _check.integer("k", k, 1)
    return Known("top_k_accuracy", functools.partial(_among_first, k=k), maximize=True,
                 fits=(CLASSES,))(outputs, targets)


def unasked(kind: Kind) -> list[Known]:
    """Return the metrics that are recorded by default for targets of this kind."""
    return [row for row in TABLE.values() if kind.name in row.unasked]


def check_class_weight(class_weight: object, kind: Kind) -> None:
    """
    Check that targets are classes if there is a `class_weight`.

    Raises
    ------
    ValueError
        If they are not.
    """
    if class_weight is not None and kind.name != CLASSES:
        raise ValueError(f"class_weight needs targets that are classes, got {WORDS[kind.name]}: "
                         f"sample_weight weighs each example")


def fitting(kind: Kind, engine: Engine) -> list[Known]:
    """Return the metrics that fit targets of this kind and the network's outputs."""
    return [row for row in TABLE.values() if _misfit(row, kind, engine) is None]


def check(metric: Metric, kind: Kind, engine: Engine, what: str) -> None:
    """
    Check that a metric fits these targets and the network's outputs.

    Raises
    ------
    ValueError
        If it does not. The error names `what`, and the metrics that fit.
    """
    if isinstance(metric, Known):
        misfit = _misfit(metric, kind, engine)
        if misfit is not None:
            raise ValueError(f"{what} needs {misfit}")


def _misfit(row: Known, kind: Kind, engine: Engine) -> str | None:
    """Return what a metric needs and what came instead, or None if it fits."""
    if kind.name not in row.fits:
        return (f"targets that are {' or '.join(WORDS[name] for name in row.fits)}, got "
                f"{WORDS[kind.name]}, which have "
                f"{', '.join(fit.name for fit in TABLE.values() if kind.name in fit.fits)}")
    if row.probabilities and not are_probabilities(engine):
        return (f"outputs that are probabilities, as those of sigmoid and softmax are, got "
                f"{_check.shown(engine.activations[-1])}")
    if engine.sizes[-1] <= row.above:
        return f"more than {row.above} outputs, got {engine.sizes[-1]}"
    return None


def are_probabilities(engine: Engine) -> bool:
    """Return whether all outputs lie between 0 and 1."""
    return ends(engine.activations[-1]) == (0, 1)


def measure(
    engine: Engine, examples: Examples, asked: Sequence[Metric], kind: Kind,
    merged: Merged = alone,
) -> dict[Metric, float]:
    """
    Return the values of these metrics for a set, which is read once.

    The core counts right examples and adds up the cost. The other metrics share one more pass.

    Parameters
    ----------
    engine : Engine
    examples : Examples
    asked : sequence of Metric
    kind : Kind
    merged : Merged, optional
        By default, this process has the whole set.
    """
    in_core = [metric for metric in asked if metric is cost
               or (metric is accuracy and decides(engine, kind))]
    others = [metric for metric in asked if metric not in in_core]
    correct, total = 0, 0.0
    said: list[Sequence[Any]] = []
    for rows, targets in examples.all():
        if in_core:
            right, costs = engine.core.evaluate(rows, targets)
            correct, total = correct + right, total + costs
        if others:
            outputs = engine.core.feedforward(rows)
            if outputs is None:
                engine.not_finite(rows, "x")
            assert outputs is not None  # or that has raised
            parts = [metric.part(outputs, targets.y, kind) for metric in others]
            said = _of_both(others, said, parts) if said else parts
            del outputs, parts
        del rows, targets  # before a RowSource makes the next ones
    n, correct, total, said = merged((len(examples), correct, total, said), lambda one, other: (
        *(a + b for a, b in zip(one[:3], other[:3], strict=True)),
        _of_both(others, one[3], other[3])))
    values = {metric: metric.value(part) for metric, part in zip(others, said, strict=True)}
    return {metric: total / n if metric is cost else
            correct / n if metric in in_core else values[metric] for metric in asked}


def _of_both(
    asked: Sequence[Metric], one: Sequence[Any], other: Sequence[Any]
) -> list[Sequence[Any]]:
    """Return the statistics of two parts together, for each metric."""
    return [metric.merged(*parts) for metric, *parts in zip(asked, one, other, strict=True)]


def decides(engine: Engine, kind: Kind) -> bool:
    """Return whether the core's decisions are those of `decided`."""
    if kind.name != CLASSES:
        return False
    middle = threshold(engine.cost)
    return engine.sizes[-1] > 1 or (kind.middle == middle and kind.low <= middle < kind.high)


# ---- directions ----


def function_name(function: Any) -> str:
    """Return the name of a function, which may be partial."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def falls_by_name(function: Any, argument: str, name: str | None = None) -> bool:
    """
    Return whether less is better, by the end of a function's name, as scikit-learn names metrics.

    Raises
    ------
    ValueError
        If the name does not say it. The error asks for `argument`.
    """
    ending = f"_{name or function_name(function)}".lower()
    for endings, less in ((FALLING, True), (RISING, False)):
        if ending.endswith(endings):
            return less
    raise ValueError(f"{argument} must be True or False for a metric whose name does not say "
                     f"whether less is better, as *_error and *_score do, "
                     f"got {_check.shown(function)}")

"""`sweep`: many settings tried on the same data, and a table of what they gave."""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cbackprop import _check, _endings, _extras, _html, _joblib, _text, _words, arrays, metrics
from cbackprop._endings import DivergenceError
from cbackprop.callbacks import Callback, EarlyStopping, collected, copies
from cbackprop.history import SETS, SHORT, History
from cbackprop.network import Network
from cbackprop.parallel_training import again, check_files, train_many

VALIDATION_SPLIT = 0.2
MAX_ROWS = 20  # that are shown as text
NETWORK = [name for name in inspect.signature(Network).parameters if name != "threads"]
TRAINING = [name for name in inspect.signature(Network.SGD).parameters if name not in (
    "self", "training_data", "evaluation_data", "validation_split", "threads", "callback",
    "resume", "comm", "average_every", "reduce_dtype")]  # the last three: one training, many ranks
SETTINGS = [*NETWORK, "hidden", *TRAINING]
# The others have a value for each example, or only watch.
TRIED = [name for name in SETTINGS if name not in (
    "test_data", "sample_weight", "monitor", "progress", "verbose", "callbacks")]


class Run(NamedTuple):
    """A training: the network, what ended it, the epoch of its parameters, and its warnings."""

    network: Network
    ended: History | DivergenceError
    epoch: int
    warnings: list[str]


class Sweep(Sequence[dict[str, Any]]):
    """
    The table of a sweep: a row for each combination of settings, the best first.

    pandas and polars make a DataFrame of it: ``pandas.DataFrame(found)``.

    Attributes
    ----------
    rows : list of dict
        The settings of the grid, None where a combination has none; then "score", the mean over the
        seeds; "std", their standard deviation; "seconds", spent in training; and "note", why there
        is no score, or of what a training warned, or None. Rows whose score is NaN are the last.
    networks : list of lists of Network
        The trained networks of each row, one for each seed. Their `history` has the epochs.
    scores : list of lists of float
        The score of each network.
    metric : str
        The entry of the history that is the score.
    maximize : bool
        Whether more is better.
    """

    def __init__(
        self, tried: Sequence[tuple[dict[str, Any], Sequence[Run]]], metric: str, maximize: bool
    ) -> None:
        self.metric, self.maximize = metric, maximize
        names = dict.fromkeys(name for settings, _ in tried for name in settings)
        if any(isinstance(settings.get("hidden"), list) for settings, _ in tried):
            for settings, _ in tried:  # one type in a column, which polars needs
                if isinstance(settings.get("hidden"), int):
                    settings["hidden"] = [settings["hidden"]]
        found = []
        for settings, runs in tried:
            scores, reasons = zip(*(_score(run, metric) for run in runs), strict=True)
            notes = [*filter(None, reasons), *(said for run in runs for said in run.warnings)]
            row = {name: settings.get(name) for name in names} | {
                "score": float(np.mean(scores)), "std": float(np.std(scores)),
                "seconds": sum(sum(run.network.history.seconds) for run in runs
                               if run.network.history),
                "note": notes[0] if notes else None}
            found.append((settings, row, [run.network for run in runs], list(scores)))
        found.sort(key=lambda one: self._rank(one[1]["score"]))
        self._settings = [one[0] for one in found]
        self.rows = [one[1] for one in found]
        self.networks = [one[2] for one in found]
        self.scores = [one[3] for one in found]

    def _rank(self, score: float) -> float:
        return math.inf if math.isnan(score) else -score if self.maximize else score

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        return self.rows[at]

    @property
    def best(self) -> Network:
        """
        The network with the best score among those of the first row.

        Raises
        ------
        ValueError
            If no row has a score.
        """
        self._check_first()
        pairs = zip(self.scores[0], self.networks[0], strict=True)
        return min(pairs, key=lambda pair: self._rank(pair[0]))[1]

    @property
    def best_settings(self) -> dict[str, Any]:
        """
        The settings of the first row.

        Raises
        ------
        ValueError
            If no row has a score.
        """
        self._check_first()
        return dict(self._settings[0])

    def _check_first(self) -> None:
        if math.isnan(self.rows[0]["score"]):
            raise ValueError(f"the best of a sweep must have a score, got none in {len(self)} "
                             f"row(s): {self.rows[0]['note']}")

    def to_frame(self) -> Any:
        """
        Return a pandas DataFrame of the rows.

        Raises
        ------
        ModuleNotFoundError
            If pandas is missing.
        """
        return _extras.pandas("to_frame").DataFrame(self.rows)

    def __repr__(self) -> str:
        header, rows = self._cells()
        shown = [None if at is None else rows[at] for at in _text.elided(len(rows), MAX_ROWS)]
        left = [at for at, name in enumerate(header) if name == "note"]
        return f"{self._caption()}\n{_text.table(header, shown, left)}"

    def _repr_html_(self) -> str:
        return _html.table(self._caption(), *self._cells())

    def _caption(self) -> str:
        most = max(map(len, self.networks))
        return (f"{len(self)} combinations by {self.metric}, "
                f"{'more' if self.maximize else 'less'} is better"
                f"{f'; the mean of {most} seeds' if most > 1 else ''}")

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows as text, without columns that say nothing."""
        header = [name for name in self.rows[0] if name not in ("std", "note")
                  or any(row[name] for row in self.rows)]
        return header, [[_cell(row[name]) for name in header] for row in self.rows]


def sweep(
    grid: Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Iterable[Any]]], training_data: Any,
    *, metric: str | metrics.Metric | None = None, evaluation_data: Any = None,
    validation_split: float | None = None, threads: int | None = None, **settings: Any,
) -> Sweep:
    """
    Train a network for each combination of settings, and rank them by a metric of held-out data.

    The same rows are held out in all trainings, and dropout has the same seed. The trainings run at
    the same time, as those of `train_many`; under `joblib.parallel_config` with "loky", "dask" or
    "ray" they run in its workers, to which the data is sent once. A training that diverges is a row
    with the reason.

    Parameters
    ----------
    grid : dict of lists, or list of such dicts
        The values to try, by the names of arguments of `Network` and `Network.SGD`: all
        combinations of a dict's values. "hidden" stands for the sizes between the first and the
        last, which the data has: 30, or [30, 20]. Over the values of "seed", the mean is taken.
    training_data : as `Network.SGD` takes it
        "hidden" needs arrays (x, y).
    metric : str or Metric, optional
        The metric that decides, such as "accuracy", "r2" or "cost", of the data held out. By
        default the first that fits the targets: accuracy for classes and labels, R2 for numbers.
        Its value after the last epoch counts, or after the epoch whose parameters an
        `EarlyStopping` restores.
    evaluation_data : as training_data, optional
        The data that is not trained on.
    validation_split : float, optional
        Without `evaluation_data`, the share of the training data that is held out in its place,
        stratified by class; by default 0.2.
    threads : int, optional
        The number of networks that are trained at a time, as for `train_many`.
    **settings
        Arguments of `Network` and `Network.SGD` for all trainings, such as epochs; or "hidden".
        Each training has a copy of the callbacks. A seed that is not given is drawn, one for all.

    Returns
    -------
    Sweep
        The table. Its `best` is the best network.

    Raises
    ------
    TypeError, ValueError
        If a name or a value is bad, or the data; nothing is trained then.

    Examples
    --------
    >>> (x, y), test_data = cbackprop.datasets.load_mnist()
    >>> found = cbackprop.sweep({"eta": [0.3, 3.0], "hidden": [10, 30]}, (x, y), epochs=3,
    ...                         mini_batch_size=10, input_scale=1 / 255, seed=0)
    >>> found.best_settings
    {'eta': 3.0, 'hidden': 30}
    >>> found.best.accuracy(test_data) > 0.8
    True
    """
    combinations = _combinations(grid, settings)
    if not (metric is None or isinstance(metric, str) or callable(metric)):
        raise TypeError(f"metric must be a name, a Metric or a function (outputs, targets), got "
                        f"{_check.shown(metric)}")
    if callable(metric) and not isinstance(metric, metrics.Metric):
        metric = metrics.Metric(metric)
    shared = {"training_data": again(training_data), "validation_split": validation_split}
    if evaluation_data is not None:
        shared["evaluation_data"] = again(evaluation_data, "evaluation_data")
    elif validation_split is not None and not validation_split:
        raise ValueError("validation_split must be above 0 where there is no evaluation_data, "
                         f"got {_check.shown(validation_split)}")
    elif validation_split is None:
        shared["validation_split"] = VALIDATION_SPLIT
    shared |= {name: settings[name] for name in TRAINING if name in settings}
    if metric is not None:
        shared["monitor"] = [*_listed(settings.get("monitor")), _entry(metric)
                             if isinstance(metric, str) else metric]
    callbacks = collected(shared.pop("callbacks", ()), None, None)
    split_seed = int(_check.generator(combinations[0][1][0]).integers(2**63))

    jobs = []
    for chosen, seeds in combinations:
        own = {name: chosen[name] for name in TRAINING if name in chosen}
        for seed in seeds:
            network = _network({**settings, **chosen, "seed": seed}, shared["training_data"])
            jobs.append((network, own | {"callbacks": [_Tried(split_seed), *copies(callbacks)]}))
    training = _prepared(*jobs[0], shared)
    name = (_unasked(training.recorded()) if metric is None else
            _entry(metric if isinstance(metric, str) else metric.name))
    maximize = training.monitors[SHORT.get(name, name)][0].maximize
    runs = iter(_trained(jobs, shared, threads))
    found = Sweep([(chosen, list(itertools.islice(runs, len(seeds))))
                   for chosen, seeds in combinations], name, maximize)
    if found.rows[0]["note"] and not math.isnan(found.rows[0]["score"]):
        _words.warn(f"the first row of the sweep: {found.rows[0]['note']}")
    return found


# ---- what is tried ----


def _combinations(
    grid: Any, settings: dict[str, Any]
) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return each combination of settings, with its seeds."""
    rule = "grid must be a dict of settings to lists of values, or a list of such dicts"
    _check_names(settings, SETTINGS, "")
    seed = settings.get("seed")
    if seed is None or isinstance(seed, np.random.Generator):  # all networks begin with one seed
        seed = int(_check.generator(seed).integers(2**32))
    found = []
    for one in [grid] if isinstance(grid, Mapping) else _check.items(grid, rule):
        if not isinstance(one, Mapping):
            raise TypeError(f"{rule}, got {_check.shown(one)}")
        _check_names(one, TRIED, " in the grid")
        if both := [name for name in one if name in settings]:
            raise TypeError(f"{both[0]} must be in the grid or an argument, got both")
        tried = {name: _values(name, values) for name, values in one.items()}
        seeds = tried.pop("seed", [seed])
        found += [(dict(zip(tried, values, strict=True)), seeds)
                  for values in itertools.product(*tried.values())]
    if not found:
        raise ValueError(f"{rule}, got {_check.shown(grid)}")
    for name, other in (("epochs", ""), ("mini_batch_size", ""), ("sizes", "hidden")):
        for chosen, _ in found:
            given = {*settings, *chosen} & {name, other}
            if len(given) != 1:
                either = f"{name} or {other}" if other else name
                raise TypeError(f"{either} must be in the grid or an argument, got "
                                f"{'both' if given else 'neither'}")
    return found


def _check_names(given: Iterable[Any], known: list[str], where: str) -> None:
    """See that names are settings; the error says which may be meant."""
    for name in given:
        if name not in known:
            meant = _words.argument(name, known) if isinstance(name, str) else None
            remedy = f"did you mean {meant!r}?" if meant else (
                "it takes 'hidden', and arguments of Network and of Network.SGD")
            raise TypeError(f"sweep() got an unexpected keyword argument {name!r}{where}: "
                            f"{remedy}")


def _values(name: str, values: Any) -> list[Any]:
    rule = f"grid[{name!r}] must be a list of values"
    if isinstance(values, (str, bytes, Mapping)):  # these could be iterated over
        raise TypeError(f"{rule}, got {_check.shown(values)}")
    found = _check.items(values, rule)
    if not found:
        raise ValueError(f"{rule}, got none")
    # Numbers of NumPy would be shown as np.float64(0.5).
    return [value.item() if isinstance(value, np.generic) else value for value in found]


def _network(given: dict[str, Any], training_data: Any) -> Network:
    """Return the network of a combination."""
    chosen = {name: given[name] for name in NETWORK if name in given}
    if "hidden" in given:
        chosen["sizes"] = _sizes(given["hidden"], training_data)
    return Network(**chosen)


def _sizes(hidden: Any, data: Any) -> list[Any]:
    """Return the sizes of a network, whose first and last are the data's."""
    given = [hidden] if isinstance(hidden, (int, np.integer)) else _check.items(
        hidden, "hidden must be the size of a layer, or a list of them")
    between = [_check.integer("hidden", size, 1) for size in given]
    shapes = [_shape(part) for part in data] if isinstance(data, tuple) and len(data) == 2 else []
    if [len(shape) for shape in shapes] not in ([2, 1], [2, 2]):
        got = f"shapes {shapes[0]} and {shapes[1]}" if shapes else f"a {type(data).__name__}"
        raise ValueError(f"hidden needs training_data (x, y), x with a row for each example, got "
                         f"{got}: give sizes, from the first layer to the last")
    if len(shapes[1]) == 2:
        return [shapes[0][1], *between, shapes[1][1]]
    labels = arrays.numbers(data[1], "y of training_data")
    whole = labels.size > 0 and bool((labels == np.floor(labels)).all())
    return [shapes[0][1], *between, max(1, int(labels.max()) + 1) if whole else 1]


def _shape(values: Any) -> tuple[int, ...]:
    return tuple(values.shape) if hasattr(values, "shape") else np.shape(values)


# ---- how it is judged ----


class _Tried(Callback):
    """
    Makes a training one of many: it holds out the same rows, and its warnings are collected.

    Parameters
    ----------
    seed : int
        The seed of the rows that all trainings hold out.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.warnings = seed, list[str]()

    def on_train_begin(self, network: Any, history: History) -> None:
        """Set the seed, which would be drawn otherwise."""
        history.seed = self.seed
        _words.collected_messages.set(self.warnings)

    def on_epoch_end(self, network: Any, history: History) -> None:
        """Collect the warnings of this training: as lanes, many take turns in one thread."""
        _words.collected_messages.set(self.warnings)

    def on_train_end(self, network: Any, history: History) -> None:
        """Let warnings out again."""
        _words.collected_messages.set(None)


def _listed(monitor: Any) -> list[Any]:
    if monitor is None:
        return []
    return [monitor] if isinstance(monitor, str) or callable(monitor) else list(monitor)


def _entry(metric: str) -> str:
    """Return the entry of the history that has a metric."""
    return metric if metric.startswith(tuple(f"{each}_" for each in SETS)) else (
        f"evaluation_{metric}")


def _unasked(recorded: Sequence[str]) -> str:
    """Return the entry that decides if the caller names none: a cost depends on the settings."""
    found = [name for name in recorded if name.startswith("evaluation_")]
    return next((name for name in found if name != "evaluation_cost"), found[0])


def _score(run: Run, metric: str) -> tuple[float, str | None]:
    """Return the score of a training; or NaN, and why."""
    if isinstance(run.ended, DivergenceError):
        return math.nan, str(run.ended)
    if not len(run.ended):
        return math.nan, "no epoch was completed"
    score = run.ended.series(metric)[run.epoch - 1]
    return score, f"{metric} is NaN" if math.isnan(score) else None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else _check.shown(value)


# ---- where it is trained ----


def _prepared(network: Network, own: dict[str, Any], shared: dict[str, Any]) -> Any:
    return network.prepare(**shared, **own)


def _trained(
    jobs: list[tuple[Network, dict[str, Any]]], shared: dict[str, Any], threads: int | None
) -> list[Run]:
    """Train all networks, in this process or by joblib's workers."""
    asked = _joblib.asked()
    if threads is not None or asked.workers is None:
        threads = asked.threads if threads is None else threads
        histories = train_many(jobs, threads=threads, **shared)
        return [_run(network, history, own["callbacks"])
                for (network, own), history in zip(jobs, histories, strict=True)]
    check_files([(network, {**shared, **own}) for network, own in jobs])
    for network, own in jobs:
        _prepared(network, own, shared)
        for name, value in own.items():
            _joblib.check_sendable(name, value)
    joblib, sent = importlib.import_module("joblib"), _joblib.sent(shared)
    found: list[Run] = joblib.Parallel(asked.workers)(
        joblib.delayed(_in_worker)(job, *sent) for job in jobs)
    return found


def _in_worker(job: tuple[Network, dict[str, Any]], *sent: Any) -> Run:
    """Train a network, with the data that all have."""
    failed = None
    try:
        (history,) = train_many([job], threads=1, **_joblib.received(*sent))
    except Exception as error:
        failed = _endings.sendable(error)
    if failed:  # not in `except`: Dask would send the first error with it
        raise failed
    return _run(job[0], history, job[1]["callbacks"])


def _run(network: Network, ended: History | DivergenceError, callbacks: list[Any]) -> Run:
    restored = [one.best_epoch for one in callbacks
                if isinstance(one, EarlyStopping) and one.restore_best]
    return Run(network, ended, restored[0] if restored else len(network.history or ()),
               callbacks[0].warnings)

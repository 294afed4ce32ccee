"""The metrics that are measured after every epoch, each on its examples."""

from __future__ import annotations

from typing import Any

from cbackprop import _check, _words, metrics
from cbackprop.engine import Engine
from cbackprop.history import SETS, SHORT
from cbackprop.sources import Examples

Monitors = dict[str, tuple[metrics.Metric, Examples]]


def monitors(
    asked: Any, engine: Engine, kind: metrics.Kind, training: Examples,
    evaluation: Examples | None, test: Examples | None,
) -> Monitors:
    """
    Return the metric and the examples for each entry of the history that is measured.

    Parameters
    ----------
    asked : None, or one or more of str, Metric and callable (outputs, targets)
        A name without a set is measured on test and evaluation data.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, its data missing, or it does not fit the targets.
    """
    if asked is evaluation is test is None:
        return {}
    given = dict(zip(SETS, (training, evaluation, test), strict=True))
    unasked = [(metric.name, metric) for metric in metrics.unasked(kind)]
    found: dict[str, tuple[metrics.Metric, Examples | None]] = {}
    if test is not None:
        found |= {f"test_{name}": (metric, test) for name, metric in unasked}
    if asked is None:
        asked = [f"evaluation_{name}" for name, _ in unasked if evaluation is not None]
    elif isinstance(asked, str) or callable(asked):
        asked = [asked]
    rule = (f"monitor must be names out of {list(metrics.TABLE)}, alone or after training_, "
            "evaluation_ or test_, or functions (outputs, targets)")
    for one in _check.items(asked, rule):
        of, name, metric = _monitor(one, rule)
        what = f"monitor {f'{of}_{name}' if of else name!r}"
        sets = [of] if of else [each for each in SETS[1:] if given[each] is not None]
        if not sets or any(given[each] is None for each in sets):
            raise ValueError(f"{what} needs "
                             f"{f'{of}_data' if of else 'test_data or evaluation_data'}, got None")
        metrics.check(metric, kind, engine, what)
        found |= {f"{each}_{name}": (metric, given[each]) for each in sets}
    return {SHORT.get(name, name): (metric, examples)
            for name, (metric, examples) in found.items() if examples is not None}


def _monitor(one: Any, rule: str) -> tuple[str, str, metrics.Metric]:
    """Return the set of one monitor, "" for all that are given, its name, and its metric."""
    if callable(one) and not isinstance(one, metrics.Metric):
        one = metrics.Metric(one)
    full = one.name if isinstance(one, metrics.Metric) else one
    if not isinstance(full, str):
        raise ValueError(f"{rule}, got {_check.shown(full)}")
    names = [*metrics.TABLE, *(f"{each}_{name}" for each in SETS for name in metrics.TABLE)]
    of, _, name = full.partition("_")
    if of not in SETS or not name:
        of, name = "", full
    metric = one if isinstance(one, metrics.Metric) else metrics.TABLE.get(name)
    if metric is None:
        raise ValueError(f"{rule}, got {_check.shown(full)}{_words.meant(full, names)}")
    if metrics.TABLE.get(name, metric) is not metric:
        raise ValueError(f"monitor needs a new name for a Metric of your own, "
                         f"got {full!r}, which is taken")
    return of, name, metric

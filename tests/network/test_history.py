"""What training records, drawn and as a table; and the monitors of the book's network2."""

import sys

import numpy as np
import pytest

from cbackprop import History, Network
from cbackprop.history import MEASURED, MONITORS, stalls
from cbackprop.plot import learning_curves

SIZES = [5, 4, 3]


def data(n=23, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 5)), rng.integers(0, 3, n)


def network():
    return Network(SIZES, seed=0, dtype="float64")


def everything():
    return network().SGD(data(), 4, 5, 0.5, data(9, 1), evaluation_data=data(11, 2),
                         monitor=MONITORS)


# ---- monitors ----


def test_monitors_are_what_evaluation_gives():
    net, seen = network(), []
    history = net.SGD(
        data(), 3, 5, 0.5, data(9, 1), evaluation_data=data(11, 2), monitor=MONITORS,
        callbacks=[lambda net, _: seen.append((
            net.total_cost(data()), net.accuracy(data()),
            net.total_cost(data(11, 2)), net.accuracy(data(11, 2))))])
    assert list(zip(*(history.series(name) for name in MONITORS), strict=True)) == seen
    assert history.accuracy[-1] == net.accuracy(data(9, 1))
    assert history.recorded == (*MEASURED, "test_cost")


@pytest.mark.parametrize(("arguments", "recorded"), [
    ({}, ()),
    ({"monitor": ()}, ()),
    ({"evaluation_data": data(9)}, ("evaluation_cost", "evaluation_accuracy")),
    ({"evaluation_data": data(9), "monitor": []}, ()),
    ({"monitor": "training_cost"}, ("training_cost",)),
    ({"monitor": ["training_accuracy"]}, ("training_accuracy",)),
    ({"evaluation_data": data(9), "monitor": iter(["evaluation_cost"])}, ("evaluation_cost",)),
])
def test_what_is_recorded(arguments, recorded):
    history = network().SGD(data(), 2, 5, 0.5, **arguments)
    assert set(history.recorded) == {"eta", "cost", "seconds", "rows_per_second", *recorded}
    for name in MEASURED:
        assert len(getattr(history, name)) == (2 if name in history.recorded else 0)


def test_monitors_do_not_change_the_training():
    net, twin = network(), network()
    history = net.SGD(data(), 3, 5, 0.5, evaluation_data=data(9), monitor=MONITORS)
    assert history.cost == twin.SGD(data(), 3, 5, 0.5).cost
    assert all(map(np.array_equal, net.weights, twin.weights))


def test_what_was_asked_for():
    history = network().SGD(data(), 7, 5, 0.5, callbacks=[lambda *_: True])
    assert (len(history), history.epochs, history.rows, history.mini_batch_size) == (1, 7, 23, 5)


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"monitor": "loss"}, ValueError, r"^monitor must be names out of \[.*\], .*, "
     r"got 'loss'; did you mean 'log_loss'\?$"),
    ({"monitor": ["training_cost", 3]}, ValueError, r"^monitor must be names out of .*, got 3$"),
    ({"monitor": 3}, TypeError, r"^monitor must be names out of .*, got 3$"),
    ({"monitor": ["evaluation_cost"]}, ValueError,
     "^monitor 'evaluation_cost' needs evaluation_data, got None$"),
    ({"evaluation_data": 3}, TypeError, "^evaluation_data must be "),
    ({"evaluation_data": (data()[0], data()[1] + 1)}, ValueError, "^y of evaluation_data must "),
])
def test_bad_monitors(arguments, error, rule):
    net, twin = network(), network()
    with pytest.raises(error, match=rule):
        net.SGD(data(), 2, 5, 0.5, **arguments)
    assert net.SGD(data(), 1, 5, 0.5).cost == twin.SGD(data(), 1, 5, 0.5).cost


def test_series():
    history = everything()
    assert history.series("cost") is history.cost
    with pytest.raises(ValueError, match=r"must be one of \['cost'\], got 'accuracy'; test_data"):
        History(recorded=("cost",)).series("accuracy")


@pytest.mark.parametrize(("values", "patience", "min_delta", "minimize", "times"), [
    ([], 1, 0, True, 0), ([1], 1, 0, True, 0), ([1, 1], 1, 0, True, 1), ([1, 1], 1, 0, False, 1),
    ([3, 2, 1], 1, 0, True, 0), ([3, 2, 1], 1, 0, False, 2), ([3, 2, 1], 1, 1, True, 1),
    ([3, 1, 2, 2, 2, 2, 2], 2, 0, True, 2), ([3, 1, 2, 0, 1, 1, 1], 2, 0, True, 1),
])
def test_stalls(values, patience, min_delta, minimize, times):
    assert stalls(values, patience, min_delta, minimize) == times


# ---- pandas ----


def test_to_frame():
    pytest.importorskip("pandas")
    history = everything()
    frame = history.to_frame()
    assert tuple(frame.columns) == history.recorded
    assert frame.index.tolist() == [1, 2, 3, 4]
    assert frame.index.name == "epoch"
    for name in history.recorded:
        assert frame[name].tolist() == history.series(name)
    assert History().to_frame().empty


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"^to_frame needs pandas: pip install pandas$"):
        everything().to_frame()


# ---- matplotlib ----


def test_plot(pyplot):
    history = everything()
    with pytest.warns(DeprecationWarning, match=r"cbackprop\.plot\.learning_curves") as warned:
        ax = history.plot()
    assert warned[0].filename == __file__
    assert list(ax.lines[0].get_ydata()) == history.cost
    assert ax.get_ylabel() == "cost"
    figure, other = pyplot.subplots()
    assert all(panel.figure is figure for panel in learning_curves(history, other))


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"^plot needs .*'cbackprop\[plot\]'$"):
        learning_curves(everything())

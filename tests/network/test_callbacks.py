"""What is called while a network trains: when, with what, and what becomes of its answers."""

import csv
import functools
import io
import os
import sys
from itertools import pairwise

import numpy as np
import pytest

from cbackprop import DivergenceError, Network, schedules
from cbackprop.callbacks import (
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    ProgressBar,
    StopTraining,
    WeightAverage,
)

SIZES = [5, 4, 3]


def data(n=23, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 5)), rng.integers(0, 3, n)


def network(**settings):
    return Network(SIZES, **{"seed": 0, "dtype": "float64"} | settings)


def parameters(net):
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


class Log(Callback):
    """Writes down every call; answers with True, or raises, where it is told to."""

    def __init__(self, every=None, stop=None, error=None):
        self.every, self.stop, self.error, self.calls = every, stop, error, []

    def note(self, *call):
        self.calls.append(call)
        if call == self.error:
            raise ZeroDivisionError("mine")
        return call == self.stop

    def on_train_begin(self, network, history):
        return self.note("begin", len(history))

    def on_batches(self, network, history, step):
        return self.note("batches", len(history), step)

    def on_epoch_end(self, network, history):
        return self.note("epoch", len(history))

    def on_train_end(self, network, history):
        return self.note("end", len(history))


# ---- when ----


def test_order_of_calls():
    log = Log(every=2)
    network().SGD(data(23), 2, 5, 0.5, callbacks=[log])  # five steps an epoch
    assert log.calls == [
        ("begin", 0), ("batches", 0, 2), ("batches", 0, 4), ("epoch", 1),
        ("batches", 1, 6), ("batches", 1, 8), ("batches", 1, 10), ("epoch", 2), ("end", 2)]


@pytest.mark.parametrize("every", [1, 3, 5, 7, 100, np.int64(4)])
def test_every_so_many_steps(every):
    log = Log(every)
    network().SGD(data(23), 4, 5, 0.5, callbacks=[log])
    steps = [call[2] for call in log.calls if call[0] == "batches"]
    assert steps == list(range(every, 21, every))


def test_several_callbacks_each_have_their_steps():
    logs = [Log(2), Log(3), Log()]
    network().SGD(data(23), 1, 1, 0.5, callbacks=logs)
    assert [call[2] for call in logs[0].calls[1:-2]] == list(range(2, 24, 2))
    assert [call[2] for call in logs[1].calls[1:-2]] == list(range(3, 24, 3))
    assert logs[2].calls[-3] == ("batches", 0, 23)


def test_parameters_are_those_after_the_step():
    x, y = data(20)
    seen, wanted = [], []

    class Look(Callback):
        every = 3

        def on_batches(self, network, history, step):
            seen.append((step, parameters(network)))

    network().SGD((x, y), 1, 2, 0.5, callbacks=[Look()])
    for step in (3, 6, 9):
        net = network()
        net.SGD((x, y), 1, 2, lambda at, last=step: 0.5 * (at < last))
        wanted.append((step, parameters(net)))
    for (step, got), (same, expected) in zip(seen, wanted, strict=True):
        assert step == same
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rules", [{}, {"optimizer": "adam", "dropout": 0.5, "noise": 0.1}])
def test_callbacks_do_not_change_the_bits(rules, dtype):
    x, y = data(3000)
    plain = network(dtype=dtype)
    history = plain.SGD((x, y), 3, 3, 0.05, **rules)
    for callbacks in ([Log()], [Log(1)], [Log(7), lambda net, history: None, ProgressBar()]):
        net = network(dtype=dtype)
        assert net.SGD((x, y), 3, 3, 0.05, callbacks=callbacks, **rules).cost == history.cost
        assert np.array_equal(parameters(net), parameters(plain))


def test_a_function_is_on_epoch_end():
    seen = []
    network().SGD(data(), 3, 5, 0.5, callbacks=[
        lambda net, history: seen.append(len(history)),
        lambda net, history: seen.append(-len(history))])
    assert seen == [1, -1, 2, -2, 3, -3]


def test_no_epochs():
    log = Log()
    network().SGD(data(), 0, 5, 0.5, callbacks=[log])
    assert log.calls == [("begin", 0), ("end", 0)]


# ---- stopping ----


def test_true_stops_after_an_epoch():
    first, second = Log(stop=("epoch", 2)), Log()
    assert len(network().SGD(data(), 9, 5, 0.5, callbacks=[first, second])) == 2
    assert first.calls[-2:] == [("epoch", 2), ("end", 2)]
    assert second.calls[-2:] == [("epoch", 2), ("end", 2)]  # it hears of that epoch, too


def test_true_stops_amid_an_epoch():
    net, twin = network(), network()
    history = net.SGD(data(), 9, 5, 0.5, callbacks=[Log(every=1, stop=("batches", 1, 7))])
    assert len(history) == len(history.seconds) == 1
    twin.SGD(data(), 2, 5, lambda step: 0.5 * (step < 7))
    np.testing.assert_allclose(parameters(net), parameters(twin), rtol=1e-13)


@pytest.mark.parametrize("answer", [1, "yes", np.ones(3), object()])
def test_only_true_stops(answer):
    assert len(network().SGD(data(), 3, 5, 0.5, callbacks=[lambda *_: answer])) == 3


def test_stop_training_from_anywhere():
    def metric(net, validation_data):
        raise StopTraining

    stopping = EarlyStopping(data(), metric, minimize=True)
    assert len(network().SGD(data(), 9, 5, 0.5, callbacks=[stopping])) == 1

    for method in ("on_train_begin", "on_batches", "on_epoch_end", "on_train_end"):
        callback = Callback()
        setattr(callback, method, metric if method != "on_batches" else lambda *_: metric(*_[:2]))
        epochs = len(network().SGD(data(), 3, 5, 0.5, callbacks=[callback]))
        assert epochs == {"on_epoch_end": 1, "on_train_end": 3}.get(method, 0)


# ---- errors ----


@pytest.mark.parametrize("where", [
    ("begin", 0), ("batches", 0, 2), ("batches", 1, 6), ("epoch", 1), ("end", 2)])
def test_an_error_passes_and_leaves_a_usable_network(where):
    net, before, after = network(), Log(), Log()
    with pytest.raises(ZeroDivisionError, match="mine"):
        net.SGD(data(), 2, 5, 0.5, callbacks=[before, Log(every=2, error=where), after])
    assert before.calls[-1][0] == "end"  # what began has its end
    assert where == ("begin", 0) or after.calls[-1][0] == "end"
    assert np.isfinite(parameters(net)).all()
    assert len(net.SGD(data(), 1, 5, 0.5)) == 1  # nothing holds the lock


def test_an_error_keeps_whole_mini_batches():
    net, twin = network(), network()
    with pytest.raises(ZeroDivisionError):
        net.SGD(data(), 2, 5, 0.5, callbacks=[Log(every=1, error=("batches", 1, 7))])
    twin.SGD(data(), 2, 5, lambda step: 0.5 * (step < 7))
    np.testing.assert_allclose(parameters(net), parameters(twin), rtol=1e-13)


def test_training_within_a_callback_is_refused():
    net = network()
    with pytest.raises(RuntimeError, match="being trained"):
        net.SGD(data(), 2, 5, 0.5, callbacks=[lambda net, _: net.SGD(data(), 1, 5, 0.5)])
    net.SGD(data(), 1, 5, 0.5)


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"callbacks": 3}, TypeError, "^callbacks must be a list of callbacks, got 3$"),
    ({"callbacks": "bar"}, TypeError, "^callbacks must be a list of callbacks, got 'bar'$"),
    ({"callbacks": Log()}, TypeError, "^callbacks must be a list of callbacks, got <"),
    ({"callbacks": [3]}, TypeError, "^callbacks must be objects of Callback or functions .*got 3$"),
    ({"callbacks": [ProgressBar]}, TypeError, "^callbacks must be objects of Callback or .*class"),
    ({"callbacks": [Log(0)]}, ValueError, "^every of Log must be an integer of at least 1, got 0$"),
    ({"callbacks": [Log(1.5)]}, TypeError, "^every of Log must be an integer of at least 1, got 1"),
    ({"callbacks": [lambda net: None]}, TypeError, r"^callback must be callable as \(network, his"),
    ({"callback": lambda: None}, TypeError, r"^callback must be callable as \(network, history\),"),
    ({"progress": lambda: None}, TypeError, r"^progress must be callable as \(epoch, done, rows\)"),
])
def test_bad_callbacks(arguments, error, rule):
    net, twin = network(), network()
    with pytest.raises(error, match=rule) as raised:
        net.SGD(data(), 2, 5, 0.5, **arguments)
    assert "\n" not in str(raised.value)
    assert net.SGD(data(), 1, 5, 0.5).cost == twin.SGD(data(), 1, 5, 0.5).cost


def test_the_argument_callback_is_deprecated():
    seen, net, twin = [], network(), network()
    for train in (net.SGD, lambda *args, **kwargs: twin.prepare(*args, **kwargs).run()):
        with pytest.warns(DeprecationWarning, match="callbacks=") as warned:
            train(data(), 2, 5, 0.5, callback=lambda net, history: seen.append(len(history)))
        assert warned[0].filename == __file__
    assert seen == [1, 2, 1, 2]


# ---- early stopping ----


class Scripted:
    """A metric that says what it is told to, and keeps the parameters it was asked about."""

    def __init__(self, *values):
        self.values, self.seen = list(values), []

    def __call__(self, net, validation_data):
        self.seen.append(parameters(net))
        return self.values[len(self.seen) - 1]


@pytest.mark.parametrize(("values", "settings", "epochs", "best"), [
    ([1, 2, 3, 3, 3, 9], {"patience": 2}, 5, 3),
    ([1, 2, 3, 3, 4, 4, 4, 9], {"patience": 2}, 7, 5),
    ([3, 2, 1, 1, 1, 0], {"patience": 2, "minimize": True}, 5, 3),
    ([1.0, 1.5, 1.9, 2.0, 9], {"patience": 2, "min_delta": 0.6}, 5, 5),
    ([1.0, 1.5, 1.6, 9], {"patience": 2, "min_delta": 0.6}, 3, 1),
    ([1, np.nan, np.nan, 9], {"patience": 2}, 3, 1),
    ([1, 2, 3, 4], {"patience": 2}, 4, 4),
])
def test_early_stopping(values, settings, epochs, best):
    metric = Scripted(*values)
    stopping = EarlyStopping(None, metric, **{"minimize": False, **settings})
    net = network()
    history = net.SGD(data(), len(values), 5, 0.5, callbacks=[stopping])
    assert (len(history), stopping.best_epoch) == (epochs, best)
    assert np.array_equal(parameters(net), metric.seen[best - 1])


def test_a_metric_says_its_direction_by_its_name():
    def zero_one_loss(net, watched):
        return 1 - net.accuracy(watched)

    def f1_score(net, watched, weight=1):
        return net.accuracy(watched) * weight

    assert EarlyStopping(None, zero_one_loss).minimize
    assert not EarlyStopping(None, f1_score).minimize
    assert not EarlyStopping(None, functools.partial(f1_score, weight=2)).minimize
    assert not EarlyStopping(None, zero_one_loss, minimize=False).minimize
    assert EarlyStopping(None).minimize
    assert not EarlyStopping(None, "accuracy").minimize


def test_training_from_within_a_callback():
    said = []

    def again(net, history):
        for call in (lambda: net.SGD(data(), 1, 5, 0.5), lambda: net.LBFGS(data()),
                     lambda: net.update_mini_batch(data(), 0.5)):
            with pytest.raises(RuntimeError) as raised:
                call()
            said.append(str(raised.value))

    twin = network()
    assert network().SGD(data(), 1, 5, 0.5, callbacks=[again]).cost == twin.SGD(
        data(), 1, 5, 0.5).cost
    assert len(said) == 3
    assert all("callback" in line and "another thread" not in line for line in said)


def test_early_stopping_without_restoring():
    metric = Scripted(3, 2, 1)
    net = network()
    net.SGD(data(), 9, 5, 0.5,
            callbacks=[EarlyStopping(None, metric, patience=2, restore_best=False, minimize=False)])
    assert np.array_equal(parameters(net), metric.seen[2])


def test_early_stopping_restores_however_training_ends():
    metric = Scripted(3, 2, 1)
    net = network()
    with pytest.raises(ZeroDivisionError):
        net.SGD(data(), 9, 5, 0.5,
                callbacks=[EarlyStopping(None, metric, minimize=False), Log(error=("epoch", 3))])
    assert np.array_equal(parameters(net), metric.seen[0])


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_keeps_best_and_last(restore):
    metric, net = Scripted(1, 3, 2, 2), network()
    stopping = EarlyStopping(None, metric, patience=2, restore_best=restore, minimize=False)
    net.SGD(data(), 9, 5, 0.5, callbacks=[stopping])
    for kept, epoch in ((stopping.best_parameters, 1), (stopping.last_parameters, 3)):
        twin = network()
        twin.weights, twin.biases = kept
        assert np.array_equal(parameters(twin), metric.seen[epoch])
    assert np.array_equal(parameters(net), metric.seen[1 if restore else 3])
    net.weights[0][...] = 0  # they are copies
    assert stopping.best_parameters[0][0].all()


@pytest.mark.parametrize("metric", ["cost", "accuracy"])
def test_early_stopping_on_validation_data(metric):
    validation, values = data(40, 1), []
    stopping = EarlyStopping(validation, metric, patience=3)
    net = network()
    history = net.SGD(data(), 300, 5, 3.0, callbacks=[stopping, lambda net, _: values.append(
        net.total_cost(validation) if metric == "cost" else -net.accuracy(validation))])
    assert len(history) < 300
    best = int(np.argmin(values))
    assert stopping.best_epoch == best + 1 == len(history) - 3
    measured = net.total_cost(validation) if metric == "cost" else -net.accuracy(validation)
    assert measured == values[best]


def test_early_stopping_on_the_history():
    stopping = EarlyStopping("accuracy", patience=4)
    history = network().SGD(data(), 200, 5, 3.0, data(40, 1), callbacks=[stopping])
    assert len(history) == stopping.best_epoch + 4
    assert max(history.accuracy) == history.accuracy[stopping.best_epoch - 1]


def test_early_stopping_begins_anew():
    stopping = EarlyStopping(data(40, 1), patience=2)
    epochs = [len(network().SGD(data(), 99, 5, 3.0, callbacks=[stopping])) for _ in range(2)]
    assert epochs[0] == epochs[1] > 2


@pytest.mark.parametrize(("make", "error", "rule"), [
    (lambda: EarlyStopping(data(), "loss"), ValueError, r"^metric must be one of \['cost', 'accu"),
    (lambda: EarlyStopping(data(), lambda: 1), TypeError, r"^metric must be callable as \(network"),
    (lambda: EarlyStopping(data(), patience=0), ValueError, "^patience must be an integer of at l"),
    (lambda: EarlyStopping(data(), min_delta=-1), ValueError, "^min_delta must be a number of"),
    (lambda: EarlyStopping(data(), min_delta=10**400), ValueError, "^min_delta must be a number"),
    (lambda: EarlyStopping(data(), patience=10**400), ValueError, "^patience must be an integer "),
    (lambda: EarlyStopping(data(), lambda net, x: 1), ValueError, "^minimize must be True or F"),
    (lambda: EarlyStopping(data(), Scripted()), ValueError, "^minimize must be True or False"),
    (lambda: EarlyStopping(data(), minimize="less"), TypeError, "^minimize must be True, False or"),
    (lambda: EarlyStopping(data(), min_delta="1"), TypeError, "^min_delta must be a number of"),
    (lambda: EarlyStopping("acuracy"), ValueError, r"must be one of \[.*\], got 'acuracy'; test"),
    (lambda: EarlyStopping("accuracy"), ValueError, r"must be one of \[.*\], got 'accuracy'; test"),
    (lambda: EarlyStopping((data()[0], data()[1] + 1)), ValueError, "^y of the watched data must "),
    (lambda: EarlyStopping(3), TypeError, r"^the watched data must be \(x, y\) arrays or a list"),
])
def test_bad_early_stopping_changes_nothing(make, error, rule):
    net, twin = network(), network()
    with pytest.raises(error, match=rule) as raised:
        net.SGD(data(), 2, 5, 0.5, callbacks=[make()])
    assert "\n" not in str(raised.value)
    assert net.SGD(data(), 1, 5, 0.5).cost == twin.SGD(data(), 1, 5, 0.5).cost


def test_a_metric_that_returns_no_number():
    with pytest.raises(TypeError, match=r"^metric must return a number, got None$"):
        network().SGD(data(), 2, 5, 0.5, callbacks=[
            EarlyStopping(None, lambda net, _: None, minimize=True)])


# ---- files ----


def test_csv_log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old\n" * 9)
    lines = []
    history = network().SGD(data(), 3, 5, 0.5, data(9), callbacks=[
        CSVLog(path), lambda *_: lines.append(path.read_text().count("\n"))])
    assert lines == [2, 3, 4]  # it can be read meanwhile
    with open(path, newline="") as file:
        table = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in table] == ["1", "2", "3"]
    assert tuple(table[0]) == history.recorded
    for name in history.recorded:
        assert [float(row[name]) for row in table] == history.series(name)


def test_csv_log_into_no_folder(tmp_path):
    net, twin = network(), network()
    with pytest.raises(FileNotFoundError):
        net.SGD(data(), 3, 5, 0.5, callbacks=[CSVLog(tmp_path / "none" / "log.csv")])
    assert np.array_equal(parameters(net), parameters(twin))


def test_checkpoint_of_the_best(tmp_path):
    path = tmp_path / "best.npz"
    metric, saved = Scripted(1, 3, 2, 5, 4), []
    net = network()
    net.SGD(data(), 5, 5, 0.5, callbacks=[
        Checkpoint(path, None, metric, minimize=False),
        lambda *_: saved.append(parameters(Network.load(path)))])
    for got, best in zip(saved, [0, 1, 1, 3, 3], strict=True):
        assert np.array_equal(got, metric.seen[best])
    assert not np.array_equal(parameters(net), saved[-1])
    assert os.listdir(tmp_path) == ["best.npz"]


def test_checkpoint_of_the_lowest_cost(tmp_path):
    path = tmp_path / "best.npz"
    times = []
    history = network().SGD(data(), 9, 5, 5.0, callbacks=[
        Checkpoint(path), lambda *_: times.append(path.stat().st_mtime_ns)])
    assert all((after > before) == (cost < min(history.cost[:epoch])) for epoch, (
        (before, after), cost) in enumerate(zip(pairwise(times), history.cost[1:], strict=True), 1))


def test_checkpoint_of_best_and_last(tmp_path):
    metric, net = Scripted(1, 3, 2), network()
    net.SGD(data(), 3, 5, 0.5, callbacks=[Checkpoint(
        tmp_path / "best.npz", None, metric, minimize=False, last=tmp_path / "last.npz")])
    best, last = (parameters(Network.load(tmp_path / f"{name}.npz")) for name in ("best", "last"))
    assert np.array_equal(best, metric.seen[1])
    assert np.array_equal(last, metric.seen[2])


# ---- the average ----


def steps_of(net, arguments):
    """Train, and return the parameters after every step."""
    seen = []

    class Look(Callback):
        every = 1

        def on_batches(self, network, history, step):
            seen.append(parameters(network))

    net.SGD(*arguments, callbacks=[Look()])
    return seen


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("every", [1, 3])
def test_weight_average_beside_pytorchs(every, dtype, tolerance):
    torch = pytest.importorskip("torch")
    averages = torch.optim.swa_utils
    arguments = data(), 2, 5, 0.5
    seen = steps_of(network(dtype=dtype), arguments)
    module = torch.nn.ParameterList([torch.zeros(len(seen[0]), dtype=getattr(torch, dtype))])
    decay = 0.9
    averaged = averages.AveragedModel(
        module, multi_avg_fn=averages.get_ema_multi_avg_fn(decay**every))
    for step, after in enumerate(seen, 1):
        module[0].data = torch.tensor(after)
        if step % every == 0:
            averaged.update_parameters(module)
    net = network(dtype=dtype)
    average = WeightAverage(decay, every=every)
    net.SGD(*arguments, callbacks=[average])
    wanted = averaged.module[0].detach().numpy()
    np.testing.assert_allclose(parameters(net), wanted, rtol=tolerance, atol=tolerance)
    twin = network(dtype=dtype)
    twin.weights, twin.biases = average.last_parameters
    assert np.array_equal(parameters(twin), seen[-1])


def test_weight_average_is_measured_and_saved(tmp_path):
    path, accuracies, averages = tmp_path / "best.npz", [], []
    net, twin = network(), network()
    history = net.SGD(data(), 6, 5, 0.5, data(40, 1), callbacks=[
        Checkpoint(last=path), WeightAverage(0.95, every=2),
        lambda net, _: averages.append(parameters(net)),
        lambda net, _: accuracies.append(net.accuracy(data(40, 1)))])
    assert history.accuracy == accuracies
    assert np.array_equal(parameters(Network.load(path)), averages[-1])
    assert np.array_equal(parameters(net), averages[-1])
    assert history.cost == twin.SGD(data(), 6, 5, 0.5).cost  # it trains with its own
    assert not np.array_equal(parameters(net), parameters(twin))


def test_the_best_average_is_put_back():
    metric = Scripted(1, 3, 2, 2)
    net = network()
    net.SGD(data(), 9, 5, 0.5, callbacks=[
        EarlyStopping(None, metric, patience=2, minimize=False), WeightAverage(0.9, every=1)])
    assert np.array_equal(parameters(net), metric.seen[1])
    twin = network()
    twin.SGD(data(), 2, 5, 0.5, callbacks=[WeightAverage(0.9, every=1)])
    assert np.array_equal(parameters(net), parameters(twin))


def test_weight_average_however_training_ends():
    net, twin = network(), network()
    average = WeightAverage(0.5, every=1)
    net.SGD(data(), 2, 5, 0.5, callbacks=[average, Log(every=1, stop=("batches", 1, 7))])
    mean, *others = steps_of(twin, (data(), 2, 5, 0.5))[:7]
    for after in others:
        mean = 0.5 * mean + 0.5 * after
    np.testing.assert_allclose(parameters(net), mean, rtol=1e-12)
    net, twin = (network(activation="identity", output_activation="identity") for _ in range(2))
    with pytest.raises(DivergenceError):  # the second epoch is taken back, in the average as well
        net.SGD(data(), 2, 5, lambda step: 1e200 if step == 7 else 0.05,
                callbacks=[WeightAverage(0.5, every=1)])
    twin.SGD(data(), 1, 5, 0.05, callbacks=[WeightAverage(0.5, every=1)])
    assert np.array_equal(parameters(net), parameters(twin))
    untrained = network()
    untrained.SGD(data(), 0, 5, 0.5, callbacks=[WeightAverage()])
    assert np.array_equal(parameters(untrained), parameters(network()))


@pytest.mark.parametrize(("make", "error", "rule"), [
    (lambda: WeightAverage(1), ValueError, "^decay must be a number of at least 0 and below 1"),
    (lambda: WeightAverage("0.9"), TypeError, "^decay must be a number of at least 0 and below 1"),
    (lambda: WeightAverage(every=0), ValueError, "^every must be an integer of at least 1"),
])
def test_bad_weight_averages(make, error, rule):
    with pytest.raises(error, match=rule):
        make()


def test_one_weight_average_at_most():
    average, net = WeightAverage(), network()
    for two in ([average, average], [average, WeightAverage(0.5)]):
        with pytest.raises(ValueError, match=r"^callbacks must hold one WeightAverage"):
            net.SGD(data(), 1, 5, 0.5, callbacks=two)


# ---- going on ----


GOING_ON = {
    "plain": {},
    "adam": {"optimizer": "adam", "dropout": 0.3, "noise": 0.1, "eta": 0.05},
    "held out": {"validation_split": 0.3, "lmbda": 0.1},
    "cosine": {"eta": schedules.Cosine(0.5, steps=30, warmup=4)},
    "halving": {"eta": schedules.HalveOnStall(8.0, watched="cost", patience=1, stop=1e-9)},
    "monitors": {"evaluation_data": data(9, 1), "test_data": data(9, 2), "shuffle": False},
}


def entries(history):
    """Return all but the times."""
    return {name: history.series(name) for name in history.recorded if "second" not in name}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", GOING_ON)
@pytest.mark.parametrize("saved", [False, True])
def test_two_calls_are_one(way, dtype, saved, tmp_path):
    arguments = {"eta": 0.5, "mini_batch_size": 5, "training_data": data()} | GOING_ON[way]
    net, twin = network(dtype=dtype), network(dtype=dtype)
    wanted = twin.SGD(epochs=6, **arguments)
    net.SGD(epochs=3, resume=True, **arguments)  # there is nothing to go on with yet
    if saved:
        net.save(tmp_path / "net.npz")
        net = Network.load(tmp_path / "net.npz")
    history = net.SGD(epochs=3, resume=True, **arguments)
    assert np.array_equal(parameters(net), parameters(twin))
    assert entries(history) == entries(wanted)
    assert (history.epochs, history.steps, history.seed) == (6, wanted.steps, wanted.seed)
    assert net.history is history


def test_callbacks_go_on():
    def callbacks():
        return [EarlyStopping("evaluation_cost", patience=60), WeightAverage(0.9, every=2)]

    arguments = {"mini_batch_size": 5, "eta": 3.0, "validation_split": 0.4}
    net, twin, own, whole = network(), network(), callbacks(), callbacks()
    for _ in range(2):
        history = net.SGD(data(), 20, callbacks=own, resume=True, **arguments)
    wanted = twin.SGD(data(), 40, callbacks=whole, **arguments)
    assert entries(history) == entries(wanted)
    assert 0 < own[0].best_epoch == whole[0].best_epoch < 40  # of which something was put back
    assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize("way", ["copied", "saved"])
def test_an_average_goes_on_in_a_copy(way, tmp_path):
    arguments = {"mini_batch_size": 5, "eta": 3.0, "resume": True}
    net, twin = network(), network()
    average = WeightAverage(0.9, every=2)
    net.SGD(data(), 2, callbacks=[average], **arguments)
    if way == "copied":
        net = net.copy()
    else:
        net.save(tmp_path / "net.npz")
        net = Network.load(tmp_path / "net.npz")
    net.SGD(data(), 2, callbacks=[average], **arguments)
    twin.SGD(data(), 4, callbacks=[WeightAverage(0.9, every=2)], **arguments)
    assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize("callback", [EarlyStopping("cost"), WeightAverage()])
def test_what_was_changed_meanwhile_stays(callback):
    class Look(Callback):
        every = 1

        def on_batches(self, network, history, step):
            seen.append(network.weights[0].copy())

    net, seen = network(), []
    net.SGD(data(), 3, 5, 1.0, callbacks=[callback, lambda net, history: len(history) == 2])
    net.weights[0] = np.full((4, 5), 7.0)
    net.SGD(data(), 1, 5, 1e-9, callbacks=[callback, Look()], resume=True)
    np.testing.assert_allclose(seen[0], 7, rtol=1e-6)


def test_early_stopping_reads_the_best_from_the_history():
    arguments = {"training_data": data(), "mini_batch_size": 5, "eta": 3.0,
                 "test_data": data(40, 1)}
    net, twin = network(), network()
    stopping = EarlyStopping("accuracy", patience=4, restore_best=False)
    wanted = twin.SGD(epochs=200, callbacks=[EarlyStopping(
        "accuracy", patience=4, restore_best=False)], **arguments)
    net.SGD(epochs=len(wanted) - 2, **arguments)
    history = net.SGD(epochs=200, callbacks=[stopping], resume=True, **arguments)
    assert history.accuracy == wanted.accuracy
    assert np.array_equal(parameters(net), parameters(twin))


def test_steps_and_progress_go_on():
    net, log, seen = network(), Log(every=2), []
    net.SGD(data(), 1, 5, 0.5)
    net.SGD(data(), 2, 4, lambda step: seen.append(step) or 0.5, callbacks=[log], resume=True)
    assert seen == list(range(5, 17))  # five steps, then two epochs of six
    assert log.calls == [
        ("begin", 1), *[("batches", 1, at) for at in (6, 8, 10)], ("epoch", 2),
        *[("batches", 2, at) for at in (12, 14, 16)], ("epoch", 3), ("end", 3)]
    rows = []
    net.SGD(data(), 2, 5, 0.5, resume=True, progress=lambda *done: rows.append(done))
    assert rows[-1] == (4, 23, 23)
    assert (len(net.history), net.history.epochs, net.history.steps) == (5, 5, 27)


@pytest.mark.parametrize(("arguments", "error", "rule"), [
    ({"resume": 1}, TypeError, "^resume must be True, False or the path of .*, got 1$"),
    ({"resume": True, "test_data": data()}, ValueError,
     r"^resume must find in network.history the entries that are recorded, \['eta', 'cost', 'acc"),
])
def test_bad_going_on(arguments, error, rule):
    net, twin = network(), network()
    for either in (net, twin):
        either.SGD(data(), 1, 5, 0.5)
    with pytest.raises(error, match=rule):
        net.SGD(data(), 2, 5, 0.5, **arguments)
    assert net.SGD(data(), 1, 5, 0.5).cost == twin.SGD(data(), 1, 5, 0.5).cost


# ---- the bar ----


def test_progress_bar(capsys):
    pytest.importorskip("tqdm")
    bar = ProgressBar()
    for _ in range(2):
        network().SGD(data(30), 2, 7, 0.5, data(9), callbacks=[bar])
        out, err = capsys.readouterr()
        assert out == ""
        assert "100%" in err
        assert "60.0/60.0" in err
        assert "cost=" in err
        assert "accuracy=" in err


def test_progress_bar_is_closed_after_an_error(capsys):
    tqdm = pytest.importorskip("tqdm")
    with pytest.raises(ZeroDivisionError):
        network().SGD(data(30), 2, 7, 0.5, progress=True, callbacks=[Log(error=("epoch", 1))])
    assert not tqdm.tqdm._instances
    assert "50%" in capsys.readouterr().err


def test_progress_bar_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    net = network()
    with pytest.raises(ModuleNotFoundError, match=r"needs tqdm: pip .*'cbackprop\[progress\]'$"):
        net.SGD(data(), 2, 5, 0.5, progress=True)
    net.SGD(data(), 1, 5, 0.5)


@pytest.mark.parametrize("path", [None, 3, io.BytesIO()])
def test_files_of_callbacks_are_paths(path):
    for kind in (Checkpoint, CSVLog):
        with pytest.raises(TypeError, match=r"^path must be a str or path-like, got "):
            kind(path)

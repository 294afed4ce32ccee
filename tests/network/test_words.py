"""Words that people bring: other libraries' names, slips, and what is shown of ours."""

import inspect
import math
import pickle
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from typing import get_args

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network, _html, _words, history, initializers, layers, metrics, optimizers
from cbackprop.callbacks import Callback, Checkpoint, CSVLog, EarlyStopping
from cbackprop.core import table
from cbackprop.schedules import Cosine, ReduceOnPlateau

RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((30, 4)), RNG.integers(0, 3, 30)


def network(**settings):
    return Network([4, 5, 3], seed=0, **settings)


def trained(x=X, y=LABELS, **arguments):
    return network().SGD((x, y), 2, 7, 0.5, **arguments)


# ---- methods ----


@pytest.mark.parametrize("name", _words.METHODS)
def test_habits_are_answered(name):
    net = network()
    assert not hasattr(Network, name)
    with one_line(AttributeError, match=f"'Network' object has no attribute '{name}': "):
        getattr(net, name)


def test_an_answer_names_what_there_is():
    for answer in set(_words.METHODS.values()):
        first = answer.split()[0].rstrip(",")
        assert hasattr(network(), first) or hasattr(cbackprop, first), answer


def test_other_attributes_are_as_ever():
    with one_line(AttributeError, match="^'Network' object has no attribute 'fitted'$"):
        _ = network().fitted
    assert not hasattr(pickle.loads(pickle.dumps(network())), "fit")


# ---- keywords ----


@pytest.mark.parametrize(("call", "given", "answer"), [
    ("SGD", "lr", "'eta'"),
    ("SGD", "learning_rate", "'eta'"),
    ("SGD", "batch_size", "'mini_batch_size'"),
    ("SGD", "batchSize", "'mini_batch_size'"),
    ("SGD", "validation_data", "'evaluation_data'"),
    ("SGD", "n_epochs", "'epochs'"),
    ("SGD", "nb_epoch", "'epochs'"),
    ("SGD", "drop_out", "'dropout'"),
    ("SGD", "dropuot", "'dropout'"),
    ("SGD", "loss", "'cost' of Network"),
    ("SGD", "momentum", "'momentum' of optimizers.Momentum"),
    ("SGD", "patience", "'patience' of callbacks.EarlyStopping"),
    ("SGD", "nonsense", None),
    ("prepare", "lr", "'eta'"),
    ("LBFGS", "max_iter", "'iterations'"),
    ("LBFGS", "eta", "'eta' of Network.SGD"),
    ("total_cost", "sample_weights", "'sample_weight'"),
    ("Network", "hidden_layer_sizes", "'sizes'"),
    ("Network", "loss", "'cost'"),
    ("Network", "random_state", "'seed'"),
    ("Network", "activaton", "'activation'"),
    ("Network", "lr", "'eta' of Network.SGD"),
    ("Network", "weight_decay", "'weight_decay' of Network.SGD"),
    ("Network", "nonsense", None),
])
def test_unknown_keywords(call, given, answer):
    call, method = (Network, "Network") if call == "Network" else (getattr(network(), call), call)
    title = {"prepare": "SGD"}.get(method, method)
    question = "" if answer is None else f": did you mean {re.escape(answer)}\\?"
    with one_line(TypeError,
                  rf"^{title}\(\) got an unexpected keyword argument '{given}'{question}$"):
        call(([1, 2]), **{given: 1})


@pytest.mark.parametrize(("kind", "given", "answer"), [
    (optimizers.Adam, "lr", "'eta' of Network.SGD"),
    (optimizers.Adam, "beta_1", "'beta1'"),
    (optimizers.RMSprop, "alpha", "'rho'"),
    (optimizers.SGD, "momentum", "'momentum' of optimizers.Momentum"),
    (Cosine, "lr", "'eta'"),
    (ReduceOnPlateau, "monitor", "'watched'"),
    (EarlyStopping, "monitor", "'watched'"),
    (EarlyStopping, "restore_best_weights", "'restore_best'"),
    (Checkpoint, "filepath", "'path'"),
    (Checkpoint, "save_freq", "'every_steps'"),
    (CSVLog, "filename", "'path'"),
])
def test_unknown_keywords_of_classes(kind, given, answer):
    with one_line(TypeError, rf"^{kind.__name__}\(\) got an unexpected keyword argument '{given}': "
                             rf"did you mean {re.escape(answer)}\?$"):
        kind(**{given: 1})


def test_too_many_arguments():
    with one_line(TypeError, r"^Network\(\) takes sizes without a keyword, got 3 arguments$"):
        Network(784, 30, 10)
    with one_line(TypeError, r"^SGD\(\) takes training_data, .*, eta, test_data without a keyword, "
                             r"got 6 arguments$"):
        network().SGD((X, LABELS), 1, 7, 0.5, None, "adam")
    with one_line(TypeError, r"got ndarray; x and y make one argument, \(x, y\)$"):
        network().SGD(X, LABELS, 1, 7, 0.5)


def test_unknown_keywords_of_jobs():
    for jobs, common in (([network()], {"lr": 1}), ([(network(), {"lr": 1})], {})):
        with one_line(TypeError, r"argument 'lr': did you mean 'eta'\?$"):
            cbackprop.train_many(jobs, (X, LABELS), 1, 7, 0.5, **common)


def test_what_an_argument_raises_is_left_alone():
    """A TypeError of a caller's own function is not one of the call's."""
    def hostile(net, history):
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        trained(callbacks=[hostile])
    with pytest.raises(TypeError, match=r"missing 1 required .* argument: 'mini_batch_size'$"):
        network().SGD((X, LABELS), 1)


def test_every_answer_is_an_argument():
    """No word stands for something that no function takes."""
    taken = {name for function in _words._functions.values()
             for name in inspect.signature(function).parameters}
    estimators = {"learning_rate_init", "hidden_layer_sizes", "batch_size", "max_iter", "loss",
                  "random_state", "solver", "alpha", "n_iter_no_change", "validation_fraction"}
    assert set(_words.ARGUMENTS) <= taken | estimators


def test_signatures_stay():
    parameters = list(inspect.signature(Network.SGD).parameters)
    assert parameters[:5] == ["self", "training_data", "epochs", "mini_batch_size", "eta"]
    assert "sizes" in inspect.signature(Network).parameters
    assert Network.SGD.__doc__.lstrip().startswith("Train by stochastic gradient descent")
    assert optimizers.Adam(0.5) == pickle.loads(pickle.dumps(optimizers.Adam(beta1=0.5)))


# ---- names of functions ----


@pytest.mark.parametrize(("given", "ours"), [
    ({"activation": "ReLU"}, {"activation": "relu"}),
    ({"activation": "LeakyReLU"}, {"activation": "leaky_relu"}),
    ({"activation": ("LeakyReLU", 0.2)}, {"activation": ("leaky_relu", 0.2)}),
    ({"activation": "swish"}, {"activation": "silu"}),
    ({"activation": "logistic"}, {"activation": "sigmoid"}),
    ({"output_activation": "linear"}, {"output_activation": "identity"}),
    ({"activation": ["Tanh", "Softmax"]}, {"activation": ["tanh", "softmax"]}),
    ({"activation": [{"ReLU": 3, "Tanh": 2}, "Linear"]},
     {"activation": [{"relu": 3, "tanh": 2}, "identity"]}),
    ({"activation": [["GELU"] * 5, np.array(["Linear"] * 3)]},
     {"activation": [["gelu"] * 5, ["identity"] * 3]}),
    ({"cost": "mse"}, {"cost": "quadratic"}),
    ({"cost": "MSELoss"}, {"cost": "quadratic"}),
    ({"cost": "bce"}, {"cost": "cross_entropy"}),
    ({"cost": "BinaryCrossentropy"}, {"cost": "cross_entropy"}),
    ({"cost": "absolute_error"}, {"cost": "absolute"}),
    ({"cost": "nll"}, {"cost": "log_likelihood"}),
    ({"cost": "SparseCategoricalCrossentropy"}, {"cost": "log_likelihood"}),
    ({"cost": "CrossEntropyLoss"}, {"cost": "log_likelihood"}),
    ({"cost": ("HuberLoss", 0.5)}, {"cost": ("huber", 0.5)}),
])
def test_names_of_other_libraries(given, ours):
    """They are ours: in what a network says of itself, computes, and saves."""
    net, same = network(**given), network(**ours)
    assert net.settings() == same.settings()
    np.testing.assert_array_equal(net.feedforward(X), same.feedforward(X))
    assert pickle.loads(pickle.dumps(net)).settings() == same.settings()


@pytest.mark.parametrize(("given", "ours"), [
    ({"optimizer": "Adam"}, {"optimizer": "adam"}),
    ({"optimizer": "RMSProp"}, {"optimizer": "rmsprop"}),
    ({"optimizer": "NAG"}, {"optimizer": "nesterov"}),
    ({"optimizer": "AdamW", "weight_decay": 0.1}, {"optimizer": "adam", "weight_decay": 0.1}),
])
def test_optimizers_of_other_libraries(given, ours):
    assert trained(**given).cost == trained(**ours).cost


def test_adamw_is_not_adam():
    with one_line(ValueError, "^optimizer 'adamw' needs weight_decay, such as 0.01"):
        trained(optimizer="AdamW")


def test_a_name_means_one_function():
    rows = [*table.ACTIVATIONS, *table.COSTS]
    for each in (rows, table.OPTIMIZERS):
        names = [_words.plain(name) for row in each for name in (row.name, *row.aliases)]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(("call", "answer"), [
    (lambda: network(activation="rleu"), "relu"),
    (lambda: network(output_activation="softmx"), "softmax"),
    (lambda: network(cost="crossentropi"), "cross_entropy"),
    (lambda: network(initializer="he_nromal"), "he_normal"),
    (lambda: network(dtype="flaot32"), "float32"),
    (lambda: trained(optimizer="adm"), "adam"),
    (lambda: trained(monitor=["trainig_cost"]), "training_cost"),
    (lambda: trained(callbacks=[EarlyStopping("costs")]), "cost"),
    (lambda: ReduceOnPlateau(0.1, "acuracy"), "accuracy"),
])
def test_slips(call, answer):
    with pytest.raises((ValueError, TypeError), match=rf"; did you mean '{answer}'\?"):
        call()


def test_nothing_is_made_up():
    with one_line(ValueError, "got 'no such thing'$"):
        network(activation="no such thing")


# ---- names for type checkers ----


def test_types_have_the_names_that_there_are():
    assert list(get_args(layers.ActivationName)) == [row.name for row in table.ACTIVATIONS]
    assert list(get_args(layers.CostName)) == [row.name for row in table.COSTS]
    assert list(get_args(optimizers.OptimizerName)) == [
        f"{of}{row.name}" for of in ("", "lazy_") for row in table.OPTIMIZERS]
    assert list(get_args(initializers.InitializerName)) == list(initializers.KNOWN)
    assert list(get_args(metrics.MonitorName)) == [
        f"{of}{name}" for name in metrics.TABLE
        for of in ("", *(f"{each}_" for each in history.SETS))]


def test_what_a_module_says_it_has():
    listed = dir(cbackprop)
    assert {"Network", "sklearn", "convert", "book", "inspect", "plot", "__version__"} <= {*listed}
    assert not {"Any", "importlib", "LAZY"} & {*listed}
    program = """
import sys, cbackprop
assert not any(f"cbackprop.{name}" in sys.modules for name in cbackprop.LAZY)
for name in dir(cbackprop):
    if name != "sklearn":
        getattr(cbackprop, name)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# ---- labels and batches ----


@pytest.mark.parametrize("spelt", [
    lambda y: y.astype(float), lambda y: y.astype("f4").reshape(-1, 1), lambda y: y.reshape(-1, 1),
    lambda y: [float(label) for label in y], lambda y: y.astype(object)[:, None],
    lambda y: np.asfortranarray(np.stack([y, y])).T[:, :1]])
def test_labels_however_they_are_spelt(spelt):
    assert trained(y=spelt(LABELS)).cost == trained().cost
    assert network().evaluate((X, spelt(LABELS))) == network().evaluate((X, LABELS))


def test_labels_of_one_example():
    net = network()
    for y in (2.0, [2.0], [[2]], np.array([[2.0]])):
        assert net.total_cost((X[:1], y)) == net.total_cost((X[:1], [2]))


def test_truth_is_a_label():
    net = Network([4, 2], seed=0)
    assert net.total_cost((X, LABELS == 1)) == net.total_cost((X, (LABELS == 1).astype(int)))


def batches(sizes=(8, 8, 8, 6), memory=None):
    first = 0
    for size in sizes:
        x = X[first:first + size]
        if memory is not None:  # a generator that uses its memory again
            memory[:size] = x
            x = memory[:size]
        yield x, LABELS[first:first + size]
        first += size


class Data:
    """What has a length and items, and no iterator, as a Dataset of PyTorch."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, at):
        assert 0 <= at < len(self.items)  # no IndexError ends it
        return self.items[at]


@pytest.mark.parametrize("given", [
    batches, lambda: batches(memory=np.empty((8, 4))), lambda: list(batches()),
    lambda: batches((29, 1)), lambda: batches((2,) * 15),
    lambda: ((x.reshape(-1, 2, 2), y[:, None]) for x, y in batches()),
    lambda: Data(list(batches())), lambda: Data(list(zip(X, LABELS, strict=True))),
    lambda: [(x[None], y) for x, y in zip(X, LABELS, strict=True)],
    lambda: ((X[at:at + 1], LABELS[at:at + 1]) for at in range(30)),
    lambda: zip(X, LABELS, strict=True)])
def test_batches(given):
    """They train as the arrays that they are parts of, and are read once."""
    assert network().SGD(given(), 2, 7, 0.5).cost == trained().cost
    assert network().total_cost(given()) == network().total_cost((X, LABELS))


def test_batches_of_several_jobs():
    (found,) = cbackprop.train_many([network()], batches(memory=np.empty((8, 4))), 2, 7, 0.5)
    assert found.cost == trained().cost


def test_batches_of_one_input():
    """(m, 1) is m examples, where (1, 1) is one."""
    net, x, y = Network([1, 1], seed=0), X[:, :1], X[:, 1:2]
    assert net.total_cost([(x[:12], y[:12]), (x[12:], y[12:])]) == net.total_cost((x, y))
    assert net.total_cost(list(zip(x, y, strict=True))) == net.total_cost((x, y))


@pytest.mark.parametrize(("given", "error", "match"), [
    (lambda: ((x, y, 1) for x, y in batches()), TypeError, r"\(x, y\) batches, got a tuple of 3$"),
    (lambda: ({"x": x} for x, _ in batches()), TypeError, "got a dict in a generator$"),
    (lambda: [(X[:8], LABELS[:8]), (X[8:, :3], LABELS[8:])], ValueError, "shape in every batch, g"),
    (lambda: [(X[:8], LABELS[:7]), (X[8:], LABELS[8:])], ValueError, "^y of .* for x has 30 rows"),
    (lambda: iter(()), ValueError, "must hold at least one example, got none$"),
])
def test_bad_batches(given, error, match):
    with one_line(error, match):
        network().SGD(given(), 1, 7, 0.5)


# ---- what is printed and shown ----


def test_verbose(capsys):
    assert trained(verbose=False).cost == trained(verbose=0).cost
    assert capsys.readouterr().out == ""
    history = trained(verbose=True, test_data=(X, LABELS), monitor="training_cost")
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in printed] == ["epoch 1", "epoch 2"]
    assert f"cost {history.cost[1]:.4g} " in printed[1]
    assert f"  accuracy {history.accuracy[1] * 100:5.2f} %" in printed[1]
    assert f"training cost {history.training_cost[1]:.4g}" in printed[1]
    assert printed[1] == history.line()
    with one_line(TypeError, "^verbose must be True or False, got 'auto'$"):
        trained(verbose="auto")


def test_verbose_beside_a_bar(capsys):
    """The lines stand above the bar, which does not say the same again."""
    pytest.importorskip("tqdm")
    trained(verbose=True, progress=True)
    out, err = capsys.readouterr()
    assert out.count("epoch ") == 2
    assert "cost" not in err
    trained(progress=True)
    out, err = capsys.readouterr()
    assert (out, "cost" in err) == ("", True)


def test_no_warning_of_a_bar(tmp_path):
    """In a notebook without widgets tqdm warns as it is imported; here as if in one."""
    pytest.importorskip("tqdm")
    (tmp_path / "IPython.py").write_text("class Shell: pass\nget_ipython = Shell\n")
    (tmp_path / "ipykernel").mkdir()
    (tmp_path / "ipykernel/__init__.py").touch()
    (tmp_path / "ipykernel/zmqshell.py").touch()
    program = """
import sys, warnings
import IPython, ipykernel.zmqshell
sys.modules["ipywidgets"] = None
if sys.argv[1:]:
    import tqdm.autonotebook
else:
    import cbackprop
    cbackprop.Network([1, 1], seed=0).SGD(([[1]], [[1]]), 1, 1, 0.5, progress=True)
"""
    def warned(*arguments):
        done = subprocess.run(
            [sys.executable, "-W", "always", "-c", program, *arguments], capture_output=True,
            text=True, timeout=60, check=True, env={
                "PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}"})
        return "IProgress" in done.stderr

    assert warned("without us")  # or this would test nothing
    assert not warned()


def test_reprs():
    history = trained(test_data=(X, LABELS))
    history.accuracy[:] = [0.75, 0.5]
    assert repr(history) == (
        f"<History: 2 of 2 epochs, cost {history.cost[1]:.4g}, accuracy 0.75 in epoch 1, "
        f"test_cost {history.test_cost[1]:.4g}>")
    assert repr(cbackprop.History()) == "<History: 0 of 0 epochs>"
    assert repr(network().weights) == "<weights of shapes [(5, 4), (3, 5)]>"


@pytest.mark.parametrize(("name", "values", "epoch", "best"), [
    ("cost", [math.nan, 2.0, 1.0, 1.0, 3.0], 3, "1"),
    ("accuracy", [math.nan, 0.5, 0.25, 0.25, 0.25], 2, "0.5"), ("cost", [math.nan] * 5, 1, "nan")])
def test_the_best_is_shown(name, values, epoch, best):
    history = cbackprop.History(epochs=5, recorded=(name,), **{"cost": 5 * [1.0]} | {name: values})
    assert repr(history) == f"<History: 5 of 5 epochs, {name} {best} in epoch {epoch}>"


def test_html():
    """It is well-formed, shows text as text, and brings no colour for paper or ink."""
    odd = cbackprop.Activation(np.sin, np.cos, name="<script>alert(1)</script>&")
    net = network(activation=odd)
    alone = net._repr_html_()
    net.SGD((X, LABELS), 3, 7, 0.5, test_data=(X, LABELS))
    html = net._repr_html_()
    assert html.count("<svg") == 2
    assert "<svg" not in alone
    assert net.history._repr_html_() in html
    for one in (alone, html, net.summary()._repr_html_(), cbackprop.History()._repr_html_()):
        tree = ElementTree.fromstring(one)
        assert {element.tag for element in tree.iter()} <= {
            "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "svg", "rect",
            "polyline", "figcaption", "span"}
    assert "&lt;script&gt;" in html
    for word in ("white", "black", "background", "#000", "#fff"):
        assert word not in html
    assert f"{net.history.cost[-1]:.4g}" in html


def test_curves():
    """By hand: 300 by 110 with a margin of 8; what is not finite is left out."""
    svg = _html.curves({"cost": [2.0, float("nan"), 1.0, 0.0], "<": [1.0]})
    points = re.findall('points="([^"]*)"', svg)
    assert points == ["8.0,8.0 197.3,55.0 292.0,102.0", "8.0,55.0"]
    assert "0 to 2, epoch 1 to 4" in svg
    assert _html.curves({"cost": []}) == _html.curves({"cost": [float("inf")]}) == ""
    assert 'points="8.0,102.0 292.0,8.0"' in _html.curves({"cost": [-1.5e308, 1.5e308]})
    assert 'points="8.0,8.0 292.0,8.0"' in _html.curves({"cost": [3.0, 3.0]})


# ---- where warnings point, and what is checked before it is too late ----


def test_a_warning_names_the_callers_line():
    with pytest.warns(DeprecationWarning, match="callback is deprecated") as caught:
        trained(callback=lambda net, history: None)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("callback", [Checkpoint, CSVLog])
def test_a_folder_that_is_not_there(callback, tmp_path):
    """It is named, and not an unfinished file's name, before the first epoch."""
    epochs, path = [], tmp_path / "no" / "such" / "file.npz"

    class Counts(Callback):
        def on_epoch_end(self, network, history):
            epochs.append(len(history))

    for call in (lambda: trained(callbacks=[Counts(), callback(path)]),
                 lambda: network().save(path)):
        with pytest.raises(FileNotFoundError) as caught:
            call()
        assert str(caught.value) == f"[Errno 2] The folder does not exist: {str(path.parent)!r}"
    assert epochs == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("x", "width", "remedy"), [
    (np.ones((9, 2, 2)), 4, "x.reshape(len(x), -1)"),
    (np.ones((9, 1, 2, 2)), 4, "x.reshape(len(x), -1)"),
    (np.ones((4, 9)), 4, "x.T"),
    (np.ones(9), 1, "x.reshape(-1, 1)"),
])
def test_the_remedy_for_a_shape_works(x, width, remedy):
    net = Network([width, 3], seed=0)
    with one_line(ValueError, f"; {re.escape(remedy)} has an example in each row$"):
        net.SGD((x, np.zeros(9, int)), 1, 3, 0.5)
    net.SGD((eval(remedy, {"x": x, "len": len}), np.zeros(9, int)), 1, 3, 0.5)


def test_the_remedies_for_targets_work():
    with one_line(TypeError, r"; np.unique\(y, return_inverse=True\)\[1\] numbers the classes$"):
        trained(y=np.array(["iris", "rose", "aster"])[LABELS])
    assert trained(y=np.unique(np.array(["a", "b", "c"])[LABELS], return_inverse=True)[1]
                   ).cost == trained().cost
    with one_line(TypeError, r"; \.astype\(float\) makes numbers of text$"):
        trained(x=X.astype(str))


def test_names_of_estimators():
    sklearn = pytest.importorskip("cbackprop.sklearn", reason="scikit-learn is not installed")
    for kind, given, answer in [
            (sklearn.MLPClassifier, "lr", "learning_rate_init"),
            (sklearn.MLPRegressor, "epochs", "max_iter"),
            (sklearn.MLPClassifier, "sizes", "hidden_layer_sizes"),
            (sklearn.MLPClassifier, "shufle", "shuffle")]:
        with one_line(TypeError, rf"^{kind.__name__}\(\) got .*: did you mean '{answer}'\?$"):
            kind(**{given: 1})
    with one_line(TypeError, r"^fit\(\) got .*: did you mean 'sample_weight'\?$"):
        sklearn.MLPClassifier().fit(X, LABELS, sample_weights=X[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for given, ours in [
                ({"loss": "SquaredHinge"}, {"loss": "squared_hinge"}),
                ({"activation": "ReLU"}, {"activation": "relu"}),
                ({"activation": ["Swish"]}, {"activation": ["silu"]})]:
            one, same = (sklearn.MLPClassifier((5,), max_iter=3, random_state=0, **each).fit(
                X, LABELS) for each in (given, ours))
            assert one.loss_curve_ == same.loss_curve_
            assert hasattr(one, "predict_proba") is hasattr(same, "predict_proba")

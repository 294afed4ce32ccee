"""What people type first: frames, scikit-learn's arrays, README's lines; and what they are told."""

import re
import warnings

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, train_table


def flowers():
    """Return iris with names, as a dict of lists."""
    datasets = pytest.importorskip("sklearn.datasets")
    found = datasets.load_iris()
    columns = {name: column.tolist() for name, column in zip(
        found.feature_names, found.data.T, strict=True)}
    return columns | {"species": [str(found.target_names[label]) for label in found.target]}


FRAMES = {
    "dict": lambda columns: columns,
    "polars": lambda columns: pytest.importorskip("polars").DataFrame(columns),
    "pandas": lambda columns: pytest.importorskip("pandas").DataFrame(columns),
    "categories": lambda columns: pytest.importorskip("pandas").DataFrame(columns).astype(
        {"species": "category"}),
    "strings": lambda columns: pytest.importorskip("pandas").DataFrame(columns).astype(
        {"species": "string"}),
    "an index": lambda columns: pytest.importorskip("pandas").DataFrame(
        columns, index=[f"row {150 - at}" for at in range(150)]),
}


@pytest.mark.parametrize("frame", FRAMES)
def test_frames(frame):
    columns = flowers()
    table = FRAMES[frame](columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained = train_table(table, test_split=0.2, seed=0)
    net = trained.network
    assert net.classes == ("setosa", "versicolor", "virginica")
    assert net.accuracy(trained.part("test")) >= 0.9
    right = np.count_nonzero(net.predict(table) == np.array(columns["species"]))
    assert net.evaluate(table) == right >= 140
    assert trained.rows["test"].tolist() == train_table(
        columns, test_split=0.2, seed=0).rows["test"].tolist()


def digits():
    return pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)


@pytest.mark.parametrize("change", [
    lambda x, y: (x, y), lambda x, y: (x / 16, y), lambda x, y: (x.tolist(), y.tolist()),
    lambda x, y: (x, y.astype(float)), lambda x, y: (x, y[:, None]),
    lambda x, y: (x, np.eye(10)[y]),
    lambda x, y: (np.asfortranarray(x), y.astype("uint8")),
    lambda x, y: (pytest.importorskip("pandas").DataFrame(x),
                  pytest.importorskip("pandas").Series(y).astype("category")),
    lambda x, y: (pytest.importorskip("scipy.sparse").csr_matrix(x), y),
])
def test_arrays_of_scikit_learn(change):
    x, y = digits()
    net = Network([64, 30, 10], seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.SGD(change(x, y), epochs=3, mini_batch_size=10)
    assert net.accuracy(change(x, y)) > 0.93


@pytest.mark.parametrize(("settings", "change", "error", "message"), [
    ({}, lambda x, y: (x, y + 1), ValueError, "labels run from 1: subtract 1"),
    ({"sizes": [64, 9]}, lambda x, y: (x, y), ValueError, r"labels in 0\.\.8, got 9"),
    ({"sizes": [63, 10]}, lambda x, y: (x, y), ValueError, r"sizes\[0\] = 63 columns"),
    ({}, lambda x, y: (x, y[:9]), ValueError, "1797"),
    ({}, lambda x, y: (x, y.astype(str)), TypeError, "must hold real numbers"),
    ({}, lambda x, y: (np.where(x == 16, np.nan, x), y), ValueError, "finite"),
])
def test_what_goes_wrong_is_one_line(settings, change, error, message):
    net = Network(**{"sizes": [64, 10], "seed": 0} | settings)
    with pytest.raises(error, match=message) as raised:
        net.SGD(change(*digits()), epochs=1, mini_batch_size=10)
    assert "\n" not in str(raised.value)


def said(net, data, *args, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.SGD(data, *args, **options)
    return [str(one.message) for one in caught]


def numbers():
    return pytest.importorskip("sklearn.datasets").load_diabetes(return_X_y=True)


def cancer():
    return pytest.importorskip("sklearn.datasets").load_breast_cancer(return_X_y=True)


def test_numbers_far_from_unit_scale_are_said_where_nothing_is_learned():
    x, y = numbers()
    x = x / x.std(axis=0)
    settings = {"activation": "tanh", "output_activation": "identity", "seed": 0}
    (message,) = said(Network([10, 30, 1], **settings), (np.zeros_like(x), y), 5, 10, 0.01)
    assert re.match("y of training_data is far from unit scale, with a standard dev", message)
    assert "(y - y.mean(axis=0)) / y.std(axis=0)" in message
    standard = Network([10, 30, 1], **settings)
    assert said(standard, (x, (y - y.mean()) / y.std()), 20, 10) == []
    assert standard.measure((x, (y - y.mean()) / y.std()))["r2"] > 0.4
    line = Network([10, 1], output_activation="identity", seed=0)
    assert said(line, (x, y), 20, 10, 0.01) == []  # it learns, however large y is
    assert line.measure((x, y))["r2"] > 0.4


@pytest.mark.parametrize(("settings", "y"), [
    ({"sizes": [30, 20, 1]}, lambda y: y),
    ({"sizes": [30, 20, 2], "output_activation": "softmax"}, lambda y: y),
    ({"sizes": [30, 20, 1], "cost": "hinge", "output_activation": "tanh"}, lambda y: 2 * y - 1),
    ({"sizes": [30, 20, 1], "cost": "cross_entropy", "activation": "ReLU"}, lambda y: y),
])
def test_no_warning_and_a_good_answer_where_inputs_are_standardised(settings, y):
    x, labels = cancer()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    net = Network(**settings, seed=0)
    assert said(net, (x, y(labels)), 10, 10) == []
    assert (net.predict(x) == y(labels)).mean() > 0.97


def test_raw_inputs_are_said():
    x, y = cancer()
    messages = said(Network([30, 20, 1], seed=0), (x, y), 10, 10)
    assert "x of training_data is far from unit scale" in messages[0]
    assert all("\n" not in message for message in messages)


def test_the_first_lines_of_the_readme():
    (x, y), test_data = cbackprop.datasets.load_mnist()
    net = cbackprop.Network([784, 30, 10], input_scale=1 / 255, seed=0)
    assert said(net, (x, y), 2, 10) == []
    assert net.history.eta == [3.0, 3.0]  # which the README asks for
    assert net.accuracy(test_data) > 0.85

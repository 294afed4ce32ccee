"""
What a table's network is worth without a flag, beside scikit-learn's on the same rows.

`SCIKIT_LEARN` was computed once: `make_pipeline(StandardScaler(), MLPClassifier(
early_stopping=True, random_state=seed))`, or `MLPRegressor`, fitted on the rows for training and
validation of `train_table(table, test_split=0.2, seed=seed)`, words one-hot and gaps filled with
the median, and scored on the rows for a test: accuracy, or R2. Mean and standard deviation of five
seeds, by scikit-learn 1.9.1.
"""

import io

import first_tables
import numpy as np
import pytest

import cbackprop
from cbackprop import tables, train_table

SCIKIT_LEARN = {
    "iris": (0.620, 0.187), "wine": (0.917, 0.018), "breast_cancer": (0.921, 0.029),
    "digits": (0.959, 0.013), "diabetes": (-1.026, 0.172), "linnerud": (-166.1, 74.5),
    "anes96": (0.887, 0.024), "modechoice": (0.739, 0.020), "spector": (0.600, 0.133),
    "longley": (-831.6, 525.2), "grunfeld": (-0.245, 0.083), "statecrime": (0.191, 0.329),
    "star98": (-0.415, 0.367), "macrodata": (0.933, 0.024), "sunspots": (-0.499, 0.069),
    "xor": (0.740, 0.229), "visits": (0.405, 0.045), "shop": (0.850, 0.030),
    "unicode_names": (0.785, 0.149), "label_first": (0.836, 0.029)}
# The same without early stopping, where that is better than with it by more than its deviation.
WITHOUT_STOPPING = {"iris": (0.940, 0.044), "wine": (0.989, 0.014), "breast_cancer": (0.981, 0.015),
                    "modechoice": (0.857, 0.020), "shop": (0.953, 0.012), "xor": (1.0, 0.0),
                    "unicode_names": (1.0, 0.010)}
LONG = "digits", "label_first"  # seconds for each seed


def read(name, form="csv"):
    real = first_tables.real(name)
    return real, tables.read(io.BytesIO(first_tables.FORMS[form](real.header, real.rows)))


def scores(name, seeds):
    real, table = read(name)
    for seed in seeds:
        trained = train_table(table, real.target if real.asked else None, test_split=0.2, seed=seed)
        measured = trained.network.measure(trained.part("test"))
        assert trained.network.trained_on.name == real.kind
        yield measured["accuracy" if real.kind == "classes" else "r2"]


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in first_tables.MADE])
def test_as_good_as_scikit_learn(name):
    found = list(scores(name, range(1 if name in LONG else 3)))
    mean, deviation = SCIKIT_LEARN[name]
    assert np.mean(found) >= mean - deviation
    mean, deviation = WITHOUT_STOPPING.get(name, (-np.inf, 0))
    assert np.mean(found) >= mean - max(2 * deviation, 0.02)


def test_counts_have_their_mean():
    """The mean of visits is exp(0.5 + dose), whatever was drawn."""
    _, table = read("visits")
    net = train_table(table, seed=0).network
    dose = np.linspace(0.1, 1.4, 14)
    np.testing.assert_allclose(net.predict({"dose": dose}), np.exp(0.5 + dose), rtol=0.15)
    assert list(net.measure(table)) == ["cost", "r2", "mae", "rmse", "deviance"]


@pytest.mark.parametrize("name", ["iris", "shop", "unicode_names", "spector", "xor"])
def test_predictions_have_names(name, tmp_path):
    real, table = read(name)
    net = train_table(table, seed=0).network
    answers = net.predict(table)
    assert set(answers.tolist()) <= set(real.classes)
    proba = net.predict_proba(table)
    np.testing.assert_array_equal(np.array(real.classes)[proba.argmax(axis=1)], answers)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    truth = np.array([type(real.classes[0])(cell) for cell in real.y])
    assert net.accuracy(table) == pytest.approx((answers == truth).mean())
    net.save(tmp_path / "net.npz")
    again = cbackprop.Network.load(tmp_path / "net.npz")
    without = {column: values for column, values in table.columns.items() if column != real.target}
    np.testing.assert_array_equal(again.predict(without), answers)
    backwards = dict(reversed(list(without.items())))
    np.testing.assert_array_equal(again.predict(backwards), answers)


@pytest.mark.parametrize("name", ["iris", "diabetes", "shop"])
def test_the_form_of_a_file_changes_nothing(name, tmp_path):
    """A file of another form, without its target, gives the same predictions."""
    real, table = read(name)
    net = train_table(table, seed=0, epochs=20).network
    wanted, at = net.predict(table), real.header.index(real.target)
    header, rows = (real.header[:at] + real.header[at + 1:],
                    [row[:at] + row[at + 1:] for row in real.rows])
    for form in ("tsv", "semicolons", "single quotes", "utf-16", "decimal commas", "gzip"):
        (tmp_path / "new").write_bytes(first_tables.FORMS[form](header, rows))
        np.testing.assert_array_equal(net.predict(tables.read(tmp_path / "new")), wanted)


@pytest.mark.parametrize(("kind", "y"), [
    ("regression", [0.0, 1.0]), ("regression", [-3.0, 5.0]), ("regression", [1e8, 1e8 + 64])])
def test_two_numbers_are_numbers_where_that_is_asked_for(kind, y):
    """Standardised, they are -1 and 1, which would be classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    table = {"a": x, "target": np.where(x > np.median(x), *reversed(y))}
    trained = train_table(table, kind=kind, seed=0)
    net = trained.network
    assert list(net.measure(table)) == ["cost", "r2", "mae", "rmse"]
    assert net.measure(table)["r2"] > 0.6
    assert "evaluation_r2" in net.history.recorded
    assert "evaluation_accuracy" not in net.history.recorded
    assert len(np.unique(net.predict(table))) > 2


def test_labels_of_which_each_row_has_one_are_labels_where_that_is_asked_for():
    a = np.linspace(-1, 1, 100)
    table = {"a": a, "low": (a < 0) * 1, "high": (a >= 0) * 1}
    trained = train_table(table, ["low", "high"], kind="labels", seed=0)
    assert trained.network.trained_on.name == "labels"
    assert "label_accuracy" in trained.network.measure(table)
    assert train_table(table, ["low", "high"], seed=0).network.trained_on.name == "classes"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_and_small_numbers(dtype):
    """As far as the network's type goes: 1e30 times the targets give 1e30 times the outputs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = 3 * x + rng.normal(size=300)
    for scale in (1e-30, 1e30) + (1e-200, 1e200) * (dtype == "float64"):
        net = train_table({"a": x, "target": y * scale}, seed=0, dtype=dtype).network
        answers = net.predict({"a": x}).astype(float) / scale
        assert 1 - np.square(answers - y).mean() / y.var() > 0.85


def test_rows_are_drawn_from_every_class_alike():
    y = ["rare"] * 10 + ["common"] * 190 + ["once"]
    trained = train_table({"a": np.arange(201.0) % 17, "label": y}, test_split=0.2, seed=3)
    counts = {rows: [np.array(y)[trained.rows[rows]].tolist().count(label)
                     for label in ("rare", "common", "once")] for rows in trained.rows}
    assert counts == {"test": [2, 38, 0], "validation": [2, 30, 0], "training": [6, 122, 1]}
    assert sorted(np.concatenate(list(trained.rows.values()))) == list(range(201))


def test_a_column_left_out_is_no_target():
    rng = np.random.default_rng(0)
    a = rng.normal(size=100)
    table = {"label": ["x", "y"] * 50, "a": a, "b": 2 * a}
    trained = train_table(table, left_out="label", seed=0)
    assert trained.target.name == "b"
    assert trained.network.preprocessing.left_out == {"label": "as asked for"}
    assert trained.network.predict({"a": a}).shape == (100,)

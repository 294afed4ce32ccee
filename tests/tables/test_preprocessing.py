"""What is done to columns, against scikit-learn's transformers and by hand; and a network's use."""

import importlib
import json
import warnings
from contextlib import suppress

import numpy as np
import pytest

from cbackprop import Network, inspect, plot
from cbackprop.tables.preprocessing import Column, Preprocessing
from cbackprop.tables.table import Table

NAN = float("nan")


def table(**columns):
    """Return a Table: lists of numbers, of text, or of booleans."""
    arrays = {}
    for name, values in columns.items():
        text = any(isinstance(value, str) for value in values)
        arrays[name] = np.array(values, dtype=object if text else None)
        if arrays[name].dtype.kind in "iu":
            arrays[name] = arrays[name].astype(float)
    return Table(arrays, source="people.csv")


# ---- the numbers ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_what_scikit_learn_makes_of_them(dtype):
    pytest.importorskip("sklearn")
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal([3, -2e6, 1e-9], [1, 1e3, 1e-8], (50, 3))
    x[rng.random((50, 3)) < 0.2] = NAN
    later = rng.normal(size=(7, 3)) * [1, 1e6, 1e-9]
    later[2] = NAN
    fitted = Preprocessing.fit(table(a=x[:, 0], b=x[:, 1], c=x[:, 2]))
    scaler = StandardScaler().fit(x)
    imputer = SimpleImputer(strategy="median").fit(scaler.transform(x))
    missing = MissingIndicator(features="all").fit(x)
    made = fitted.transform(table(a=later[:, 0], b=later[:, 1], c=later[:, 2]), dtype)
    assert fitted.columns == ("a", "a missing", "b", "b missing", "c", "c missing")
    assert (made.dtype, made.flags.c_contiguous) == (dtype, True)
    rtol = 1e-9 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(
        made[:, ::2], imputer.transform(scaler.transform(later)), rtol, rtol)
    np.testing.assert_array_equal(made[:, 1::2], missing.transform(later))


def test_categories_are_what_scikit_learn_makes_of_them():
    pytest.importorskip("sklearn")
    from sklearn.preprocessing import OneHotEncoder

    words = np.array(["b", "a", "ä", "B", "b c", "a", "b"], dtype=object)
    later = np.array(["b c", "new", "ä", "a"], dtype=object)
    fitted = Preprocessing.fit(table(word=words))
    oracle = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(words[:, None])
    made = fitted.transform(table(word=later))
    assert fitted.columns == ("word = B", "word = a", "word = b", "word = b c", "word = ä",
                              "word unknown")
    np.testing.assert_array_equal(made[:, :-1], oracle.transform(later[:, None]))
    np.testing.assert_array_equal(made[:, -1], [0, 1, 0, 0])


def test_by_hand():
    fitted = Preprocessing.fit(table(
        age=[20, 40, NAN, 60], city=["Rome", None, "Oslo", "Rome"],
        member=[True, False, True, True], always=[7, 7, 7, 7]))
    assert fitted.columns == ("age", "age missing", "city = Oslo", "city = Rome", "city unknown",
                              "member", "always")
    scale = np.sqrt(800 / 3)  # mean 40, median 40
    np.testing.assert_allclose(
        fitted.transform(table(
            always=[7, 9], member=[False, True], city=["Bonn", "Rome"], age=[NAN, 50]), "float64"),
        [[0, 1, 0, 0, 1, 0, 0], [10 / scale, 0, 0, 1, 0, 1, 2]], 1e-15)
    assert repr(fitted) == ("Preprocessing(4 columns -> 7 inputs: 1 standardised, 1 constant, "
                            "1 boolean, 1 one-hot)")


def test_a_constant_column_is_said():
    assert "constant, x - 7" in Preprocessing.fit(table(a=[7, 7], b=[1, 2])).summary()


@pytest.mark.parametrize("values", [
    [1e300, -1e300, 5e299], [1e-300, 2e-300, 4e-300], [1e9, 1e9 + 1, 1e9 + 2], [-3, -1, 5e-324]])
def test_numbers_of_any_size(values):
    made = Preprocessing.fit(table(a=values)).transform(table(a=values), "float64")[:, 0]
    assert abs(made.mean()) < 1e-9
    assert made.std() == pytest.approx(1)


def test_booleans_with_gaps_are_no_categories():
    words = np.array(["true", None, "False", "TRUE"], dtype=object)
    fitted = Preprocessing.fit(table(a=words, b=[1, 2, 3, 4]))
    np.testing.assert_array_equal(fitted.transform(table(a=words, b=[1, 2, 3, 4]))[:, :2],
                                  [[1, 0], [1, 1], [0, 0], [1, 0]])
    made = fitted.transform(table(a=[True, False], b=[1, 1]))
    np.testing.assert_array_equal(made[:, :2], [[1, 0], [0, 0]])


@pytest.mark.parametrize(("later", "expected"), [
    ([1.0, 3.0], [[1, 0, 0], [0, 0, 1]]), ([2.0, NAN], [[0, 1, 0], [0, 0, 1]])])
def test_categories_that_look_like_numbers_later(later, expected):
    fitted = Preprocessing.fit(table(code=["1", "2", "1"]))
    np.testing.assert_array_equal(fitted.transform(table(code=later)), expected)


# ---- images ----


def images(n=20, columns=64):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (n, columns)).astype(float)
    x[rng.random(x.shape) < 0.6] = 0
    x[0, 0] = 255
    return x


def test_pixels_are_scaled_in_common():
    x = images()
    fitted = Preprocessing.fit(x)
    np.testing.assert_array_equal(fitted.transform(x), (x / 255).astype("float32"))
    assert fitted.summary().split("\n")[1:] == ["column 1 ... column 64  64      x / 255"]


@pytest.mark.parametrize("change", [
    lambda x: x[:, :20], lambda x: x - 1, lambda x: x + (x == 0), lambda x: x / 2,
    lambda x: np.minimum(x, 16), lambda x: x * 2, lambda x: np.where(x == x[3, 3], NAN, x)])
def test_what_is_no_image_is_standardised(change):
    assert not any(column.kind == "pixel" for column in Preprocessing.fit(change(images())).inputs)


# ---- what is left out or refused ----


def test_text_of_too_many_values_is_left_out_and_said():
    names = [f"name {at}" for at in range(30)]
    fitted = Preprocessing.fit(table(name=names, age=range(30), nothing=[NAN] * 30))
    assert fitted.columns == ("age",)
    assert fitted.left_out == {
        "name": "text with 30 different values in 30 rows; to use it, make a few classes or "
                "numbers of it",
        "nothing": "it has no values"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted.transform(table(age=[0], name=["new"], nothing=[1])).shape == (1, 1)


def test_of_many_categories_the_rare_ones_share_the_unknown_slot():
    words = [f"{at % 150:03}" for at in range(400)]  # the first 100 thrice, the others twice
    fitted = Preprocessing.fit(table(word=words))
    assert len(fitted.columns) == 101
    np.testing.assert_array_equal(
        fitted.transform(table(word=["000", "099", "100"])).argmax(axis=1), [0, 99, 100])


def test_dates_are_refused_by_name_with_the_remedy():
    given = table(age=[1, 2])
    given.columns["born"] = np.array(["2001-01-01", "2002-01-01"], "datetime64[s]")
    with pytest.raises(ValueError, match=r"^column 'born' of people.csv holds dates, .*year.*"
                                         r"left_out=\['born'\]$"):
        Preprocessing.fit(given)
    assert Preprocessing.fit(given, left_out="born").columns == ("age",)
    given.columns["died"] = given.columns["born"]
    with pytest.raises(ValueError, match=r"^columns 'born', 'died' of people.csv hold dates, .*"
                                         r"leave them out, left_out=\['born', 'died'\]$"):
        Preprocessing.fit(given)


@pytest.mark.parametrize(("columns", "arguments", "match"), [
    ({"a": []}, {}, "^people.csv must have at least one row, got none$"),
    ({"a": [1, 2]}, {"target": "a"}, "must have a column that a network can take beside the targ"),
    ({"a": [NAN, NAN]}, {}, "must have a column .* 'a': it has no values$"),
    ({"a": [1]}, {"target": "b"}, "^target must name columns of people.csv, 'a', got 'b'$"),
    ({"a": [1]}, {"left_out": ["c"]}, "^left_out must name columns of people.csv, 'a', got 'c'$"),
    ({"a": [1, np.inf]}, {}, "^people.csv, row 1, column 'a' must be finite, got inf$"),
])
def test_what_cannot_be_fitted(columns, arguments, match):
    with pytest.raises(ValueError, match=match):
        Preprocessing.fit(table(**columns), **arguments)


@pytest.fixture
def fitted():
    return Preprocessing.fit(table(
        age=[20, 40, 60], city=["Rome", "Oslo", "Rome"], member=[True, False, True],
        label=["a", "b", "a"], row=[0, 1, 2]), target="label", left_out={"row": "it counts"})


@pytest.mark.parametrize(("columns", "match"), [
    ({"age": [1]}, "^people.csv must have the columns of the training, lacks 'city', 'member'; "
                   "it has 'age'$"),
    ({"age": ["old"], "city": ["Rome"], "member": [True]},
     "^people.csv, row 0, column 'age' must be a number, as in training, got 'old'$"),
    ({"age": [1, -np.inf], "city": ["Rome"] * 2, "member": [True] * 2},
     "^people.csv, row 1, column 'age' must be finite, got -inf$"),
    ({"age": [1, 2], "city": ["Rome"] * 2, "member": [1, 2]},
     "^people.csv, row 1, column 'member' must be true or false, as in training, got 2$"),
    ({"age": [1], "city": ["Rome"], "member": ["yes"]},
     "^people.csv, row 0, column 'member' must be true or false, as in training, got 'yes'$"),
])
def test_what_does_not_fit_the_training(columns, match, fitted):
    with pytest.raises(ValueError, match=match):
        fitted.transform(table(**columns))


def test_dates_where_there_were_none(fitted):
    given = table(age=[1], city=["Rome"], member=[True])
    given.columns["age"] = np.array(["2001-01-01"], "datetime64[s]")
    with pytest.raises(ValueError, match=r"^column 'age' of people\.csv holds dates"):
        fitted.transform(given)


def test_extra_columns_and_new_gaps_are_said_once(fitted):
    given = table(size=[1, 2], age=[NAN, 30], city=["Rome"] * 2, member=[True, False], x=[1, 2])
    with pytest.warns(UserWarning, match="people.csv") as seen:
        made = fitted.transform(given, "float64")
    assert [str(warning.message) for warning in seen] == [
        "people.csv has columns that the network was not trained with, which are ignored: "
        "'size', 'x'",
        "people.csv misses values where the training part had none, in 'age': the median replaces "
        "them"]
    assert made[0, 0] == 0  # the median 40 is the mean
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the target and what was left out are known
        fitted.transform(table(age=[1], city=["x"], member=[True], label=["b"], row=[1]))


# ---- columns without names ----


def test_columns_without_names_are_matched_by_position():
    x = np.array([[1.0, 5.0, 0.0], [3.0, 6.0, 1.0], [5.0, 7.0, 0.0]])
    named = Preprocessing.fit({"a": x[:, 0], "b": x[:, 1], "y": x[:, 2]}, target="y")
    nameless = Preprocessing.fit(x, target="column 3")
    for fitted in (named, nameless):
        expected = named.transform({"b": x[:, 1], "a": x[:, 0]})
        np.testing.assert_array_equal(fitted.transform(x), expected)
        np.testing.assert_array_equal(fitted.transform(x[:, :2]), expected)
        np.testing.assert_array_equal(fitted.targets(x), x[:, 2])
        assert fitted.targets(x[:, :2]) is None
        with pytest.raises(ValueError, match="must have 2 or 3 columns, as in training, since they "
                                             "have no names, got 4"):
            fitted.transform(np.ones((2, 4)))


# ---- a state ----


@pytest.mark.parametrize("values", [images(), [[1.5, 2.0], [NAN, 2.0]]])
def test_a_state_is_json_and_one_array(values):
    fitted = Preprocessing.fit(np.asarray(values), left_out={"column 1": "why not"})
    state = fitted.state()
    numbers = state.pop("numbers")
    assert numbers.shape == (len(fitted.inputs), 3)
    again = Preprocessing.of(json.loads(json.dumps(state)) | {"numbers": numbers})
    assert again == fitted
    assert again != Preprocessing.fit(np.asarray(values))


# ---- a network ----


FRAME = {"age": [20.0, 30.0, 40.0, 60.0], "city": ["Rome", "Oslo", "Bonn", "Rome"]}
KINDS = ["wine", "beer", "wine", "ale"]


def frames_of(columns):
    """Return them as everything that is a frame here."""
    made = {"dict": columns, "Table": table(**columns)}
    for library, make in {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}.items():
        with suppress(ModuleNotFoundError):
            made[library] = getattr(importlib.import_module(library), make)(columns)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_takes_frames_wherever_it_takes_x(dtype):
    net = Network([5, 4, 3], cost="log_likelihood", dtype=dtype, seed=0)
    plain = net.copy()
    net.preprocessing = Preprocessing.fit(FRAME | {"drink": KINDS}, target="drink")
    net.classes = np.array(["ale", "beer", "wine"])
    x, y = net.preprocessing.transform(FRAME, dtype), [2, 1, 2, 0]
    expected = plain.feedforward(x)
    pairs = [(plain.evaluate, net.evaluate), (plain.accuracy, net.accuracy),
             (plain.total_cost, net.total_cost)]
    for kind, frame in frames_of(FRAME).items():
        assert np.array_equal(net.feedforward(frame), expected), kind
        for one, other in pairs:
            assert one((x, y)) == other((frame, KINDS)), kind
        for one, other in zip(plain.backprop(x, y), net.backprop(frame, KINDS), strict=True):
            assert all(map(np.array_equal, one, other)), kind
    for one, other in pairs:
        whole = {"drink": KINDS, **FRAME}
        assert one((x, y)) == other(whole) == other((x, y)) == other((x, KINDS))
    assert np.array_equal(net.feedforward(x), expected)
    assert np.array_equal(net.feedforward(x[0]), expected[0])
    again = plain.SGD((x, y), 2, 2, 0.1, (x, y))
    assert net.SGD((FRAME, KINDS), 2, 2, 0.1, whole).cost == again.cost
    assert net.history.accuracy == again.accuracy


def test_inspection_and_pictures_take_frames_too():
    net = Network([5, 4, 3], cost="log_likelihood", seed=0)
    plain = net.copy()
    net.preprocessing = Preprocessing.fit(FRAME)
    net.classes = ("ale", "beer", "wine")
    x, y = net.preprocessing.transform(FRAME), [2, 1, 2, 0]
    one, other = (inspect.trace(*given) for given in ((plain, x, y), (net, FRAME, KINDS)))
    assert all(map(np.array_equal, one.delta, other.delta))
    first = {name: values[:1] for name, values in FRAME.items()}
    assert inspect.gradient_check(net, FRAME, KINDS).passed
    assert np.array_equal(inspect.jacobian(net, first), inspect.jacobian(plain, x[:1]))
    pytest.importorskip("matplotlib").use("agg")
    matrix, *_ = plot.confusion(net, (FRAME, KINDS))
    same, *_ = plot.confusion(plain, (x, y))
    assert [text.get_text() for text in matrix.texts] == [text.get_text() for text in same.texts]
    assert matrix.get_title() == same.get_title()
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["ale", "beer", "wine"]


def test_a_row_of_a_frame_is_no_table():
    pandas = pytest.importorskip("pandas")
    net = Network([2, 3], seed=0)
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [5.0, 7.0]})
    net.preprocessing = Preprocessing.fit(frame)
    with pytest.raises(TypeError, match=r"got a Series of .*; of a row, frame.iloc\[\[0\]\]"):
        net.feedforward(frame.iloc[0])
    assert np.array_equal(net.feedforward(frame.iloc[[0]]), net.feedforward(frame)[:1])


def test_labels_are_classes():
    net = Network([2, 3], cost="log_likelihood", seed=0)
    plain, x = net.copy(), np.eye(2)
    net.classes = (1, 2, 7)
    for y in ([7, 1], np.array([7.0, 1.0]), np.array([[7], [1]])):
        assert net.total_cost((x, y)) == plain.total_cost((x, [2, 0]))
    assert net.total_cost((x, np.array([2, 1], np.intc))) == plain.total_cost((x, [1, 0]))
    one_hot = [[0, 0, 1], [1, 0, 0]]
    assert net.total_cost((x, one_hot)) == plain.total_cost((x, one_hot))
    assert net.total_cost((x[0], one_hot[1])) == plain.total_cost((x[0], 0))
    for y in (1, [1], [0, 0, 1]):
        for one in (x[0], x[0][:, None]):
            assert net.total_cost((one, y)) == plain.total_cost((x[0], 2 if y == [0, 0, 1] else 0))
    for wrong in (3, "a", None, NAN):
        with pytest.raises(ValueError, match=r"^y of test_data must hold classes of the network, "
                                             r"\[1, 2, 7\], got .* at 1$"):
            net.evaluate((x, [7, wrong]))
    for classes, y in (((0, 1, 2), [2.0, 1.0]), ((0, 1, 2), [2, 1]), ((False, True, 2), [2, True]),
                       (("a", "b", "c"), ["c", "b"]), (("a", "b", "c"), [2, 1])):
        net.classes = classes
        assert net.total_cost((x, np.array(y))) == plain.total_cost((x, [2, 1]))
    binary = Network([2, 1], cost="cross_entropy", seed=0)
    cost = binary.total_cost((x, [0, 1]))
    binary.classes = ("no", "yes")
    assert binary.total_cost((x, ["no", "yes"])) == cost


@pytest.mark.parametrize(("classes", "y"), [
    (("a", "b", "c"), ["c", "b"]), ((3, 6, 9), [9, 6]), ((3, 6, 9), np.array([9, 6])),
])
def test_classes_in_pairs(classes, y):
    net, x = Network([2, 3], cost="log_likelihood", seed=0), np.eye(2)
    cost = net.total_cost((x, [2, 1]))
    net.classes = classes
    pairs = list(zip(x, y, strict=True))
    for given in (pairs, tuple(pairs), iter(pairs), [(row[:, None], one) for row, one in pairs]):
        assert net.total_cost(given) == cost
    assert net.total_cost([(x, y), (x, y)][:1]) == cost  # a batch
    with pytest.raises(ValueError, match=r"must hold classes of the network, .* got 'd' at [02]$"):
        net.total_cost([*pairs, (x[0], "d")])
    net.classes = None
    if isinstance(y[0], str):
        with pytest.raises(TypeError, match=r"np.unique\(y, return_inverse=True\)"):
            net.total_cost(pairs)


@pytest.mark.parametrize("classes", [
    (True, False, 2), ("a", 1, 2.5), (True, "a", "b"), ("a", "b", "c"), (3, 6, 9),
])
def test_predicted_classes_are_what_they_were(classes):
    net = Network([3, 3], cost="log_likelihood", initializer="zeros")
    net.weights[0], net.classes = np.eye(3), classes
    found = net.predict(np.eye(3)).tolist()
    assert found == list(classes)
    assert [type(one) for one in found] == [type(one) for one in classes]


def test_without_preprocessing_a_frame_is_numbers():
    pandas = pytest.importorskip("pandas")
    net = Network([2, 3], seed=0)
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert np.array_equal(net.feedforward(pandas.DataFrame(x)), net.feedforward(x))


@pytest.mark.parametrize(("name", "value", "error", "match"), [
    ("classes", ["a", "b"], ValueError, "classes must be 3 different names or numbers"),
    ("classes", ["a", "b", "b"], ValueError, "classes must be 3 different"),
    ("classes", "abc", TypeError, "classes must be 3 different"),
    ("classes", {"a", "b", "c"}, TypeError, "classes must be 3 different"),
    ("classes", [1, 2, NAN], TypeError, "classes must be 3 different"),
    ("classes", 5, TypeError, "classes must be 3 different"),
    ("preprocessing", "scale", TypeError, "preprocessing must be a Preprocessing, got 'scale'"),
    ("preprocessing", Preprocessing([Column("a", "number")]), ValueError,
     r"preprocessing must make sizes\[0\] = 2 columns, got 1"),
])
def test_what_a_network_cannot_have(name, value, error, match):
    net = Network([2, 3], seed=0)
    with pytest.raises(error, match=f"^{match}"):
        setattr(net, name, value)
    assert getattr(net, name) is None


def test_a_target_that_is_not_there():
    net = Network([1, 3], seed=0)
    net.preprocessing = Preprocessing.fit(table(a=[1, 2], b=[1, 2]), target="b")
    with pytest.raises(ValueError, match=r"^test_data must hold the target, \['b'\], or be \(x, y"):
        net.evaluate({"a": [1.0]})


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist])
def test_an_array_that_looks_like_the_table_is_said(make):
    """Of a hundred rows, of one, and of the answers as well; not of what is made of the table."""
    rng = np.random.default_rng(0)
    raw = rng.normal([60, -7, 0.01], [20, 3, 0.002], size=(100, 3))
    net = Network([3, 4, 2], seed=0)
    net.preprocessing, net.classes = Preprocessing.fit(raw), ("a", "b")
    made = net.preprocessing.transform(raw)
    y = np.array(["a", "b"] * 50)
    looks = "^x looks like the table itself"
    for x in (raw, raw[:1]):
        with pytest.warns(UserWarning, match=looks):
            net.predict(make(x))
        with pytest.warns(UserWarning, match=looks):
            net.accuracy((make(x), y[:len(x)]))
    with pytest.warns(UserWarning, match=looks):
        net.predict(make(raw[0]))
    assert len(net.predict(make(made))) == 100  # without a warning
    assert net.accuracy((make(made), y)) >= 0
    for row in made:
        net.predict(make(row))
    assert (net.predict(table_of(raw)) == net.predict(made)).all()


def table_of(raw):
    return {f"column {at + 1}": column for at, column in enumerate(raw.T)}

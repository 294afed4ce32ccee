"""Bad input: one clear line that names the argument, the rule and what came; nothing changes."""

import array
import pickle

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network
from cbackprop.book import network as book_network

INPUTS, OUTPUTS, N = 6, 3, 20
REALS = ["float32", "float64"]


def data(n=N):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, INPUTS)), rng.integers(0, OUTPUTS, n)


def with_value(array, value, at=(13, 4)):
    array = array.copy()
    array[at] = value
    return array


def wide(dtype):
    """Good rows of another type."""
    return data()[0].astype(dtype)


@pytest.fixture
def nets():
    """Networks in the middle of their lives; at the end their every bit must be as it was."""
    nets = [Network([INPUTS, 5, OUTPUTS], seed=0, dtype=real) for real in REALS]
    for net in nets:
        net.SGD(data(), 1, 7, 0.1)
    before, twins = [pickle.dumps(net) for net in nets], [net.copy() for net in nets]
    yield nets
    for net, was, twin in zip(nets, before, twins, strict=True):
        assert pickle.dumps(net) == was  # parameters, settings, generator
        assert net.SGD(data(), 1, 7, 0.1).cost == twin.SGD(data(), 1, 7, 0.1).cost
        assert pickle.dumps(net) != was


# ---- construction ----

RULE = "^sizes must be at least two positive integers, inputs first, got "
NAMES = r"^{} must be one of \[.*'{}'.*\](, or .*)?, got "


@pytest.mark.parametrize(("sizes", "error"), [
    ([], ValueError),
    ([784], ValueError),
    ((5,), ValueError),
    ([784, 0, 10], ValueError),
    ([0, 1], ValueError),
    ([3, 0], ValueError),
    ([784, -30, 10], ValueError),
    (np.array([3, -2]), ValueError),
    (np.ones((2, 2), int), TypeError),
    ([784, 30.0, 10], TypeError),
    ([784, 30.5, 10], TypeError),
    (np.array([2.0, 3.0]), TypeError),
    ([3, float("nan")], TypeError),
    ([2, "3"], TypeError),
    ("784,30,10", TypeError),
    ("", ValueError),
    ([2, None], TypeError),
    ([[2], [3]], TypeError),
    ([2, 3j], TypeError),
    (5, TypeError),
    (None, TypeError),
])
def test_sizes(sizes, error):
    with one_line(error, RULE):
        Network(sizes)


def test_sizes_that_no_memory_holds():
    with pytest.raises((ValueError, MemoryError)):
        Network([2**70, 1])
    with pytest.raises((ValueError, MemoryError)):
        Network([2**62, 2**62])
    with pytest.raises((ValueError, MemoryError)):
        Network([2**32, 2**32])
    with pytest.raises((ValueError, MemoryError)):
        Network([2**33, 2**31, 1])


@pytest.mark.parametrize(("argument", "known"), [
    ("activation", "sigmoid"),
    ("output_activation", "softmax"),
    ("cost", "cross_entropy"),
    ("initializer", "large"),
    ("dtype", "float64"),
])
@pytest.mark.parametrize("value", ["no such name", "Sigmund", "", 3, ("sigmoid",)])
def test_unknown_names(argument, known, value):
    with one_line(ValueError, NAMES.format(argument, known)):
        Network([2, 2], **{argument: value})


@pytest.mark.parametrize("dtype", ["float16", np.int32, "complex64", object, "longdouble", np.str_])
def test_other_types_of_numbers(dtype):
    with one_line(ValueError, NAMES.format("dtype", "float32")):
        Network([2, 2], dtype=dtype)


def test_softmax_of_one_hidden_neuron():
    with one_line(ValueError, "^activation 'softmax' needs two neurons or more, got a layer of 1$"):
        Network([2, 1, 2], activation="softmax")


@pytest.mark.parametrize("settings", [{"output_activation": "softmax"}, {"cost": "log_likelihood"}])
def test_softmax_of_one_output(settings):
    with one_line(ValueError, "^output_activation 'softmax' needs two neurons or more, got "):
        Network([3, 1], **settings)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("scale", "error", "match"), [
    (float("nan"), ValueError, "must be finite, got nan"),
    (float("inf"), ValueError, "must be finite, got inf"),
    ([1, 1, np.nan], ValueError, r"must be finite, got nan at \[2\]"),
    ([1, 1], ValueError, r"must be a number or have shape \(3,\), got shape \(2,\)"),
    ([[1], [1], [1]], ValueError, r"must be a number or have shape \(3,\), got shape \(3, 1\)"),
    ([1, [1, 2], 1], ValueError, "must "),
    ("1", TypeError, "must hold real numbers, got "),
    (None, TypeError, "must hold real numbers, got "),
    (1j, TypeError, "must hold real numbers, got "),
])
def test_input_scale(scale, error, match, dtype):
    with one_line(error, f"^input_scale {match}"):
        Network([3, 2], input_scale=scale, dtype=dtype)


@pytest.mark.parametrize("scale", [1e300, [1, 1e300, 1]])
def test_input_scale_beyond_float32(scale):
    assert Network([3, 2], input_scale=scale, dtype="float64").feedforward([0, 0, 0]).shape == (2,)
    with one_line(ValueError, "^input_scale must be finite"):
        Network([3, 2], input_scale=scale, dtype="float32")


@pytest.mark.parametrize(("seed", "error"), [
    ("zero", TypeError), (1.5, TypeError), (-1, ValueError)])
def test_seed(seed, error):
    with one_line(error, "^seed must be .*, got "):
        Network([2, 2], seed=seed)


def test_settings_are_named():
    with pytest.raises(TypeError):
        Network([2, 2], "tanh")
    with pytest.raises(TypeError, match="activaton"):
        Network([2, 2], activaton="tanh")


# ---- rows of x: the same for everything that takes them ----

TAKE_X = {
    "SGD": lambda net, x: net.SGD((x, data()[1]), 2, 5, 0.1),
    "SGD's test data": lambda net, x: net.SGD(data(), 2, 5, 0.1, (x, data()[1])),
    "update_mini_batch": lambda net, x: net.update_mini_batch((x, data()[1]), 0.1),
    "evaluate": lambda net, x: net.evaluate((x, data()[1])),
    "accuracy": lambda net, x: net.accuracy((x, data()[1])),
    "total_cost": lambda net, x: net.total_cost((x, data()[1])),
    "backprop": lambda net, x: net.backprop(x, data()[1]),
    "feedforward": lambda net, x: net.feedforward(x),
}
NAME_OF_X = {
    "SGD": "x of training_data", "SGD's test data": "x of test_data",
    "update_mini_batch": "x of mini_batch", "backprop": "x( of .*)?", "feedforward": "a",
}

BAD_X = {
    "a column too few": (data()[0][:, :-1], ValueError, r"have .*6 columns, got shape \(20, 5\)"),
    "a column too many": (np.ones((N, 7)), ValueError, r"have .*6 columns, got shape \(20, 7\)"),
    "transposed": (data()[0].T, ValueError,
                   r"have .*6 columns, got shape \(6, 20\); \w+\.T has an example in each row$"),
    "flat": (np.ones(N * INPUTS), ValueError, r"have .*6 columns, got shape \(120,\)"),
    "three dimensions": (np.ones((N, 2, 3)), ValueError,
                         r"6 columns, got shape \(20, 2, 3\); \w+\.reshape\(len\(\w+\), -1\) has "),
    "one number": (1.0, ValueError, r"have .*6 columns, got shape \(\)"),
    "no columns": (np.ones((N, 0)), ValueError, r"have .*6 columns, got shape \(20, 0\)"),
    "ragged": ([[1.0] * 6] * (N - 1) + [[1.0] * 5], ValueError, "be rows of equal length"),
    "objects": (wide("U8").astype(object), TypeError, "real numbers, got dtype object, holding '"),
    "None": (None, TypeError, "hold real numbers, got dtype object"),
    "complex": (wide(complex), TypeError, "hold real numbers, got dtype complex128"),
    "strings": (wide("U8"), TypeError, "hold real numbers, got dtype <U8"),
    "bytes": (wide("S8"), TypeError, r"hold real numbers, got dtype \|S8"),
    "dates": (np.zeros((N, 6), "M8[s]"), TypeError, "hold real numbers, got dtype datetime64"),
    "records": (np.zeros((N, 6), "f4,f4"), TypeError, "hold real numbers, got dtype "),
    "dictionary": ({"x": 1}, TypeError, "hold real numbers, got dtype object"),
    **{f"{value} in {dtype}": (with_value(wide(dtype), value), ValueError,
                               rf"be finite, got {value} at \[13, 4\]$")
       for value in (np.nan, np.inf, -np.inf) for dtype in ("f4", "f8", ">f8", "f2", "longdouble")},
    "NaN in the last place": (with_value(wide("f4"), np.nan, (-1, -1)), ValueError,
                              r"be finite, got nan at \[19, 5\]$"),
    "NaN in the first place": (with_value(wide("f8"), np.nan, (0, 0)), ValueError,
                               r"be finite, got nan at \[0, 0\]$"),
    "NaN in columns": (np.asfortranarray(with_value(wide("f8"), np.nan)), ValueError,
                       r"be finite, got nan at \[13, 4\]$"),
    "both infinities": (with_value(with_value(wide("f4"), np.inf), -np.inf, (14, 0)), ValueError,
                        r"be finite, got inf at \[13, 4\]$"),
}


@pytest.mark.parametrize("bad", BAD_X)
@pytest.mark.parametrize("method", TAKE_X)
def test_x(method, bad, nets):
    x, error, rule = BAD_X[bad]
    name = NAME_OF_X.get(method, "x of test_data")
    for net in nets:
        with one_line(error, f"^{name} must .*{rule}"):
            TAKE_X[method](net, x)


@pytest.mark.parametrize("take", [
    lambda net, x, y: net.feedforward(x),
    lambda net, x, y: net.backprop(x, y),
    lambda net, x, y: net.evaluate((x, y)),
    lambda net, x, y: net.SGD((x, y), 1, 5, 0.1),
])
@pytest.mark.parametrize("n", [511, 512, 513, 1025])
def test_nan_anywhere_in_many_rows(take, n, nets):
    x, y = data(n)
    for row in {0, 510, n - 1}:
        for net in nets:
            with one_line(ValueError, rf"must be finite, got nan at \[{row}, 5\]$"):
                take(net, with_value(x, np.nan, (row, 5)), y)


@pytest.mark.parametrize("method", TAKE_X)
@pytest.mark.parametrize("value", [1e39, -1e300])
def test_x_beyond_float32(method, value):
    x = with_value(data()[0], value)
    assert Network([INPUTS, 1], dtype="float64").feedforward(x).shape == (N, 1)
    net = Network([INPUTS, OUTPUTS], seed=0, dtype="float32")
    before = pickle.dumps(net)
    with one_line(ValueError, f"^{NAME_OF_X.get(method, 'x of test_data')} must be finite"):
        TAKE_X[method](net, x)
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("method", TAKE_X)
def test_no_rows(method, nets):
    for net in nets:
        if method == "feedforward":
            assert net.feedforward(np.ones((0, INPUTS))).shape == (0, OUTPUTS)
        else:
            with one_line(ValueError, "must (hold at least one example, got none|be 0 labels)"):
                TAKE_X[method](net, np.ones((0, INPUTS)))


# ---- y ----

TAKE_Y = {
    "SGD": lambda net, y: net.SGD((data()[0], y), 2, 5, 0.1),
    "SGD's test data": lambda net, y: net.SGD(data(), 2, 5, 0.1, (data()[0], y)),
    "update_mini_batch": lambda net, y: net.update_mini_batch((data()[0], y), 0.1),
    "evaluate": lambda net, y: net.evaluate((data()[0], y)),
    "accuracy": lambda net, y: net.accuracy((data()[0], y)),
    "total_cost": lambda net, y: net.total_cost((data()[0], y)),
    "backprop": lambda net, y: net.backprop(data()[0], y),
}
ONE_HOT = np.eye(OUTPUTS)[data()[1]]
LABELS = data()[1]

BAD_Y = {
    "label too high": (with_value(LABELS, 3, 7), ValueError, r"hold labels in 0\.\.2, got 3$"),
    "label far too high": (with_value(LABELS, 2**40, 7), ValueError,
                           r"hold labels in 0\.\.2, got 1099511627776$"),
    "label too low": (with_value(LABELS, -1, 7), ValueError, r"hold labels in 0\.\.2, got -1$"),
    "unsigned label too high": (with_value(LABELS.astype(np.uint64), 2**64 - 1, 0), ValueError,
                                r"hold labels in 0\.\.2, got 18446744073709551615$"),
    "label too high, big-endian": (with_value(LABELS.astype(">i2"), 3, 7), ValueError,
                                   r"hold labels in 0\.\.2, got 3$"),
    "float labels": (LABELS + 0.5, TypeError, r"hold integers .*, got \d\.5; numbers to come "),
    "float32 labels": (LABELS.astype("f4") / 3, TypeError, r"hold integers .*, got 0\.(3|6)"),
    "infinite label": (with_value(LABELS.astype(float), np.inf, 3), TypeError, "hold integers "),
    "NaN label": (with_value(LABELS.astype(float), np.nan, 3), TypeError, "hold integers "),
    "names": (np.array(["one", "two"] * (N // 2)), TypeError,
              r"hold real numbers, got dtype <U3; np\.unique\(y, return_inverse=True\)\[1\] "),
    "objects": (ONE_HOT.astype("U3").astype(object), TypeError,
                r"got dtype object, holding '0.0'; \.astype\(float\) makes numbers of text$"),
    "complex": (ONE_HOT.astype(complex), TypeError, "hold real numbers, got dtype complex128$"),
    "None": (None, TypeError, "hold real numbers, got dtype object, holding None$"),
    "ragged": ([[1.0, 0.0, 0.0]] * (N - 1) + [[1.0]], ValueError, "be rows of equal length"),
    "a label too few": (LABELS[:-1], ValueError, r"be 20 labels .*got shape \(19,\)$"),
    "a row too many": (np.ones((N + 1, 3)), ValueError, r"shape \(20, 3\).*got shape \(21, 3\)$"),
    "a column too few": (ONE_HOT[:, :-1], ValueError,
                       r"shape \(20, 3\).*got shape \(20, 2\); 2 columns need sizes\[-1\] = 2$"),
    "a column too many": (np.ones((N, 4)), ValueError,
                        r"shape \(20, 3\).*got shape \(20, 4\); 4 columns need sizes\[-1\] = 4$"),
    "transposed": (ONE_HOT.T, ValueError,
                   r"shape \(20, 3\).*got shape \(3, 20\); its \.T has an example in each row$"),
    "a row of labels": (LABELS[None], ValueError,
                        r"got shape \(1, 20\); its \.ravel\(\) is a vector$"),
    "three dimensions": (ONE_HOT[:, :, None], ValueError, r"got shape \(20, 3, 1\)$"),
    "one label": (1, ValueError, r"got shape \(\)$"),
    "none": (np.ones((0, 3)), ValueError, r"got shape \(0, 3\)$"),
    **{f"{value} in {dtype}": (with_value(ONE_HOT.astype(dtype), value, (13, 1)), ValueError,
                               rf"be finite, got {value} at \[13, 1\]$")
       for value in (np.nan, np.inf, -np.inf) for dtype in ("f4", "f8", ">f4")},
}


@pytest.mark.parametrize("bad", BAD_Y)
@pytest.mark.parametrize("method", TAKE_Y)
def test_y(method, bad, nets):
    y, error, rule = BAD_Y[bad]
    name = {"SGD": "y of training_data", "update_mini_batch": "y of mini_batch"}.get(
        method, "y( of .*)?" if method == "backprop" else "y of test_data")
    for net in nets:
        with one_line(error, f"^{name} must .*{rule}"):
            TAKE_Y[method](net, y)


@pytest.mark.parametrize("method", TAKE_Y)
def test_y_beyond_float32(method):
    net = Network([INPUTS, OUTPUTS], seed=0, dtype="float32")
    before = pickle.dumps(net)
    with one_line(ValueError, "^y.* must be finite"):
        TAKE_Y[method](net, with_value(ONE_HOT, 1e300, (13, 1)))
    assert pickle.dumps(net) == before


def test_labels_of_one_output_are_numbers():
    net = Network([INPUTS, 1], seed=0)
    net.SGD((data()[0], np.linspace(0, 1, N)), 1, 5, 0.1)
    with one_line(ValueError, r"^y of training_data must be finite, got nan at \[3, 0\]$"):
        net.SGD((data()[0], with_value(np.ones(N), np.nan, 3)), 1, 5, 0.1)


# ---- data sets ----

TAKE_DATA = {
    "SGD": lambda net, pairs: net.SGD(pairs, 2, 1, 0.1),
    "SGD's test data": lambda net, pairs: net.SGD(data(), 2, 5, 0.1, pairs),
    "update_mini_batch": lambda net, pairs: net.update_mini_batch(pairs, 0.1),
    "evaluate": lambda net, pairs: net.evaluate(pairs),
    "accuracy": lambda net, pairs: net.accuracy(pairs),
    "total_cost": lambda net, pairs: net.total_cost(pairs),
}
COLUMN, TARGET = np.ones((INPUTS, 1)), np.ones((OUTPUTS, 1))
EITHER = r"must be \(x, y\) arrays or a list of \(x, y\) pairs, got "

BAD_DATA = {
    "number": (lambda: 5, TypeError, EITHER),
    "text": (lambda: "mnist", TypeError, EITHER),
    "x alone": (lambda: data()[0], TypeError, EITHER),
    "three arrays": (lambda: (*data(), data()[1]), TypeError, EITHER),
    "list of two arrays": (lambda: list(data()), TypeError, EITHER),
    "list of rows": (lambda: data()[0].tolist(), TypeError, EITHER),
    "triples": (lambda: [(COLUMN, TARGET, 1)] * 3, TypeError, EITHER),
    "a stray": (lambda: [(COLUMN, TARGET), 5], TypeError, EITHER),
    "empty list": (list, ValueError, "must hold at least one example, got none$"),
    "empty tuple": (tuple, ValueError, "must hold at least one example, got none$"),
    "used up": (lambda: iter([]), ValueError, "must hold at least one example, got none$"),
    "empty arrays": (lambda: (np.ones((0, INPUTS)), np.ones((0, OUTPUTS))), ValueError,
                     "must hold at least one example, got none$"),
    "empty labels": (lambda: (np.ones((0, INPUTS)), np.ones(0, int)), ValueError,
                     "must hold at least one example, got none$"),
    "wrong columns": (lambda: [(COLUMN[:-1], TARGET)] * 3, ValueError,
                      r"must have .*6 columns, got shape \(3, 5\)$"),
    "wrong targets": (lambda: [(COLUMN, TARGET[:-1])] * 3, ValueError,
                      r"got shape \(3, 2\); 2 columns need sizes\[-1\] = 2$"),
    "unequal x": (lambda: [(COLUMN, TARGET), (COLUMN[:-1], TARGET)], ValueError,
                  "^x of .* must have one shape in every pair, got "),
    "unequal y": (lambda: [(COLUMN, TARGET), (COLUMN, 1)], ValueError,
                  "^y of .* must have one shape in every pair, got "),
    "pairs with NaN": (lambda: [(COLUMN, TARGET), (COLUMN * np.nan, TARGET)], ValueError,
                       r"^x of .* must be finite, got nan at \[1, 0\]$"),
    "pairs with a wrong label": (lambda: [(COLUMN, 1), (COLUMN, 3)], ValueError,
                                 r"^y of .* must hold labels in 0\.\.2, got 3$"),
    "pairs with names": (lambda: [(COLUMN, "a"), (COLUMN, "b")], TypeError,
                         "^y of .* must hold real numbers, got dtype <U1; np.unique"),
    "pairs with nothing": (lambda: [(None, None)], TypeError,
                           "^x of .* must hold real numbers, got dtype object, holding None$"),
}


@pytest.mark.parametrize("bad", BAD_DATA)
@pytest.mark.parametrize("method", TAKE_DATA)
def test_data(method, bad, nets):
    make, error, rule = BAD_DATA[bad]
    name = {"SGD": "training_data", "update_mini_batch": "mini_batch"}.get(method, "test_data")
    for net in nets:
        with one_line(error, rule):
            TAKE_DATA[method](net, make())
        with one_line(error, name):
            TAKE_DATA[method](net, make())


def test_no_test_data_is_none(nets):
    for net in nets:
        with one_line(TypeError, "^test_data must be "):
            net.evaluate(None)
        with one_line(TypeError, "^training_data must be "):
            net.SGD(None, 1, 1, 0.1)


# ---- numbers ----


@pytest.mark.parametrize(("value", "error"), [
    (0, ValueError), (-1, ValueError), (-(2**70), ValueError), (N + 1, ValueError),
    (2**70, ValueError), (np.int64(0), ValueError), (5.0, TypeError), (float("nan"), TypeError),
    ("5", TypeError), (None, TypeError), ([5], TypeError), (np.array([5, 5]), TypeError),
])
def test_mini_batch_size(value, error, nets):
    rule = "^mini_batch_size must be an integer of at least 1 and at most the 20 examples, got "
    for net in nets:
        with one_line(error, rule):
            net.SGD(data(), 2, value, 0.1)


@pytest.mark.parametrize(("value", "error"), [
    (-1, ValueError), (1.0, TypeError), (2.5, TypeError), (float("inf"), TypeError),
    ("3", TypeError), (None, TypeError), ([1, 2], TypeError),
])
def test_epochs(value, error, nets):
    for net in nets:
        with one_line(error, "^epochs must be an integer of at least 0, got "):
            net.SGD(data(), value, 5, 0.1)


@pytest.mark.parametrize("take", [
    lambda net, eta: net.SGD(data(), 2, 5, eta),
    lambda net, eta: net.update_mini_batch(data(), eta),
])
@pytest.mark.parametrize(("value", "error"), [
    (float("nan"), ValueError), (float("inf"), ValueError), (-float("inf"), ValueError),
    (np.float32("nan"), ValueError), (-0.5, ValueError), (-1, ValueError),
    pytest.param(10**400, ValueError, id="10**400"),
    ("fast", TypeError), ("0.5", TypeError), (b"0.5", TypeError),
    (0.5j, TypeError), ([0.5], TypeError), (np.array([0.5, 0.5]), TypeError),
])
def test_eta(take, value, error, nets):
    for net in nets:
        with one_line(error, "^eta must be "):
            take(net, value)


@pytest.mark.parametrize("argument", ["progress", "callback"])
@pytest.mark.parametrize("value", [3, "bar", [print]])
def test_progress_and_callback(argument, value, nets):
    for net in nets:
        with one_line(TypeError, f"^{argument} must be "):
            net.SGD(data(), 2, 5, 0.1, **{argument: value})


def test_bad_test_data_is_found_before_training(nets):
    calls = []
    for net in nets:
        with one_line(ValueError, "^y of test_data must hold labels"):
            net.SGD(data(), 2, 5, 0.1, (data()[0], data()[1] + 1),
                    progress=lambda *_: calls.append(1), callbacks=[lambda *_: calls.append(2)])
        assert calls == []


@pytest.mark.parametrize(("a", "y", "error", "rule"), [
    (np.ones(3), np.ones(2), ValueError, "must have the same shape, got"),
    (np.ones((3, 1)), np.ones(3), ValueError, "must have the same shape, got"),
    (np.ones(3), None, TypeError, "^y must hold real numbers, got dtype object, holding None$"),
    (np.ones(3), np.array(["a", "b", "c"]), TypeError, "^y must hold real numbers, got dtype <U1"),
    (np.ones(3) * 1j, np.ones(3), TypeError, "^output_activations must hold real numbers, got "),
    ([[1], [1, 2]], np.ones(3), ValueError, "^output_activations must be rows of equal length"),
])
def test_cost_derivative(a, y, error, rule, nets):
    for net in nets:
        with one_line(error, rule):
            net.cost_derivative(a, y)


# ---- what is unusual, and works ----


@pytest.mark.parametrize("eta", [0, 1, np.float32(0.5), np.int8(1), True, np.array(0.5)])
def test_numbers_of_every_kind(eta, nets):
    for net in nets:
        copy = net.copy()
        copy.SGD(data(), np.int8(1), np.uint16(5), eta)
        copy.SGD(data(), True, N, eta)
        assert np.isfinite(copy.feedforward(data()[0])).all()


def test_large_numbers_saturate(nets):
    x = np.full((N, INPUTS), 1e37)
    x[::2] = -1e37
    for net in nets:
        assert np.isfinite(net.feedforward(x)).all()
        assert net.evaluate((x, data()[1])) >= 0


@pytest.mark.parametrize("give", [
    lambda net, value: Network([value, 1]),
    lambda net, value: Network([2, 1], threads=value),
    lambda net, value: Network([2, 3, 1], activation={"relu": value}),
    lambda net, value: Network([2, 1], cost=("huber", value)),
    lambda net, value: Network([2, 1], input_scale=value),
    lambda net, value: net.c_handle(value),
    lambda net, value: net.feedforward([value] * INPUTS),
    lambda net, value: net.LBFGS(data(), value),
    lambda net, value: net.SGD((data()[0], [value] * N), 1, 1, 0.1),
    lambda net, value: net.SGD(data(), value, 1, 0.1),
    lambda net, value: net.SGD(data(), 1, value, 0.1),
    lambda net, value: net.SGD(data(), 1, 1, value),
    lambda net, value: net.SGD(data(), 1, 1, lambda step: value),
    lambda net, value: net.SGD(data(), 1, 1, 0.1, lmbda=value),
    lambda net, value: net.SGD(data(), 1, 1, 0.1, dropout=value),
    lambda net, value: net.SGD(data(), 1, 1, 0.1, clip_norm=value),
    lambda net, value: net.SGD(data(), 1, 1, 0.1, class_weight={0: value}),
])
def test_integers_beyond_every_type(give, nets):
    for value in (10**400, -10**400, 10**5000):
        for net in nets:
            with pytest.raises((TypeError, ValueError, MemoryError)) as raised:
                give(net, value)
            assert len(str(raised.value)) < 400
            assert "\n" not in str(raised.value)


def test_what_of_objects_is_no_number():
    net = Network([3, 1])
    for value, came in ((10**400, "1000.*"), (None, "None"), ("a", "'a'"), (2**64, str(2**64))):
        with one_line(TypeError, f"^a must hold real numbers, got dtype object, holding {came}$"):
            net.feedforward(np.array([1.0, value, 2], object))


def test_sparse_arrays_where_dense_ones_are_needed():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.coo_array):
        x, net = kind(np.eye(3)), Network([3, 2])
        for call in (lambda x: net.weights.__setitem__(0, x),  # noqa: B023
                     lambda x: net.cost_derivative(x, x),  # noqa: B023
                     lambda x: Network([3, 2], input_scale=x),
                     lambda x: net.evaluate([(x, 1)]),  # noqa: B023
                     lambda x: net.SGD((np.eye(3), [0, 1, 1]), 1, 1, 0.1,  # noqa: B023
                                       sample_weight=x)):
            with one_line(TypeError, rf"must be dense, got a sparse {kind.__name__}: .*toarray"):
                call(x)


def test_a_seed_without_end():
    """NumPy's own recursion ended the process."""
    endless = []
    endless.append(endless)
    for seed in (endless, [[1, 2]], np.ones((2, 2), int), np.ones(2)):
        with one_line(TypeError, "seed must be None, a Generator or a non-negative integer"):
            Network([2, 1], seed=seed)
    assert (Network([2, 1], seed=[1, 2]).weights[0]
            == Network([2, 1], seed=np.array([1, 2])).weights[0]).all()


def test_a_memoryview_is_no_data_set():
    with one_line(TypeError, "must be .x, y. arrays or a list of .x, y. pairs, got memoryview"):
        Network([2, 3, 1]).evaluate(memoryview(np.ones((4, 2))))


BUFFERS = {
    "three dimensions": memoryview(np.ones((2, 3, 4))),
    "two dimensions": memoryview(np.ones((3, 2))),
    "no dimension": memoryview(np.array(1.0)),
    "objects": memoryview(np.array([None, "a"], object)),
    "half": memoryview(np.ones(5, np.float16)),
    "records": memoryview(np.zeros(2, "f4,f4")),
    "bytearray": bytearray(b"\x02\x03\x04\x05"),
    "array": array.array("d", [2, 3, 4, 5]),
}


@pytest.mark.parametrize("buffer", BUFFERS)
def test_a_buffer_is_no_sequence_of_arrays(buffer):
    """Of what it holds a memoryview gives no rows, and no numbers that Python has not."""
    given, (x, y), net = BUFFERS[buffer], data(), Network([INPUTS, 4, 3], seed=0)
    before = [w.copy() for w in net.weights]
    for call in (
        lambda: setattr(net, "weights", given), lambda: setattr(net, "biases", given),
        lambda: Network([2, 3, 1], initializer=(given, given)),
        lambda: net.SGD((x, y), 1, 1, 0.1, dropout=given),
        lambda: net.SGD((x, y), 1, 1, 0.1, monitor=given),
        lambda: net.SGD((x, y), 1, 1, 0.1, callbacks=given),
        lambda: net.SGD(given, 1, 1, 0.1), lambda: net.evaluate(given),
        lambda: cbackprop.train_many(given), lambda: cbackprop.train_many([given]),
        lambda: book_network.Network([2, 3]).SGD(given, 1, 1, 0.1),
    ):
        with pytest.raises((TypeError, ValueError), match=" must ") as raised:
            call()
        assert "\n" not in str(raised.value)
    if buffer in ("bytearray", "array"):
        assert buffer == "array" or Network(given).sizes == (2, 3, 4, 5)
    else:
        with one_line((TypeError, ValueError), "^sizes must be at least two positive integers"):
            Network(given)
    assert all(map(np.array_equal, before, net.weights))


def test_buffers_that_fit():
    sizes = memoryview(array.array("i", [2, 3]))
    weights, biases = np.arange(6.0).reshape(1, 3, 2), np.ones((1, 3, 1))
    net = Network(sizes, initializer=(memoryview(weights), memoryview(biases)))
    assert net.weights[0].tolist() == weights[0].tolist()
    net.weights = memoryview(weights + 1)
    assert net.weights[0].tolist() == (weights[0] + 1).tolist()
    released = memoryview(weights)
    released.release()
    with one_line(TypeError, "^weights must be 1 arrays, got <released memory"):
        net.weights = released


@pytest.mark.parametrize("values", [3, None, 1.5])
def test_parameters_that_are_no_sequence(values):
    net = Network([2, 1])
    with one_line(TypeError, f"^weights must be 1 arrays, got {values}$"):
        net.weights = values
    with one_line(TypeError, f"^biases must be 1 arrays, got {values}$"):
        net.biases = values

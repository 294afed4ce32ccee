"""What `Network` promises to its users, method by method."""

import gc
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import peak
from reference import drawn_order

from cbackprop import History, Network

SIZES = [13, 9, 4]
SCALE = 1 / 128  # exact in every type
REALS = ["float32", "float64"]
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def digits(n, seed=0, sizes=SIZES):
    """Rows of small whole numbers, exact in every type, and labels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 100, (n, sizes[0])), rng.integers(0, sizes[-1], n)


def one_hot(labels, width):
    return np.eye(width)[labels]


def network(sizes=SIZES, **settings):
    """A network for `digits`."""
    return Network(sizes, **{"input_scale": SCALE, "seed": 0, "dtype": "float64"} | settings)


def parameters(net):
    """A copy of every weight and bias, flat."""
    return np.concatenate([np.ravel(p) for p in (*net.weights, *net.biases)])


def set_parameters(net, other):
    """Give a network another's parameters."""
    net.weights, net.biases = list(other.weights), list(other.biases)


def book_step(weights, biases, x, y, eta):
    """The book's update_mini_batch, one example after the other: sigmoid, quadratic cost."""
    nabla_b = [np.zeros(b.shape) for b in biases]
    nabla_w = [np.zeros(w.shape) for w in weights]
    cost = 0.0
    for one_x, one_y in zip(x, y, strict=True):
        activations = [one_x.reshape(-1, 1)]
        for w, b in zip(weights, biases, strict=True):
            activations.append(sigmoid(w @ activations[-1] + b))
        delta = activations[-1] - one_y.reshape(-1, 1)
        cost += 0.5 * float((delta**2).sum())
        for layer in reversed(range(len(weights))):
            a = activations[layer + 1]
            delta = delta * a * (1 - a)
            nabla_b[layer] += delta
            nabla_w[layer] += delta @ activations[layer].T
            delta = weights[layer].T @ delta
    for p, nabla in zip(weights + biases, nabla_w + nabla_b, strict=True):
        p -= eta / len(x) * nabla
    return cost


def book_start(sizes, seed):
    """The generator, and the parameters that it draws first."""
    rng = np.random.default_rng(seed)
    layers = list(pairwise(sizes))
    biases = [rng.standard_normal((out, 1)) for _, out in layers]
    weights = [rng.standard_normal((out, n_in)) / np.sqrt(n_in) for n_in, out in layers]
    return rng, weights, biases


def book_sgd(sizes, seed, x, y, epochs, mini_batch_size, eta):
    """The book's SGD from the first draw on; returns weights, biases, the mean cost per epoch."""
    rng, weights, biases = book_start(sizes, seed)
    costs = []
    for _ in range(epochs):
        order = drawn_order(rng, len(x))
        costs.append(0.0)
        for first in range(0, len(x), mini_batch_size):
            batch = order[first:first + mini_batch_size]
            costs[-1] += book_step(weights, biases, x[batch], y[batch], eta) / len(x)
    return weights, biases, costs


def assert_parameters(net, weights, biases, tolerance=1e-11):
    for layer in range(len(weights)):
        np.testing.assert_allclose(net.weights[layer], weights[layer], tolerance, tolerance)
        np.testing.assert_allclose(net.biases[layer], biases[layer], tolerance, tolerance)


# ---- construction ----


def test_attributes():
    net = Network((7, 5, np.int64(3)), cost="cross_entropy", activation="tanh", dtype=np.float64,
                  input_scale=2)
    assert net.sizes == (7, 5, 3)
    assert net.num_layers == 3
    assert (net.activation, net.output_activation) == ("tanh", "sigmoid")
    assert (net.cost, net.dtype, net.input_scale) == ("cross_entropy", "float64", 2.0)
    assert len(net.weights) == len(net.biases) == 2
    assert [w.shape for w in net.weights] == [(5, 7), (3, 5)]
    assert [b.shape for b in net.biases] == [(5, 1), (3, 1)]


def test_defaults():
    net = Network([2, 3, 1])
    assert net.dtype == "float32"
    assert all(p.dtype == np.float32 for p in (*net.weights, *net.biases))
    assert (net.activation, net.output_activation, net.cost) == ("sigmoid", "sigmoid", "quadratic")
    assert net.input_scale == 1


@pytest.mark.parametrize(("cost", "activation", "output"), [
    ("quadratic", "tanh", "tanh"),
    ("quadratic", "relu", "relu"),
    ("cross_entropy", "relu", "sigmoid"),
    ("log_likelihood", "tanh", "softmax"),
])
def test_output_activation_follows_the_cost(cost, activation, output):
    assert Network([2, 2], cost=cost, activation=activation).output_activation == output


def test_repr_evaluates_to_the_same_settings():
    net = Network([3, 2], activation="tanh", cost="cross_entropy", dtype="float64")
    assert repr(eval(repr(net))) == repr(net)
    assert "[3, 2]" in repr(net)
    assert "'cross_entropy'" in repr(net)


@pytest.mark.parametrize("name", [
    "sizes", "num_layers", "dtype", "activation", "output_activation", "cost", "input_scale"])
def test_settings_cannot_be_changed_without_effect(name):
    net = Network([3, 2])
    with pytest.raises(AttributeError):
        setattr(net, name, getattr(net, name))


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("initializer", "deviation"), [("default", 1 / 20), ("large", 1)])
def test_initial_values_are_normal(initializer, deviation, dtype):
    net = Network([400, 300, 200], initializer=initializer, dtype=dtype, seed=1)
    w = np.asarray(net.weights[0], "float64") / deviation
    assert abs(w.mean()) < 0.015
    assert w.std() == pytest.approx(1, abs=0.01)
    assert (abs(w) > 1.96).mean() == pytest.approx(0.05, abs=0.004)
    assert abs(np.corrcoef(w[0], w[1])[0, 1]) < 0.25
    w = np.asarray(net.weights[1]) * (np.sqrt(300) if initializer == "default" else 1)
    assert w.std() == pytest.approx(1, abs=0.015)
    b = np.concatenate([*net.biases])
    assert abs(b.mean()) < 0.2
    assert b.std() == pytest.approx(1, abs=0.15)


def test_initial_values_are_drawn_biases_first():
    _, weights, biases = book_start([5, 4, 3], 7)
    assert_parameters(Network([5, 4, 3], seed=7, dtype="float64"), weights, biases, 1e-15)


@pytest.mark.parametrize("dtype", REALS)
def test_a_seed_reproduces_bits(dtype):
    x, y = digits(50)
    nets = [network(seed=seed, dtype=dtype) for seed in (3, 3, 4)]
    assert np.array_equal(parameters(nets[0]), parameters(nets[1]))
    assert not np.array_equal(parameters(nets[0]), parameters(nets[2]))
    for net in nets:
        net.SGD((x, y), 2, 7, 1.0)
    assert np.array_equal(parameters(nets[0]), parameters(nets[1]))


def test_without_a_seed_networks_differ():
    assert not np.array_equal(parameters(Network([9, 9])), parameters(Network([9, 9])))


def test_a_generator_is_a_seed():
    generator = np.random.default_rng(3)
    first, second = network(seed=generator), network(seed=generator)
    assert np.array_equal(parameters(first), parameters(network(seed=3)))
    assert not np.array_equal(parameters(first), parameters(second))


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    network().SGD(digits(20), 1, 5, 1.0)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# ---- weights and biases ----


@pytest.mark.parametrize("dtype", REALS)
def test_views_are_live(dtype):
    net = Network([3, 4, 2], dtype=dtype, seed=0)
    x = np.array([0.5, -1.0, 2.0])
    rng = np.random.default_rng(1)

    def by_hand():
        hidden = sigmoid(net.weights[0] @ x + net.biases[0][:, 0])
        return sigmoid(net.weights[1] @ hidden + net.biases[1][:, 0])

    outputs = [net.feedforward(x)]

    def check():
        out = net.feedforward(x)
        np.testing.assert_allclose(out, by_hand(), TOLERANCE[dtype])
        assert all(abs(out - old).max() > 1e-4 for old in outputs)
        outputs.append(out)

    net.weights[0][...] = rng.standard_normal((4, 3))
    check()
    net.weights[0] = rng.standard_normal((4, 3))
    check()
    net.weights[-1] -= 0.25
    check()
    net.weights[0][2, 1] = 3
    check()
    net.biases[1][0] += 0.5
    check()
    net.biases[0] = [[0.5], [1.5], [-1.0], [0.0]]
    check()
    view = net.weights[1]
    view *= 2
    check()
    net.weights = [rng.standard_normal(w.shape) for w in net.weights]
    check()
    net.biases = tuple(np.ones(b.shape) for b in net.biases)
    check()
    net.weights = [w - 0.5 * w for w in net.weights]
    check()


def test_training_changes_a_view_taken_before():
    net = network()
    w, b = net.weights[0], net.biases[0]
    old_w, old_b = w.copy(), b.copy()
    net.SGD(digits(20), 1, 5, 1.0)
    assert not np.array_equal(w, old_w)
    assert not np.array_equal(b, old_b)
    assert np.array_equal(w, net.weights[0])


def test_a_view_outlives_its_network():
    net = Network([30, 20], seed=0)
    w, expected = net.weights[0], net.weights[0].copy()
    del net
    gc.collect()
    filler = [Network([30, 20]) for _ in range(10)]
    assert np.array_equal(w, expected)
    assert len(filler) == 10


def test_assigned_arrays_are_copied():
    net = Network([3, 2], seed=0)
    w = np.ones((2, 3), np.float32)
    net.weights = [w]
    w[...] = 5
    assert np.array_equal(net.weights[0], np.ones((2, 3)))


def test_weights_of_another_network_can_be_assigned():
    net, other = network(seed=1), network(seed=2)
    net.weights, net.biases = other.weights, other.biases
    assert np.array_equal(parameters(net), parameters(other))
    other.weights[0][...] = 0
    assert net.weights[0].all()


def test_layers_can_be_swapped():
    net = Network([3, 3, 3], seed=0)
    first, second = net.weights[0].copy(), net.weights[1].copy()
    net.weights = [net.weights[1], net.weights[0]]
    assert np.array_equal(net.weights[0], second)
    assert np.array_equal(net.weights[1], first)


def test_a_layer_can_be_transposed_onto_itself():
    net = Network([5, 5], seed=0)
    expected = net.weights[0].T.copy()
    net.weights[0] = net.weights[0].T
    assert np.array_equal(net.weights[0], expected)


@pytest.mark.parametrize("assign", [
    lambda net: setattr(net, "weights", [net.weights[0] + 1, np.ones((9, 4))]),
    lambda net: setattr(net, "weights", [net.weights[0] + 1]),
    lambda net: setattr(net, "weights", [*net.weights, np.ones((4, 4))]),
    lambda net: setattr(net, "weights", []),
    lambda net: setattr(net, "biases", [net.biases[0] + 1, np.ones(4)]),
    lambda net: setattr(net, "biases", [net.biases[0] + 1, np.ones((1, 4))]),
    lambda net: net.weights.__setitem__(0, np.ones((13, 9))),
    lambda net: net.weights.__setitem__(1, 5.0),
    lambda net: net.biases.__setitem__(-1, np.ones((4, 2))),
])
def test_wrong_shapes_are_refused_and_change_nothing(assign):
    net = network()
    before = parameters(net)
    with pytest.raises(ValueError, match=r"^(weights|biases).* must (be|have shape) .*, got "):
        assign(net)
    assert np.array_equal(parameters(net), before)


@pytest.mark.parametrize("value", [
    np.full((4, 9), "1"), np.ones((4, 9), complex), np.full((4, 9), None)])
def test_parameters_must_be_numbers(value):
    net = network()
    before = parameters(net)
    with pytest.raises(TypeError, match=r"^weights\[1\] must hold real numbers, got "):
        net.weights = [net.weights[0] + 1, value]
    assert np.array_equal(parameters(net), before)


def test_a_layer_that_is_not_there():
    net = network()
    with pytest.raises(IndexError):
        net.weights[2] = np.ones((4, 4))
    with pytest.raises(IndexError):
        net.weights[2]


# ---- feedforward ----


@pytest.mark.parametrize("dtype", REALS)
def test_feedforward_gives_back_the_shape_it_was_given(dtype):
    net = network(dtype=dtype)
    x, _ = digits(3)
    batch = net.feedforward(x)
    assert batch.shape == (3, 4)
    assert batch.dtype == dtype
    for row, out in zip(x, batch, strict=True):
        assert net.feedforward(row).shape == (4,)
        assert net.feedforward(row.reshape(-1, 1)).shape == (4, 1)
        np.testing.assert_allclose(net.feedforward(row), out, TOLERANCE[dtype])
        np.testing.assert_allclose(net.feedforward(row.reshape(-1, 1))[:, 0], out, TOLERANCE[dtype])
        np.testing.assert_allclose(net.feedforward(row.tolist()), out, TOLERANCE[dtype])


def test_feedforward_of_no_rows():
    out = network().feedforward(np.zeros((0, 13)))
    assert out.shape == (0, 4)
    assert out.dtype == np.float64


def test_feedforward_of_as_many_rows_as_inputs():
    net = network()
    x, _ = digits(13)
    assert net.feedforward(x).shape == (13, 4)
    np.testing.assert_allclose(net.feedforward(x)[5], net.feedforward(x[5]), 1e-12)


def test_one_input_means_a_column_of_examples():
    net = Network([1, 3], seed=0)
    assert net.feedforward(np.zeros((5, 1))).shape == (5, 3)
    assert net.feedforward(np.zeros((1, 1))).shape == (1, 3)
    assert net.feedforward(np.zeros(1)).shape == (3,)


def test_feedforward_gives_a_new_array_each_time():
    net = network()
    x, _ = digits(3)
    first = net.feedforward(x)
    kept = first.copy()
    net.feedforward(x + 5)
    assert np.array_equal(first, kept)
    first[...] = 7
    assert np.array_equal(net.feedforward(x), kept)


@pytest.mark.parametrize("n", [511, 512, 513, 1025])
@pytest.mark.parametrize("dtype", REALS)
def test_feedforward_of_many_rows_is_that_of_each(n, dtype):
    net = network(dtype=dtype, activation="tanh")
    x, _ = digits(n)
    each = np.stack([net.feedforward(row) for row in x])
    np.testing.assert_allclose(net.feedforward(x), each, TOLERANCE[dtype], TOLERANCE[dtype])


AS_GIVEN = {
    "uint8": lambda x: x.astype(np.uint8),
    "int8": lambda x: x.astype(np.int8),
    "int16": lambda x: x.astype(np.int16),
    "uint16": lambda x: x.astype(np.uint16),
    "int32": lambda x: x.astype(np.int32),
    "uint64": lambda x: x.astype(np.uint64),
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x.astype(np.float64),
    "longdouble": lambda x: x.astype(np.longdouble),
    "big-endian float32": lambda x: x.astype(">f4"),
    "big-endian float64": lambda x: x.astype(">f8"),
    "big-endian int16": lambda x: x.astype(">i2"),
    "lists": lambda x: x.tolist(),
    "Fortran": lambda x: np.asfortranarray(x.astype(np.float64)),
    "every second row": lambda x: np.repeat(x.astype(np.float32), 2, axis=0)[::2],
    "every second column": lambda x: np.repeat(x.astype(np.uint8), 2, axis=1)[:, ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1].astype(np.float64))[::-1, ::-1],
    "broadcast from float32": lambda x: np.broadcast_to(x.astype(np.float32), x.shape),
    "unaligned": lambda x: np.frombuffer(b"-" + x.astype(np.float64).tobytes(), offset=1).reshape(
        x.shape),
}


@pytest.mark.parametrize("name", AS_GIVEN)
@pytest.mark.parametrize("dtype", REALS)
def test_inputs_of_every_kind_give_the_same(name, dtype):
    x, y = digits(37)
    given = AS_GIVEN[name](x)
    before = np.array(given)
    if isinstance(given, np.ndarray):
        given.flags.writeable = False
    plain, net = network(dtype=dtype), network(dtype=dtype)
    assert np.array_equal(net.feedforward(given), plain.feedforward(x.astype(dtype)))
    assert net.evaluate((given, y)) == plain.evaluate((x.astype(dtype), y))
    net.SGD((given, y), 2, 10, 1.0)
    plain.SGD((x.astype(dtype), y), 2, 10, 1.0)
    assert np.array_equal(parameters(net), parameters(plain))
    assert np.array_equal(given, before)


@pytest.mark.parametrize("given", ["int32", "uint32", "int64", ">i4", "float64"])
def test_large_numbers_keep_their_digits(given):
    net = Network([2, 1], activation="identity", dtype="float64", seed=0)
    net.weights, net.biases = [[[1.0, 1.0]]], [[[0.0]]]
    x = np.array([[2**24 + 1, 0], [2**25 + 4, 3]]).astype(given)
    assert net.feedforward(x).tolist() == [[2.0**24 + 1], [2.0**25 + 7]]


def test_bool_rows_are_zeros_and_ones():
    x = digits(11)[0] > 50
    net = network()
    assert np.array_equal(net.feedforward(x), net.feedforward(x.astype(np.float64)))


@pytest.mark.parametrize("given", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("dtype", REALS)
def test_memory_mapped_rows_give_the_same(given, dtype, tmp_path):
    x, y = digits(700)
    np.save(tmp_path / "x.npy", x.astype(given))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    plain, net = network(dtype=dtype), network(dtype=dtype)
    assert np.array_equal(net.feedforward(mapped), plain.feedforward(x.astype(dtype)))
    assert net.feedforward(mapped).__class__ is np.ndarray
    net.SGD((mapped, y), 1, 10, 1.0)
    plain.SGD((x.astype(dtype), y), 1, 10, 1.0)
    assert np.array_equal(parameters(net), parameters(plain))


@pytest.mark.parametrize("given", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("scale", [1 / 255, np.linspace(-0.02, 0.03, 13), [1] * 12 + [0.5]])
def test_input_scale_is_scaling_by_hand(scale, dtype, given):
    x, y = digits(600)
    x = x.astype(given)
    net = network(dtype=dtype, input_scale=scale)
    plain = network(dtype=dtype, input_scale=1)
    scaled = x.astype(np.float64) * scale
    near = {"rtol": 20 * TOLERANCE[dtype], "atol": 20 * TOLERANCE[dtype]}
    np.testing.assert_allclose(net.input_scale, scale, 1e-7)
    np.testing.assert_allclose(net.feedforward(x), plain.feedforward(scaled), **near)
    for got, wanted in zip(net.backprop(x[:9], y[:9]), plain.backprop(scaled[:9], y[:9]),
                           strict=True):
        for g, w in zip(got, wanted, strict=True):
            np.testing.assert_allclose(g, w, **near)
    for size in (7, 600):
        net.SGD((x, y), 1, size, 0.5)
        plain.SGD((scaled, y), 1, size, 0.5)
        np.testing.assert_allclose(parameters(net), parameters(plain), **near)


def test_input_scale_is_copied():
    scale = np.ones(13)
    net = network(input_scale=scale)
    x, _ = digits(1)
    before = net.feedforward(x)
    scale[...] = 5
    assert np.array_equal(net.feedforward(x), before)


def test_input_scale_cannot_be_changed_in_place():
    net = network(input_scale=np.linspace(1, 2, 13))
    x, _ = digits(3)
    before = net.feedforward(x)
    with pytest.raises(ValueError, match="read-only"):
        net.input_scale[0] = 5
    with pytest.raises((AttributeError, ValueError)):
        net.input_scale *= 2
    assert np.array_equal(net.feedforward(x), before)


# ---- backprop and update_mini_batch ----


@pytest.mark.parametrize("dtype", REALS)
def test_backprop_shapes(dtype):
    net = network(dtype=dtype)
    x, y = digits(3)
    column = (x[0].reshape(-1, 1), one_hot(y, 4)[0].reshape(-1, 1))
    for data in [(x, y), column, (x[0], one_hot(y, 4)[0]), (x[:1], y[:1]), (x[0], y[0])]:
        nabla_b, nabla_w = net.backprop(*data)
        assert [b.shape for b in nabla_b] == [b.shape for b in net.biases]
        assert [w.shape for w in nabla_w] == [w.shape for w in net.weights]
        assert all(g.dtype == dtype for g in (*nabla_b, *nabla_w))


def test_backprop_of_one_example_in_every_form():
    net = network()
    x, y = digits(1)
    wanted = net.backprop(x, one_hot(y, 4))
    for one_x in (x, x[0], x.T):
        for one_y in (y, y[0], int(y[0]), one_hot(y, 4)[0], one_hot(y, 4).T):
            for got, want in zip(net.backprop(one_x, one_y), wanted, strict=True):
                assert all(map(np.array_equal, got, want))


@pytest.mark.parametrize("n", [1, 2, 10, 512, 513, 1300])
@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy", "log_likelihood"])
def test_backprop_of_a_batch_is_the_average(n, cost):
    net = network(cost=cost)
    x, y = digits(n)
    each = [net.backprop(x[i], y[i]) for i in range(n)]
    for which, got in enumerate(net.backprop(x, y)):
        for layer, nabla in enumerate(got):
            average = np.mean([one[which][layer] for one in each], axis=0)
            np.testing.assert_allclose(nabla, average, 1e-10, 1e-13)


def test_backprop_leaves_parameters_and_random_order_alone():
    net, twin = network(), network()
    x, y = digits(600)
    net.backprop(x, y)
    assert np.array_equal(parameters(net), parameters(twin))
    net.SGD((x, y), 1, 10, 1.0)
    twin.SGD((x, y), 1, 10, 1.0)
    assert np.array_equal(parameters(net), parameters(twin))


def test_gradients_belong_to_the_caller():
    net = network()
    x, y = digits(5)
    nabla_b, nabla_w = net.backprop(x, y)
    kept = nabla_w[0].copy()
    net.backprop(x + 1, y)
    assert np.array_equal(nabla_w[0], kept)
    nabla_w[0][...] = 9
    nabla_b[0][...] = 9
    assert np.array_equal(net.backprop(x, y)[1][0], kept)


@pytest.mark.parametrize("m", [1, 3, 10, 511, 512, 513, 1300])
@pytest.mark.parametrize("dtype", REALS)
def test_update_mini_batch_is_one_step_along_the_gradient(m, dtype):
    net = network(dtype=dtype)
    x, y = digits(m)
    nabla_b, nabla_w = net.backprop(x, y)
    weights = [w - 0.7 * nabla for w, nabla in zip(net.weights, nabla_w, strict=True)]
    biases = [b - 0.7 * nabla for b, nabla in zip(net.biases, nabla_b, strict=True)]
    before = parameters(net)
    net.update_mini_batch((x, y), 0.7)
    assert_parameters(net, weights, biases, TOLERANCE[dtype])
    assert abs(parameters(net) - before).max() > 1e-3


@pytest.mark.parametrize("m", [1, 10, 700])
def test_update_mini_batch_is_the_books(m):
    _, weights, biases = book_start(SIZES, 0)
    net = network()
    x, y = digits(m)
    book_step(weights, biases, x * SCALE, one_hot(y, 4), 3.0)
    net.update_mini_batch((x, y), 3.0)
    assert_parameters(net, weights, biases)


def test_update_mini_batch_of_pairs():
    net, twin = network(), network()
    x, y = digits(6)
    pairs = [(one_x.reshape(-1, 1), one_y.reshape(-1, 1))
             for one_x, one_y in zip(x, one_hot(y, 4), strict=True)]
    net.update_mini_batch(pairs, 2.0)
    twin.update_mini_batch((x, y), 2.0)
    assert np.array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize(("cost", "formula"), [
    ("quadratic", lambda a, y: a - y),
    ("cross_entropy", lambda a, y: (a - y) / (a * (1 - a))),
    ("log_likelihood", lambda a, y: -y / a),
])
@pytest.mark.parametrize("dtype", REALS)
def test_cost_derivative(cost, formula, dtype):
    net = network(cost=cost, dtype=dtype)
    a = np.random.default_rng(0).uniform(0.1, 0.9, (5, 4))
    y = one_hot([0, 3, 1, 1, 2], 4)
    for pair in [(a, y), (a[0], y[0]), (a[:1].T, y[:1].T), (np.asfortranarray(a), y)]:
        got = net.cost_derivative(*pair)
        assert got.shape == pair[0].shape
        assert got.dtype == dtype
        np.testing.assert_allclose(got, formula(*pair), TOLERANCE[dtype], TOLERANCE[dtype])


# ---- SGD ----


def test_sgd_is_the_books_with_the_short_last_mini_batch():
    x, y = digits(47)
    net = network(seed=5)
    history = net.SGD((x, y), 3, 10, 3.0)
    weights, biases, costs = book_sgd(SIZES, 5, x * SCALE, one_hot(y, 4), 3, 10, 3.0)
    assert_parameters(net, weights, biases)
    np.testing.assert_allclose(history.cost, costs, 1e-11)


def test_sgd_is_update_mini_batch_in_the_order_of_the_generator():
    x, y = digits(1300)
    net, twin = network(), network()
    order, _, _ = book_start(SIZES, 0)
    history = net.SGD((x, y), 2, 600, 0.5)
    for epoch in range(2):
        drawn = drawn_order(order, 1300)
        cost = 0.0
        for first in (0, 600, 1200):
            batch = drawn[first:first + 600]
            cost += twin.total_cost((x[batch], y[batch])) * len(batch) / 1300
            nabla_b, nabla_w = twin.backprop(x[batch], y[batch])
            twin.weights = [w - 0.5 * g for w, g in zip(twin.weights, nabla_w, strict=True)]
            twin.biases = [b - 0.5 * g for b, g in zip(twin.biases, nabla_b, strict=True)]
        assert history.cost[epoch] == pytest.approx(cost, rel=1e-12)
    assert_parameters(net, list(twin.weights), list(twin.biases))


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 65]), min_size=2, max_size=5),
    n=st.integers(1, 40), data=st.data())
def test_sgd_is_the_books_for_every_shape(sizes, n, data):
    mini_batch_size = data.draw(st.integers(1, n))
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((n, sizes[0])), rng.uniform(0, 1, (n, sizes[-1]))
    net = Network(sizes, dtype="float64", seed=n)
    history = net.SGD((x, y), 2, mini_batch_size, 1.5)
    weights, biases, costs = book_sgd(sizes, n, x, y, 2, mini_batch_size, 1.5)
    assert_parameters(net, weights, biases, 1e-10)
    np.testing.assert_allclose(history.cost, costs, 1e-10)


@pytest.mark.parametrize("sizes", [
    [1, 1], [1, 65, 1], [15, 16, 17], [1, 1, 1, 1], [130, 2], [2, 129, 130], [5] * 20 + [3]])
@pytest.mark.parametrize("dtype", REALS)
def test_edge_shapes(sizes, dtype):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((23, sizes[0])), rng.uniform(0, 1, (23, sizes[-1]))
    for size in (1, 10, 23):
        net = Network(sizes, dtype=dtype, seed=2)
        assert net.feedforward(x).shape == (23, sizes[-1])
        assert net.num_layers == len(sizes)
        net.SGD((x, y), 1, size, 0.5)
        weights, biases, _ = book_sgd(sizes, 2, x, y, 1, size, 0.5)
        assert_parameters(net, weights, biases, 10 * TOLERANCE[dtype])


@pytest.mark.parametrize("n_inputs", range(1, 20))
def test_few_inputs_and_many_mini_batches(n_inputs):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, n_inputs)), rng.uniform(0, 1, (50, 2))
    net = Network([n_inputs, 2], dtype="float64", seed=2)
    net.SGD((x, y), 1, 3, 0.5)
    assert_parameters(net, *book_sgd([n_inputs, 2], 2, x, y, 1, 3, 0.5)[:2])


def test_one_example():
    x, y = digits(1)
    net = network(seed=1)
    net.SGD((x, y), 4, 1, 2.0)
    assert_parameters(net, *book_sgd(SIZES, 1, x * SCALE, one_hot(y, 4), 4, 1, 2.0)[:2])


def test_sgd_goes_on():
    x, y = digits(35)
    net, twin = network(), network()
    whole = net.SGD((x, y), 5, 8, 1.0)
    parts = [twin.SGD((x, y), epochs, 8, 1.0) for epochs in (2, 0, 3)]
    assert [len(part) for part in parts] == [2, 0, 3]
    assert np.array_equal(parameters(net), parameters(twin))
    assert whole.cost == parts[0].cost + parts[2].cost


def test_sgd_draws_a_new_order_each_epoch():
    x, y = digits(35)
    net, twin = network(), network()
    first = net.SGD((x, y), 1, 8, 0.0)  # the parameters stay
    assert np.array_equal(parameters(net), parameters(twin))
    net.SGD((x, y), 1, 8, 1.0)
    twin.SGD((x, y), 1, 8, 1.0)
    assert not np.array_equal(parameters(net), parameters(twin))
    assert first.cost[0] == pytest.approx(network().total_cost((x, y)), rel=1e-12)


def test_sgd_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    net = Network([2, 16, 2], cost="cross_entropy", seed=0)
    history = net.SGD((x, y), 60, 10, 1.0, (x, y))
    assert history.cost[-1] < 0.3 * history.cost[0]
    assert history.accuracy[-1] > 0.93


def test_history():
    x, y = digits(30)
    net = network()
    history = net.SGD((x, y), 3, 10, 0.5, (x[:7], y[:7]))
    assert isinstance(history, History)
    assert len(history) == len(history.cost) == len(history.accuracy) == 3
    assert len(history.seconds) == len(history.rows_per_second) == 3
    assert history.accuracy[-1] == net.accuracy((x[:7], y[:7]))
    assert min(history.seconds) > 0
    for seconds, rows in zip(history.seconds, history.rows_per_second, strict=True):
        assert seconds * rows == pytest.approx(30)
    assert network().SGD((x, y), 2, 10, 0.5).accuracy == []


def test_test_data_does_not_change_the_training():
    x, y = digits(30)
    net, twin = network(), network()
    net.SGD((x, y), 3, 10, 0.5, (x[:7], y[:7]))
    twin.SGD((x, y), 3, 10, 0.5)
    assert np.array_equal(parameters(net), parameters(twin))


def test_no_epochs():
    net = network()
    before = parameters(net)
    assert len(net.SGD(digits(5), 0, 2, 1.0)) == 0
    assert np.array_equal(parameters(net), before)


def test_training_leaves_the_data_alone():
    x, y = digits(30)
    x, y = x.astype(np.float64), one_hot(y, 4)
    kept = x.copy(), y.copy()
    network().SGD((x, y), 2, 7, 1.0, (x, y))
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


# ---- callback and progress ----


def test_callback_sees_every_epoch():
    x, y = digits(30)
    seen = []
    net = network()
    history = net.SGD((x, y), 4, 10, 1.0, (x, y),
                      callbacks=[lambda which, so_far: seen.append(
                          (which is net, len(so_far), so_far.accuracy[-1]))])
    assert seen == [(True, epoch + 1, history.accuracy[epoch]) for epoch in range(4)]


@pytest.mark.parametrize("true", [True, np.True_, np.float64(2) > 1])
def test_callback_stops(true):
    net, twin = network(), network()
    history = net.SGD(digits(30), 9, 10, 1.0,
                      callbacks=[lambda _, h: true if len(h) == 3 else None])
    assert len(history) == 3
    twin.SGD(digits(30), 3, 10, 1.0)
    assert np.array_equal(parameters(net), parameters(twin))


def test_callback_may_look_at_everything(tmp_path):
    x, y = digits(30)
    seen = []

    def callback(net, history):
        nabla_b, _ = net.backprop(x, y)
        net.save(tmp_path / "net.npz")
        copy = net.copy()
        copy.SGD((x, y), 1, 10, 1.0)
        seen.append((net.evaluate((x, y)), net.feedforward(x[0]).shape, len(nabla_b)))

    net, twin = network(), network()
    net.SGD((x, y), 2, 10, 1.0, callbacks=[callback])
    twin.SGD((x, y), 2, 10, 1.0)
    assert [one[1:] for one in seen] == [((4,), 2)] * 2
    assert np.array_equal(parameters(net), parameters(twin))


def test_callback_may_change_parameters():
    net = network()

    def callback(net, history):
        net.biases[0][...] = 0
        return True

    net.SGD(digits(30), 2, 10, 1.0, callbacks=[callback])
    assert not net.biases[0].any()


def fail(*_):
    raise ZeroDivisionError("mine")


@pytest.mark.parametrize("where", [{"callbacks": [fail]}, {"progress": fail}])
def test_an_error_in_the_callers_function_passes(where):
    net = network()
    with pytest.raises(ZeroDivisionError, match="mine"):
        net.SGD(digits(30), 2, 10, 1.0, **where)
    assert len(net.SGD(digits(30), 1, 10, 1.0)) == 1


def test_progress_reports_rows():
    reports = []
    net, twin = network(), network()
    net.SGD(digits(3000), 3, 1, 1.0, progress=lambda *report: reports.append(report))
    assert [epoch for epoch, done, n in reports if done == n] == [0, 1, 2]
    assert reports == sorted(reports)
    assert all(0 < done <= n == 3000 for _, done, n in reports)
    twin.SGD(digits(3000), 3, 1, 1.0, progress=False)
    assert np.array_equal(parameters(net), parameters(twin))


def test_progress_bar(capsys):
    pytest.importorskip("tqdm")
    network().SGD(digits(30), 2, 10, 1.0, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "100%" in err
    assert "60.0/60.0" in err


# ---- the book's data, and evaluation ----


def pairs(x, y):
    return [(one_x.reshape(-1, 1), one_y.reshape(-1, 1) if np.ndim(one_y) else one_y)
            for one_x, one_y in zip(x, y, strict=True)]


@pytest.mark.parametrize("form", [
    lambda x, y: pairs(x, one_hot(y, 4)),
    lambda x, y: pairs(x, y),
    lambda x, y: pairs(x, y.tolist()),
    lambda x, y: tuple(pairs(x, y)),
    lambda x, y: zip(x, y, strict=True),
    lambda x, y: zip(x.tolist(), one_hot(y, 4).tolist(), strict=True),
    lambda x, y: (pair for pair in pairs(x, one_hot(y, 4))),
    lambda x, y: [[a, b] for a, b in pairs(x, one_hot(y, 4))],
    lambda x, y: [(a.reshape(1, -1), b) for a, b in zip(x, y, strict=True)],
    lambda x, y: (x, one_hot(y, 4)),
    lambda x, y: (x.tolist(), y.tolist()),
    lambda x, y: (x, one_hot(y, 4).astype(bool)),
    lambda x, y: (x, y.astype(np.uint8)),
    lambda x, y: (x, y.astype(">i8")),
    lambda x, y: (x, np.asfortranarray(one_hot(y, 4), ">f4")),
])
def test_every_form_of_data_gives_the_same(form):
    x, y = digits(31)
    net, twin = network(), network()
    history = net.SGD(form(x, y), 2, 10, 1.0, form(x[:9], y[:9]))
    wanted = twin.SGD((x, y), 2, 10, 1.0, (x[:9], y[:9]))
    assert (history.cost, history.accuracy) == (wanted.cost, wanted.accuracy)
    assert np.array_equal(parameters(net), parameters(twin))
    assert net.evaluate(form(x, y)) == twin.evaluate((x, y))
    assert net.total_cost(form(x, y)) == twin.total_cost((x, y))


@pytest.mark.parametrize("n", [1, 2])
def test_few_pairs(n):
    x, y = digits(n)
    net, twin = network(), network()
    for data in (pairs(x, one_hot(y, 4)), tuple(pairs(x, y)), zip(x, y, strict=True)):
        net.SGD(data, 1, n, 1.0)
        twin.SGD((x, y), 1, n, 1.0)
    assert np.array_equal(parameters(net), parameters(twin))


def test_the_books_own_loader_and_call():
    x, y = digits(40)
    training_data = zip(
        [np.reshape(a, (13, 1)) for a in x], [np.reshape(b, (4, 1)) for b in one_hot(y, 4)],
        strict=True)
    test_data = zip([np.reshape(a, (13, 1)) for a in x[:9]], y[:9], strict=True)
    net = network()
    net.SGD(list(training_data), 2, 10, 3.0, test_data=list(test_data))
    assert_parameters(net, *book_sgd(SIZES, 0, x * SCALE, one_hot(y, 4), 2, 10, 3.0)[:2])


COSTS = {
    "quadratic": lambda a, y: 0.5 * ((a - y) ** 2).sum(),
    "cross_entropy": lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(),
    "log_likelihood": lambda a, y: -(y * np.log(a)).sum(),
}


@pytest.mark.parametrize("n", [1, 3, 512, 1025])
@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("dtype", REALS)
def test_evaluation_is_numpys(n, cost, dtype):
    net = network(cost=cost, dtype=dtype)
    x, y = digits(n)
    a = net.feedforward(x).astype(np.float64)
    correct = int((a.argmax(1) == y).sum())
    mean = COSTS[cost](a, one_hot(y, 4)) / n
    for targets in (y, one_hot(y, 4)):
        assert net.evaluate((x, targets)) == correct
        assert isinstance(net.evaluate((x, targets)), int)
        assert net.accuracy((x, targets)) == correct / n
        assert net.total_cost((x, targets)) == pytest.approx(mean, rel=TOLERANCE[dtype])


def test_one_output_is_a_class_against_a_half():
    net = Network([2, 1], seed=0, dtype="float64")
    net.weights, net.biases = [np.array([[4.0, 0.0]])], [np.zeros((1, 1))]
    x = np.array([[-1.0, 0], [1, 0], [2, 0], [-3, 0]])
    for y in ([0, 1, 1, 1], [[0.0], [1.0], [1.0], [1.0]], np.array([0, 1, 1, 1], bool)):
        assert net.evaluate((x, y)) == 3
        assert net.accuracy((x, y)) == 0.75
    wanted = 0.5 * ((sigmoid(4 * x[:, 0]) - [0, 1, 1, 1]) ** 2).mean()
    assert net.total_cost((x, [0, 1, 1, 1])) == pytest.approx(wanted, rel=1e-12)


def test_evaluation_leaves_everything_alone():
    net, twin = network(), network()
    x, y = digits(600)
    net.evaluate((x, y)), net.accuracy((x, y)), net.total_cost((x, y)), net.feedforward(x)
    net.SGD((x, y), 1, 10, 1.0)
    twin.SGD((x, y), 1, 10, 1.0)
    assert np.array_equal(parameters(net), parameters(twin))


# ---- memory ----


def test_memory_does_not_grow():
    x, y = digits(700)
    x = x.astype(np.uint8)
    net = network()

    def work(times):
        for _ in range(times):
            net.SGD((x, y), 1, 50, 0.1, (x, y))
            net.SGD((x, y), 1, 600, 0.1)
            net.feedforward(x), net.feedforward(x[0]), net.backprop(x, y)
            network().update_mini_batch((x, y), 0.1)
            with pytest.raises(ValueError, match="finite"):
                net.feedforward(np.full(13, np.nan))
        gc.collect()

    tracemalloc.start()
    try:
        work(400)  # fills the caches of small blocks that NumPy and Python keep
        before, _ = tracemalloc.get_traced_memory()
        work(200)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200 * 100


@pytest.mark.parametrize("given", ["uint8", "float32", "float64"])
def test_training_allocates_little_beyond_the_order(given):
    n = 100_000
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (n, 20), np.uint8).astype(given)
    y = one_hot(rng.integers(0, 4, n), 4).astype(np.float32)
    net = Network([20, 8, 4], seed=0, input_scale=0.01)
    assert peak(lambda: net.SGD((x, y), 2, 100, 0.1)) < n * 8 + 500_000

    def whole():
        net.SGD((x, y), 1, n, 0.1)  # one mini-batch of everything
        net.backprop(x, y)
        net.evaluate((x, y))

    assert peak(whole) < n * 8 + 1_000_000


@pytest.mark.parametrize("outputs", [1, 3, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_output_of_nan_is_no_class(outputs, dtype):
    net = Network([2, outputs], dtype=dtype, seed=0)
    x, y = np.ones((50, 2)), np.zeros((50, outputs))
    for at in range(outputs):
        twin = net.copy()
        twin.biases[0][at] = np.nan
        assert twin.evaluate((x, y)) == 0
    assert 0 <= net.evaluate((x, y)) <= 50


def test_costs_of_millions_of_rows_are_summed_to_single_precision():
    n, rng = 3_000_000, np.random.default_rng(0)
    x, y, weight = (rng.random(shape, np.float32) for shape in ((n, 1), (n, 1), n))
    net = Network([1, 1], activation="identity", initializer=([[[0.5]]], [[[0.125]]]))
    costs = (0.5 * x[:, 0].astype(float) + 0.125 - y[:, 0]) ** 2 / 2
    weighted = (costs * weight).mean()
    assert net.total_cost((x, y)) == pytest.approx(costs.mean(), rel=2e-7)
    assert net.total_cost((x, y), sample_weight=weight) == pytest.approx(weighted, rel=2e-7)
    assert net.SGD((x, y), 1, n, 0.0, sample_weight=weight).cost[0] == pytest.approx(
        weighted, rel=2e-7)

"""Activations and costs as users write them; the user's own; weights of examples."""

import copy
import ctypes
import pickle

import numpy as np
import pytest
from reference import ACTIVATIONS, COSTS
from refusals import one_line

import cbackprop
from cbackprop import Activation, Cost, Network

DOUBLE = ctypes.c_double
X = np.random.default_rng(0).standard_normal((700, 4))
Y = np.random.default_rng(1).random((700, 3))


def same(one, other):
    for a, b in zip([*one.weights, *one.biases], [*other.weights, *other.biases], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def trained(**settings):
    net = Network([4, 6, 3], dtype="float64", seed=0, **settings)
    net.SGD((X, Y), 2, 10, 0.1)
    return net


# ---- forms ----


@pytest.mark.parametrize("activation", [
    ["relu", "softmax"],
    [{"relu": 4, "tanh": 2}, "identity"],
    [["relu", "relu", "relu", "relu", "tanh", "tanh"], ("elu", 0.5)],
    [np.array(["relu", "tanh"] * 3), "sigmoid"],
    [{("leaky_relu", 0.2): 5, "gelu": 1}, {"sigmoid": 2, "sine": 1}],
    ("leaky_relu", 0.2),
    {"relu": 4, "tanh": 2},
    "softmax",
], ids=str)
def test_every_form_is_copied_and_saved(activation, tmp_path):
    output = None if isinstance(activation, list) else "sigmoid"
    net = trained(activation=activation, output_activation=output, cost=("huber", 0.5))
    net.save(tmp_path / "net.npz")
    for other in (net.copy(), pickle.loads(pickle.dumps(net)), Network.load(tmp_path / "net.npz")):
        assert (other.activation, other.output_activation, other.cost) == (
            net.activation, net.output_activation, net.cost)
        np.testing.assert_array_equal(other.feedforward(X), net.feedforward(X))


def test_the_single_modified_neuron():
    """The book's exercise: one neuron of another kind, wherever it is."""
    modified = ["sigmoid"] * 3 + ["sine"] + ["sigmoid"] * 2
    plain = Network([4, 6, 6], activation=["sigmoid", "identity"], dtype="float64", seed=0)
    other = Network([4, 6, 6], activation=[modified, "identity"], dtype="float64", seed=0)
    for net in (plain, other):
        net.weights[1], net.biases[1] = np.eye(6), np.zeros((6, 1))
    z = X @ plain.weights[0].T + plain.biases[0].T
    expected = plain.feedforward(X)
    expected[:, 3] = np.sin(z[:, 3])
    np.testing.assert_allclose(other.feedforward(X), expected, rtol=1e-12)


def test_equal_runs_are_one_activation():
    same(trained(activation=[["tanh"] * 6, ["sigmoid"] * 3]),
         trained(activation="tanh", output_activation="sigmoid"))


def test_what_asked_for_is_not_shared():
    activation = [{"relu": 4, "tanh": 2}, "sigmoid"]
    net = trained(activation=activation)
    activation[0]["relu"] = 9
    assert net.activation == [{"relu": 4, "tanh": 2}, "sigmoid"]


@pytest.mark.parametrize(("cost", "output"), [
    ("quadratic", "relu"), ("cross_entropy", "sigmoid"), ("log_likelihood", "softmax"),
    ("hinge", "identity"), ("squared_hinge", "identity"), ("poisson", "softplus"),
    ("kl_divergence", "softmax"), ("cosine", "relu"), (("huber", 2.0), "relu")])
def test_costs_choose_their_output(cost, output):
    assert Network([2, 3, 2], activation="relu", cost=cost).output_activation == output


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_any_cost_with_any_activation_trains(cost, activation):
    net = Network([4, 5, 3], activation=activation, output_activation=activation, cost=cost, seed=1)
    y = np.eye(3)[Y[:50].argmax(axis=1)] if "hinge" in cost else Y[:50]  # hinges take two values
    history = net.SGD((X[:50], y), 2, 10, 1e-6)
    assert np.isfinite(history.cost).all()


# ---- the user's own ----


def swish(z):
    return z / (1 + np.exp(-z))


def swish_prime(z):
    s = 1 / (1 + np.exp(-z))
    return s + z * s * (1 - s)


def half_square(a, y):
    return ((a - y) ** 2).sum(axis=1) / 2


def difference(a, y):
    return a - y


def compiled(f, n=1):
    return ctypes.CFUNCTYPE(DOUBLE, *[DOUBLE] * n)(f)


def test_own_functions_are_as_ours(tmp_path):
    expected = trained(activation="silu", output_activation="sigmoid")
    own = Activation(swish, swish_prime)
    in_c = Activation(compiled(swish), compiled(swish_prime))
    cost = Cost(half_square, difference)
    cost_in_c = Cost(compiled(lambda a, y: (a - y) ** 2 / 2, 2), compiled(lambda a, y: a - y, 2))
    for function in (own, in_c):
        same(trained(activation=function, output_activation="sigmoid"), expected)
        same(trained(activation=[{"silu": 2, function: 4}, "sigmoid"]), expected)
    for function in (cost, cost_in_c):
        net = trained(activation="silu", output_activation="sigmoid", cost=function)
        same(net, expected)
        assert net.total_cost((X, Y)) == pytest.approx(expected.total_cost((X, Y)))
        assert net.cost_derivative([[1.0, 0, 0]], [[0, 0, 1.0]]).tolist() == [[1, 0, -1]]
        weights = np.random.default_rng(2).random(700)
        assert net.total_cost((X, Y), sample_weight=weights) == pytest.approx(
            expected.total_cost((X, Y), sample_weight=weights))
    for net in (trained(activation=own), trained(activation=in_c)):
        np.testing.assert_array_equal(net.copy().feedforward(X), net.feedforward(X))
        with one_line(TypeError, "^activation must be known by name to be saved, got <cbackprop "):
            net.save(tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())
    again = pickle.loads(pickle.dumps(trained(activation=own)))
    np.testing.assert_array_equal(again.feedforward(X), trained(activation=own).feedforward(X))


@pytest.mark.parametrize("outputs", [1, 40])
def test_own_functions_of_outputs(outputs):
    def net(activation):
        return Network([4, outputs], activation=activation, dtype="float64", seed=3)
    y = np.zeros((700, outputs))
    for own in (Activation(swish, swish_prime),
                Activation(compiled(swish), compiled(swish_prime))):
        for actual, expected in zip(net(own).backprop(X, y), net("silu").backprop(X, y),
                                    strict=True):
            np.testing.assert_allclose(actual[0], expected[0], rtol=1e-9, atol=1e-15)


def test_numba_and_scipy():
    numba = pytest.importorskip("numba")
    scipy = pytest.importorskip("scipy")
    f = numba.cfunc("double(double)")(lambda z: z * z)
    f_prime = numba.cfunc("double(double)")(lambda z: 2 * z)
    expected = Activation(np.square, lambda z: 2 * z)
    for own in (Activation(f, f_prime, name="square"),
                Activation(scipy.LowLevelCallable(f.ctypes),
                           scipy.LowLevelCallable(f_prime.ctypes))):
        assert own.addresses is not None
        same(trained(activation=own, output_activation="sigmoid"),
             trained(activation=expected, output_activation="sigmoid"))
    cost = numba.cfunc("double(double, double)")(lambda a, y: (a - y) ** 2 / 2)
    slope = numba.cfunc("double(double, double)")(lambda a, y: a - y)
    same(trained(cost=Cost(cost, slope)), trained())
    with one_line(TypeError, r"^activation .*: f must be compiled as double \(double\), got "):
        Activation(scipy.LowLevelCallable(cost.ctypes), scipy.LowLevelCallable(slope.ctypes))


def test_a_wrong_derivative_is_named():
    with one_line(ValueError, r"^activation 'swish': f_prime is not the derivative of f: at z = "
                              r"-3\.37 it gives -0\.112\d*, differences of f -0\.075\d*$"):
        Activation(swish, swish)
    with one_line(ValueError, "^activation 'mine': f_prime is not the derivative of f: at z = "):
        Activation(compiled(swish), compiled(lambda z: 1.0), name="mine")
    with one_line(ValueError,
                  r"^cost 'half_square': f_prime is not the derivative of f: at a = 0\.113 "):
        Cost(half_square, lambda a, y: y - a)


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: Activation(half_square, swish_prime), TypeError,
     "^activation 'half_square': f must take 1 array, got: half_square"),
    (lambda: Cost(half_square, swish), TypeError,
     "^cost 'half_square': f_prime must take 2 arrays, got: "),
    (lambda: Activation(lambda z: z.sum(), swish_prime), ValueError,
     r"f must return an array of shape \(12, 1\) for arguments of shape \(12, 1\), got \(\)$"),
    (lambda: Cost(difference, difference), ValueError,
     r"^cost 'difference': f must return an array of shape \(6,\) for arguments of shape "),
    (lambda: Activation(3, swish), TypeError,
     "^activation 'int': f must be callable or a compiled function, got 3$"),
    (lambda: Activation(compiled(swish), swish), TypeError,
     "f and f_prime must both be compiled, or both take arrays$"),
    (lambda: Activation(compiled(difference, 2), compiled(difference, 2)), TypeError,
     r"f must be compiled as double \(double\), got restype "),
])
def test_bad_functions(make, error, match):
    with one_line(error, match):
        make()


def test_what_functions_raise_comes_through():
    """The parameters are those from before the mini-batch."""
    calls = []

    def f(z):
        calls.append(z.shape)
        if len(calls) > 12:
            raise RuntimeError("enough")
        return z

    net = Network([4, 3, 3], activation=Activation(f, np.ones_like), seed=0)
    with pytest.raises(RuntimeError, match=r"^enough$"):
        net.SGD((X, Y), 5, 100, 0.1)
    assert np.isfinite(net.weights[0]).all()
    shapes = Activation(lambda z: z if len(z) == 12 else z[:1], np.ones_like, name="shapes")
    with one_line(ValueError,
                  r"^activation 'shapes': f must return an array of shape \(10, 3\), got "):
        Network([4, 3, 3], activation=shapes).feedforward(X[:10])


# ---- bad names and lists ----


@pytest.mark.parametrize(("settings", "match"), [
    ({"activation": "swich"}, r"^activation must be one of \['elu', .*, got 'swich'$"),
    ({"activation": ["relu"]},
     "^activation must have 2 entries, one for each layer of weights, the output included, got 1"),
    ({"activation": ["relu", "nope"]}, r"^activation\[1\] must be one of .*, got 'nope'$"),
    ({"activation": [{"relu": 3, "tanh": 2}, "sigmoid"]},
     r"^activation\[0\] must have 6 neurons, as the layer has, got 5 in \{'relu': 3, 'tanh': 2\}$"),
    ({"activation": [{"relu": 7, "tanh": -1}, "sigmoid"]},
     r"^activation\[0\]: numbers of neurons must be positive integers, got "),
    ({"activation": [{"relu": 3, "ReLU": 3}, "sigmoid"]},
     r"^activation\[0\] must name a function once in a dict, got "),
    ({"activation": [["relu"] * 5, "sigmoid"]},
     r"^activation\[0\] must have 6 neurons, as the layer has, got 5 in "),
    ({"activation": [{"softmax": 3, "tanh": 3}, "sigmoid"]},
     r"^activation\[0\]: 'softmax' must have the whole layer, got "),
    ({"activation": ("relu", 0.1)},
     r"^activation: only \['elu', 'leaky_relu', 'relu6'\] take a parameter, got \('relu', 0.1\)$"),
    ({"activation": ("leaky_relu", -1)},
     "^activation: alpha of 'leaky_relu' must be finite and not negative, got -1$"),
    ({"activation": ["relu", "tanh"], "output_activation": "relu"},
     "^output_activation must be None where activation is a list, got 'relu'$"),
    ({"cost": ("huber", 0)}, "^cost: delta of 'huber' must be finite and positive, got 0$"),
    ({"cost": ("quantile", 1)},
     "^cost: tau of 'quantile' must be finite and between 0 and 1, got 1$"),
    ({"cost": ("huber", {"dleta": 1})},
     r"^cost: the parameters of 'huber' are \['delta'\], got \{'dleta': 1\}$"),
    ({"cost": ()}, r"^cost must be one of \['absolute', .*, got \(\)$"),
    ({"cost": ("huber",)}, r"^cost must be one of \['absolute', .*, got \('huber',\)$"),
    ({"cost": ("huber", 1, 2)}, r"^cost: 'huber' takes \['delta'\], got \('huber', 1, 2\)$"),
    ({"cost": "hubert"}, r"^cost must be one of \['absolute', .*, got 'hubert'; did you mean 'hu"),
], ids=str)
def test_bad_names_and_lists(settings, match):
    with one_line(ValueError, match):
        Network([4, 6, 3], **settings)


def test_parameters_by_name():
    same(trained(cost=("huber", {"delta": 0.1})), trained(cost=("huber", 0.1)))
    same(trained(cost=("huber", {})), trained(cost="huber"))
    same(trained(activation=("elu", {"alpha": 0.3})), trained(activation=("elu", 0.3)))


def test_label_smoothing_moves_the_targets(tmp_path):
    """Towards 1 / outputs, or 1 / 2 where each output is two classes; labels and rows alike."""
    smoothing = {"label_smoothing": 0.3}
    one_hot = np.eye(3)[LABELS]
    for cost, share in (("log_likelihood", 1 / 3), ("cross_entropy", 1 / 2)):
        moved = Network([4, 3], cost=cost, dtype="float64", seed=0)
        moved.SGD((X, one_hot * 0.7 + 0.3 * share), 1, 10, 0.1)
        for y in (LABELS, one_hot):
            net = Network([4, 3], cost=(cost, smoothing), dtype="float64", seed=0)
            net.SGD((X, y), 1, 10, 0.1)
            same(net, moved)
        assert net.total_cost((X, LABELS)) == pytest.approx(
            moved.total_cost((X, one_hot * 0.7 + 0.3 * share)))
        assert net.accuracy((X, LABELS)) == moved.accuracy((X, LABELS))
        np.testing.assert_allclose(
            net.cost_derivative([[0.2, 0.3, 0.5]], [[0.0, 0, 1]]),
            moved.cost_derivative([[0.2, 0.3, 0.5]], [np.array([0, 0, 0.7]) + 0.3 * share]))
        assert net.cost == (cost, 0.0, 0.3)
        net.save(tmp_path / "net.npz")
        assert Network.load(tmp_path / "net.npz").cost == net.cost


def test_the_quantile_cost_finds_quantiles():
    """Its least is at the quantile of the targets: one bias, as many targets as there are."""
    y = np.random.default_rng(7).standard_normal((999, 1))
    for tau in (0.1, 0.5, 0.9):
        net = Network([1, 1], cost=("quantile", tau), output_activation="identity",
                      dtype="float64", initializer="zeros")
        net.SGD((np.zeros((999, 1)), y), 300, 999, 0.1)
        assert net.biases[0][0, 0] == pytest.approx(np.quantile(y, tau), abs=0.02)


def test_a_parameter_must_be_a_number():
    with one_line(TypeError, "^cost: delta of 'huber' must be finite and positive, got 'x'$"):
        Network([4, 6, 3], cost=("huber", "x"))


# ---- weights ----


LABELS = np.arange(700) % 7 // 3 % 3  # three classes of 300, 300 and 100


def test_class_weights_are_sample_weights():
    counts = np.bincount(LABELS)
    one_hot = np.eye(3)[LABELS]
    for class_weight, by_class in (("balanced", 700 / 3 / counts), ({1: 2.5}, [1, 2.5, 1])):
        nets = [Network([4, 5, 3], dtype="float64", seed=0) for _ in range(3)]
        nets[0].SGD((X, LABELS), 2, 9, 0.5, class_weight=class_weight)
        nets[1].SGD((X, one_hot), 2, 9, 0.5, class_weight=class_weight)
        nets[2].SGD((X, LABELS), 2, 9, 0.5, sample_weight=np.asarray(by_class)[LABELS])
        same(nets[0], nets[1])
        same(nets[0], nets[2])


def test_class_weights_of_absent_classes_and_other_numbers():
    x, labels = X[LABELS < 2], LABELS[LABELS < 2]
    nets = [Network([4, 3], dtype="float64", seed=0) for _ in range(4)]
    nets[0].SGD((x, labels), 1, 10, 0.5, sample_weight=np.where(labels == 1, 2.5, 1))
    nets[1].SGD((x, labels), 1, 10, 0.5, class_weight={1: 2.5, 2: 7})
    nets[2].SGD((x, labels), 1, 10, 0.5, class_weight={1.0: 2.5, 2.0: 7})
    nets[3].SGD((x, labels), 1, 10, 0.5, class_weight={True: np.array(2.5), np.int8(0): 1})
    for net in nets[1:]:
        same(nets[0], net)


def test_sample_and_class_weights_multiply():
    nets = [Network([4, 1], dtype="float64", seed=0) for _ in range(2)]
    y = (LABELS > 0).astype(float)
    weight = np.random.default_rng(3).random(700)
    nets[0].SGD((X, y), 1, 10, 0.5, sample_weight=weight, class_weight={0: 3, 1: 0.5})
    nets[1].SGD((X, y), 1, 10, 0.5, sample_weight=weight * np.where(y > 0, 0.5, 3))
    same(*nets)


@pytest.mark.parametrize(("arguments", "error", "match"), [
    ({"sample_weight": np.ones(5)}, ValueError,
     r"^sample_weight must have shape \(700,\), one for each example, got \(5,\)$"),
    ({"sample_weight": np.full(700, -1.0)}, ValueError,
     "^sample_weight must not be negative, got -1$"),
    ({"sample_weight": np.full(700, np.nan)}, ValueError, "^sample_weight must be finite, got nan"),
    ({"sample_weight": ["a"] * 700}, TypeError, "^sample_weight must hold real numbers, got "),
    ({"class_weight": {3: 1.0}}, ValueError,
     r"^class_weight must be for classes in 0\.\.2, got 3$"),
    ({"class_weight": {"a": 1.0}}, ValueError, "^class_weight must be for classes in 0"),
    ({"class_weight": {1.5: 1.0}}, ValueError, "^class_weight must be for classes in 0.*got 1.5$"),
    ({"class_weight": {np.nan: 1.0}}, ValueError, "^class_weight must be for classes in 0"),
    ({"class_weight": {-1: 1.0}}, ValueError, "^class_weight must be for classes in 0"),
    ({"class_weight": {10**400: 1.0}}, ValueError, "^class_weight must be for classes in 0"),
    ({"class_weight": {(0, 1): 1.0}}, ValueError, "^class_weight must be for classes in 0"),
    ({"class_weight": {1: 10**400}}, ValueError, "^class_weight must be finite and not negative"),
    ({"class_weight": {1: [2.0, 3.0]}}, ValueError, "^class_weight must be finite and not negat"),
    ({"class_weight": {1: []}}, ValueError, "^class_weight must be finite and not negative"),
    ({"class_weight": {1: -1.0}}, ValueError,
     "^class_weight must be finite and not negative, got -1.0 for class 1$"),
    ({"class_weight": {1: np.inf}}, ValueError, "^class_weight must be finite and not negative"),
    ({"class_weight": {1: "x"}}, ValueError, "^class_weight must be finite and not negative"),
    ({"class_weight": "even"}, TypeError,
     "^class_weight must be 'balanced' or a dict of labels and weights, got 'even'$"),
], ids=str)
def test_bad_weights(arguments, error, match):
    with one_line(error, match):
        Network([4, 3]).SGD((X, LABELS), 1, 10, 0.5, **arguments)


@pytest.mark.parametrize("outputs", [1, 5, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_that_weighs_nothing_may_be_infinite(outputs, dtype):
    x = np.array([[1e4], [0.5], [-0.25]])  # exp(1e4) is infinite
    y = np.ones((3, outputs))
    nets = [Network([1, outputs], output_activation="exponential", dtype=dtype, seed=0,
                    initializer=([np.ones((outputs, 1))], [np.zeros((outputs, 1))]))
            for _ in range(2)]
    history = nets[0].SGD((x, y), 1, 3, 0.1, sample_weight=[0, 1, 2], monitor=["training_cost"])
    nets[1].SGD((x[1:], y[1:]), 1, 2, 0.1 * 2 / 3, sample_weight=[1, 2])
    np.testing.assert_allclose(nets[0].weights[0], nets[1].weights[0], rtol=1e-6)
    assert np.isfinite(history.training_cost[0])


def test_backprop_takes_weights():
    net = Network([4, 3], dtype="float64", seed=0)
    weight = np.arange(700) % 2
    _, nabla_w = net.backprop(X, Y, sample_weight=weight)
    _, expected = net.backprop(X[1::2], Y[1::2])
    np.testing.assert_allclose(nabla_w[0], expected[0] / 2, rtol=1e-9)


def test_names_are_public():
    assert {"Activation", "Cost"} <= set(cbackprop.__all__)
    own = Activation(np.sin, np.cos)
    assert copy.deepcopy(own) is own
    assert repr(own) == "<cbackprop activation 'sin'>"

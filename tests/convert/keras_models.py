"""Networks out of Keras. Run by test_convert.py, in a process of its own."""

import doctest

import keras
import numpy as np
import pytest
from conversions import (
    ACTIVATIONS,
    BIASES,
    REALS,
    SCALES,
    assert_same,
    network,
    refused,
    rows,
)

import cbackprop
from cbackprop import Network, _words, convert
from cbackprop.core import table
from cbackprop.layers import NAMES

NOT_IN_KERAS = [row.name for row in table.ACTIVATIONS if not row.keras]


def from_keras(x, *layers, model=None):
    """Convert a model, and compare what both make of x."""
    model = model or keras.Sequential([keras.Input(x.shape[1:]), *layers])
    net = convert.from_keras(model)
    expected = np.asarray(model.predict(x, verbose=0))
    np.testing.assert_allclose(net.feedforward(x.reshape(len(x), -1)), expected, 1e-5, 3e-6)
    return net


@pytest.mark.parametrize("name", [
    each.function for row in table.ACTIVATIONS for each in row.keras if each.function])
def test_keras_activations(name):
    kinds, x = keras.layers, rows("float32")
    one = from_keras(x, kinds.Dense(5, name, bias_initializer="normal"), kinds.Dense(3))
    two = from_keras(x, kinds.Dense(5), kinds.Activation(name), kinds.Dense(3))
    assert one.activation == two.activation
    assert one.sizes == (7, 5, 3)


def test_keras_layers():
    kinds, x = keras.layers, rows("float32")
    net = from_keras(
        x, kinds.Dense(6), kinds.LeakyReLU(0.1), kinds.Dropout(0.5),
        kinds.Dense(5, kinds.ELU(0.5), use_bias=False), kinds.Dense(4), kinds.ReLU(),
        kinds.GaussianNoise(1.0), kinds.Dense(3), kinds.Softmax())
    assert net.activation == [("leaky_relu", 0.1), ("elu", 0.5), "relu", "softmax"]
    assert net.cost == "log_likelihood"
    inner = keras.Sequential([keras.Input((6,)), kinds.Dense(4, "tanh")])
    start = keras.Input((7,))
    chain = keras.Model(start, kinds.Dense(2, "sigmoid")(inner(kinds.Dense(6)(start))))
    net = from_keras(x, model=chain)
    assert net.sizes == (7, 6, 4, 2)
    assert net.cost == "cross_entropy"
    assert convert.from_keras(chain, cost="quadratic").cost == "quadratic"


def norm(**settings):
    draw = keras.initializers
    return keras.layers.BatchNormalization(
        beta_initializer="normal", gamma_initializer="normal", moving_mean_initializer="normal",
        moving_variance_initializer=draw.RandomUniform(0.2, 3.0), **settings)


def test_keras_batch_normalization_becomes_a_part_of_the_layer_beside():
    kinds, x = keras.layers, rows("float32")
    net = from_keras(x, kinds.Dense(6, use_bias=False), norm(), kinds.ReLU(), kinds.Dense(5),
                     norm(epsilon=0.1, scale=False), kinds.Activation("tanh"), kinds.Dense(3))
    assert net.sizes == (7, 6, 5, 3)
    from_keras(x, norm(center=False), kinds.Dense(6, "relu"), norm(), kinds.Dropout(0.5),
               kinds.Rescaling(2.0, 1.0), kinds.Dense(3))
    from_keras(np.ones((9, 3, 4), "float32"), norm(), kinds.Reshape((12,)), kinds.Dense(3))


def test_keras_relu_with_all_its_arguments():
    kinds, x = keras.layers, 3 * rows("float32")
    net = from_keras(
        x, kinds.Dense(6), kinds.ReLU(6), kinds.Dense(6), kinds.ReLU(max_value=0.5), kinds.Dense(6),
        kinds.ReLU(negative_slope=0.25), kinds.Dense(6),
        kinds.PReLU(alpha_initializer=keras.initializers.RandomUniform(0.0, 1.0)), kinds.Dense(6),
        kinds.PReLU("ones", shared_axes=[1]), kinds.Dense(3))
    assert net.activation[:3] == [("relu6", 6.0), ("relu6", 0.5), ("leaky_relu", 0.25)]
    assert net.activation[4] == ("leaky_relu", 1.0)


def test_keras_log_softmax():
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3, "log_softmax")])
    net, x = convert.from_keras(model), rows("float32")
    np.testing.assert_allclose(net.feedforward(x), np.exp(model.predict(x, verbose=0)), 1e-5)
    assert net.cost == "log_likelihood"


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("activation", [
    each for each in ACTIVATIONS if each not in NOT_IN_KERAS], ids=str)
def test_keras_there_and_back(activation, real):
    net, x = network([activation, "tanh"], real), rows(real)
    model = convert.to_keras(net)
    if activation != ("leaky_relu", 1.5):  # which Keras' own NumPy gets wrong
        np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), net.feedforward(x),
                                   1e-5, 3e-6)
    back = convert.from_keras(model)
    assert_same(back, net)
    again = convert.from_keras(convert.to_keras(back))
    assert np.array_equal(again.feedforward(x), back.feedforward(x))
    assert again.activation == back.activation


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("scale", SCALES, ids=["1", "1/255", "each"])
def test_to_keras_scales_inputs(scale, real):
    net, x = cbackprop.Network([7, 3], seed=0, input_scale=scale, dtype=real), rows(real)
    model = convert.to_keras(net)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), net.feedforward(x), 1e-5, 3e-6)
    assert_same(convert.from_keras(model), net)
    copied = convert.from_keras(keras.Sequential.from_config(model.get_config()))
    np.testing.assert_allclose(copied.input_scale, net.input_scale, 1e-7)  # Keras made it float32


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_keras_of_layers_without_biases(bias):
    net, x = network(["tanh", "identity"], "float32", bias=bias), rows("float32")
    model = convert.to_keras(net)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.use_bias for layer in dense] == list(np.broadcast_to(bias, 2))
    np.testing.assert_allclose(model.predict(x, verbose=0), net.feedforward(x), 1e-5, 3e-6)
    assert_same(convert.from_keras(model), net)


def test_to_keras_refuses():
    for name in NOT_IN_KERAS:
        refused(f"^to_keras: activation '{name}' has no equal there$",
                lambda name=name: convert.to_keras(network([name, "tanh"])))
    refused("^to_keras needs one activation for each layer, got one with relu, tanh$",
            lambda: convert.to_keras(network([{"relu": 3, "tanh": 6}, "tanh"])))
    refused("^to_keras takes a cbackprop.Network, got 3$", lambda: convert.to_keras(3), TypeError)


def test_to_keras_takes_an_estimator():
    ours, x = pytest.importorskip("cbackprop.sklearn"), rows("float32")
    own = ours.MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(x, x[:, 0])
    found = convert.to_keras(own).predict(x, verbose=0)
    np.testing.assert_allclose(found[:, 0], own.predict(x), 1e-5, 3e-6)


def test_keras_scales_inputs():
    kinds = keras.layers
    images = np.random.default_rng(0).integers(0, 256, (30, 5, 4)).astype("float32")
    net = from_keras(images, kinds.Rescaling(1 / 127.5, -1), kinds.Flatten(),
                     kinds.Dense(6, "gelu", bias_initializer="normal"), kinds.Dense(3))
    assert net.input_scale == 1 / 127.5
    for axis in (-1, (1, 2), None):
        normal = kinds.Normalization(axis=axis)
        normal.adapt(images + 300)
        net = from_keras(images, kinds.Rescaling(1, 300), normal, kinds.Flatten(),
                         kinds.Dense(3))
        assert np.shape(net.input_scale) == (() if axis is None else (20,))


def test_keras_refuses():
    kinds = keras.layers

    def of(*layers, shape=(7,)):
        return lambda: convert.from_keras(keras.Sequential([keras.Input(shape), *layers]))

    class Own(keras.Model):
        pass

    start = keras.Input((7,))
    shared = kinds.Dense(7)
    refused("^from_keras: activation squareplus of <Dense.* has no",
            of(kinds.Dense(3, "squareplus")))
    refused("activation <lambda> of <Dense.* has no equal", of(kinds.Dense(3, lambda z: z)))
    refused("<BatchNormalization .* must be beside a layer of weights",
            of(kinds.Dense(3, "relu"), kinds.BatchNormalization()))
    refused("<BatchNormalization .* must normalize its last axis",
            of(kinds.BatchNormalization(axis=1), kinds.Flatten(), kinds.Dense(3), shape=(7, 2)))
    refused("<LayerNormalization .* has no equal", of(kinds.Dense(3), kinds.LayerNormalization()))
    refused("<ReLU .* has no equal", of(kinds.Dense(3), kinds.ReLU(6, negative_slope=0.1)))
    refused("<ReLU .* has no equal", of(kinds.Dense(3), kinds.ReLU(threshold=1)))
    refused("<PReLU .*: alpha of 'leaky_relu' must be", of(
        kinds.Dense(3), kinds.PReLU(keras.initializers.Constant(-1.0))))
    refused("<Dense .* has a NaN or an infinity among its numbers", of(
        kinds.Dense(3, kernel_initializer=keras.initializers.Constant(float("nan")))))
    refused("log_softmax of <Dense .* must be the output", of(
        kinds.Dense(3, "log_softmax"), kinds.Dense(3)))
    refused("<ReLU .* must follow a layer of weights", of(kinds.ReLU(), kinds.Dense(3)))
    refused("<Rescaling .* must be beside a layer", of(kinds.Dense(3, "relu"), kinds.Rescaling(2)))
    refused("<Dense .* must follow Flatten", of(kinds.Dense(3), kinds.Flatten(), shape=(7, 2)))
    refused("must be built", lambda: convert.from_keras(keras.Sequential([kinds.Dense(3)])))
    refused("must be a chain of layers, each used once",
            lambda: convert.from_keras(keras.Model(start, shared(shared(start)))))
    refused("must be a chain of layers, each used once",
            lambda: convert.from_keras(keras.Model(start, [shared(start), kinds.Dense(2)(start)])))
    norm, slopes = kinds.BatchNormalization(), kinds.PReLU()
    inner = keras.Sequential([keras.Input((7,)), kinds.Dense(7)])
    for layers, name in [([shared, kinds.ReLU(), shared], "Dense"), ([inner, inner], "Dense"),
                         ([kinds.Dense(7), norm, kinds.Dense(7), norm], "BatchNormalization"),
                         ([kinds.Dense(7), slopes, kinds.Dense(7), slopes], "PReLU"),
                         ([kinds.Dense(7, slopes), kinds.Dense(7, slopes)], "Dense")]:
        refused(f"^from_keras: <{name} .* shares its weights with a layer before it$", of(*layers))
    refused("<Add .* has no equal",
            lambda: convert.from_keras(keras.Model(start, kinds.Add()([start, start]))))
    refused("^from_keras takes a Sequential or Functional model, got <Own",
            lambda: convert.from_keras(Own()), TypeError)
    refused("^from_keras takes .*, got 3$", lambda: convert.from_keras(3), TypeError)


@pytest.mark.parametrize("function", [convert.from_keras, convert.to_keras])
def test_the_docstring(function):
    parsed = doctest.DocTestParser().get_doctest(
        function.__doc__, function.__globals__ | {"cbackprop": cbackprop}, "it", None, None)
    results = doctest.DocTestRunner().run(parsed)
    assert results.attempted
    assert not results.failed


def test_names_mean_the_same_activations():
    """Whatever spelling `Network` takes of a name that Keras has is Keras's function."""
    z = np.linspace(-7, 7, 60).reshape(20, 3)
    theirs = {_words.plain(name): getattr(keras.activations, name)
              for name in dir(keras.activations) if not name.startswith("_")}
    known = {row.name for row in table.ACTIVATIONS}
    names = [name for name, ours in NAMES.items() if ours in known and name in theirs]
    assert len(names) > 15
    for name in names:
        net = Network([3, 3], activation=[name], dtype="float64", initializer=(
            [np.eye(3)], [np.zeros((3, 1))]))
        arguments = (0.01,) * (name == "leakyrelu")  # its default is 0.2 there
        expected = np.asarray(theirs[name](z, *arguments))
        np.testing.assert_allclose(net.feedforward(z), expected, 1e-5, 1e-6, err_msg=name)


def test_names_mean_the_same_costs():
    """But for a factor, as Keras takes the mean, and for what no output changes."""
    rng = np.random.default_rng(0)
    a, y = rng.dirichlet(np.ones(3), 20), np.eye(3)[np.ones(20, int)]
    theirs = {_words.plain(name): kind for name, kind in vars(keras.losses).items()
              if isinstance(kind, type)}
    known = {row.name for row in table.COSTS}
    names = [name for name, ours in NAMES.items()
             if ours in known and name in theirs]
    assert len(names) > 10
    for name in names:
        net = Network([3, 3], activation=["identity"], cost=name, dtype="float64", initializer=(
            [np.eye(3)], [np.zeros((3, 1))]))
        ours = [net.total_cost((a[at:at + 1], y[at:at + 1])) for at in range(20)]
        labels = y.argmax(1) if "sparse" in name else y
        expected = np.asarray(theirs[name](reduction=None)(labels, a))
        slope, offset = np.polyfit(expected, ours, 1)
        assert slope > 0
        np.testing.assert_allclose(slope * expected + offset, ours, 1e-4, 1e-5, err_msg=name)

"""Networks out of Keras. Run by test_convert.py, in a process of its own."""

import doctest

import keras
import numpy as np
import pytest
from test_convert import refused, rows

import cbackprop
from cbackprop import convert


def from_keras(x, *layers, model=None):
    """Convert a model, and compare what both make of x."""
    model = model or keras.Sequential([keras.Input(x.shape[1:]), *layers])
    net = convert.from_keras(model)
    expected = np.asarray(model.predict(x, verbose=0))
    np.testing.assert_allclose(net.feedforward(x.reshape(len(x), -1)), expected, 1e-5, 3e-6)
    return net


@pytest.mark.parametrize("name", [
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
    "softsign", "hard_sigmoid", "linear", "softmax"])
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
    refused("^from_keras: activation mish of <Dense.* has no equal", of(kinds.Dense(3, "mish")))
    refused("activation <lambda> of <Dense.* has no equal", of(kinds.Dense(3, lambda z: z)))
    refused("<BatchNormalization .* has no equal", of(kinds.BatchNormalization(), kinds.Dense(3)))
    refused("<ReLU .* has no equal", of(kinds.Dense(3), kinds.ReLU(6)))
    refused("<ReLU .* must follow a layer of weights", of(kinds.ReLU(), kinds.Dense(3)))
    refused("<Rescaling .* must be the first layer", of(kinds.Dense(3), kinds.Rescaling(2)))
    refused("<Dense .* must follow Flatten", of(kinds.Dense(3), kinds.Flatten(), shape=(7, 2)))
    refused("must be built", lambda: convert.from_keras(keras.Sequential([kinds.Dense(3)])))
    refused("must be a chain of layers, each used once",
            lambda: convert.from_keras(keras.Model(start, shared(shared(start)))))
    refused("must be a chain of layers, each used once",
            lambda: convert.from_keras(keras.Model(start, [shared(start), kinds.Dense(2)(start)])))
    refused("<Add .* has no equal",
            lambda: convert.from_keras(keras.Model(start, kinds.Add()([start, start]))))
    refused("^from_keras takes a Sequential or Functional model, got <Own",
            lambda: convert.from_keras(Own()), TypeError)
    refused("^from_keras takes .*, got 3$", lambda: convert.from_keras(3), TypeError)


def test_the_docstring():
    module = convert.from_keras.__globals__
    parsed = doctest.DocTestParser().get_doctest(
        convert.from_keras.__doc__, module | {"cbackprop": cbackprop}, "from_keras", None, None)
    results = doctest.DocTestRunner().run(parsed)
    assert results.attempted
    assert not results.failed

"""Networks and rows to be converted, and what must come of it."""

import numpy as np
import pytest

from cbackprop import Network
from cbackprop.core import table

REALS = ["float32", "float64"]
TOLERANCES = {"float32": {"rtol": 1e-5, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}
ACTIVATIONS = [*(row.name for row in table.ACTIVATIONS), ("leaky_relu", 0.2), ("leaky_relu", 1.5),
               ("elu", 0.7)]


def rows(real="float64", columns=7):
    rng = np.random.default_rng(0)
    spread = np.logspace(-6, 0.5, 40)[:, None]
    return (rng.standard_normal((40, columns)) * spread).astype(real)


def network(activation, real="float64", sizes=(7, 9, 4), bias=True):
    return Network(sizes, activation=activation, dtype=real, seed=1, bias=bias,
                   input_scale=np.linspace(0.5, 1.5, 7))


BIASES = [False, [True, False], [False, True]]


def assert_close(found, net, x):
    expected = net.feedforward(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, **TOLERANCES[net.dtype])


def assert_same(back, net):
    """A round trip is exact: the parameters, and what inputs are multiplied by."""
    assert (back.sizes, back.dtype, back.bias) == (net.sizes, net.dtype, net.bias)
    for ours, theirs in zip((*back.weights, *back.biases), (*net.weights, *net.biases),
                            strict=True):
        assert np.array_equal(ours, theirs)
    assert np.shape(back.input_scale) == np.shape(net.input_scale)
    assert np.array_equal(np.array(back.input_scale, net.dtype),
                          np.array(net.input_scale, net.dtype))


SCALES = [1.0, 1 / 255, np.linspace(-1, 1.3, 7)]


def refused(match, call, error=ValueError):
    with pytest.raises(error, match=match) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300

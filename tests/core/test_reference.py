"""First step of the proof: the reference against finite differences (46), and against itself."""

import itertools

import numpy as np
import pytest
from pairs import KINKS, PAIRS
from reference import ACTIVATIONS, COSTS, Reference, jacobian, of_name, sigma

from cbackprop.core import table

# away from kinks
Z = np.array([[-3.3, -2.1, -1.2, -0.6], [-0.3, -0.1, 0.2, 0.4], [0.7, 1.1, 2.3, 3.4]])


def network(sizes, activation, output_activation, cost, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((j, k)) / np.sqrt(k)
               for k, j in itertools.pairwise(sizes)]
    biases = [rng.standard_normal((j, 1)) for j in sizes[1:]]
    activations = [activation] * (len(sizes) - 2) + [output_activation]
    return Reference(weights, biases, activations, cost)


def differences(f, x):
    """(46) for each column alone, with four points."""
    columns = []
    for one in np.eye(x.shape[1]):
        steps = [f(x + k * 1e-3 * one) for k in (-2, -1, 1, 2)]
        columns.append((steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / 12e-3)
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("activation", [
    *ACTIVATIONS, ("relu6", 0.9), ("leaky_relu", 0.3), ("elu", 0.5),
    [("relu", 1), (("elu", 2.0), 3)]], ids=str)
def test_jacobians_against_finite_differences(activation):
    np.testing.assert_allclose(jacobian(activation, Z), differences(
        lambda z: sigma(activation, z), Z), rtol=5e-6, atol=1e-9)


@pytest.mark.parametrize("cost", [
    *COSTS, ("huber", 0.25), ("quantile", 0.9), ("focal", 0.0), ("focal", 1.5),
    ("cross_entropy", 0.0, 0.2), ("log_likelihood", 0.0, 0.2)], ids=str)
def test_cost_gradients_against_finite_differences(cost):
    rng = np.random.default_rng(2)
    a, y = 0.1 + 0.8 * rng.random((9, 4)), rng.random((9, 4))
    np.testing.assert_allclose(of_name(COSTS, cost, 1)(a, y), differences(
        lambda a: of_name(COSTS, cost, 0)(a, y), a), rtol=5e-6, atol=1e-8)


SMOOTH = [(cost, activation) for cost, activation in PAIRS
          if activation == "relu" or not {cost, activation} & KINKS]


@pytest.mark.parametrize(("cost", "activation", "hidden"), [
    *((*pair, "tanh") for pair in SMOOTH),
    *((*pair, hidden) for pair in SMOOTH for hidden in ("gelu", "softmax")
      if pair[0] == "quadratic" or pair[1] == "softmax")])  # what a hidden layer is told is a delta
def test_backprop_against_finite_differences(cost, activation, hidden):
    net = network([5, 4, 6, 3], hidden, activation, cost)
    rng = np.random.default_rng(1)
    x, y, weights = rng.standard_normal((7, 5)), rng.random((7, 3)), rng.random(7)
    for w in (None, weights):
        for exact, numeric in zip(net.backprop(x, y, w), net.finite_differences(x, y, w),
                                  strict=True):
            for e, n in zip(exact, numeric, strict=True):
                np.testing.assert_allclose(e, n, rtol=5e-6, atol=1e-8)


def test_every_function_has_a_reference():
    assert set(ACTIVATIONS) == {row.name for row in table.ACTIVATIONS}
    assert set(COSTS) == {row.name for row in table.COSTS}


def test_finite_differences_see_a_wrong_gradient():
    net = network([3, 4, 2], "sigmoid", "sigmoid", "quadratic")
    x, y = np.ones((2, 3)), np.zeros((2, 2))
    numeric = net.finite_differences(x, y)[1][0]
    net.activations[0] = "tanh"  # another network's gradient
    assert not np.allclose(net.backprop(x, y)[1][0], numeric, rtol=1e-2)


def test_worked_example_by_hand():
    """2-2-1, sigmoid, quadratic: every number worked out with a pocket calculator."""
    net = Reference(
        [[[0.15, 0.20], [0.25, 0.30]], [[0.40, 0.45]]], [[[0.35], [0.35]], [[0.60]]],
        ["sigmoid", "sigmoid"], "quadratic")
    x, y = np.array([[0.05, 0.10]]), np.array([[0.01]])
    zs, a = net.forward(x)
    # z1 = 0.15*0.05 + 0.20*0.10 + 0.35 = 0.3775;  z2 = 0.25*0.05 + 0.30*0.10 + 0.35 = 0.3925
    np.testing.assert_allclose(zs[0], [[0.3775, 0.3925]], rtol=1e-12)
    # a1 = 1/(1 + e^-0.3775) = 0.59326999;  a2 = 1/(1 + e^-0.3925) = 0.59688438
    np.testing.assert_allclose(a[1], [[0.59326999, 0.59688438]], rtol=1e-8)
    # z = 0.40*0.59326999 + 0.45*0.59688438 + 0.60 = 1.10590597;  a = 0.75136507
    np.testing.assert_allclose(a[2], [[0.75136507]], rtol=1e-8)
    # BP1 delta = (0.75136507 - 0.01) * 0.75136507 * (1 - 0.75136507) = 0.13849856
    # BP4 dC/dw = delta * a1 = 0.08216704, delta * a2 = 0.08266763
    # BP2 delta1 = 0.40 * delta * a1 (1 - a1) = 0.01336792
    # BP4 dC/dw11 = delta1 * 0.05 = 0.000668396
    nabla_b, nabla_w = net.backprop(x, y)
    np.testing.assert_allclose(nabla_b[1], [[0.13849856]], rtol=1e-7)
    np.testing.assert_allclose(nabla_w[1], [[0.08216704, 0.08266763]], rtol=1e-6)
    np.testing.assert_allclose(nabla_b[0][0], [0.01336792], rtol=1e-5)
    np.testing.assert_allclose(nabla_w[0][0, 0], 0.000668396, rtol=1e-5)

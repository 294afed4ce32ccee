"""What inspect says of a network: against the reference, differences, PyTorch, and BP1 to BP4."""

import ctypes
import importlib
import itertools
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from cases import MIXED, Case, lanes
from pairs import KINKS, PAIRS, SOME_PAIRS
from reference import ACTIVATIONS, DEEP, Reference, jacobian
from refusals import one_line

import cbackprop
from cbackprop import Activation, Cost, Network, inspect

X = np.random.default_rng(7).standard_normal((9, 3))
Y = np.random.default_rng(8).random((9, 2))
DOUBLE = ctypes.c_double
OUTPUTS = [(*pair, 2) for pair in PAIRS] + [(*pair, 20) for pair in SOME_PAIRS]


@pytest.fixture
def rng():
    return np.random.default_rng(9)


def network(sizes=(3, 5, 4, 2), dtype="float64", seed=0, **settings):
    return Network(sizes, dtype=dtype, seed=seed, **settings)


def close(actual, expected, rtol=1e-12):
    size = max(1.0, max(np.abs(e).max() for e in expected))
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=rtol * size)


# ---- trace ----


@pytest.mark.parametrize(("cost", "output", "outputs"), OUTPUTS)
def test_trace_of_outputs_is_the_references(build, cost, output, outputs):
    traced_is_the_references(Case(build, [4, 5, 3, outputs], output=output, cost=cost, n=7))


@pytest.mark.parametrize("hidden", [*ACTIVATIONS, MIXED], ids=str)
@pytest.mark.parametrize("scales", [1.0, 0.25])
def test_trace_of_hidden_layers_is_the_references(build, hidden, scales):
    for output, sizes in (("sigmoid", [4, 5, 5, 2]), (MIXED, [4, 5, 5])):
        traced_is_the_references(
            Case(build, sizes, hidden=hidden, output=output, n=7, scales=scales), scales)


def traced_is_the_references(case, scale=1.0):
    x = case.x.astype(float) * scale
    signals, nabla, cost = case.trace()
    zs, activations = case.reference.forward(x)
    for actual, z, a, activation, layer in zip(
            signals["sigma_prime"], zs, activations[1:], case.reference.activations,
            itertools.count(), strict=False):
        case.close(signals["z"][layer], z, terms=100)
        case.close(signals["a"][layer], a, terms=100)
        case.close(actual, jacobian(activation, z).diagonal(axis1=1, axis2=2), terms=100)
    nabla_w, nabla_b = case.core.views(nabla)
    for i in range(len(x)):  # the error of one example is its gradient by the biases
        expected, _ = case.reference.backprop(x[i:i + 1], case.y[i:i + 1])
        for delta, b in zip(signals["delta"], expected, strict=True):
            case.close(delta[i], b[:, 0], terms=100)
    expected_b, expected_w = case.reference.backprop(x, case.y)
    for actual, expected in zip(nabla_w + nabla_b, expected_w + expected_b, strict=True):
        case.close(actual / len(x), expected, terms=100)
    case.close(cost / len(x), case.reference.total_cost(x, case.y), terms=100)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 9, 1300])
def test_trace_is_what_the_network_computes(dtype, n, rng):
    net = network(dtype=dtype, activation="gelu", cost="log_likelihood", input_scale=0.5)
    x, labels = rng.standard_normal((n, 3)), rng.integers(2, size=n)
    traced = inspect.trace(net, x, labels)
    assert len(traced) == n
    assert [z.shape for z in traced.z] == [(n, 5), (n, 4), (n, 2)]
    assert all(v.dtype == dtype for v in traced.z + traced.delta + traced.nabla_w)
    np.testing.assert_array_equal(traced.a[-1], net.feedforward(x))
    np.testing.assert_array_equal(traced.y, np.eye(2)[labels])
    np.testing.assert_array_equal(traced.x, x)
    bound = 1e-12 if dtype == "float64" else 1e-5
    assert traced.cost == pytest.approx(net.total_cost((x, labels)), rel=bound)
    for actual, expected in zip((traced.nabla_b, traced.nabla_w), net.backprop(x, labels),
                                strict=True):
        close(actual, expected, bound)


def test_trace_takes_one_example_in_every_form():
    net = network((3, 2))
    for x in (X[0], X[:1], X[0][:, None]):
        for y in (Y[0], Y[:1], Y[0][:, None]):
            np.testing.assert_array_equal(inspect.trace(net, x, y).delta[0],
                                          inspect.trace(net, X[:1], Y[:1]).delta[0])


def test_trace_is_readable():
    wide = network((3, 100, 2), activation=[{"tanh": 60, ("elu", 0.5): 40}, "softmax"])
    traced = inspect.trace(wide, X, Y)
    text = str(traced)
    assert repr(traced) == "<Trace of 9 examples, 2 layers>"
    lines = text.splitlines()
    assert lines[0].startswith("example 0 of 9, gradients averaged over 9; mean cost ")
    assert "layer 1: 100 -> 2, softmax" in lines
    assert len(lines) < 25
    assert max(map(len, lines)) < 120
    z = f"{traced.z[0][0, 99]:.5g}"
    assert any(line.split()[:2] == ["99", z] for line in lines)
    assert traced.table(3) != text
    assert "averaged" not in str(inspect.trace(wide, X[0], Y[0]))


# ---- gradient check ----


@pytest.mark.parametrize(("cost", "output"), PAIRS)
def test_gradient_check_of_outputs(cost, output):
    net = network((3, 4, 2), "float32", output_activation=output, cost=cost)
    before = pickle.dumps(net)
    check = inspect.gradient_check(net, X[:3], Y[:3])
    assert check.passed, check
    assert check.worst == check.errors.max() <= 1e-5
    assert len(check.places) == len(set(check.places)) == len(check.errors) == 26
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("hidden", DEEP)
def test_gradient_check_of_hidden_layers(hidden):
    check = inspect.gradient_check(network(activation=hidden, input_scale=[1, 2, 3]), X, Y)
    assert check.passed, check
    nabla_b, nabla_w = network(activation=hidden, input_scale=[1, 2, 3]).backprop(X, Y)
    for place, derivative in zip(check.places, check.backprop, strict=True):
        nabla = nabla_w if place.parameter == "w" else nabla_b
        assert nabla[place.layer][place.j, place.k] == derivative


def test_gradient_check_meets_kinks(monkeypatch):
    """Some moves cross one; finer ones do not."""
    net = network((20, 40, 40, 1), activation="relu", output_activation="identity", seed=3)
    x = np.random.default_rng(1).standard_normal((30, 20))
    y = np.random.default_rng(2).random((30, 1))
    found = inspect.gradient_check(net, x, y, eps=1e-4)
    assert found.passed
    assert not found.at_kink.any()
    monkeypatch.setattr(importlib.import_module("cbackprop.inspect.gradient_check"), "FINER", 1)
    assert inspect.gradient_check(net, x, y, eps=1e-4).at_kink.any()


def test_gradient_check_at_a_kink():
    """z = 0 exactly: relu' is 0 or 1 there, and the quotient of both sides 1/2."""
    net = network((3, 4, 2), activation="relu", output_activation="identity", seed=3)
    net.biases[0][...] = 0
    rows = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    found = inspect.gradient_check(net, rows, [[1.0, 0.0], [0.5, 1.0]])
    assert found.passed
    assert {str(place) for place, at in zip(found.places, found.at_kink, strict=True) if at} == {
        f"biases[0][{j}, 0]" for j in range(4)}
    assert "4 at a kink" in repr(found)


@pytest.mark.parametrize("activation", ["selu", ("elu", 0.5), ("elu", 2.0), ("leaky_relu", 0.3)])
def test_gradient_check_of_kinks_behind_kinks(activation):
    """Slopes of both sides may then be equal, and backpropagation's is another."""
    for sizes, seed in itertools.product([(3, 4, 2), (3, 4, 5, 2)], range(3)):
        net = network(sizes, activation=activation, seed=seed)
        for b in net.biases:
            b[...] = 0
        rows = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
        for n in (1, 2):
            found = inspect.gradient_check(net, rows[:n], [[1.0, 0.0], [0.5, 1.0]][:n])
            assert found.passed
            assert found.at_kink.any()


def test_gradient_check_at_both_kinks_of_hard_tanh():
    """One neuron is at each: the slopes of both sides are 1, and backpropagation's is 0."""
    net = network((1, 1, 2, 1), activation=["identity", "hard_tanh", "identity"],
                  initializer=([[[1]], [[1], [1]], [[1, 1]]], [[[0]], [[1], [-1]], [[0]]]))
    found = inspect.gradient_check(net, [[0.0]], [[1.0]])
    assert found.passed
    assert found.differences[0] == pytest.approx(-1)
    assert found.backprop[0] == 0


def test_a_wrong_derivative_at_a_kink_is_none():
    steep = Activation(lambda z: np.maximum(z, 0), lambda z: (z > 0) + (z == 0) * 1.5, name="steep")
    net = network((1, 2, 1), activation=steep, output_activation="identity", seed=3)
    net.biases[0][...] = 0
    found = inspect.gradient_check(net, [[0.0]], [[1.0]])
    assert not found.passed
    assert not found.at_kink.any()


def test_gradient_check_of_a_sample():
    net = network()
    whole, some = (inspect.gradient_check(net, X, Y, sample=n, seed=3) for n in (None, 10))
    assert len(some.places) == len(set(some.places)) == 10
    at = [whole.places.index(place) for place in some.places]
    np.testing.assert_array_equal(whole.differences[at], some.differences)
    assert inspect.gradient_check(net, X, Y, sample=10, seed=4).places != some.places
    assert inspect.gradient_check(net, X, Y, sample=1000).places == whole.places


def test_gradient_check_names_the_wrong_function():
    """Wrong where nobody looked when it was made."""
    wrong = Activation(np.sin, lambda z: np.cos(z) + (z > 20), name="wave")
    right = Activation(np.sin, np.cos)
    net = network(activation=[{right: 2, wrong: 3}, right, "sigmoid"])
    assert inspect.gradient_check(net, X, Y).mistake is None
    net.biases[0][4] = 25
    check = inspect.gradient_check(net, X, Y)
    assert not check.passed
    assert check.where.layer == 0
    assert check.where.j == 4
    assert check.mistake.startswith(
        "activation 'wave': f_prime is not the derivative of f: at z = 2")
    assert check.mistake in repr(check)
    assert repr(check).startswith("FAILED: worst relative error ")
    cost = Cost(lambda a, y: ((a - y) ** 2).sum(axis=1) / 2, lambda a, y: (a - y) * (1 + (a > 2)))
    net = network(activation=right, output_activation="identity", cost=cost)
    net.biases[-1][0] = 9
    assert inspect.gradient_check(net, X, Y).mistake.startswith("cost '<lambda>': f_prime is not ")


# ---- the demon ----


@pytest.mark.parametrize(("hidden", "output", "cost"), [
    ("sigmoid", "sigmoid", "quadratic"), ("gelu", "softmax", "log_likelihood"),
    ("softmax", "tanh", "cosine"), ("sine", "sigmoid", "cross_entropy")])
def test_29_the_demon(hidden, output, cost):
    net = network(dtype="float32", activation=hidden, output_activation=output, cost=cost)
    before = pickle.dumps(net)
    reference = Reference(net.weights, net.biases, [hidden, hidden, output], cost)
    for layer, neuron in ((0, 4), (1, 0), (2, 1)):
        delta = reference.backprop(X[:1], Y[:1])[0][layer][neuron, 0]
        apart = []
        for dz in (2e-2, 1e-2, 5e-3):
            measured, predicted = inspect.demon(net, X[0], Y[0], layer, neuron, dz)
            assert predicted == pytest.approx(delta * dz, rel=1e-9)
            apart.append(measured - predicted)
        ratios = np.divide(apart[:-1], apart[1:])
        np.testing.assert_allclose(ratios, 4, rtol=0.1)  # a quarter, up to the third order
    assert pickle.dumps(net) == before


# ---- paths ----


@pytest.mark.parametrize("sizes", [(3, 2), (3, 4, 2), (2, 3, 4, 2), (2, 3, 2, 3, 2)], ids=str)
@pytest.mark.parametrize(("hidden", "output", "cost"), [
    ("sigmoid", "sigmoid", "quadratic"), ("tanh", "softmax", "log_likelihood"),
    ("softmax", "softmax", "quadratic"), ("gelu", "sigmoid", "cross_entropy")])
def test_53_all_paths_add_up_to_bp4(sizes, hidden, output, cost):
    net = network(sizes, "float32", activation=hidden, output_activation=output, cost=cost,
                  input_scale=0.5)
    exact = inspect.trace(network(sizes, activation=hidden, output_activation=output, cost=cost,
                                  input_scale=0.5, initializer=(list(net.weights),
                                                                list(net.biases))),
                          X[0, :sizes[0]], Y[0])
    kinds = [hidden] * (len(sizes) - 2) + [output]
    for layer, nabla_w in enumerate(exact.nabla_w):
        for j, k in np.ndindex(nabla_w.shape):
            followed, by_layers = (
                inspect.paths(net, X[0, :sizes[0]], Y[0], layer, j, k, by_layers=by_layers)
                for by_layers in (False, True))
            for found in (followed, by_layers):
                assert found.total == pytest.approx(nabla_w[j, k], rel=1e-12, abs=1e-15)
                assert found.bp4 == nabla_w[j, k]
            expected = math.prod(  # a step to every z but the first, and behind softmax to every a
                size ** ((at > layer) + (kind == "softmax")) for at, (size, kind) in enumerate(
                    zip(sizes[1:], kinds, strict=True)) if at >= layer)
            assert len(followed.factors) == expected
            assert len(np.unique(followed.neurons, axis=0)) == expected


def test_one_path_by_hand():
    """(53) with every factor written out."""
    net = network((2, 3, 4, 2))
    traced = inspect.trace(net, X[0, :2], Y[0])
    found = inspect.paths(net, X[0, :2], Y[0], layer=0, j=2, k=1)
    assert found.steps == ["a[0]", "a[1]", "a[2]"]
    at = found.neurons.tolist().index([2, 3, 1])
    s = [layer[0] for layer in traced.sigma_prime]
    assert found.factors[at] == pytest.approx(
        X[0, 1] * s[0][2] * net.weights[1][3, 2] * s[1][3] * net.weights[2][1, 3] * s[2][1]
        * (traced.a[2][0, 1] - Y[0, 1]), rel=1e-12)
    np.testing.assert_allclose(found.rates[1][3], X[0, 1] * s[0][2] * net.weights[1][3, 2]
                               * s[1][3], rtol=1e-12)
    assert "8 paths, the largest first" in repr(found)


def test_too_many_paths():
    net = network((3, 50, 200, 200, 100, 2))
    with one_line(ValueError, r"^paths must be at most 1,000,000, got 8,000,000 from "
                              r"weights\[0\]\[1, 2\] to the cost; by_layers=True gives their sum$"):
        inspect.paths(net, X[0], Y[0], 0, 1, 2)
    found = inspect.paths(net, X[0], Y[0], 0, 1, 2, by_layers=True)
    assert found.total == pytest.approx(found.bp4, rel=1e-12)
    assert "layer by layer" in repr(found)


# ---- saturation ----


def test_saturation_counts(rng):
    net = network((3, 40, 2), initializer="large")
    x, y = rng.standard_normal((700, 3)), rng.random((700, 2))
    found = inspect.saturation(net, x, y, threshold=0.05)
    traced = inspect.trace(net, x, y)
    for layer, slopes in enumerate(traced.sigma_prime):
        np.testing.assert_array_equal(found.by_neuron[layer], (slopes < 0.05).mean(axis=0))
        assert found.share[layer] == pytest.approx((slopes < 0.05).mean())
        assert found.speed[layer] == pytest.approx(np.linalg.norm(traced.nabla_b[layer]))
    assert 0 < found.share[0] < 1
    assert inspect.saturation(net, x).speed is None
    assert len(repr(found).splitlines()) == 3


def test_saturation_over_epochs():
    net = network(dtype="float32", initializer="large")
    watched = inspect.Saturation(X, Y, threshold=0.1)
    expected = []

    def look(net, history):
        expected.append(inspect.saturation(net, X, Y, threshold=0.1))

    for _ in range(2):  # it begins anew with every training
        expected.clear()
        look(net, None)
        net.SGD((X, Y), 3, 4, 0.5, callbacks=[watched, look])
        assert watched.share == [found.share for found in expected]
        assert watched.speed == [found.speed for found in expected]
        assert len(watched.share) == 4
    without = inspect.Saturation(X)
    net.SGD((X, Y), 1, 4, 0.5, callbacks=[without])
    assert (len(without.share), without.speed) == (2, [])


# ---- derivatives by the inputs ----


def bound(case):
    """Differences of the reference are good for 1e-9."""
    return 1e-8 if case.real == "float64" else 2e-4


@pytest.mark.parametrize("activation", [*DEEP, MIXED], ids=str)
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("n", [3, 30])
def test_jacobian_is_the_product_of_the_references(build, activation, outputs, n):
    output = "sigmoid" if activation == MIXED and outputs != 5 else activation
    if outputs == 1 and output == "softmax":
        return  # needs two
    for k in (4, lanes(build) + 1):
        case = Case(build, [k, 5, outputs], hidden=activation, output=output, n=n)
        zs, _ = case.reference.forward(case.x)
        expected = np.einsum("nkj,ji->nki", jacobian(activation, zs[0]), case.reference.weights[0])
        expected = np.einsum("nkj,jl,nli->nki", jacobian(output, zs[1]),
                             case.reference.weights[1], expected)
        case.close(build.jacobian(case.core, case.rows), expected, terms=100)


def test_jacobian_of_many_rows_and_outputs(rng):
    net = network((3, 4, 30), "float32", activation="tanh", output_activation="softmax")
    x = rng.standard_normal((1030, 3))
    whole = inspect.jacobian(net, x)
    assert whole.shape == (1030, 30, 3)
    for i in (0, 511, 512, 1029):
        np.testing.assert_allclose(whole[i], inspect.jacobian(net, x[i]), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(inspect.jacobian(net, x[0][:, None]), inspect.jacobian(net, x[0]))


@pytest.mark.parametrize("scale", [0.5, [1.0, 0.25, 2.0]])
def test_derivatives_by_inputs_against_differences(scale):
    net = network(activation="gelu", cost="cross_entropy", input_scale=scale)
    slopes, gradient = inspect.jacobian(net, X), inspect.input_gradient(net, X, Y)
    assert gradient.shape == X.shape
    for k, one in enumerate(1e-6 * np.eye(3)):
        moved = net.feedforward(X + one) - net.feedforward(X - one)
        np.testing.assert_allclose(slopes[:, :, k], moved / 2e-6, rtol=1e-6, atol=1e-9)
        for i in range(len(X)):
            cost = [net.total_cost((X[i] + sign * one, Y[i])) for sign in (1, -1)]
            assert gradient[i, k] == pytest.approx((cost[0] - cost[1]) / 2e-6, rel=1e-5, abs=1e-8)
    for x in (X[0], X[:1], X[0][:, None]):
        np.testing.assert_allclose(inspect.input_gradient(net, x, Y[0]),
                                   gradient[0].reshape(x.shape), rtol=1e-12)


def test_input_gradient_of_every_build(build):
    for n, k, outputs in itertools.product([1, 600], [4, lanes(build) + 1], [2, 20]):
        case = Case(build, [k, 5, outputs], output="softmax", cost="log_likelihood", n=n)
        actual = build.input_gradient(case.core, case.rows, case.targets)
        delta = case.build.trace(case.core, build.Rows(case.x[-9:]),
                                 build.Targets(case.y[-9:]))[0]["delta"]
        case.close(actual[-9:], delta[0].astype(float) @ case.reference.weights[0], terms=100)


# ---- Hessian times vector ----


def hessian_vector_is_right(case):
    """Against differences, of four points, of the reference's gradient."""
    direction, product = (np.zeros_like(case.core.parameters) for _ in range(2))
    rng = np.random.default_rng(5)
    v_w, v_b = case.core.views(direction)
    for v in v_w + v_b:
        v[...] = rng.standard_normal(v.shape)
    case.build.hessian_vector(case.core, case.rows, case.targets, direction, product)
    reference, step = case.reference, 1e-4
    weights, biases = reference.weights, reference.biases
    expected = 0
    for times, factor in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
        reference.weights = [w + times * step * v for w, v in zip(weights, v_w, strict=True)]
        reference.biases = [b + times * step * v for b, v in zip(biases, v_b, strict=True)]
        nabla_b, nabla_w = reference.backprop(case.x, case.y)
        flat = np.concatenate([g.ravel() for g in nabla_w + nabla_b])
        expected = expected + factor * flat / (12 * step)
    h_w, h_b = case.core.views(product)
    actual = np.concatenate([h.ravel() for h in h_w + h_b])
    size = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(actual / size, expected / size, rtol=0, atol=bound(case))
    assert not product[case.padding()].any()


@pytest.mark.parametrize(("cost", "output", "outputs"), OUTPUTS)
def test_hessian_vector_of_outputs(build, cost, output, outputs):
    hessian_vector_is_right(Case(build, [4, 5, outputs], hidden="tanh", output=output, cost=cost,
                                 n=4, seed=1 if {cost, output} & KINKS else 0))


@pytest.mark.parametrize("hidden", [*ACTIVATIONS, MIXED], ids=str)
@pytest.mark.parametrize("outputs", [1, 20])
def test_hessian_vector_of_hidden_layers(build, hidden, outputs):
    hessian_vector_is_right(Case(build, [4, 5, 5, outputs], hidden=hidden, n=4))


@pytest.mark.parametrize(("sizes", "n"), [
    ((1, 1), 1), ((3, 20), 600), ((17, 33, 65, 3), 30), ((3, 40, 300, 2), 1)], ids=str)
def test_hessian_vector_of_shapes(build, sizes, n):
    hessian_vector_is_right(Case(build, sizes, hidden="tanh", n=n))


def test_hessian_vector_with_mixed_outputs(build):
    for outputs in (5, lanes(build) + 5):
        output = [*MIXED[:-1], ("gelu", outputs - 4)]
        hessian_vector_is_right(Case(build, [4, 3, outputs], output=output, n=4))


def test_hessian_vector_is_symmetric_and_linear(rng):
    for scale in (1.0, 0.5, [1.0, 0.25, 2.0]):
        net = network(activation="silu", cost="cross_entropy", input_scale=scale)
        u, v = (([rng.standard_normal(b.shape) for b in net.biases],
                 [rng.standard_normal(w.shape) for w in net.weights]) for _ in range(2))
        h_u, h_v = (inspect.hessian_vector(net, X, Y, way) for way in (u, v))
        assert [h.shape for h in h_u[1]] == [w.shape for w in net.weights]
        assert flat(u) @ flat(h_v) == pytest.approx(flat(v) @ flat(h_u), rel=1e-12)
        twice = inspect.hessian_vector(net, X, Y, ([2 * b for b in u[0]], [2 * w for w in u[1]]))
        np.testing.assert_allclose(flat(twice), 2 * flat(h_u), rtol=1e-9, atol=1e-12)
        step = 1e-6
        moved = []
        for sign in (1, -1):
            other = net.copy()
            other.biases = [b + sign * step * d for b, d in zip(net.biases, u[0], strict=True)]
            other.weights = [w + sign * step * d for w, d in zip(net.weights, u[1], strict=True)]
            moved.append(flat(other.backprop(X, Y)))
        np.testing.assert_allclose(flat(h_u), (moved[0] - moved[1]) / (2 * step), rtol=1e-5,
                                   atol=1e-8)


def flat(pair):
    return np.concatenate([array.ravel() for arrays in pair for array in arrays])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [2, 20])
def test_hessian_vector_of_own_functions(dtype, outputs, rng):
    """sigma'' and C'' by differences of f_prime."""
    def tanh_prime(z):
        return 1 - np.tanh(z) ** 2

    def settings(activation, cost):
        return {"activation": [{activation: 2, "gelu": 3}, activation], "cost": cost}

    def compiled(f, n):
        return ctypes.CFUNCTYPE(DOUBLE, *[DOUBLE] * n)(f)

    y = rng.random((9, outputs))
    sizes = (3, 5, outputs)
    expected_of = network(sizes, dtype, **settings("tanh", "log_cosh"))
    v = expected_of.backprop(X, y)
    expected = flat(inspect.hessian_vector(expected_of, X, y, v))
    pairs = [
        (Activation(np.tanh, tanh_prime),
         Cost(lambda a, y: np.log(np.cosh(a - y)).sum(axis=1), lambda a, y: np.tanh(a - y))),
        (Activation(compiled(np.tanh, 1), compiled(tanh_prime, 1)),
         Cost(compiled(lambda a, y: np.log(np.cosh(a - y)), 2),
              compiled(lambda a, y: np.tanh(a - y), 2)))]
    bound = 1e-8 if dtype == "float64" else 1e-3
    for own, cost in pairs:
        net = network(sizes, dtype, **settings(own, cost))
        actual = flat(inspect.hessian_vector(net, X, y, v))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * np.abs(expected).max())


# ---- PyTorch ----


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "softplus",
                                        "elu", "selu", "softsign", "softmax"])
@pytest.mark.parametrize("cost", ["quadratic", "log_likelihood", "poisson"])
def test_against_pytorch(activation, cost, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    functional = torch.nn.functional
    functions = {"gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
                 "softmax": lambda z: torch.softmax(z, dim=-1), "sigmoid": torch.sigmoid}
    costs = {"quadratic": lambda a, y: 0.5 * (a - y) ** 2,
             "log_likelihood": lambda a, y: -y * torch.log(a),
             "poisson": lambda a, y: a - y * torch.log(a)}
    sigma = functions.get(activation) or getattr(functional, activation, None) or torch.tanh
    net = network(activation=[activation, activation, "softmax"], cost=cost)
    layers = len(net.weights)
    parameters = tuple(torch.tensor(np.array(p)) for p in [*net.biases, *net.weights])
    x, y = torch.tensor(X), torch.tensor(Y)

    def forward(a, *parameters):
        for at in range(layers):
            z = a @ parameters[layers + at].T + parameters[at][:, 0]
            a = torch.softmax(z, dim=-1) if at == layers - 1 else sigma(z)
        return a

    def total_cost(*parameters):
        return costs[cost](forward(x, *parameters), y).sum() / len(x)

    slopes = torch.func.vmap(torch.func.jacrev(lambda a: forward(a, *parameters)))(x)
    np.testing.assert_allclose(inspect.jacobian(net, X), slopes, rtol=1e-9, atol=1e-12)
    by_input = torch.func.grad(lambda a: costs[cost](forward(a, *parameters), y).sum())(x)
    np.testing.assert_allclose(inspect.input_gradient(net, X, Y), by_input, rtol=1e-9, atol=1e-12)
    v = tuple(torch.tensor(rng.standard_normal(p.shape)) for p in parameters)
    expected = torch.autograd.functional.hvp(total_cost, parameters, v)[1]
    h_b, h_w = inspect.hessian_vector(net, X, Y, ([p.numpy() for p in v[:layers]],
                                                  [p.numpy() for p in v[layers:]]))
    close(h_b + h_w, [p.numpy() for p in expected], 1e-10)


# ---- summary ----


def test_summary():
    net = network((784, 30, 10), "float32")
    summary = net.summary()
    assert isinstance(summary, inspect.Summary)
    assert (summary.parameters, summary.forward, summary.training) == (23860, 23820, 47940)
    assert summary.bytes == net.engine.core.parameters.nbytes > 4 * 23860
    assert summary.layers[0][:4] == (784, 30, "sigmoid", 23550)
    mixed = network((2, 3, 2), activation=[{("elu", 0.5): 2, "relu": 1}, "softmax"]).summary()
    assert [layer.activation for layer in mixed.layers] == ["2 elu(0.5), 1 relu", "softmax"]
    assert len(str(mixed).splitlines()) == 5


# ---- bad input ----

ONE = X[0], Y[0]


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda net: inspect.trace([1], *ONE), TypeError, r"^net must be a Network, got \[1\]$"),
    (lambda net: inspect.trace(net, X[:, :2], Y), ValueError,
     r"^x must have sizes\[0\] = 3 columns, got shape \(9, 2\)$"),
    (lambda net: inspect.trace(net, X, Y[:3]), ValueError, "^y must be 9 labels or have shape "),
    (lambda net: inspect.trace(net, X[:0], Y[:0]), ValueError, "^x must hold at least one example"),
    (lambda net: inspect.trace(net, X * np.nan, Y), ValueError, "^x must be finite, got nan"),
    (lambda net: inspect.trace(net, X, Y).table(9), ValueError,
     r"^example must be an integer in 0\.\.8, for there are 9 examples, got 9$"),
    (lambda net: inspect.demon(net, *ONE, 3, 0, 0.1), ValueError,
     r"^layer must be an integer in 0\.\.2, for layers are counted as net\.weights, got 3$"),
    (lambda net: inspect.demon(net, *ONE, "0", 0, 0.1), TypeError, "^layer must be an integer in "),
    (lambda net: inspect.demon(net, *ONE, True, 0, 0.1), TypeError, "^layer must be an integer in"),
    (lambda net: inspect.demon(net, *ONE, 1, 4, 0.1), ValueError,
     r"^neuron must be an integer in 0\.\.3, for layer 1 has 4 neurons, got 4$"),
    (lambda net: inspect.demon(net, *ONE, 1, -1, 0.1), ValueError, "^neuron must be an integer in"),
    (lambda net: inspect.demon(net, *ONE, 1, 1, np.inf), ValueError, "^dz must be a finite number"),
    (lambda net: inspect.demon(net, *ONE, 1, 1, "x"), TypeError, "^dz must be a finite number"),
    (lambda net: inspect.demon(net, X, Y, 1, 1, 0.1), ValueError,
     r"^x must be one example, got 9 rows$"),
    (lambda net: inspect.paths(net, X, Y, 1, 1, 1), ValueError, "^x must be one example, got 9 "),
    (lambda net: inspect.paths(net, *ONE, 1, 4, 1), ValueError,
     r"^j must be an integer in 0\.\.3, for layer 1 has 4 neurons, got 4$"),
    (lambda net: inspect.paths(net, *ONE, 1, 1, 5), ValueError,
     r"^k must be an integer in 0\.\.4, for a neuron of layer 1 has 5 weights, got 5$"),
    (lambda net: inspect.gradient_check(net, X, Y, sample=0), ValueError,
     "^sample must be an integer of at least 1, got 0$"),
    (lambda net: inspect.gradient_check(net, X, Y, eps=0), ValueError,
     "^eps must be a number of at least 1e-12 and below 1, got 0$"),
    (lambda net: inspect.gradient_check(net, X, Y, tolerance="x"), TypeError,
     "^tolerance must be a number above 0, got 'x'$"),
    (lambda net: inspect.gradient_check(net, X, Y, sample=1, seed=-1), ValueError,
     "^seed must be None, a Generator or a non-negative integer, got -1$"),
    (lambda net: inspect.saturation(net, X, threshold=0), ValueError,
     "^threshold must be a number above 0, got 0$"),
    (lambda net: inspect.saturation(net, X[:0]), ValueError, "^x must hold at least one example"),
    (lambda net: inspect.Saturation(X, threshold=-1), ValueError, "^threshold must be a number"),
    (lambda net: inspect.jacobian(net, X[:, :2]), ValueError, r"^x must have sizes\[0\] = 3 "),
    (lambda net: inspect.jacobian(None, X), TypeError, "^net must be a Network, got None$"),
    (lambda net: inspect.hessian_vector(net, X, Y, 3), TypeError,
     r"^v must be \(biases, weights\), as backprop returns them, got 3$"),
    (lambda net: inspect.hessian_vector(net, X, Y, ([], [])), ValueError,
     r"^v\[0\] must be 3 arrays, got 0$"),
    (lambda net: inspect.hessian_vector(net, X, Y, (list(net.weights), list(net.biases))),
     ValueError, r"^v\[0\]\[0\] must have shape \(5, 1\), got \(5, 3\)$"),
    (lambda net: inspect.hessian_vector(
        net, X, Y, (list(net.biases), [w * np.nan for w in net.weights])),
     ValueError, r"^v\[1\]\[0\] must be finite, got nan at \[0, 0\]$"),
])
def test_bad_input(call, error, match):
    with one_line(error, match):
        call(network())


def test_inspect_is_imported_when_it_is_used():
    code = ("import sys, cbackprop; assert 'cbackprop.inspect' not in sys.modules; "
            "assert 'inspect' in dir(cbackprop); cbackprop.inspect.trace")
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'inspected'"):
        _ = cbackprop.inspected

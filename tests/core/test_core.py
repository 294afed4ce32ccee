"""Second step of the proof: every build of the core against the reference, equation by equation."""

import itertools

import numpy as np
import pytest
from cases import MIXED, Case, lanes
from pairs import PAIRS, SOME_PAIRS, UNIT
from reference import (
    ACTIVATIONS,
    COSTS,
    DEEP,
    of_name,
    output_error,
    random_order,
    times_sigma_prime,
)

from cbackprop import layers
from cbackprop.core import _dispatch, _runtime


def etas(eta, n=1300):
    """The same learning rate for every mini-batch."""
    return np.full(n, eta)


def edges(build):
    n = lanes(build)
    return [1, n - 1, n, n + 1, 2 * n + 1, 2 * n + 2]


def test_a_build_has_its_real_type(any_build):
    isa, real = any_build
    assert real == _dispatch.load(real, isa).REAL


# ---- each equation ----


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_25_feedforward(build, activation):
    for n, k, j in itertools.product([1, 3, 10], edges(build), edges(build)):
        case = Case(build, [k, j], output=activation, n=n)
        case.close(case.core.feedforward(case.x), case.reference.forward(case.x)[1][-1])


def test_25_feedforward_on_all_strips(build):
    for n in [*range(1, 30), 63, 511, 512, 513, 1025]:
        case = Case(build, [37, 5 * lanes(build) + 3, 2], n=n)
        case.close(case.core.feedforward(case.x), case.reference.forward(case.x)[1][-1])


def test_25_feedforward_of_deep_products(build):
    for k in (255, 256, 257, 700):
        for n in (5, 40):
            case = Case(build, [k, 9 * lanes(build) + 1], output="identity", n=n)
            case.close(case.core.feedforward(case.x), case.reference.forward(case.x)[1][-1])


@pytest.mark.parametrize(("cost", "activation"), PAIRS)
def test_bp1_output_error(build, cost, activation):
    for n, j in itertools.product([1, 3, 10], edges(build)):
        case = Case(build, [4, j], output=activation, cost=cost, n=n)
        if activation == "softmax" and j == 1:
            continue  # a = 1: the cost may be infinite, or at its kink
        z = case.reference.forward(case.x)[0][-1]
        delta = case.trace()[0]["delta"]
        case.close(delta[-1], output_error(cost, activation, z, case.y), terms=100)


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_bp2_backpropagate_error(build, hidden):
    for n, k, j in itertools.product([1, 10, 30], edges(build), [1, lanes(build) + 1, 300]):
        case = Case(build, [3, k, j], hidden=hidden, n=n)
        delta = case.trace()[0]["delta"]
        z = case.reference.forward(case.x)[0][0]
        expected = delta[1].astype(float) @ case.reference.weights[1]
        case.close(delta[0], times_sigma_prime(expected, hidden, z))


def test_bp2_of_relu_in_many_panels(build):
    """Its sigma' is part of each product's tiles, those whose rows are packed among them."""
    for j in (1, 2, lanes(build) + 1, 300):
        case = Case(build, [3, 18 * lanes(build) + 1, j], hidden="relu", n=40)
        signals, _, _ = case.trace()
        delta, a = signals["delta"], signals["a"][0]
        expected = (a > 0) * (delta[1].astype(float) @ case.reference.weights[1])
        assert 0.2 < (a > 0).mean() < 0.8
        case.close(delta[0], expected, terms=j)
        assert (delta[0][a <= 0] == 0).all()


def test_bp3_bias_gradient(build):
    for n, j in itertools.product([1, 3, 10], edges(build)):
        case = Case(build, [3, j, 2], n=n)
        signals, nabla, _ = case.trace()
        delta = signals["delta"]
        _, nabla_b = case.core.views(nabla)
        for layer in range(2):
            case.close(nabla_b[layer][:, 0], delta[layer].astype(float).sum(axis=0))


def test_bp4_weight_gradient(build):
    for n, k, j in itertools.product([1, 3, 10, 300], edges(build), edges(build)):
        case = Case(build, [k, j, 2], n=n)
        signals, nabla, _ = case.trace()
        a, delta = signals["a"], signals["delta"]
        nabla_w, _ = case.core.views(nabla)
        for layer, a_prev in enumerate([case.x, a[0]]):
            expected = delta[layer].astype(float).T @ a_prev.astype(float)
            case.close(nabla_w[layer], expected, terms=n)


def test_trace_refuses_more_than_a_slice(build):
    case = Case(build, [2, 2], n=513)
    with pytest.raises(ValueError, match="trace takes at most 512 rows, got 513"):
        case.trace()


# ---- together ----


@pytest.mark.parametrize(("cost", "activation", "hidden"), [
    *((*pair, "sigmoid") for pair in PAIRS),
    *(("cross_entropy", "softmax", hidden) for hidden in DEEP)])
def test_backprop_is_the_average_gradient(build, cost, activation, hidden):
    case = Case(build, [7, 5, 6, 3], hidden=hidden, output=activation, cost=cost, n=9)
    nabla = np.zeros_like(case.core.parameters)
    case.core.backprop(case.rows, case.targets, nabla)
    nabla_w, nabla_b = case.core.views(nabla)
    expected_b, expected_w = case.reference.backprop(case.x, case.y)
    for actual, expected in zip(nabla_w + nabla_b, expected_w + expected_b, strict=True):
        case.close(actual, expected, terms=100)


@pytest.mark.parametrize("sizes", [
    (1, 1), (3, 1), (1, 2, 1), (2, 3, 4, 5), (16, 16, 16), (17, 33, 65, 3), (784, 30, 10),
    (5,) * 21, (40, 300, 300, 10),
], ids=str)
@pytest.mark.parametrize("mini_batch_size", [1, 3, 10, 23])
def test_an_epoch(build, sizes, mini_batch_size):
    n = 23  # not divisible by 3 or 10: the last mini-batch is shorter
    case = Case(build, sizes, n=n)
    order = np.random.default_rng(1).permutation(n)
    done, cost = case.core.sgd(case.rows, case.targets, order, mini_batch_size, etas(0.5), 0, n)
    first_cost = case.reference.total_cost(case.x, case.y) * n
    case.reference.epoch(case.x, case.y, order, mini_batch_size, 0.5)
    assert done == n
    for actual, expected in zip(case.weights + case.biases,
                                case.reference.weights + case.reference.biases, strict=True):
        case.close(actual, expected, terms=100)
    if mini_batch_size == n:
        case.close(cost, first_cost, terms=n)
    assert not case.core.parameters[case.padding()].any()


def test_an_epoch_in_chunks_is_the_same_epoch(build):
    whole, parts = Case(build, [9, 7, 3], n=50), Case(build, [9, 7, 3], n=50)
    order = np.arange(50)
    whole.core.sgd(whole.rows, whole.targets, order, 8, etas(0.5), 0, 50)
    done = 0
    while done < 50:
        done, _ = parts.core.sgd(parts.rows, parts.targets, order, 8, etas(0.5), done,
                                 min(50, done + 9))
    np.testing.assert_array_equal(whole.core.parameters, parts.core.parameters)


@pytest.mark.parametrize("n", [512, 513, 1300])
def test_a_mini_batch_of_many_slices(build, n):
    case = Case(build, [20, 11, 3], n=n)
    case.core.sgd(case.rows, case.targets, np.arange(n), n, etas(2.0), 0, n)
    case.reference.update_mini_batch(case.x, case.y, 2.0)
    for actual, expected in zip(case.weights + case.biases,
                                case.reference.weights + case.reference.biases, strict=True):
        case.close(actual, expected, terms=n)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("outputs", [1, 3])
def test_steps_together_with_another_process(build, outputs, threads):
    """The sums of this process's 20 rows, and another's 10, are the steps of one with all 30."""
    case, other = (Case(build, [9, 7, outputs], n=30) for _ in range(2))
    own = build.Rows(case.x[:20]), build.Targets(case.y[:20])
    sums, calls = build.aligned(case.core.parameters.size), []

    def exchange(layer):
        calls.append(layer)
        if layer == -1:
            step = calls.count(-1) - 1
            theirs = slice(20 + 2 * step, 22 + 2 * step)
            other.core.parameters[...] = case.core.parameters
            nabla = np.zeros_like(sums)
            other.core.backprop(
                build.Rows(other.x[theirs]), build.Targets(other.y[theirs]), nabla)
            sums[...] += nabla * 2 / 6

    optimizer = build.OptimizerState(case.core, "sgd")
    optimizer.set({}, np.zeros(2, build.REAL))
    done, cost = 0, 0.0
    while done < 5:  # a team that waits too long leaves early
        taken, cost = case.core.sgd_together(
            *own, np.arange(20), np.arange(done, 6) * 4, np.zeros(5 - done, np.intp),
            np.full(5 - done, 6.0), etas(0.5, 5 - done), optimizer, exchange, sums, cost, threads)
        done += taken
    assert calls == [1, 0, -1] * 5
    assert optimizer.steps == 5
    order = [row for k in range(5) for row in (*range(4 * k, 4 * k + 4), 20 + 2 * k, 21 + 2 * k)]
    case.reference.epoch(case.x, case.y, np.array(order), 6, 0.5)
    for actual, expected in zip(case.weights + case.biases,
                                case.reference.weights + case.reference.biases, strict=True):
        case.close(actual, expected, terms=30)


def test_a_step_whose_sums_never_come_changes_nothing(build):
    case = Case(build, [9, 7, 3], n=8)
    before, sums = case.core.parameters.copy(), build.aligned(case.core.parameters.size)
    optimizer = build.OptimizerState(case.core, "sgd")
    optimizer.set({}, np.zeros(2, build.REAL))

    def exchange(layer):
        if layer == -1:
            raise ConnectionError("the other process is gone")

    with pytest.raises(ConnectionError, match="is gone"):
        case.core.sgd_together(
            case.rows, case.targets, np.arange(8), np.array([0, 8]), np.zeros(1, np.intp),
            np.array([8.0]), etas(0.5, 1), optimizer, exchange, sums)
    np.testing.assert_array_equal(case.core.parameters, before)
    with pytest.raises(ValueError, match="starts must not fall"):
        case.core.sgd_together(
            case.rows, case.targets, np.arange(8), np.array([0, 4, 2]), np.zeros(2, np.intp),
            np.full(2, 4.0), etas(0.5, 2), optimizer)


@pytest.mark.parametrize(("cost", "activation"), SOME_PAIRS)
def test_narrow_outputs(build, cost, activation):
    """Examples are the lanes of a last layer of few neurons: all of it, against the reference."""
    half = lanes(build) // 2
    for j, k, n in itertools.product([1, 2, half, half + 1], [1, lanes(build) + 1],
                                     [1, 2, lanes(build) + 1, 600]):
        if activation == "softmax" and j == 1:
            continue
        case = Case(build, [3, k, j], output=activation, cost=cost, n=n)
        case.close(case.core.feedforward(case.x), case.reference.forward(case.x)[1][-1])
        a = case.reference.forward(case.x)[1][-1]
        correct, total = case.core.evaluate(case.rows, case.targets)
        threshold = layers.threshold(cost)
        decided = [(v > threshold)[:, 0] if j == 1 else v.argmax(axis=1) for v in (a, case.y)]
        assert correct == (decided[0] == decided[1]).sum()
        case.close(total / n, COSTS[cost][0](a, case.y).mean(), terms=100)
        m = n // 3 + 1
        case.core.sgd(case.rows, case.targets, np.arange(n), m, etas(0.1), 0, n)
        case.reference.epoch(case.x, case.y, np.arange(n), m, 0.1)
        for actual, expected in zip(case.weights + case.biases,
                                    case.reference.weights + case.reference.biases, strict=True):
            case.close(actual, expected, terms=100)
        assert not case.core.parameters[case.padding()].any()


def test_evaluate(build):
    for cost, activation in PAIRS:
        case = Case(build, [6, 5, 4], output=activation, cost=cost, n=600)
        a = case.reference.forward(case.x)[1][-1]
        correct, total = case.core.evaluate(case.rows, case.targets)
        assert correct == (a.argmax(axis=1) == case.y.argmax(axis=1)).sum()
        case.close(total / 600, COSTS[cost][0](a, case.y).mean())


# ---- rows and targets in all their forms ----


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("scaled", ["no", "one", "each"])
@pytest.mark.parametrize("width", [5, 16, 67])
def test_rows_of_every_type_and_scale(build, kind, scaled, width):
    rng = np.random.default_rng(3)
    scales = {"no": 1.0, "one": 1 / 255,
              "each": rng.random(width).astype(build.REAL)}[scaled]
    case = Case(build, [width, 9, 3], n=30, scales=scales)
    raw = rng.integers(0, 256, (30, width)).astype(kind)
    raw.flags.writeable = False
    x = raw * np.asarray(scales, dtype=float)
    case.reference.weights[0] /= 100  # keeps neurons out of saturation
    case.weights[0][...] /= 100
    rows = build.Rows(raw)
    case.close(case.core.feedforward(raw), case.reference.forward(x)[1][-1], terms=255 * width)
    order = rng.permutation(30)
    case.core.sgd(rows, case.targets, order, 4, etas(0.01), 0, 30)
    case.reference.epoch(x, case.y, order, 4, 0.01)
    for actual, expected in zip(case.weights, case.reference.weights, strict=True):
        case.close(actual, expected, terms=255 * width)


@pytest.mark.parametrize("classes", [2, 40])
def test_labels_are_one_hot_rows(build, classes):
    by_label, by_row = (Case(build, [6, 5, classes], n=20) for _ in range(2))
    labels = np.arange(20, dtype=np.intc) % classes
    one_hot = np.eye(classes, dtype=build.REAL)[labels]
    for case, y in ((by_label, labels), (by_row, one_hot)):
        case.core.sgd(case.rows, build.Targets(y), np.arange(20), 3, etas(1.0), 0, 20)
    np.testing.assert_array_equal(by_label.core.parameters, by_row.core.parameters)


def test_rows_say_whether_they_are_finite(build):
    for kind in ("float32", "float64"):
        for where in (0, 15, 16, 70):
            for bad in (np.nan, np.inf, -np.inf):
                x = np.ones((1, 71), dtype=kind)
                assert build.Rows(x).all_finite()
                x[0, where] = bad
                assert not build.Rows(x).all_finite()
                assert Case(build, [71, 2]).core.feedforward(x) is None
    assert build.Rows(np.full((3, 4), 255, dtype=np.uint8)).all_finite()


def test_parameters_say_whether_they_are_finite(build):
    case = Case(build, [4, 3])
    assert case.core.all_finite()
    for bad in (np.nan, np.inf):
        case.weights[0][1, 2] = bad
        assert not case.core.all_finite()


# ---- the edges of arithmetic and of memory ----


@pytest.mark.parametrize(("outputs", "output"), [(3, "softmax"), (1, "sigmoid"), (5, "sigmoid")])
def test_poisoned_padding_changes_nothing(build, outputs, output):
    """No result depends on a lane beyond the last neuron, whatever lies there."""
    clean, poisoned = (Case(build, [5, lanes(build) + 1, outputs], output=output,
                            cost="cross_entropy", n=26) for _ in range(2))
    poisoned.core.parameters[poisoned.padding()] = np.nan
    for case in (clean, poisoned):
        case.core.sgd(case.rows, case.targets, np.arange(26), 8, etas(0.5), 0, 26)
    for a, b in zip(clean.weights + clean.biases, poisoned.weights + poisoned.biases, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(clean.core.feedforward(clean.x),
                                  poisoned.core.feedforward(poisoned.x))
    assert (clean.core.evaluate(clean.rows, clean.targets)
            == poisoned.core.evaluate(poisoned.rows, poisoned.targets))


@pytest.mark.parametrize(("cost", "activation"), [
    (cost, activation) for cost, activation in itertools.product(COSTS, ACTIVATIONS)
    if activation != "exponential"])  # e^10000 is beyond any real type, and so is its square
@pytest.mark.parametrize("z", [1e4, -1e4])
def test_saturated_neurons_stay_finite(build, cost, activation, z):
    case = Case(build, [3, 4, 5], output=activation, cost=cost, n=8)
    for w, b in zip(case.weights, case.biases, strict=True):
        w[...] = 0
        b[...] = z
    case.biases[-1][1] = -z
    labels = np.arange(8, dtype=np.intc) % 5
    counts = build.Targets(np.full((8, 5), 100, dtype=build.REAL))
    for targets in (case.targets, build.Targets(labels), counts):
        signals, nabla, _ = case.trace(targets)
        a, delta = signals["a"], signals["delta"]
        _, total = case.core.evaluate(case.rows, targets)
        assert all(np.isfinite(v).all() for v in [*a, *delta, nabla])
        assert np.isfinite(total)
    if activation in UNIT:
        assert a[-1].min() >= 0
        assert a[-1].max() <= 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_stays_nan(build, activation):
    for outputs in (2, lanes(build) + 1):
        case = Case(build, [3, outputs], output=activation)
        case.biases[0][...] = np.nan
        assert np.isnan(case.trace()[0]["a"][0]).all()


@pytest.mark.parametrize("outputs", [5, 40])
@pytest.mark.parametrize("weighted", [False, True])
def test_neurons_of_one_layer_may_differ(build, outputs, weighted):
    """Runs begin and end anywhere in a vector, hidden and in outputs, narrow ones too."""
    for cost, first in itertools.product(["quadratic", "absolute", "cosine"],
                                         [1, 2, lanes(build), lanes(build) + 1]):
        hidden = [("relu", first), ("sine", 1), (("elu", 0.5), lanes(build)), ("tanh", 1)]
        output = [*MIXED[:-1], ("gelu", outputs - 4)]
        sizes = [3, first + lanes(build) + 2, outputs]
        case = Case(build, sizes, hidden=hidden, output=output, cost=cost, n=26)
        weights = np.linspace(0, 2, 26).astype(build.REAL) if weighted else None
        targets = build.Targets(case.y, weights)
        case.close(case.core.feedforward(case.x), case.reference.forward(case.x)[1][-1])
        nabla = np.zeros_like(case.core.parameters)
        case.core.backprop(case.rows, targets, nabla)
        nabla_w, nabla_b = case.core.views(nabla)
        expected_b, expected_w = case.reference.backprop(case.x, case.y, weights)
        for actual, expected in zip(nabla_w + nabla_b, expected_w + expected_b, strict=True):
            case.close(actual, expected, terms=100)
        _, total = case.core.evaluate(case.rows, targets)
        case.close(total / 26, case.reference.total_cost(case.x, case.y, weights), terms=100)


@pytest.mark.parametrize(("cost", "output"), [
    (("huber", 0.2), "tanh"), ("quadratic", ("leaky_relu", 0.3)), ("quadratic", ("relu6", 0.3)),
    ("absolute", ("elu", 0.25)), (("cross_entropy", 0.45), "sigmoid"),
    (("poisson", 1.0), "exponential"), (("quantile", 0.9), "identity"),
    (("focal", 0.5), "sigmoid"), (("focal", 0.0), "softmax"), (("focal", 3.25), "softmax"),
    (("cross_entropy", 0.0, 0.1), "sigmoid"), (("cross_entropy", 0.0, 0.1), "softmax"),
    (("log_likelihood", 0.0, 0.3), "softmax"), (("log_likelihood", 0.0, 0.3), "sigmoid")])
def test_parameters_of_functions(build, cost, output):
    for j in (2 if output == "softmax" else 1, lanes(build) + 1):
        case = Case(build, [4, j], output=output, cost=cost)
        z, a = (v[-1] for v in case.reference.forward(case.x))
        case.close(case.trace()[0]["delta"][0], output_error(cost, output, z, case.y))
        total = case.core.evaluate(case.rows, case.targets)[1]
        case.close(total, of_name(COSTS, cost, 0)(a, case.y).sum(), terms=100)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("outputs", [2, 40])
def test_weights_of_examples(build, cost, outputs):
    """A weight of 2 is the example twice, of 0 none; over more slices than one too."""
    for output in ("sigmoid", "softmax"):
        case = Case(build, [5, 4, outputs], output=output, cost=cost, n=600)
        weights = np.random.default_rng(4).integers(0, 3, 600)
        targets = build.Targets(case.y, weights.astype(build.REAL))
        again = np.repeat(np.arange(600), weights)
        nabla = [np.zeros_like(case.core.parameters) for _ in range(2)]
        case.core.backprop(case.rows, targets, nabla[0])
        case.core.backprop(build.Rows(case.x[again]), build.Targets(case.y[again]), nabla[1])
        case.close(nabla[0] * 600, nabla[1] * len(again), terms=1e4)
        total = case.core.evaluate(build.Rows(case.x[again]), build.Targets(case.y[again]))[1]
        case.close(case.core.evaluate(case.rows, targets)[1], total)
        order = np.arange(600)
        weighted, plain = Case(build, [5, 4, 2], n=600), Case(build, [5, 4, 2], n=600)
        weighted.core.sgd(weighted.rows, build.Targets(weighted.y, np.full(600, 0.5, build.REAL)),
                          order, 7, etas(1.0), 0, 600)
        plain.core.sgd(plain.rows, plain.targets, order, 7, etas(0.5), 0, 600)
        weighted.close(weighted.core.parameters, plain.core.parameters, terms=100)


def test_softmax_of_few_and_of_many_examples(build):
    """Bit by bit the same, whether neurons or examples are the lanes."""
    for j in (2, lanes(build), lanes(build) + 1, 4 * lanes(build), 4 * lanes(build) + 1):
        case = Case(build, [1, j], output="softmax", n=2 * lanes(build) + lanes(build) // 2 + 1)
        together = case.core.feedforward(case.x)
        alone = [case.core.feedforward(case.x[i : i + 1])[0] for i in range(len(case.x))]
        np.testing.assert_array_equal(together, alone)
        case.close(together, case.reference.forward(case.x)[1][-1])


@pytest.mark.parametrize("cost", ["log_likelihood", "kl_divergence"])
def test_costs_of_neurons_whose_y_is_not_zero(build, cost):
    """Classes, several of them, and distributions; and rows of nothing."""
    rng = np.random.default_rng(6)
    for j, n, share in itertools.product(edges(build)[1:], [1, 2, 9, 600], [0.0, 0.1, 0.5, 1.0]):
        case = Case(build, [3, j], output="softmax", cost=cost, n=n)
        case.y *= rng.random(case.y.shape) < share
        case.y[:: 2, j // 2] = 1
        a = case.reference.forward(case.x)[1][-1]
        y = np.maximum(case.y.astype(float), 1e-300)  # 0 ln 0 = 0
        _, total = case.core.evaluate(case.rows, case.targets)
        case.close(total, COSTS[cost][0](a, y).sum(), terms=100)


def test_costs_to_the_last_places(build):
    """-ln of softmax's first is ln(1 + e^z): from what rounds to 1 to beyond the smallest real."""
    core = build.Core((1, 2), ["softmax"], "log_likelihood", 1.0)
    weights, _ = core.views(core.parameters)
    weights[0][...] = [[0], [1]]
    label = build.Targets(np.array([0], dtype=np.intc))
    for z in (-80.0, -20.0, -3.0, -0.1, 0.5, 2.0, 40.0, 1000.0):
        x = np.array([[z]], dtype=build.REAL)
        _, cost = core.evaluate(build.Rows(x), label)
        right = np.logaddexp(0, float(x[0, 0]))
        assert abs(cost - right) <= 4 * np.finfo(build.REAL).eps * right


# ---- the order of rows ----


def test_random_order_is_splitmix64s():
    for n, seed in ((0, 1), (1, 2), (2, 3), (1000, 2**64 - 1)):
        order = _runtime.random_order(n, seed)
        assert order.dtype == np.intp
        assert list(order) == random_order(n, seed)
        assert sorted(order) == list(range(n))


def test_random_order_has_no_favourites():
    """Each of the 24 orders of four, 24,000 times; chi-squared, 23 degrees of freedom."""
    seeds = np.random.default_rng(5).integers(2**64, size=24_000, dtype=np.uint64)
    orders = np.array([_runtime.random_order(4, int(seed)) for seed in seeds])
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 49.7  # one in a thousand is above


# ---- what benchmarks measure with ----


def test_read_over_counts_its_bytes(build):
    array = np.ones(1 << 12, dtype=build.REAL)
    assert build.read_over(array, 3) == 3 * array.nbytes
    assert build.read_over(array[:0], 3) == 0


@pytest.mark.parametrize("outputs", [1, 20])
def test_a_step_alone_leaves_the_parameters(build, outputs):
    case = Case(build, [6, 5, outputs], n=30)
    before = case.core.parameters.copy()
    seconds = {
        (step, layer): build.step_seconds(case.core, case.rows, case.targets, np.arange(30), 10,
                                          step, layer, 3)
        for step in build.STEPS for layer in range(2)}
    only_first = {"gather", "BP2", "sigma_prime"}
    only_last = {"targets", "BP1", "cost"}
    for (step, layer), taken in seconds.items():
        missing = step in (only_first if layer else only_last)
        assert taken is None if missing else taken >= 0
    np.testing.assert_array_equal(case.core.parameters, before)


def test_peak_chain_counts_its_operations(build):
    assert build.peak_chain(2) > 0
    assert build.peak_chain(4) == 2 * build.peak_chain(2)


def test_the_same_call_gives_the_same_bits(build):
    cases = [Case(build, [33, 65, 10], n=64) for _ in range(2)]
    for case in cases:
        case.core.sgd(case.rows, case.targets, np.arange(64), 10, etas(0.5), 0, 64)
    np.testing.assert_array_equal(cases[0].core.parameters, cases[1].core.parameters)

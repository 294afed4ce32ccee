"""Every optimizer and regulariser, in every build, against the published rules in NumPy."""

import copy
import pickle

import numpy as np
import pytest
from cases import Case, lanes
from reference import OPTIMIZERS, mask, optimized

import cbackprop
from cbackprop import Network, optimizers

OTHER = {  # numbers than the defaults
    "nesterov": {"momentum": 0.8}, "rmsprop": {"rho": 0.9}, "adam": {"beta2": 0.99},
}
NUMBERS = {name: kind(**OTHER.get(name, {})).hyperparameters()
           for name, kind in optimizers.KNOWN.items()}
REGULARISERS = {
    "none": {}, "l2": {"l2": 0.3}, "l1": {"l1": 0.02}, "weight_decay": {"weight_decay": 0.2},
    "clip_value": {"clip_value": 0.003}, "clip_norm": {"clip_norm": 0.01},
    "max_norm": {"max_norm": 0.8},
    "all": {"l2": 0.1, "l1": 0.01, "weight_decay": 0.1, "clip_value": 0.01, "clip_norm": 0.05,
            "max_norm": 0.9},
}


def state_of(case, optimizer, rates=None, noise=0.0, **rules):
    state = case.build.OptimizerState(case.core, optimizer)
    rates = np.zeros(len(case.sizes) - 1) if rates is None else np.asarray(rates)
    state.set(NUMBERS[optimizer], rates.astype(case.real), seed=7, noise=noise, **rules)
    return state


def steps_agree(build, optimizer, sizes, m, rates=None, **rules):
    eta = 0.05
    case = Case(build, sizes, n=3 * m)
    state = state_of(case, optimizer, rates, **rules)
    for slot in optimizers.ROWS[optimizer].starts_at_eta:
        state.slots[slot][...] = eta
    states = [{} for _ in range(2 * len(sizes))]
    for step in range(1, 4):
        batch = slice((step - 1) * m, step * m)
        case.core.sgd(case.rows, case.targets, np.arange(3 * m), m, np.full(1, eta),
                      batch.start, batch.stop, state)
        masks = rates and [mask(rate, 7, step, layer, (m, width))
                           for layer, (rate, width) in enumerate(zip(rates, sizes, strict=False))]
        optimized(case.reference, states, case.x[batch], case.y[batch], step, eta, optimizer,
                  NUMBERS[optimizer], masks=masks, **rules)
    assert state.steps == 3
    # Adam's first step is eta times the sign of g, whatever its size: float32 may round that away.
    bound = 1e-11 if build.REAL == "float64" else 0.006
    for actual, expected in zip(case.weights + case.biases,
                                case.reference.weights + case.reference.biases, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)
    return case


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rules", REGULARISERS.values(), ids=REGULARISERS)
def test_steps_follow_the_published_rules(build, optimizer, rules):
    for sizes in ((5, lanes(build) + 1, 2), (6, 3 * lanes(build), 2 * lanes(build) + 3)):
        case = steps_agree(build, optimizer, sizes, 7, **rules)
        assert not case.core.parameters[case.padding()].any()
    if rules in (REGULARISERS["none"], REGULARISERS["all"]):
        steps_agree(build, optimizer, (40, 30, 3), 600, **rules)  # slices: the gradient first
        steps_agree(build, optimizer, (80, 70, 60), 130, **rules)  # deep tiles


def test_epsilon_hat_stands_before_the_correction(build, monkeypatch):
    numbers = optimizers.Adam(epsilon=0, epsilon_hat=0.03).hyperparameters()
    monkeypatch.setitem(NUMBERS, "adam", numbers)
    steps_agree(build, "adam", (20, 33, 2), 9)


@pytest.mark.parametrize("given", [
    {"beta1": 0.9}, {"momentum": 0.9, "beta1": 0.9}, {}], ids=["other", "more", "none"])
def test_numbers_are_those_of_the_optimizer(build, given):
    state = build.OptimizerState(Case(build, (3, 2), n=1).core, "momentum")
    with pytest.raises(ValueError, match=r"^numbers must be \['momentum'\], got "):
        state.set(given, np.zeros(1, build.REAL))


@pytest.mark.parametrize("m", [7, 600])
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_weighed_mini_batches_are_weighted_means(build, optimizer, m):
    """The gradient, l2 and the cost, all as if weights summed up to the length."""
    n = 2 * m + 3
    weights = np.random.default_rng(3).random(n) + 0.1
    weighed, plain = (Case(build, (5, 33, 2), n=n) for _ in range(2))
    l2, penalty = 0.7, 0.3
    state = state_of(weighed, optimizer, l2=l2)
    state.divide_by_weight(penalty)
    _, cost = weighed.core.sgd(
        weighed.rows, build.Targets(weighed.y, weights.astype(build.REAL)), np.arange(n), m,
        np.full(3, 0.05), 0, n, state)
    other = build.OptimizerState(plain.core, optimizer)
    expected = 0.0
    for first in range(0, n, m):
        batch = slice(first, min(n, first + m))
        share = (batch.stop - first) / weights[batch].sum()
        other.set(NUMBERS[optimizer], np.zeros(2, build.REAL),
                  l2=share * l2 / (batch.stop - first))
        squares = sum(float((w.astype(float) ** 2).sum()) for w in plain.weights)
        targets = build.Targets(plain.y, (share * weights).astype(build.REAL))
        expected += share * penalty * squares
        expected = plain.core.sgd(plain.rows, targets, np.arange(n), m, np.full(1, 0.05), first,
                                  batch.stop, other, expected)[1]
    assert cost == pytest.approx(expected, rel=1e-4 if build.REAL == "float32" else 1e-12)
    for w, wanted in zip(weighed.weights, plain.weights, strict=True):
        np.testing.assert_allclose(w, wanted, atol=1e-3 if build.REAL == "float32" else 1e-12)


@pytest.mark.parametrize("sizes", [(6, 5, 4), (20, 40, 33, 2), (3, 90, 17)], ids=str)
@pytest.mark.parametrize("m", [1, 9, 600])
def test_dropout_is_a_mask_of_seed_step_layer_example_and_neuron(build, sizes, m):
    rates = [0.2, 0.5, 0.25][:len(sizes) - 1]
    for optimizer in ("sgd", "momentum"):
        steps_agree(build, optimizer, sizes, m, rates)
    steps_agree(build, "sgd", sizes, m, [0, *rates[1:]])


def test_dropout_leaves_out_as_many_as_it_says():
    kept = mask(0.3, 5, 2, 1, (1000, 100))
    assert abs((kept == 0).mean() - 0.3) < 4 * np.sqrt(0.21 / 1e5)
    assert kept.max() == 1 / 0.7
    other = mask(0.3, 5, 3, 1, (1000, 100))
    assert abs(np.corrcoef(kept.ravel(), other.ravel())[0, 1]) < 0.02


def test_noise_is_normal(build):
    """What a linear neuron's first gradient shows of it: x + noise, with x = 0."""
    n = 20_000
    case = Case(build, [n, 1], output="identity", n=1)
    case.x[...] = 0
    case.core.parameters[...] = 0
    case.y[...] = -1
    case.core.sgd(case.rows, case.targets, np.arange(1), 1, np.ones(1), 0, 1,
                  state_of(case, "sgd", noise=0.5))
    drawn = -case.weights[0][0].astype(float)
    assert abs(drawn.mean()) < 4 * 0.5 / np.sqrt(n)
    assert abs(drawn.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * n)
    ordered = np.sort(drawn / 0.5)
    assert abs((ordered < 1).mean() - 0.8413) < 4 * np.sqrt(0.84 * 0.16 / n)
    assert abs((ordered < -2).mean() - 0.02275) < 4 * np.sqrt(0.023 / n)


def test_noise_is_that_of_the_scaled_inputs(build):
    for scales in (1 / 255, np.full(300, 1 / 255, build.REAL)):
        case = Case(build, [300, 1], output="identity", n=1, scales=scales)
        case.x[...] = 0
        case.core.parameters[...] = 0
        case.y[...] = -1
        case.core.sgd(case.rows, case.targets, np.arange(1), 1, np.ones(1), 0, 1,
                      state_of(case, "sgd", noise=0.5))
        deviation = case.weights[0].std() * (1 if np.ndim(scales) == 0 else 255)
        assert 0.4 < deviation * (1 if np.ndim(scales) == 0 else 1 / 255) < 0.6


# ---- Network.SGD ----


def data(n=60):
    rng = np.random.default_rng(4)
    return rng.random((n, 6)), rng.integers(0, 3, n)


def trained(calls=1, epochs=2, **rules):
    net = Network([6, 9, 3], dtype="float64", seed=1)
    for _ in range(calls):
        net.SGD(data(), epochs, 7, 0.1, **rules)
    return net


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(
        [*one.weights, *one.biases], [*other.weights, *other.biases], strict=True))


def test_lmbda_scales_weights_by_1_minus_eta_lmbda_over_n():
    net = Network([6, 9, 3], dtype="float64", seed=1)
    twin = net.copy()
    x, y = data()
    net.SGD((x, y), 1, 60, 0.1, lmbda=5.0)
    nabla_b, nabla_w = twin.backprop(x, y)
    for layer in range(2):
        np.testing.assert_allclose(
            net.weights[layer],
            (1 - 0.1 * 5 / 60) * twin.weights[layer] - 0.1 * nabla_w[layer], rtol=1e-12)
        np.testing.assert_allclose(
            net.biases[layer], twin.biases[layer] - 0.1 * nabla_b[layer], rtol=1e-12)


@pytest.mark.parametrize("rules", [
    {"optimizer": "adam"}, {"optimizer": optimizers.Adam(beta1=0.8), "weight_decay": 0.01},
    {"optimizer": "momentum", "lmbda": 0.1}, {"dropout": 0.5}, {"dropout": [0.1, 0.2]},
    {"noise": 0.1}, {"clip_norm": 0.1}, {"max_norm": 1.0}, {"l1": 0.001}, {"clip_value": 0.01},
], ids=str)
def test_a_seed_gives_the_same_bits_and_rules_change_them(rules):
    assert same(trained(**rules), trained(**rules))
    assert not same(trained(**rules), trained())


def test_the_plain_rules_change_nothing():
    assert same(trained(), trained(optimizer=optimizers.SGD(), lmbda=0, dropout=[0, 0],
                                   max_norm=None))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_means_that_underflow_become_zero(real, threads):
    """Subnormal ones would take many times as long; elsewhere such numbers stay what they are."""
    tiny = np.finfo(real).tiny
    steps = 5 - int(np.log2(tiny))
    x = np.zeros((steps, 40), real)
    net = Network([40, 32, 2], dtype=real, seed=0)
    rules = {"optimizer": optimizers.Momentum(0.5), "threads": threads}
    net.SGD((x + 1, np.zeros(steps, int)), 1, 1, 0.1, **rules)
    net.SGD((x, np.zeros(steps, int)), 1, 1, 0.1, **rules)
    means = abs(net.engine.optimizer_state.in_core.slots[0])
    assert (means == 0).any()
    assert (means > 0).any()
    assert not ((means > 0) & (means < tiny)).any()
    assert np.array([tiny])[0] / 4 > 0


def test_memory_survives_calls_copies_pickles_and_files(tmp_path):
    whole = trained(calls=3, optimizer="adam")
    for twin_of in (copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))):
        net = trained(calls=2, optimizer="adam")
        net = twin_of(net)
        net.SGD(data(), 2, 7, 0.1, optimizer="adam")
        assert same(net, whole)
    net = trained(calls=2, optimizer="adam")
    net.save(tmp_path / "net.npz")
    loaded = Network.load(tmp_path / "net.npz")
    loaded.engine.random = copy.deepcopy(net.engine.random)  # files do not hold it
    loaded.SGD(data(), 2, 7, 0.1, optimizer="adam")
    assert same(loaded, whole)


def test_another_optimizer_begins_anew():
    net, twin = trained(optimizer="adam"), trained(optimizer="adam")
    twin.engine.optimizer_state = None
    for each in (net, twin):
        each.SGD(data(), 1, 7, 0.1, optimizer="momentum")
    assert same(net, twin)


def test_divergence_puts_memory_back():
    net = Network([6, 9, 3], activation="identity", seed=1)
    net.SGD(data(), 2, 7, 0.1, optimizer="momentum")
    before = net.copy()
    with pytest.raises(cbackprop.DivergenceError):
        net.SGD(data(), 2, 7, 1e30, optimizer="momentum")
    assert same(net, before)
    for each in (net, before):
        each.SGD(data(), 1, 7, 0.1, optimizer="momentum")
    assert same(net, before)


BAD = {
    "optimizer 1": ({"optimizer": "adamax"}, "optimizer must be one of .* got 'adamax'"),
    "optimizer 2": ({"optimizer": optimizers.Adam}, "optimizer must be one of"),
    "lmbda": ({"lmbda": -1.0}, "lmbda must be a number of at least 0, got -1.0"),
    "l1": ({"l1": float("nan")}, "l1 must be a number of at least 0, got nan"),
    "weight_decay": ({"weight_decay": float("inf")}, "weight_decay must be a number of at least"),
    "max_norm": ({"max_norm": 0}, "max_norm must be a number above 0, got 0"),
    "clip_norm": ({"clip_norm": -0.5}, "clip_norm must be a number above 0, got -0.5"),
    "clip_value": ({"clip_value": 0.0}, "clip_value must be a number above 0, got 0.0"),
    "dropout 1": ({"dropout": 1.0}, "dropout must be a number of at least 0 and below 1, got 1.0"),
    "dropout 2": ({"dropout": [0.1]}, "dropout must be a number, or 2 of them, of the inputs"),
    "dropout 3": ({"dropout": [0.1, 1.5]}, r"dropout\[1\] must be a number of at least 0"),
    "noise": ({"noise": -0.1}, "noise must be a number of at least 0, got -0.1"),
}


@pytest.mark.parametrize(("rules", "message"), BAD.values(), ids=BAD)
def test_bad_values(rules, message):
    net = trained()
    before = net.copy()
    with pytest.raises(ValueError, match=message):
        net.SGD(data(), 1, 7, 0.1, **rules)
    assert same(net, before)


@pytest.mark.parametrize("rules", [{"lmbda": "1"}, {"dropout": None}, {"max_norm": "2"},
                                   {"noise": True}], ids=str)
def test_bad_types(rules):
    with pytest.raises(TypeError, match=f"{next(iter(rules))} must be a number"):
        trained(**rules)


def test_numbers_of_an_optimizer_are_checked():
    with pytest.raises(ValueError, match="beta1 must be a number of at least 0 and below 1"):
        optimizers.Adam(beta1=1)
    with pytest.raises(ValueError, match="grow must be a number of at least 1, got"):
        optimizers.Rprop(grow=0.5)


def test_lion_as_its_paper_has_it():
    """Three steps worked by hand: the mean that is kept is not the one whose sign is taken."""
    net = Network([1, 1], activation="identity", initializer="zeros", dtype="float64")
    net.weights[0][...] = 1.0
    for y, mean, direction in (
            (11.0, -0.1, -1),   # g = 1 - 11 = -10: the sign of 0.1 g; m = 0.01 g
            (0.0, -0.0885, 1),  # g = w = 1.05: the sign of -0.09 + 0.105
            (1.0, None, -1)):   # g = w - 1 = 0: the mean decides
        w = net.weights[0][0, 0]
        net.biases[0][...] = 0  # w x + b, at x = 1
        net.SGD(([[1.0]], [[y]]), 1, 1, 0.05, optimizer="lion")
        assert net.weights[0][0, 0] == w - 0.05 * direction
        if mean is not None:
            state = net.engine.optimizer_state.in_core
            np.testing.assert_allclose(state.slots[0][0], mean, rtol=1e-12)


def test_lbfgs_finds_the_least_squares():
    """One linear neuron: the minimum is known."""
    pytest.importorskip("scipy", reason="SciPy is not installed")
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal((50, 1))
    net = Network([4, 1], activation="identity", dtype="float64", seed=1)
    history = net.LBFGS((x, y), 100, tolerance=1e-10)
    wanted = np.linalg.lstsq(np.c_[x, np.ones(50)], y, rcond=None)[0][:, 0]
    np.testing.assert_allclose(np.r_[net.weights[0][0], net.biases[0][0]], wanted, 1e-6)
    assert history.cost[-1] == pytest.approx(net.total_cost((x, y)))
    assert sorted(history.cost, reverse=True) == history.cost
    assert len(history) <= 100
    net.LBFGS((x, y), 200, lmbda=5.0, tolerance=1e-10)
    nabla_b, nabla_w = net.backprop(x, y)
    np.testing.assert_allclose(nabla_w[0] + 5.0 / 50 * net.weights[0], 0, atol=1e-9)
    np.testing.assert_allclose(nabla_b[0], 0, atol=1e-9)


def test_lbfgs_learns_and_refuses():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    for dtype in ("float32", "float64"):
        net = Network([6, 9, 3], dtype=dtype, output_activation="softmax", cost="log_likelihood",
                      seed=1)
        before = net.total_cost(data())
        history = net.LBFGS(data(), 30)
        assert net.total_cost(data()) < 0.7 * before
        assert 0 < len(history) <= 30
    kept = net.copy()
    for bad, message in (({"iterations": 0}, "iterations must be an integer of at least 1, got 0"),
                         ({"lmbda": -1.0}, "lmbda must be a number of at least 0, got -1.0"),
                         ({"tolerance": -1.0}, "tolerance must be a number of at least 0")):
        with pytest.raises(ValueError, match=message):
            net.LBFGS(data(), **bad)
    assert same(net, kept)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lbfgs_gives_scipy_numbers_of_the_networks_type(monkeypatch, dtype):
    """SciPy before 1.12 makes float64 of them, and must get such a gradient."""
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is not installed")
    monkeypatch.setattr("cbackprop.lbfgs.BLOCK", 20)  # of 81 weights
    minimize, types, costs = optimize.minimize, set(), []
    exact = 1e-6 if dtype == "float32" else 1e-12
    for given in (dtype, "float64"):
        def spied(cost, begin, *, jac, given=given, **how):
            def gradient(vector):
                types.add((begin.dtype.name, vector.dtype.name, jac(vector).dtype.name))
                return jac(vector)
            return minimize(cost, begin.astype(given), jac=gradient, **how)

        monkeypatch.setattr(optimize, "minimize", spied)
        net = Network([6, 9, 3], dtype=dtype, seed=1)
        costs.append(net.LBFGS(data(), 8, lmbda=0.5).cost)
        squares = sum(float((w.astype(float)**2).sum()) for w in net.weights)
        assert costs[-1][-1] == pytest.approx(
            net.total_cost(data()) + 0.5 / len(data()[0]) / 2 * squares, rel=exact)
    assert types == {(dtype, dtype, dtype), (dtype, "float64", "float64")}
    np.testing.assert_allclose(costs[0], costs[1], 100 * exact)


def test_optimizers_as_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    made = {
        "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.05),
        "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True,
                                              weight_decay=0.05),
        "adagrad": lambda p: torch.optim.Adagrad(p, 0.1, weight_decay=0.05),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.1, weight_decay=0.05),
        "adam": lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.05),
        "rprop": lambda p: torch.optim.Rprop(p, 0.1),
        "nadam": lambda p: torch.optim.NAdam(p, 0.1, weight_decay=0.05),
    }
    x, y = data(20)
    target = torch.tensor(np.eye(3)[y])
    for name, make in made.items():
        net = Network([6, 9, 3], dtype="float64", seed=1)
        w, b = ([torch.tensor(np.array(p), requires_grad=True) for p in ps]
                for ps in (net.weights, net.biases))
        # weight decay on weights alone, as here
        steps = [make(w), make(b)]
        for group in steps[1].param_groups:
            group["weight_decay"] = 0.0
        for _ in range(5):
            net.SGD((x, y), 1, 20, 0.1, optimizer=name,
                    lmbda=0 if name == "rprop" else 0.05 * 20)
            a = torch.tensor(x)
            for layer in range(2):
                a = torch.sigmoid(a @ w[layer].T + b[layer].T)
            cost = 0.5 * ((a - target) ** 2).sum() / 20
            for step in steps:
                step.zero_grad()
            cost.backward()
            for step in steps:
                step.step()
        for ours, theirs in zip([*net.weights, *net.biases], w + b, strict=True):
            bound = 1e-6 if name == "nadam" else 1e-8  # PyTorch's product of all mu is float32
            np.testing.assert_allclose(ours, theirs.detach().numpy(), bound, 1e-10, err_msg=name)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("real", "size"), [
    ("float32", 1e20), ("float32", 2e37), ("float64", 1e200), ("float64", 1e305)])
def test_clip_norm_of_a_gradient_with_squares_beyond_the_real_type(real, size, threads):
    net = cbackprop.Network([3, 2], activation="identity", cost="absolute", dtype=real,
                            initializer="zeros")
    x = np.array([[1.0, 2.0, 3.0]] * 4)
    net.SGD((x, np.full((4, 2), -1.0)), 1, 4, 1.0, clip_norm=1.0, threads=threads,
            sample_weight=np.full(4, size))
    # The gradient is (1, 2, 3, 1) times that size, for both neurons.
    for w, b in zip(net.weights[0], net.biases[0], strict=True):
        np.testing.assert_allclose([*w, *b], np.array([-1, -2, -3, -1]) / np.sqrt(30), rtol=1e-5)


@pytest.mark.parametrize("sizes", [[3, 20], [3, 4, 1]])
@pytest.mark.parametrize(("real", "size"), [
    ("float32", 1e20), ("float32", 1e38), ("float64", 1e200)])
def test_max_norm_of_weights_with_squares_beyond_the_real_type(real, size, sizes):
    net = cbackprop.Network(sizes, activation="identity", dtype=real, initializer="zeros")
    net.weights[-1] = np.full((sizes[-1], sizes[-2]), size)
    net.SGD((np.zeros((4, 3)), np.zeros((4, sizes[-1]))), 1, 4, 0.1, max_norm=3.0)
    np.testing.assert_allclose(net.weights[-1], 3 / np.sqrt(sizes[-2]), rtol=1e-5)


@pytest.mark.parametrize("optimizer", sorted(optimizers.KNOWN))
def test_no_optimizer_trains_on_what_is_not_finite(optimizer):
    net = cbackprop.Network([2, 3, 2], cost="log_likelihood", seed=0)
    before = [w.copy() for w in net.weights]
    for value in (np.nan, np.inf):
        x = np.ones((8, 2))
        x[3, 1] = value
        with pytest.raises(ValueError, match="must be finite"):
            net.SGD((x, np.arange(8) % 2), 2, 8, 0.1, optimizer=optimizer)
    for w, saved in zip(net.weights, before, strict=True):
        assert np.array_equal(w, saved)


@pytest.mark.parametrize("optimizer", sorted(optimizers.KNOWN))
def test_no_optimizer_trains_on_an_infinite_gradient(optimizer):
    net = Network([1, 1], activation="identity", initializer="zeros", dtype="float32")
    far = np.full((2, 1), 3e38, np.float32)  # and their product is beyond float32
    with pytest.raises(cbackprop.DivergenceError):
        net.SGD((far, far), 1, 2, 0.1, optimizer=optimizer)


@pytest.mark.parametrize("skip_zeros", [False, True])
@pytest.mark.parametrize("rules", [
    {}, {"optimizer": "momentum", "lmbda": 0.5}, {"optimizer": "adam", "weight_decay": 0.1},
    {"optimizer": "rprop"}, {"clip_norm": 0.1, "l1": 0.1}], ids=str)
def test_mini_batches_that_weigh_nothing_take_no_step(rules, skip_zeros):
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 5)) * (rng.random((40, 5)) < 0.3), rng.random((40, 2))
    nets = [cbackprop.Network([5, 4, 2], dtype="float64", seed=0) for _ in range(2)]
    rules = {**rules, "skip_zeros": skip_zeros}
    for net in nets:
        net.SGD((x, y), 1, 40, 0.1, **rules)
    # Five mini-batches weigh nothing; the sixth, of the last five rows, is all that is trained on.
    weighs = np.arange(40) == 39
    nets[1].SGD((x, y), 3, 7, 0.1, sample_weight=weighs, shuffle=False, **rules)
    of_five = rules | {"lmbda": rules.get("lmbda", 0.0) * 5 / 40}
    nets[0].SGD((x[35:], y[35:]), 3, 5, 0.1, sample_weight=weighs[35:], shuffle=False, **of_five)
    for one, other in zip(nets[0].weights, nets[1].weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    states = [net.engine.state()["memory"] for net in nets]
    if states[0] is not None:
        assert states[0]["steps"] == states[1]["steps"] == 1 + 3
        for one, other in zip(states[0]["memory"], states[1]["memory"], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
    # One row at a time: rows of weight 0 are as rows left out, wherever they come in the order.
    history = nets[1].SGD((x, y), 2, 1, 0.1, sample_weight=np.arange(40) % 2, **rules)
    assert np.isfinite(history.cost).all()
    if states[0] is not None:
        assert nets[1].engine.optimizer_state.in_core.steps == 1 + 3 + 2 * 20


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["adam", "nadam", "adagrad", "rmsprop"])
def test_a_gradient_whose_square_is_infinite_still_takes_steps(optimizer, real):
    """Each moves by its rate, or more: a step of 0, from then on, said nothing."""
    far = 1e10 if real == "float32" else 1e80
    net = cbackprop.Network([1, 1], activation="identity", cost="quadratic", dtype=real,
                            initializer="zeros")
    for step in range(1, 4):
        net.SGD(([[far]], [[far]]), 1, 1, 0.125, optimizer=optimizer)
        assert net.weights[0][0, 0] >= 0.06 * step
    assert np.isfinite(net.weights[0]).all()

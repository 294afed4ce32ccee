"""What differs from layer to layer: learning rates, frozen layers, signs of weights, no biases."""

import pickle

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network, engine, inspect, optimizers
from cbackprop.tables import settings

# Narrow and wide outputs, and hidden layers that threads share by neurons.
SIZES = {"narrow": (6, 19, 9, 1), "wide": (5, 33, 17, 12)}
ACTIVATIONS = ["tanh", "sigmoid", "identity"]
STEPS = 4


def network(sizes=SIZES["wide"], dtype="float64", **settings):
    net = Network(sizes, activation=ACTIVATIONS, dtype=dtype, seed=3, **settings)
    for w in net.weights:
        w[...] = np.round(w, 3)  # the same in float32
    for b in net.biases:
        if b.flags.writeable:
            b[...] = np.round(b, 3)
    return net


def data(sizes, n):
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, sizes[0])), rng.standard_normal((n, sizes[-1]))


def bits(net):
    return [array.tobytes() for array in (*net.weights, *net.biases)]


def optimizer_of_torch(torch, name, groups, weight_decay):
    """Make PyTorch's for one of ours, with our numbers."""
    numbers = optimizers.KNOWN[name]().hyperparameters()
    betas = {"betas": (numbers.get("beta1"), numbers.get("beta2"))}
    eps = {"eps": numbers.get("epsilon")}
    if name == "rprop":
        return torch.optim.Rprop(groups, etas=(numbers["shrink"], numbers["grow"]),
                                 step_sizes=(numbers["smallest"], numbers["largest"]))
    if name in ("sgd", "momentum", "nesterov"):
        return torch.optim.SGD(groups, momentum=numbers.get("momentum", 0),
                               nesterov=name == "nesterov")
    return {
        "adagrad": lambda: torch.optim.Adagrad(groups, **eps),
        "rmsprop": lambda: torch.optim.RMSprop(groups, alpha=numbers.get("rho"), **eps),
        "adam": lambda: torch.optim.AdamW(groups, weight_decay=weight_decay, **betas, **eps),
        "nadam": lambda: torch.optim.NAdam(
            groups, momentum_decay=numbers.get("momentum_decay"), **betas, **eps),
    }[name]()


def trained_by_torch(net, x, y, m, eta, calls, optimizer, *, weight_decay=0.0, clip_norm=None):
    """
    Return a network's parameters after STEPS steps for each of the calls, as PyTorch takes them.

    A call is what SGD is given of layers: eta_factors and nonnegative.
    """
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential()
    for w, b, name in zip(net.weights, net.biases, ACTIVATIONS, strict=True):
        linear = torch.nn.Linear(
            w.shape[1], w.shape[0], bias=b.flags.writeable, dtype=torch.float64)
        linear.weight.data = torch.tensor(np.array(w, np.float64))
        if b.flags.writeable:
            linear.bias.data = torch.tensor(np.array(b[:, 0], np.float64))
        module.append(linear)
        module.append({"tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid,
                       "identity": torch.nn.Identity}[name]())
    layers = [each for each in module if isinstance(each, torch.nn.Linear)]
    groups = []
    for layer in layers:
        groups.append({"params": [layer.weight], "lr": eta})
        if layer.bias is not None:
            groups.append({"params": [layer.bias], "lr": eta, "weight_decay": 0.0})
    descent = optimizer_of_torch(torch, optimizer, groups, weight_decay)
    for call in calls:
        factors = call.get("eta_factors") or [1] * len(layers)
        nonnegative = np.broadcast_to(call.get("nonnegative", False), len(layers))
        for layer, factor in zip(layers, factors, strict=True):
            layer.requires_grad_(factor != 0)
            for group in descent.param_groups:
                if any(each is group["params"][0] for each in layer.parameters()):
                    group["lr"] = eta * factor
        for first in range(0, STEPS * m, m):
            batch = slice(first, first + m)
            descent.zero_grad(set_to_none=True)
            difference = module(torch.tensor(x[batch])) - torch.tensor(y[batch])
            ((difference**2).sum() / 2 / len(difference)).backward()
            if clip_norm is not None:
                trained = [each for each in module.parameters() if each.grad is not None]
                length = torch.sqrt(sum((each.grad**2).sum() for each in trained))
                for each in trained:
                    each.grad *= min(1, clip_norm / length)
            descent.step()
            for layer, clamped, factor in zip(layers, nonnegative, factors, strict=True):
                if clamped and factor:
                    layer.weight.data.clamp_(min=0)
    return [layer.weight.detach().numpy() for layer in layers], [
        np.zeros((len(layer.weight), 1)) if layer.bias is None
        else layer.bias.detach().numpy()[:, None] for layer in layers]


def agree(net, calls, optimizer="sgd", m=7, eta=0.05, **options):
    """Train a network and PyTorch's, and compare; return what it was before."""
    x, y = data(net.sizes, STEPS * m)
    before = net.copy()
    expected = trained_by_torch(net, x, y, m, eta, calls, optimizer, **options)
    for call in calls:
        net.SGD((x, y), 1, m, eta, optimizer=optimizer, shuffle=False, **options, **call)
    # Adam's first steps are eta times the sign of g, which float32 may round away; PyTorch's nadam
    # has the product of its mu in float32.
    bound = 5e-3 if net.dtype == "float32" else 1e-7 if optimizer == "nadam" else 1e-12
    for views, wanted in zip((net.weights, net.biases), expected, strict=True):
        for view, values in zip(views, wanted, strict=True):
            np.testing.assert_allclose(view, values, rtol=0, atol=bound)
    return before


@pytest.fixture
def of_build(build, monkeypatch):
    """Let networks compute with this build, and return its real type."""
    monkeypatch.setattr(engine._dispatch, "load", lambda real: build)
    return build.REAL


OF_TORCH = [name for name in optimizers.KNOWN if name != "lion"]
FACTORS = [[0.1, 1, 2.5], [0, 1, 0.5], [0.3, 0, 1], [1, 0.2, 0]]


@pytest.mark.parametrize("optimizer", OF_TORCH)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_layers_differ_as_pytorchs_groups_do(of_build, sizes, optimizer):
    if of_build == "float64":
        for factors in FACTORS:
            agree(network(sizes, of_build), [{"eta_factors": factors}], optimizer)
        agree(network(sizes, of_build), [{"nonnegative": [True, False, True]}], optimizer)
    agree(network(sizes, of_build, bias=[False, True, False]),
          [{"eta_factors": [0.5, 0, 2], "nonnegative": True}], optimizer)


@pytest.mark.parametrize("optimizer", OF_TORCH)
def test_long_mini_batches_take_the_same_steps(optimizer):
    """The gradient is complete before the step: more rows than a slice, or its norm is limited."""
    call = {"eta_factors": [0.5, 0, 2], "nonnegative": [True, False, False]}
    for bias in (True, [True, False, False]):
        agree(network(bias=bias), [call], optimizer, m=600)
        agree(network(bias=bias), [call], optimizer, clip_norm=0.05)


@pytest.mark.parametrize("m", [7, 600])
def test_decoupled_decay_has_the_layers_rate(m):
    agree(network(), [{"eta_factors": [0.5, 0, 2]}], "adam", m, weight_decay=0.3)


@pytest.mark.parametrize("optimizer", OF_TORCH)
def test_a_layer_that_thaws_begins_as_pytorchs_does(optimizer):
    """What an optimizer corrects, it corrects by the steps that the layer took."""
    calls = [{"eta_factors": factors} for factors in (
        [0, 0, 1], [0, 0.5, 1], None, [1, 0, 1], None)]
    agree(network(), calls, optimizer, eta=0.01)


def test_a_thawed_layer_is_saved_with_its_steps(tmp_path):
    net = network()
    x, y = data(net.sizes, 40)
    net.SGD((x, y), 1, 4, 0.01, optimizer="adam", eta_factors=[0, 1, 1])
    assert net.engine.optimizer_state.frozen_steps.tolist() == [10, 0, 0]
    net.save(tmp_path / "net.npz")
    others = [Network.load(tmp_path / "net.npz"), net.copy(), pickle.loads(pickle.dumps(net))]
    for each in (net, *others):
        each.SGD((x, y), 2, 4, 0.01, optimizer="adam", nonnegative=[False, False, True])
        assert bits(each) == bits(net)


@pytest.mark.parametrize("frozen", [[-1, 0, 0], [0, 0], ["a", 0, 0]], ids=str)
def test_frozen_steps_of_a_file_are_checked(frozen):
    net = network()
    net.SGD(data(net.sizes, 4), 1, 2, 0.01, optimizer="adam")
    state = net.__getstate__()
    state["memory"]["frozen_steps"] = frozen
    with one_line((TypeError, ValueError), r"^frozen_steps"):
        Network.__new__(Network).__setstate__(state)


@pytest.mark.parametrize("optimizer", optimizers.KNOWN)
@pytest.mark.parametrize("m", [7, 600])
def test_frozen_layers_stay_to_the_bit(of_build, optimizer, m):
    """Whatever else a step does, to parameters or to what the optimizer remembers."""
    net = network(dtype=of_build)
    examples = data(net.sizes, 2 * m)
    net.SGD(examples, 1, m, 0.01, optimizer=optimizer, shuffle=False, lmbda=0.1)
    before = net.copy()
    slots = [view.copy() for view in net.engine.optimizer_state.views()]
    net.SGD(examples, 2, m, 0.01, optimizer=optimizer, eta_factors=[0, 1, 0], lmbda=0.2, l1=0.01,
            weight_decay=0.1, max_norm=0.1, clip_norm=0.1, clip_value=0.1, nonnegative=True,
            dropout=0.2, noise=0.1)
    assert net.weights[1].min() >= 0
    for views, were in ((net.weights, before.weights), (net.biases, before.biases)):
        assert [np.array_equal(*pair) for pair in zip(views, were, strict=True)] == [
            True, False, True]
    views = net.engine.optimizer_state.views()
    for block, view, was in zip(net.engine.blocks * 2, views, slots, strict=False):
        assert block.layer == 1 or view.tobytes() == was.tobytes()
    assert slots == [] or any(not np.array_equal(*pair) for pair in zip(views, slots, strict=True))


@pytest.mark.parametrize("m", [7, 600])
def test_all_layers_may_be_frozen(of_build, m):
    net = network(dtype=of_build)
    before = bits(net)
    x, y = data(net.sizes, m)
    history = net.SGD((x, y), 2, m, 0.5, eta_factors=[0, 0, 0], lmbda=3)
    assert bits(net) == before
    assert history.cost == pytest.approx(
        [((net.feedforward(x) - y)**2).sum() / 2 / m] * 2, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("m", [24, 600])
def test_threads_compute_the_same_bits(of_build, optimizer, m, monkeypatch):
    monkeypatch.setattr(cbackprop.thread_choice.ThreadTuner, "threads", lambda self, most: most)
    found = []
    for threads in (1, 2):
        for sizes in SIZES.values():
            net = network(sizes, of_build, bias=[True, False, True])
            net.SGD(data(sizes, 2 * m), 2, m, 0.01, optimizer=optimizer, threads=threads,
                    eta_factors=[0.5, 0, 1], nonnegative=[False, True, True], max_norm=0.9)
            found.append(bits(net))
    assert found[:2] == found[2:]


@pytest.mark.parametrize("options", [
    {"lmbda": 0.5, "l1": 0.01}, {"weight_decay": 0.5}, {"clip_norm": 0.01}], ids=str)
def test_the_same_factor_everywhere_is_another_eta(options):
    for m in (7, 600):
        nets = [network(bias=[True, False, True]) for _ in range(2)]
        for net, eta, factors in zip(nets, (0.1, 0.05), ([0.5] * 3, None), strict=True):
            net.SGD(data(net.sizes, 2 * m), 2, m, eta, optimizer="momentum", eta_factors=factors,
                    **options)
        for got, wanted in zip((*nets[0].weights, *nets[0].biases),
                               (*nets[1].weights, *nets[1].biases), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_lion_has_the_layers_rate():
    """Every parameter moves by eta times the factor, which PyTorch cannot say."""
    net = network()
    before = net.copy()
    net.SGD(data(net.sizes, 5), 1, 5, 0.01, optimizer="lion", eta_factors=[0.5, 0, 2])
    for views, were in ((net.weights, before.weights), (net.biases, before.biases)):
        for view, was, step in zip(views, were, (0.005, 0, 0.02), strict=True):
            np.testing.assert_allclose(abs(view - was), step, atol=1e-12)


def test_nothing_asked_for_is_plain_descent():
    factors = {"eta_factors": [1, 1.0, np.float32(1)], "nonnegative": [False, np.False_, False]}
    assert optimizers.training_options(3, **factors).plain
    assert not optimizers.training_options(3, eta_factors=[1, 1, 0.5]).plain
    assert not optimizers.training_options(3, nonnegative=True).plain
    nets = [network() for _ in range(2)]
    for net, options in zip(nets, (factors, {}), strict=True):
        net.SGD(data(net.sizes, 20), 1, 5, 0.1, **options)
    assert bits(nets[0]) == bits(nets[1])


def test_what_is_no_number_for_each_layer_is_refused():
    net = network()
    examples, before = data(net.sizes, 4), bits(net)
    for options, error, line in [
            ({"eta_factors": 0.5}, TypeError,
             "eta_factors must be 3 numbers, one for each layer of weights, got 0.5"),
            ({"eta_factors": [1, 2]}, ValueError,
             r"eta_factors must be 3 numbers, one for each layer of weights, got \[1, 2\]"),
            ({"eta_factors": [1, -1, 1]}, ValueError,
             r"eta_factors\[1\] must be a number of at least 0, got -1"),
            ({"eta_factors": [1, 1, np.nan]}, ValueError, r"eta_factors\[2\] must be a number of"),
            ({"eta_factors": [1, 1, np.inf]}, ValueError, r"eta_factors\[2\] must be a number of"),
            ({"eta_factors": [1, True, 1]}, TypeError, r"eta_factors\[1\] must be a number of"),
            ({"eta_factors": "111"}, ValueError, "eta_factors must be 3 numbers"),
            ({"nonnegative": 1}, TypeError,
             "nonnegative must be True or False, or 3 of them, one for each layer of weights, "
             "got 1"),
            ({"nonnegative": [True]}, ValueError, "nonnegative must be True or False, or 3"),
            ({"nonnegative": [True, 0, True]}, TypeError,
             r"nonnegative\[1\] must be True or False, got 0"),
    ]:
        with one_line(error, f"^{line}"):
            net.SGD(examples, 1, 2, 0.1, **options)
    assert bits(net) == before
    for bias, error, line in [
            (0, TypeError, "bias must be True or False, or 3 of them"),
            ([True, False], ValueError, "bias must be True or False, or 3 of them"),
            ([True, False, None], TypeError, r"bias\[2\] must be True or False, got None")]:
        with one_line(error, f"^{line}"):
            network(bias=bias)


# ---- layers without biases ----

BIASES = [False, [False, True, True], [True, False, False]]


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_layers_without_biases(bias, of_build):
    net = network(dtype=of_build, bias=bias)
    biased = np.broadcast_to(bias, 3)
    for b, has_any in zip(net.biases, biased, strict=True):
        assert b.any() == has_any == b.flags.writeable
    x, y = data(net.sizes, 30)
    for rows in (x[:5], x):  # the gradient, in one thread or not
        for g, has_any in zip(net.backprop(rows, y[:len(rows)])[0], biased, strict=True):
            assert g.any() == has_any
    net.update_mini_batch((x, y), 0.1)
    net.SGD((x, y), 2, 10, 0.1)
    net.SGD((x, y), 2, 10, 0.1, optimizer="adam", weight_decay=0.1)
    assert [b.any() for b in net.biases] == list(biased)
    count = sum(w.size for w in net.weights) + sum(
        b.size for b, has_any in zip(net.biases, biased, strict=True) if has_any)
    assert net.summary().parameters == count
    assert sum(view.size for view in net.engine.optimizer_state.views()) == 2 * count
    pytest.importorskip("scipy")
    net.LBFGS((x, y), 5)
    assert [b.any() for b in net.biases] == list(biased)


def test_plain_descent_without_biases_is_pytorchs():
    for sizes in SIZES.values():
        for bias in BIASES:
            for m in (7, 600):
                agree(network(sizes, bias=bias), [{}], m=m)


def test_other_parameters_are_drawn_as_before():
    """With biases everywhere, the random stream is the one that it was."""
    drawn = np.random.default_rng(5)
    b = [drawn.standard_normal((width, 1)) for width in (4, 2)]
    w = drawn.standard_normal((4, 3)) / np.sqrt(3)
    for net in (Network([3, 4, 2], seed=5, dtype="float64"),
                Network([3, 4, 2], seed=5, dtype="float64", bias=[True, True])):
        np.testing.assert_array_equal(net.biases[1], b[1])
        np.testing.assert_array_equal(net.weights[0], w)


def test_bias_is_a_setting(tmp_path):
    for given, kept in ((True, True), (False, False), ([True] * 3, True), ((False,) * 3, False),
                        ([np.True_, False, True], (True, False, True))):
        net = network(bias=given)
        assert net.bias == kept
        assert ("bias" in repr(net)) == (kept is not True)
        assert eval(repr(net)).bias == kept
        net.SGD(data(net.sizes, 20), 1, 5, 0.01, optimizer="adam")
        net.save(tmp_path / "net.npz")
        for other in (Network.load(tmp_path / "net.npz"), net.copy(),
                      pickle.loads(pickle.dumps(net))):
            assert (other.bias, type(other.bias)) == (kept, type(kept))
            assert bits(other) == bits(net)
            other.SGD(data(net.sizes, 20), 1, 5, 0.01, optimizer="adam")
            assert not any(b.any() for b in other.biases if not b.flags.writeable)
        assert Network(**net.settings()).bias == kept
    with pytest.raises(AttributeError, match=r"^bias is fixed when"):
        net.bias = False


def test_a_file_without_the_setting_has_biases():
    net = network()
    state = net.__getstate__()
    del state["settings"]["bias"], state["memory"]
    other = Network.__new__(Network)
    other.__setstate__(state)
    assert other.bias is True
    assert bits(other) == bits(net)


def test_biases_that_are_none_are_zero():
    net = network(bias=[False, True, True])
    values = [np.array(b) for b in net.biases]
    net.biases = values
    net.biases[0] = np.zeros((33, 1))
    before, line = bits(net), r"^biases\[0\] must be zero, for bias=False leaves out the layer's "
    values[0][3], values[1][...] = 0.5, 7
    for assign in (lambda: net.biases.assign(values), lambda: net.biases.__setitem__(0, values[0]),
                   lambda: Network(**net.settings(), initializer=(list(net.weights), values))):
        with one_line(ValueError, line + r"biases, got 0\.5$"):
            assign()
    with pytest.raises(ValueError, match="read-only"):
        net.biases[0][...] = 1
    assert bits(net) == before
    copies = [w + 1 for w in net.weights], [np.array(b) for b in net.biases]
    made = net.with_parameters(*copies)
    assert made.bias == net.bias
    np.testing.assert_array_equal(made.weights[2], copies[0][2])
    weights, biases = cbackprop.chapter2.update_mini_batch(  # whose every layer has biases
        net.weights, net.biases, *data(net.sizes, 3), 0.1)
    with one_line(ValueError, line):
        net.weights, net.biases = weights, biases


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_inspection_without_biases(bias):
    net = network(bias=bias)
    x, y = data(net.sizes, 3)
    check = inspect.gradient_check(net, x, y)
    assert check.passed
    assert len(check.errors) == net.summary().parameters
    traced = inspect.trace(net, x, y)
    for g, b in zip(traced.nabla_b, net.biases, strict=True):
        assert g.any() == b.flags.writeable
    measured, predicted = inspect.demon(net, x[0], y[0], layer=0, neuron=2, dz=1e-5)
    assert measured == pytest.approx(predicted, rel=1e-3)
    speed = inspect.saturation(net, x, y).speed
    for layer, delta in enumerate(traced.delta):
        assert speed[layer] == pytest.approx(np.linalg.norm(delta.mean(axis=0)))
    found = inspect.paths(net, x[0], y[0], layer=0, j=1, k=2)
    assert found.total == pytest.approx(found.bp4)


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_hessian_without_biases(bias):
    net = network(bias=bias)
    x, y = data(net.sizes, 3)
    rng = np.random.default_rng(2)
    v = ([rng.standard_normal(b.shape) * b.flags.writeable for b in net.biases],
         [rng.standard_normal(w.shape) for w in net.weights])
    found = inspect.hessian_vector(net, x, y, v)
    ends, eps = [], 1e-5
    for sign in (1, -1):
        moved = net.with_parameters(
            [w + sign * eps * d for w, d in zip(net.copy().weights, v[1], strict=True)],
            [b + sign * eps * d for b, d in zip(net.copy().biases, v[0], strict=True)])
        ends.append(moved.backprop(x, y))
    for one, other, products in zip(*ends, found, strict=True):
        for g, h, product in zip(one, other, products, strict=True):
            np.testing.assert_allclose(product, (g - h) / (2 * eps), rtol=1e-5, atol=1e-7)
    for d, b in zip(v[0], net.biases, strict=True):
        d[...] = not b.flags.writeable
    with one_line(ValueError, r"^v\[0\]\[\d\] must be zero, for bias=False"):
        inspect.hessian_vector(net, x, y, v)


def test_tables_are_learned_without_a_last_bias():
    net = Network([2, 9, 1], activation=["tanh", "identity"], seed=0, bias=[True, False])
    decided = settings.decide("numbers", 40, 2, 1, epochs=3)
    x = np.random.default_rng(0).standard_normal((40, 2))
    for _ in range(2):
        decided.train(net, x, 100 * x[:, :1] + 500)
        assert not net.biases[-1].any()

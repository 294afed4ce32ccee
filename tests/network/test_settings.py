"""What is chosen without being asked for: the learning rate, and a network for a table."""

import math
import re

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network, RowSource, default_eta, initializers, inspect, optimizers
from cbackprop.core import _dispatch, table
from cbackprop.tables.settings import decide

ACTIVATIONS = [row.name for row in table.ACTIVATIONS]
OPTIMIZERS = [*optimizers.KNOWN]


@pytest.fixture(scope="module")
def digits():
    """Return small images of digits, standardised, to train on, to stop by, and to test with."""
    (x, y), _ = cbackprop.datasets.load_mnist()
    x = x.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    scale = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1)
    return (x[:800], y[:800]), (x[800:1000], y[800:1000]), (x[1000:2000], y[1000:2000])


def numbers(n=400, seed=0):
    """Return a table whose target is far from 0 and 1; noise is 5 % of its variance."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 5))
    signal = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] / 2
    return x, 152 + 77 * (signal + 0.05**0.5 * signal.std() * rng.standard_normal(n))


def r2(net, x, y):
    return 1 - ((net.feedforward(x)[:, 0] - y)**2).mean() / y.var()


def random_x(n=50, width=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, width)), rng.integers(0, 3, n)


# ---- eta ----


@pytest.mark.parametrize(("network", "eta"), [
    ({}, 3.0),  # chapter 1
    ({"cost": "cross_entropy"}, 0.5),  # chapter 3
])
def test_the_books_networks_have_the_books_rates(network, eta):
    data, _ = cbackprop.datasets.load_mnist()
    net = Network([784, 30, 10], input_scale=1 / 255, seed=0, **network)
    assert net.SGD(data, 1, 10).eta == [eta]


def test_it_is_chosen_by_each_of_these():
    chosen = {"sizes": [20, 30, 3], "activations": ["sigmoid", "sigmoid"], "cost": "quadratic",
              "optimizer": optimizers.SGD(), "mini_batch_size": 10, "scale": 1.0}
    eta = default_eta.default_eta(**chosen)
    for name, value, factor in (
            ("sizes", [20, 300, 3], 0.2), ("activations", ["relu", "sigmoid"], 0.6),
            ("activations", ["sigmoid", "identity"], 0.1), ("cost", "cross_entropy", 0.3),
            ("optimizer", optimizers.Adam(), 0.01), ("optimizer", optimizers.Lion(), 0.01),
            ("mini_batch_size", 1, 0.7), ("scale", 30.0, 0.3)):
        assert default_eta.default_eta(**chosen | {name: value}) <= factor * eta, name
    assert default_eta.default_eta(**chosen | {"mini_batch_size": 200}) > 1.5 * eta


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_adds_up_steps(momentum):
    """In the long run, v is the gradient times 1 / (1 - momentum)."""
    of = [default_eta.default_eta([9, 20, 3], ["tanh", "softmax"], "log_likelihood", one, 10)
          for one in (optimizers.SGD(), optimizers.Momentum(momentum))]
    assert of[1] / of[0] == pytest.approx(1 - momentum, rel=0.1)


@pytest.mark.parametrize("variance", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(("activation", "a", "slope"), [
    ("identity", lambda v: v, lambda v: 1),
    ("relu", lambda v: v / 2, lambda v: 1 / 2),
    ("sine", lambda v: (1 - math.exp(-2 * v)) / 2, lambda v: (1 + math.exp(-2 * v)) / 2),
    ("exponential", lambda v: math.exp(2 * v), lambda v: math.exp(2 * v)),
    ("gaussian", lambda v: (1 + 4 * v)**-0.5, lambda v: 4 * v * (1 + 4 * v)**-1.5),
])
def test_means_over_a_normal_z(activation, a, slope, variance):
    """Against integrals by hand."""
    found = default_eta._squares(activation, 1, variance)
    assert found == pytest.approx((a(variance), slope(variance)), rel=5e-3)


@pytest.mark.parametrize(("activation", "output", "cost"), [
    ("sigmoid", "sigmoid", "quadratic"), ("tanh", "identity", "quadratic"),
    ("relu", "softmax", "log_likelihood"), ("sigmoid", "sigmoid", "cross_entropy"),
    ("gelu", "identity", "quadratic"),
])
@pytest.mark.parametrize("width", [10, 60])
def test_the_curvature_is_about_the_largest_eigenvalue(activation, output, cost, width):
    """Of the Hessian, by the power method; with any of the factors forgotten it is far off."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((10, width)), rng.integers(0, 3, 10)
    net = Network([width, width, 3], activation=activation, output_activation=output, cost=cost,
                  dtype="float64", seed=0)
    v = net.backprop(x, y)
    for _ in range(30):
        v = inspect.hessian_vector(net, x, y, v)
        length = math.sqrt(sum((part**2).sum() for parts in v for part in parts))
        v = tuple([part / length for part in parts] for parts in v)
    *hidden, last = default_eta._forward(net.sizes, net.engine.activations, 1.0)
    guess = default_eta._curvature(net.sizes, hidden, last, net.cost, 1.0)
    assert length / 2 < guess < 8 * length


def test_it_is_as_if_it_had_been_given():
    x, y = random_x()
    nets = [Network([4, 6, 3], seed=1, dtype="float64") for _ in range(2)]
    history = nets[0].SGD((x, y), 2, 10, optimizer="momentum")
    assert history.eta[0] == history.eta[1] > 0
    nets[1].SGD((x, y), 2, 10, history.eta[0], optimizer="momentum")
    assert all(np.array_equal(a, b) for a, b in zip(nets[0].weights, nets[1].weights, strict=True))
    assert nets[0].SGD((x, y), 1, 10, optimizer="momentum").eta == history.eta[:1]  # and goes on


class Rows(RowSource):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def take(self, indices):
        return self.x[indices], self.y[indices]


@pytest.mark.filterwarnings("ignore:x of training_data is far")
def test_all_forms_of_the_same_inputs_have_the_same():
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    x, y = random_x(700)
    x[x < 0] = 0

    def eta(data, **settings):
        return Network([4, 6, 3], activation="relu", cost="log_likelihood", seed=0, **settings).SGD(
            data, 1, 10).eta[0]

    etas = {eta((x, y)), eta((x.astype(np.float32), y)), eta(Rows(x, y)),
            eta((sparse.csr_matrix(x), y)), eta((100 * x, y), input_scale=1 / 100),
            eta((x / [1, 10, 1, 1], y), input_scale=[1, 10, 1, 1])}
    assert len(etas) == 1
    assert eta((100 * x, y)) < 0.01 * etas.pop()


def test_inputs_that_have_no_scale():
    x, y = random_x()
    with one_line(ValueError, match=r"x of training_data must be finite, got nan at \[0, 2\]"):
        Network([4, 3]).SGD((np.where(np.arange(4) == 2, np.nan, x), y), 1, 10)
    assert 0 < Network([4, 3]).SGD((np.zeros((50, 4)), y), 1, 10).eta[0] <= 10
    assert Network([4, 9, 3], activation="exponential", cost="log_likelihood").prepare(
        (1e6 * x, y), 1, 10).eta.eta > 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_by_its_name_alone(optimizer, digits):
    """The book's network: sigmoid and quadratic cost. At chance it would be 0.1."""
    (x, y), _, test = digits
    net = Network([49, 30, 10], seed=0)
    batch, epochs = (len(x), 150) if optimizer == "rprop" else (10, 15)
    net.SGD((x, y), epochs, batch, optimizer=optimizer)
    assert net.accuracy(test) > 0.6


def learnable(n=200):
    """Three numbers, and the class of the largest."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 8))
    numbers = np.tanh(x @ rng.standard_normal((8, 3)) / 2)
    return x, (numbers - numbers.mean(axis=0)) / numbers.std(axis=0), numbers.argmax(axis=1)


def combinations():
    """Yield every activation, cost and output of which a network of three outputs may be made."""
    for activation in (row.name for row in table.ACTIVATIONS):
        for cost in table.COSTS:
            yield activation, cost.name, None
            if cost.default_output is None:
                yield activation, cost.name, "identity"


def may_learn(activation, cost, output):
    """Leave out outputs that may all be 0, and a tower of exponentials, which has no rate."""
    own = table.COSTS[[row.name for row in table.COSTS].index(cost)].default_output
    output = output or own or activation
    if output in ("relu", "relu6"):
        return False
    return not activation == output == "exponential" or cost == "cosine"


FEW = [one for one in combinations() if may_learn(*one)]


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "rprop"])
def test_the_cost_falls_whatever_is_combined(optimizer):
    """A sample; rprop needs all rows at once."""
    x, numbers, classes = learnable()
    rng = np.random.default_rng(OPTIMIZERS.index(optimizer))
    for at in rng.choice(len(FEW), 40, replace=False):
        activation, cost, output = FEW[at]
        width, batch = ((10, 10), (100, 32))[at % 2]
        net = Network([8, width, 3], activation=activation, cost=cost, output_activation=output,
                      seed=1)
        labels = np.eye(3)[classes]
        y = numbers if output == "identity" and cost != "hinge" else labels
        before = net.total_cost((x, y))
        net.SGD((x, y), 10, batch, optimizer=optimizer)
        assert net.total_cost((x, y)) < 0.999 * before, (activation, cost, output)


@pytest.mark.filterwarnings("ignore::UserWarning")  # how to do better
@pytest.mark.parametrize("cost", ["quadratic", "huber"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_large_targets_neither_diverge_nor_stand_still(optimizer, cost):
    """R2 is -9 before. At a rate for numbers near 1, descent diverges, and adam is still there."""
    x, numbers, _ = learnable()
    y = 3000 + 1000 * numbers
    for activation, least in (("relu", 0), ("tanh", -1)):
        net = Network([8, 30, 3], activation=activation, output_activation="identity", cost=cost,
                      seed=0)
        epochs, batch = (100, len(x)) if optimizer == "rprop" else (20, 10)
        net.SGD((x, y), epochs, batch, optimizer=optimizer)
        assert net.measure((x, y))["r2"] > least, activation


def test_outputs_that_no_rate_suits_are_named():
    x, _, classes = learnable()
    net = Network([8, 10, 3], activation="exponential", cost="huber", seed=0)
    with pytest.warns(UserWarning, match="^outputs of a new network are over 10,000 times as large "
                                         "as x, with activations .'exponential', .* no eta suits"):
        net.prepare((x, classes), 1, 10)


# ---- decisions ----


KINDS = {  # by kind: cost and output
    "classes": ("log_likelihood", "softmax"), "numbers": ("quadratic", "identity"),
    "counts": ("poisson", "exponential"), "labels": ("cross_entropy", "sigmoid"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2, 19, 20, 150, 5_000, 600_000])
def test_whatever_is_decided_can_be_taken(kind, rows):
    chosen = decide(kind, rows, 7, 2)
    assert (chosen.values["cost"], chosen.values["output_activation"]) == KINDS[kind]
    network, training = chosen.network(), chosen.training()
    assert network["sizes"] == [7, 100 if rows < 10_000 else 200, 2]
    share = training.pop("validation_split", 0)
    assert bool(share) == (rows >= 20) == ("callbacks" in training) == (
        "patience" in chosen.values)
    n = min(rows - math.ceil(rows * share), 300)
    assert 1 <= training["mini_batch_size"] <= rows - rows * share
    training["mini_batch_size"] = min(n, training["mini_batch_size"])
    training.pop("callbacks", None)
    x, y = np.ones((n, 7)), np.zeros((n, 2))
    Network(**network).prepare((x, y), **training)


@pytest.mark.parametrize(("given", "followed"), [
    ({"activation": "sigmoid"}, {"initializer": "glorot_uniform", "eta": 0.004}),
    ({"activation": "selu"}, {"initializer": "lecun_normal"}),
    ({"activation": ("leaky_relu", 0.2)}, {"initializer": "he_normal"}),
    ({"activation": [{"relu": 50, "tanh": 50}, "softmax"]}, {"initializer": "he_normal"}),
    ({"optimizer": "sgd"}, {"eta": 0.07, "mini_batch_size": 16}),
    ({"optimizer": optimizers.Momentum(0.9)}, {"eta": 0.007}),
    ({"optimizer": "rprop"}, {"mini_batch_size": 900, "eta": 0.02}),
    ({"optimizer": "rprop", "mini_batch_size": 50}, {"eta": 0.02}),
    ({"cost": "cross_entropy"}, {"output_activation": "sigmoid"}),
    ({"cost": "hinge"}, {"output_activation": "identity"}),
    ({"cost": "quadratic"}, {"output_activation": "sigmoid"}),
    ({"output_activation": "sigmoid"}, {"cost": "cross_entropy"}),
    ({"output_activation": "tanh"}, {"cost": "quadratic"}),
    ({"sizes": [9, 200, 50, 4]}, {}),
    ({"mini_batch_size": 500}, {"eta": 0.003}),
    ({"validation_split": 0}, {"mini_batch_size": 16}),
    ({"epochs": 40}, {"patience": 5}),
])
def test_what_the_caller_decides_stays_and_the_others_follow(given, followed):
    chosen = decide("classes", 1000, 9, 4, **given)
    assert {name: chosen.values[name] for name in given} == given
    assert {name: chosen.values[name] for name in followed} == followed
    assert not given.keys() & {one.name for one in chosen.decisions}
    assert len(chosen.lines) == len(chosen.values) - len(given)
    Network(**chosen.network())


def test_numbers_keep_their_cost_whatever_the_output():
    assert decide("numbers", 99, 2, 1, output_activation="sigmoid").values["cost"] == "quadratic"
    assert decide("numbers", 99, 2, 1, cost="huber").values["output_activation"] == "identity"
    assert decide("counts", 99, 2, 1, cost="quadratic").values["output_activation"] == "exponential"
    softplus = decide("counts", 99, 2, 1, output_activation="softplus")
    assert softplus.values["cost"] == "poisson"


def test_lines_can_be_typed_again():
    """Each is a flag, its value, and why."""
    chosen = decide("classes", 150, 4, 3)
    typed = dict(re.fullmatch(r"--(\S+) (\S+): \S.*", line).groups() for line in chosen.lines)
    assert typed == {
        "sizes": "4,100,3", "activation": "relu", "cost": "log_likelihood",
        "output-activation": "softmax", "initializer": "he_normal", "optimizer": "adam",
        "validation-split": "0.2", "batch": "16", "eta": "0.001", "epochs": "300",
        "patience": "30", "lmbda": "0.5"}


def test_large_tables_take_fewer_epochs():
    epochs = [decide("classes", rows, 784, 10).values["epochs"] for rows in (1000, 60_000, 10**7)]
    assert epochs == [300, 10, 10]
    assert decide("classes", 581_012, 54, 7).values["epochs"] == 12


@pytest.mark.parametrize(("arguments", "given", "error", "line"), [
    (("klasses", 9, 4, 3), {}, ValueError, "kind must be one of .*, got 'klasses'"),
    (("classes", 9, 4, 3), {"lr": 1}, TypeError, "^decide.* 'lr': did you mean 'eta'"),
    (("classes", 9, 4, 3), {"sizes": [5, 10, 3]}, ValueError,
     "sizes must begin with 4, the number of inputs, and end with 3 for classes, "
     r"got \[5, 10, 3\]"),
    (("classes", 9, 4, 3), {"sizes": [4]}, ValueError, "sizes must be at least two"),
    (("classes", 9, 4, 3), {"optimizer": "adan"}, ValueError, "optimizer must be one of"),
])
def test_what_cannot_be_decided(arguments, given, error, line):
    with one_line(error, match=line):
        decide(*arguments, **given)


@pytest.mark.parametrize("row", table.ACTIVATIONS, ids=lambda row: row.name)
def test_what_is_like_relu_begins_as_relu(row):
    """It is 0 at 0, the identity far above it and not far below it, up to a ceiling."""
    assert row.initializer in initializers.KNOWN
    if row.whole_layer:
        return
    core = _dispatch.load("float64").Core((1, 1), [row.name], "quadratic", 1.0)
    core.views(core.parameters)[0][0][...] = 1
    core.views(core.parameters)[1][0][...] = 0
    low, zero, high = core.feedforward(np.array([[-5.0], [0.0], [5.0]]))[:, 0]
    is_like_relu = zero == 0 and abs(high - 5) < 0.1 and abs(low) < 1
    assert (row.initializer == "he_normal") == is_like_relu


# ---- training ----


def fitted(digits, **given):
    (x, y), held_out, test = digits
    chosen = decide("classes", len(x), 49, 10, **given)
    net = Network(**chosen.network(), seed=0)
    chosen.train(net, x, y, evaluation_data=held_out)
    return net.accuracy(test)


@pytest.mark.parametrize("name", [
    *(f"optimizer {one}" for one in OPTIMIZERS),
    *(pytest.param(f"activation {one}",
                   marks=() if one in ("relu", "sigmoid", "softmax") else pytest.mark.slow)
      for one in ACTIVATIONS)])
def test_every_choice_alone_learns(name, digits):
    """At chance it would be 0.1; with everything guessed it is 0.86."""
    argument, value = name.split()
    assert fitted(digits, epochs=60, **{argument: value}) > 0.78


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(f"optimizer {one}" for one in OPTIMIZERS),
                                  *(f"activation {one}" for one in ACTIVATIONS)])
def test_every_choice_alone_learns_numbers(name):
    (x, y), (test_x, test_y) = numbers(), numbers(1000, seed=1)
    argument, value = name.split()
    chosen = decide("numbers", len(x), 5, 1, **{argument: value})
    net = Network(**chosen.network(), seed=0)
    chosen.train(net, x[:320], y[:320], evaluation_data=(x[320:], y[320:]))
    assert r2(net, test_x, test_y) > 0.4  # least squares on the columns gives 0.5


def by_numbers(**given):
    chosen = decide("numbers", 400, 5, 1, validation_split=0, epochs=30, **given)
    return chosen, Network(**chosen.network(), seed=0, dtype="float64")


def test_numbers_come_back_in_their_own_unit():
    """As a network of standardised numbers, times their scale, plus their mean."""
    x, y = numbers()
    chosen, net = by_numbers()
    standard = net.copy()
    history = chosen.train(net, x, y)
    standard.SGD((x, (y - y.mean()) / y.std()), **chosen.training())
    np.testing.assert_allclose(net.feedforward(x), y.mean() + y.std() * standard.feedforward(x),
                               rtol=1e-12)
    assert history.cost == standard.history.cost
    assert r2(net, x, y) > 0.8


def test_training_goes_on_where_it_was():
    x, y = numbers()
    chosen, net = by_numbers()
    first = chosen.train(net, x, y)
    second = chosen.train(net, x, y)
    assert second.cost[0] < first.cost[-1] * 1.1 < first.cost[0] / 5


def test_an_interrupted_network_answers_in_the_targets_unit():
    x, y = numbers()
    chosen, net = by_numbers()

    def interrupt(network, history):
        if len(history) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chosen.train(net, x, y, callbacks=[interrupt])
    assert r2(net, x, y) > 0.5


def test_equal_and_several_numbers():
    x = np.random.default_rng(0).standard_normal((60, 3))
    y = np.column_stack([np.full(60, 7.0), 1000 * x[:, 0]])
    chosen = decide("numbers", 60, 3, 2, validation_split=0)
    net = Network(**chosen.network(), seed=0)
    chosen.train(net, x, y)
    out = net.feedforward(x)
    assert abs(out[:, 0] - 7).max() < 1
    assert np.corrcoef(out[:, 1], y[:, 1])[0, 1] > 0.99


# ---- find_eta ----


def bowl():
    """Return a linear network on data; X with a column of ones for the bias; y."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((20, 3)) * [1.0, 2.0, 0.5]
    y = x @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * rng.standard_normal((20, 1))
    net = Network([3, 1], activation="identity", dtype="float64", seed=0)
    return net, x, np.column_stack([x, np.ones(20)]), y


def test_a_linear_network_is_lost_beyond_2_over_lambda():
    net, x, full, y = bowl()
    wanted = net.weights[0].copy(), net.biases[0].copy(), net.engine.random.bit_generator.state
    found = inspect.find_eta(net, (x, y), len(x), low=1e-3, high=10.0, steps=300)
    limit = 2 / np.linalg.eigvalsh(full.T @ full / 20)[-1]
    stable = found.etas < limit
    assert (np.diff(found.batch_costs[stable]) < 0).all()  # every mode shrinks
    assert limit < found.etas[-1] < 5 * limit  # and one grows
    assert found.costs[-1] > 4 * found.costs.min() > 0
    assert found.etas[0] < found.suggestion < limit
    # Nothing of the network has changed.
    assert np.array_equal(net.weights[0], wanted[0])
    assert np.array_equal(net.biases[0], wanted[1])
    assert net.engine.random.bit_generator.state == wanted[2]
    assert net.history is None
    # The same descent in NumPy, and its running mean.
    w = np.concatenate([wanted[0].ravel(), wanted[1].ravel()])
    costs, mean, smoothed = [], 0.0, []
    for step, eta in enumerate(np.geomspace(1e-3, 10, 300)[:len(found.etas)]):
        error = full @ w - y[:, 0]
        costs.append((error**2).mean() / 2)
        mean = 0.98 * mean + 0.02 * costs[-1]
        smoothed.append(mean / (1 - 0.98**(step + 1)))
        w -= eta * full.T @ error / 20
    # Beyond the limit what grows is rounding.
    np.testing.assert_allclose(found.batch_costs[stable], np.array(costs)[stable], rtol=1e-9)
    np.testing.assert_allclose(found.costs[stable], np.array(smoothed)[stable], rtol=1e-9)


def valley(costs):
    """Find the middle of the longest valley, line by line as fastai's scheduler does."""
    longest, end, start = [1] * len(costs), 0, 0
    for i in range(1, len(costs)):
        for j in range(i):
            if costs[i] < costs[j] and longest[i] < longest[j] + 1:
                longest[i] = longest[j] + 1
            if longest[end] < longest[i]:
                end = i
                start = end - longest[end]
    sections = (end - start) / 3
    return start + int(sections) + int(sections / 2)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_suggestion_is_fastais_valley(optimizer, digits):
    (x, y), *_ = digits
    net = Network([49, 20, 10], seed=0, cost="cross_entropy")
    found = inspect.find_eta(net, (x, y), 32, optimizer=optimizer, steps=150)
    assert found.suggestion == found.etas[valley(found.costs)]
    assert str(found).startswith(f"eta {found.suggestion:.2g}; the cost falls from ")
    before, after = net.total_cost((x, y)), net.copy()
    after.SGD((x, y), 3, 32, found.suggestion, optimizer=optimizer)
    assert after.total_cost((x, y)) < before / 2


@pytest.mark.parametrize(("given", "error", "line"), [
    ({"low": 0}, ValueError, "low must be a number above 0, got 0"),
    ({"low": 1, "high": 1}, ValueError, "high must be a number above 1, got 1"),
    ({"steps": 1}, ValueError, "steps must be an integer of at least 2, got 1"),
    ({"mini_batch_size": 51}, ValueError, "mini_batch_size must be .* at most the 50 examples"),
    ({"optimizer": "fast"}, ValueError, "optimizer must be one of"),
    ({"low": 1e200, "high": 1e201}, ValueError,
     "low must be a rate with which the cost stays finite"),
])
def test_what_cannot_be_swept(given, error, line):
    with one_line(error, match=line):
        inspect.find_eta(Network([4, 3], activation="identity", seed=0), random_x(), **given)
